"""What lifting took long for is kept: a changed object alone is lifted again, as from a fresh start."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting import embedded
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo
from real2sam2real.run.kept_lifting import kept_person
from real2sam2real.run.lifting import lift
from real2sam2real.scene import Scene
from real2sam2real.workfolder.kept import KeptResults

pytestmark = pytest.mark.fast


@pytest.fixture(name="united")
def united_fixture(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pieces each mesh that was really made had."""
    made: list[int] = []
    real = embedded.united

    def watched(pieces: Sequence[Mesh]) -> Mesh:
        made.append(len(pieces))
        return real(pieces)

    monkeypatch.setattr(embedded, "united", watched)
    return made


def test_only_a_mesh_that_changed_is_made_again(tmp_path: Path, united: list[int]) -> None:
    pixels = np.full((90, 140, 3), 180, np.uint8)
    masks = {name: np.zeros((90, 140), bool) for name in ("one", "two")}
    masks["one"][40:70, 20:45] = masks["two"][45:80, 80:110] = True
    pixels[masks["one"]], pixels[masks["two"]] = (200, 30, 30), (30, 30, 200)

    def lifted(folder: Path | None) -> Scene:
        kept = KeptResults(folder)
        view, options = ViewOptions(pitch=20.0, focal=150.0), LiftOptions(billboards=False, contact="off")
        scene, _ = lift(Photo(pixels=pixels), masks, view=view, options=options, kept=kept)
        kept.sweep()
        return scene

    first = lifted(tmp_path / "kept")
    assert len(united) == 2
    again = lifted(tmp_path / "kept")
    assert len(united) == 2
    masks["two"] = masks["two"].copy()
    masks["two"][45:50, 100:110] = False
    changed, fresh = lifted(tmp_path / "kept"), lifted(None)
    assert len(united) == 2 + 1 + 2
    for name in masks:
        np.testing.assert_array_equal(again.entity(name).mesh.vertices, first.entity(name).mesh.vertices)
        for field in ("vertices", "faces", "texture", "corner_uvs"):
            np.testing.assert_array_equal(*(getattr(s.entity(name).mesh, field) for s in (changed, fresh)))
    assert not np.array_equal(changed.entity("two").mesh.vertices, first.entity("two").mesh.vertices)
    before = set((tmp_path / "kept").iterdir())
    lifted(tmp_path / "kept")
    assert set((tmp_path / "kept").iterdir()) == before
    next(iter(before)).write_bytes(b"damaged")
    lifted(tmp_path / "kept")
    assert len(united) <= 2 + 1 + 2 + 1


def test_a_kept_person_is_the_one_that_was_lifted(tmp_path: Path) -> None:
    rng, lens = np.random.default_rng(0), Intrinsics.from_fov(40, 30, horizontal_degrees=60)
    person = LiftedMesh(
        name="sitter",
        mesh=Mesh(
            vertices=rng.normal(size=(3, 3)), faces=np.array([[0, 1, 2]]), vertex_colors=np.full((3, 3), 7, np.uint8)
        ),
        camera_from_object=np.eye(4),
        intrinsics=lens,
        on_mask=True,
        skin=Skin(
            bones=("root", "left_elbow"),
            parents=(-1, 0),
            heads=rng.normal(size=(2, 3)),
            weights=np.full((3, 2), 0.5, np.float32),
            axes=np.stack([np.eye(3)] * 2),
        ),
        provenance={"lifter": "people", "landmark_error_px": 1.25},
        notes=("a body",),
    )
    lifted: list[LiftedMesh] = []

    def work() -> LiftedMesh:
        lifted.append(person)
        return person

    kept = KeptResults(tmp_path)
    for _ in range(2):
        found = kept_person(["sitter", np.ones((2, 2), bool)], lens, kept, work)
        assert found.skin is not None
        assert person.skin is not None
        np.testing.assert_array_equal(found.mesh.vertices, person.mesh.vertices)
        np.testing.assert_array_equal(found.skin.weights, person.skin.weights)
        assert (found.skin.bones, found.skin.parents) == (person.skin.bones, person.skin.parents)
        assert json.dumps(found.provenance) == json.dumps(person.provenance)
        assert (found.notes, found.intrinsics, found.on_mask) == (person.notes, lens, True)
    assert len(lifted) == 1
    kept_person(["sitter", np.zeros((2, 2), bool)], lens, kept, work)
    assert len(lifted) == 2
