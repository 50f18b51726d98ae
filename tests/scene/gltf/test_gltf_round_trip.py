from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, quaternions
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.gltf import load_glb, save_glb

SINGLE = 2e-6  # float32, over numbers of a few units


def assert_same_mesh(found: Mesh, expected: Mesh) -> None:
    np.testing.assert_array_equal(found.faces, expected.faces)
    np.testing.assert_allclose(found.vertices, expected.vertices, atol=SINGLE)
    for name in ("vertex_colors", "corner_uvs", "texture"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)


def assert_same_motion(found: Motion, expected: Motion) -> None:
    np.testing.assert_allclose(found.translation, expected.translation, atol=SINGLE)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-6)
    np.testing.assert_array_less(quaternions.angle_between(found.rotation_wxyz, expected.rotation_wxyz), 1e-6)
    np.testing.assert_array_equal(found.visible, expected.visible)
    assert (found.vertices_object is None) == (expected.vertices_object is None)
    if found.vertices_object is not None and expected.vertices_object is not None:
        np.testing.assert_allclose(found.vertices_object, expected.vertices_object, atol=SINGLE)


def test_a_scene_comes_back(scene: Scene, tmp_path: Path) -> None:
    save_glb(scene, tmp_path / "scene.glb")
    read = load_glb(tmp_path / "scene.glb")
    assert (read.frames, read.fps) == (scene.frames, scene.fps)
    assert [e.name for e in read.entities] == scene.names
    assert read.notes == ()
    assert read.open_meshes == ()
    for found, expected in zip(read.entities, scene.entities, strict=True):
        assert_same_mesh(found.mesh, expected.mesh)
        assert_same_motion(found.motion, expected.motion)
    assert read.camera is not None
    assert read.camera.name == "Camera"
    lens = scene.camera.intrinsics
    path = read.camera.path(lens.width, lens.height, lens)
    np.testing.assert_allclose(path.world_from_camera, scene.camera.world_from_camera, atol=SINGLE)
    np.testing.assert_allclose(path.zoom, scene.camera.zoom, rtol=1e-6)


def test_what_was_saved_twice_is_the_same_file(scene: Scene, tmp_path: Path) -> None:
    save_glb(scene, tmp_path / "a.glb")
    save_glb(scene, tmp_path / "b.glb")
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b.glb").read_bytes()


@pytest.mark.parametrize("fps", [16.0, 24.0, 30.0, 23.976, 7.0])
def test_steps_stay_on_their_frames_at_any_frame_rate(scene: Scene, tmp_path: Path, fps: float) -> None:
    """Float32 key times lie a hair beside the frames; a hidden span must not slip by one."""
    save_glb(replace(scene, fps=fps), tmp_path / "scene.glb")
    read = load_glb(tmp_path / "scene.glb", frames=scene.frames, fps=fps)
    for found, expected in zip(read.entities, scene.entities, strict=True):
        np.testing.assert_array_equal(found.motion.visible, expected.motion.visible)
        np.testing.assert_allclose(found.motion.matrices(), expected.motion.matrices(), atol=SINGLE)


def test_another_judge_sees_the_same_first_frame(scene: Scene, tmp_path: Path) -> None:
    save_glb(scene, tmp_path / "scene.glb")
    judge = trimesh.load(tmp_path / "scene.glb", process=False)
    for entity in scene.entities:
        matrix, name = judge.graph[entity.name]
        seen = trimesh.transform_points(judge.geometry[name].vertices, matrix)
        if entity.motion.vertices_object is not None:
            continue  # trimesh ignores morph targets
        np.testing.assert_allclose(seen[: len(entity.mesh.vertices)], entity.vertices_world(0), atol=1e-5)
        assert len(judge.geometry[name].faces) == len(entity.mesh.faces)


def test_copies_share_their_mesh_in_the_file(scene: Scene, tmp_path: Path) -> None:
    save_glb(scene, tmp_path / "one.glb")
    save_glb(scene.duplicated("red ball", "blue ball", (1, 0, 0)), tmp_path / "two.glb")
    assert (tmp_path / "two.glb").stat().st_size - (tmp_path / "one.glb").stat().st_size < 3000
    assert [e.name for e in load_glb(tmp_path / "two.glb").entities] == [*scene.names, "blue ball"]


def test_a_scene_without_entities_is_a_camera_path(scene: Scene, tmp_path: Path) -> None:
    save_glb(replace(scene, entities=()), tmp_path / "camera.glb")
    read = load_glb(tmp_path / "camera.glb")
    assert read.entities == ()
    assert read.camera is not None


def test_a_camera_does_not_take_an_entitys_name(
    scene: Scene, tmp_path: Path, make_ball: Callable[..., Mesh], make_entity: Callable[..., Entity]
) -> None:
    named = make_entity("Camera", make_ball(), Motion.still(scene.frames, np.eye(4)))
    save_glb(replace(scene, entities=(named,)), tmp_path / "scene.glb")
    read = load_glb(tmp_path / "scene.glb")
    assert [e.name for e in read.entities] == ["Camera"]
    assert [c.name for c in read.cameras] == ["Shot Camera"]


