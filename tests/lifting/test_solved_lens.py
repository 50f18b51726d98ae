"""`--optimize-focal`: the scene that was saved, drawn again from disk, shows what was solved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.rendering import render_frames
from real2sam2real.run.adding import add_to_folder
from real2sam2real.run.lifting import lift
from real2sam2real.run.progress import Progress
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.folder import load_scene, save_scene

WIDTH, HEIGHT = 320, 240


def bench() -> trimesh.Trimesh:
    """Long and near, so that its perspective tells the focal length."""
    parts = [trimesh.creation.box(size) for size in ((0.5, 0.1, 3.0), (0.1, 0.8, 3.0), (0.5, 0.5, 0.2))]
    parts[1].apply_translation((-0.25, 0.4, 0))
    parts[2].apply_translation((0, -0.25, 1.2))
    return trimesh.util.concatenate(parts)


def drawn(scene: Scene) -> np.ndarray:
    return next(render_frames(scene, width=WIDTH, height=HEIGHT, frames=[0])).ids


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize(("true_fov", "assumed_fov", "beside"), [(75, 50, False), (40, 60, True)])
def test_the_saved_scene_has_the_lens_that_was_solved(
    tmp_path: Path, true_fov: float, assumed_fov: float, beside: bool
) -> None:
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=true_fov)
    pose = transforms.compose([-0.4, -0.4, -3.2 * 75 / true_fov], [np.cos(0.5), 0, np.sin(0.5), 0])
    mesh = Mesh(vertices=bench().vertices, faces=bench().faces)
    placed = Entity(name="bench", mesh=mesh, rest_world_from_object=pose, motion=Motion.still(1, pose))
    mask = drawn(Scene(entities=(placed,), camera=CameraPath.still(1, lens, np.eye(4)))) > 0
    posed = transforms.apply(
        transforms.compose([0.1, 0, 0.2], [np.cos(0.04), 0, np.sin(0.04), 0]) @ pose, mesh.vertices
    )
    trimesh.Trimesh(posed, mesh.faces, process=False).export(tmp_path / "bench.ply")
    masks = {"bench": mask}
    if beside:
        other = np.zeros_like(mask)
        other[180:225, 285:312] = True
        masks["other"] = other & ~mask
    photo = Photo(pixels=np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    options = LiftOptions(
        mesh=(f"bench={tmp_path / 'bench.ply'}",),
        mesh_frame="camera-opengl",
        optimize_focal=True,
        contact="off",
        billboards=False,
    )
    made, notes = lift(photo, masks, view=ViewOptions(fov=assumed_fov), options=options)
    save_scene(made, tmp_path / "scene")
    scene, _ = load_scene(tmp_path / "scene"), notes
    ids = drawn(scene)
    assert iou(ids == 1, mask) > 0.95
    assert scene.camera.intrinsics.fx == pytest.approx(lens.fx, rel=0.1)
    assert scene.entity("bench").provenance["alignment"]["focal_px"] == pytest.approx(
        scene.camera.intrinsics.fx, abs=0.01
    )
    assert any("focal length solved with bench" in note for note in notes)
    if beside:
        assert iou(ids == 2, masks["other"]) > 0.8


def test_a_scene_with_a_lens_keeps_it(tmp_path: Path) -> None:
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=50)
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    save_scene(Scene(entities=(), camera=CameraPath.still(1, lens, np.eye(4)), photo=photo), tmp_path / "scene")
    options = replace(LiftOptions(), optimize_focal=True)
    objects = SegmentOptions(box=("bench=10,10,50,50",))
    with pytest.raises(UserError, match="has a lens already"):
        add_to_folder(tmp_path / "scene", tmp_path / "bench.ply", "bench", objects, options, Progress())
