"""Two meshes of real lifters in one photo: one posed under the photo's lens, one under another."""

from pathlib import Path

import pytest

from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.adding import add_to_folder
from real2sam2real.run.lifting import lift_to_folder
from real2sam2real.run.progress import Progress
from real2sam2real.scene import Scene
from real2sam2real.scene.folder import load_scene

# Each step has tests of its own, the bench's repair and the dancer's lifting on these very files.
pytestmark = pytest.mark.slow

DANCER = Path(__file__).parents[3] / "shared" / "data" / "dancer"
# The bag, the skateboard and the suitcase, which the bench's mask leaves out.
OCCLUDERS = ("655,570,835,672", "688,615,790,790", "278,590,392,800")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    if not DANCER.is_dir():
        pytest.skip("the real photos are not beside this checkout")
    folder = tmp_path_factory.mktemp("dancer") / "scene"
    lift_to_folder(
        DANCER / "photo.png",
        SegmentOptions(mask=(f"person={DANCER / 'mask_person.png'}",)),
        ViewOptions(focal=1623.09, pitch=2),
        LiftOptions(mesh=(f"person={DANCER / 'person.ply'}",)),
        folder,
        Progress(),
    )
    bench = SegmentOptions(mask=(f"bench={DANCER / 'mask_bench.png'}",), occluder=OCCLUDERS)
    add_to_folder(folder, DANCER / "bench.glb", "bench", bench, LiftOptions(), Progress())
    return load_scene(folder)


def test_both_enter_closed_and_light(scene: Scene) -> None:
    for entity in scene.entities:
        assert entity.mesh.is_closed()
        assert entity.mesh.volume() > 0
        assert len(entity.mesh.faces) <= 41_000


def test_a_body_under_its_clothes_keeps_its_place(scene: Scene) -> None:
    found = scene.entity("person").provenance["alignment"]
    assert found["iou_after"] >= 0.74
    assert found["turned_degrees"] < 8


def test_a_bench_lifted_under_another_lens_comes_onto_its_mask(scene: Scene) -> None:
    found = scene.entity("bench").provenance["alignment"]
    assert found["iou_before"] < 0.35
    assert found["iou_after"] >= 0.88


def test_both_stand_on_one_ground(scene: Scene) -> None:
    for entity in scene.entities:
        lowest = entity.vertices_world(0)[:, 1].min()
        assert lowest == pytest.approx(scene.ground_y, abs=0.03)