def test_always_hidden_and_mirrored_motions_come_back(
    scene: Scene, tmp_path: Path, make_ball: Callable[..., Mesh], make_entity: Callable[..., Entity]
) -> None:
    mirrored = Motion.still(scene.frames, np.diag([-2.0, 1.0, 3.0, 1.0]))
    entities = (
        make_entity("never", make_ball(), mirrored.hidden(0, scene.frames - 1)),
        make_entity("mirror", make_ball(), mirrored),
    )
    save_glb(replace(scene, entities=entities), tmp_path / "scene.glb")
    for found, expected in zip(load_glb(tmp_path / "scene.glb").entities, entities, strict=True):
        assert_same_motion(found.motion, expected.motion)
        assert_same_mesh(found.mesh, expected.mesh)


def test_texture_and_vertex_colours_together_come_back(
    scene: Scene, tmp_path: Path, make_ball: Callable[..., Mesh], make_entity: Callable[..., Entity]
) -> None:
    both = make_entity("both", make_ball(textured=True, colored=True), Motion.still(scene.frames, np.eye(4)))
    save_glb(replace(scene, entities=(both,)), tmp_path / "scene.glb")
    assert_same_mesh(load_glb(tmp_path / "scene.glb").entities[0].mesh, both.mesh)


def test_a_long_deformation_is_written_in_fewer_shapes(
    scene: Scene, tmp_path: Path, make_ball: Callable[..., Mesh], make_entity: Callable[..., Entity]
) -> None:
    frames, mesh = 300, make_ball(textured=True)
    time = np.linspace(0, 6, frames)[:, None, None]
    waves = mesh.vertices * (1 + 0.3 * np.sin(time + mesh.vertices[:, 1:2])) + 0.1 * np.sin(2 * time)
    motion = replace(Motion.still(frames, np.eye(4)), vertices_object=waves.astype(np.float32))
    camera = CameraPath.still(frames, scene.camera.intrinsics)
    save_glb(Scene(entities=(make_entity("sea", mesh, motion),), camera=camera), tmp_path / "scene.glb")
    assert (tmp_path / "scene.glb").stat().st_size < waves.astype(np.float32).nbytes / 4
    found = load_glb(tmp_path / "scene.glb").entities[0]
    assert_same_mesh(found.mesh, mesh)
    assert found.motion.vertices_object is not None
    np.testing.assert_allclose(found.motion.vertices_object, waves, atol=2.1e-5)


def test_an_empty_mesh_is_an_error(scene: Scene, tmp_path: Path, make_entity: Callable[..., Entity]) -> None:
    nothing = Mesh(vertices=np.zeros((0, 3)), faces=np.zeros((0, 3), np.int32))
    with pytest.raises(UserError, match="no triangles"):
        save_glb(
            replace(scene, entities=(make_entity("nothing", nothing, scene.entities[0].motion),)), tmp_path / "x.glb"
        )
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_motion_comes_back(data: st.DataObject, tmp_path: Path, make_entity: Callable[..., Entity]) -> None:
    frames = data.draw(st.integers(1, 6))
    number = st.floats(-50, 50, allow_nan=False, width=32)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rotation = rng.normal(size=(frames, 4))
    motion = Motion(
        translation=np.array(data.draw(st.lists(st.tuples(number, number, number), min_size=frames, max_size=frames))),
        rotation_wxyz=rotation,
        scale=rng.uniform(0.01, 30, (frames, 3)) * rng.choice([-1, 1], (1, 3)),
        visible=rng.random(frames) < 0.6,
        vertices_object=rng.normal(size=(frames, 4, 3)).astype(np.float32) if data.draw(st.booleans()) else None,
    )
    if motion.vertices_object is not None and frames == 1:
        motion = replace(motion, vertices_object=None)
    mesh = Mesh(
        vertices=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        faces=np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]),
    )
    lens = Intrinsics.from_fov(64, 36, horizontal_degrees=60)
    scene = Scene(entities=(make_entity("thing", mesh, motion),), camera=CameraPath.still(frames, lens))
    save_glb(scene, tmp_path / "scene.glb")
    found = load_glb(tmp_path / "scene.glb", frames=frames, fps=scene.fps).entities[0].motion
    np.testing.assert_allclose(found.translation, motion.translation, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.scale, motion.scale, rtol=1e-6)
    np.testing.assert_array_equal(found.visible, motion.visible)
    np.testing.assert_array_less(quaternions.angle_between(found.rotation_wxyz, motion.rotation_wxyz), 1e-6)
    if motion.vertices_object is not None and found.vertices_object is not None:
        np.testing.assert_allclose(found.vertices_object, motion.vertices_object, atol=1e-6)


def test_a_coordinate_beyond_float32_is_an_error_and_leaves_no_file(
    scene: Scene, tmp_path: Path, make_ball: Callable[..., Mesh], make_entity: Callable[..., Entity]
) -> None:
    far = Motion.still(scene.frames, np.eye(4))
    far = replace(far, translation=np.linspace(0, 1e39, scene.frames)[:, None] * np.ones(3))
    with pytest.raises(UserError, match="too large"):
        save_glb(replace(scene, entities=(make_entity("far", make_ball(), far),)), tmp_path / "scene.glb")
    assert list(tmp_path.iterdir()) == []
