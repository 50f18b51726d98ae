"""`--optimize-focal`: the scene that was saved, drawn again from disk, shows what was solved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

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
    told = scene.entity("bench").provenance["alignment"]["iou_whole"]
    assert told > 0.95
    assert iou(ids == 1, mask) == pytest.approx(told, abs=0.02)
    assert scene.camera.intrinsics.fx == pytest.approx(lens.fx, rel=0.1)
    assert scene.entity("bench").provenance["alignment"]["focal_px"] == pytest.approx(
        scene.camera.intrinsics.fx, abs=0.01
    )
    assert any("focal length solved with bench" in note for note in notes)
    if beside:
        assert iou(ids == 2, masks["other"]) > 0.8


def cup() -> trimesh.Trimesh:
    wall = trimesh.creation.revolve(
        [(0, 0), (0.45, 0), (0.5, 1.0), (0.44, 1.0), (0.4, 0.1), (0, 0.1)], sections=16
    ).apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
    handle = trimesh.creation.torus(0.25, 0.06, major_sections=12, minor_sections=6)
    return trimesh.util.concatenate([wall, handle.apply_translation([0.5, 0.5, 0])])


SHAPES = {
    "cup": cup,
    "cube": lambda: trimesh.creation.box((1, 1, 1)),
    "ball": lambda: trimesh.creation.icosphere(subdivisions=2, radius=0.6),
    "cone": lambda: trimesh.creation.cone(0.6, 1.2, sections=16),
}


def test_the_iou_that_is_told_is_that_of_the_saved_scene(tmp_path: Path) -> None:
    """Of what is lifted with a lens that is solved, and of what is added to the scene that came of it."""
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=55)
    masks, files = {}, {}
    for k, (name, make) in enumerate(SHAPES.items()):
        mesh, x = Mesh(vertices=make().vertices, faces=make().faces), 0.8 * (k - 1.5)
        pose = transforms.compose([x, -0.3, -3.6], [np.cos(0.3), 0, np.sin(0.3), 0], 0.5)
        placed = Entity(name=name, mesh=mesh, rest_world_from_object=pose, motion=Motion.still(1, pose))
        masks[name] = drawn(Scene(entities=(placed,), camera=CameraPath.still(1, lens, np.eye(4)))) > 0
        off = transforms.compose([x + 0.1, -0.3, -3.3], [np.cos(0.35), 0, np.sin(0.35), 0], 0.5)
        files[name] = tmp_path / f"{name}.ply"
        trimesh.Trimesh(transforms.apply(off, mesh.vertices), mesh.faces, process=False).export(files[name])
        Image.fromarray(masks[name]).save(tmp_path / f"{name}.png")
    options = LiftOptions(
        mesh=(f"cup={files['cup']}",), mesh_frame="camera-opengl", optimize_focal=True, billboards=False
    )
    photo = Photo(pixels=np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    scene, _ = lift(photo, {"cup": masks["cup"]}, view=ViewOptions(fov=50, pitch=0), options=options)
    save_scene(scene, tmp_path / "scene")
    keeping = replace(options, mesh=(), optimize_focal=False)
    for name in ("cube", "ball", "cone"):
        objects = SegmentOptions(mask=(f"{name}={tmp_path / name}.png",))
        add_to_folder(tmp_path / "scene", files[name], name, objects, keeping, Progress())
    saved = load_scene(tmp_path / "scene")
    for name, mask in masks.items():
        told = saved.entity(name).provenance["alignment"]["iou_whole"]
        assert told > 0.9
        assert iou(drawn(replace(saved, entities=(saved.entity(name),))) > 0, mask) == pytest.approx(told, abs=0.02)


def test_a_scene_with_a_lens_keeps_it(tmp_path: Path) -> None:
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=50)
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    save_scene(Scene(entities=(), camera=CameraPath.still(1, lens, np.eye(4)), photo=photo), tmp_path / "scene")
    options = replace(LiftOptions(), optimize_focal=True)
    objects = SegmentOptions(box=("bench=10,10,50,50",))
    with pytest.raises(UserError, match="has a lens already"):
        add_to_folder(tmp_path / "scene", tmp_path / "bench.ply", "bench", objects, options, Progress())
