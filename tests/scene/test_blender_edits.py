"""Edits made in the real Blender film the same in Cycles and in our renderer, or are told about.

Skipped without Blender; see tests/scene/test_blender_round_trip.py for how to name its Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BLENDER = os.environ.get("R2S2R_BLENDER_PYTHON", "")
EDITS = """
untouched keys_linear keys_bezier keys_constant moved_without_keys negative_scale parented_to_a_mover
constrained_object driven_object hidden_in_renders hidden_in_the_viewport disabled_in_viewports
scaled_away_from_a_key_on array_modifier mirror_modifier subdivision_modifier shape_keys armature_skin
linked_duplicate collection_instance deleted renamed sculpted keyed_lens lens_changed sensor_fit sensor_fit_keyed_lens
sensor_size other_resolution tracking_camera tracking_camera_at_rest parented_camera camera_on_a_path unit_scale
other_frame_rate longer_frame_range several_actions several_actions_as_actions nla_tracks cycling_keys flat_cube
flat_monkey smooth_monkey mug inside_out_mug
"""
HELD = EDITS.split()
TOLD = {
    "keyed_lens_without_pointers": "Export Animation Pointer",
    "lens_animation_deleted": "own zoom plays on",
    "other_proportions": "the view's height counts",
    "another_camera_films": "holds 2 cameras",
    "shorter_frame_range": "animated in frames 3 to 6",
}
OTHER_DIAGONALS = 3.0  # degrees: Cycles cuts the quadrilaterals of a bent flat-shaded tube another way

pytestmark = pytest.mark.skipif(not BLENDER, reason="R2S2R_BLENDER_PYTHON names no Python that has bpy")


@pytest.fixture(scope="module")
def benchmark(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return load_benchmark("blender_edits")


@pytest.fixture(scope="module")
def filmed(benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blender")
    assert benchmark.films(BLENDER, folder, [*HELD, *TOLD]) == [*HELD, *TOLD]
    return folder


@pytest.mark.parametrize("name", HELD)
def test_an_edit_films_as_in_blender(benchmark: ModuleType, filmed: Path, name: str) -> None:
    found = benchmark.compare(filmed, name)
    assert found.pixels < 5
    assert max(found.degrees.values()) < (OTHER_DIAGONALS if name == "armature_skin" else 1.0)


@pytest.mark.parametrize("name", TOLD)
def test_what_the_file_leaves_open_is_told(benchmark: ModuleType, filmed: Path, name: str) -> None:
    assert any(TOLD[name] in note for note in benchmark.compare(filmed, name).notes)
