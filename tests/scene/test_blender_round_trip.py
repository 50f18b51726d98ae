"""Scenes through the real Blender: imported, edited, exported, loaded.

Blender is no dependency (it is GPL). To run these tests, install `bpy` into an environment of its own and name its
Python:

    python3.11 -m venv blender && blender/bin/pip install bpy==5.0.1
    R2S2R_BLENDER_PYTHON=blender/bin/python python -m pytest tests/scene/test_blender_round_trip.py
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.scene import CameraPath, Entity, Keyframe, Motion, Scene
from real2sam2real.scene.carrying import carry
from real2sam2real.scene.folder import read_scene, save_scene
from real2sam2real.scene.gltf import load_glb, save_glb
from real2sam2real.scene.relation import Relation

BLENDER = os.environ.get("R2S2R_BLENDER_PYTHON", "")
FRAMES = 17
FPS = 16

pytestmark = pytest.mark.skipif(not BLENDER, reason="R2S2R_BLENDER_PYTHON names no Python that has bpy")

PRELUDE = """
import bpy, sys
from mathutils import Euler, Matrix, Quaternion, Vector
source, target = sys.argv[1:3]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = {fps}
bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 160, 120
bpy.ops.import_scene.gltf(filepath=source)
named = bpy.data.objects
"""


def through_blender(source: Path, target: Path, edit: str = "", *, fps: int = FPS, options: str = "") -> None:
    """Import, run `edit`, export without custom properties (Blender's default)."""
    export = f"bpy.ops.export_scene.gltf(filepath=target, export_cameras=True, {options})"
    script = "\n".join([PRELUDE.format(fps=fps), edit, export])
    done = subprocess.run(
        [BLENDER, "-c", script, str(source), str(target)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert target.exists(), done.stdout[-3000:]


def ball(*, textured: bool = False, colored: bool = False) -> Mesh:
    rng = np.random.default_rng(3)
    made = trimesh.creation.icosphere(subdivisions=2)
    # a seam all around: the texture's left half on the front, its right half on the back
    uvs = made.vertices[made.faces][:, :, :2] / 4 + 0.25
    uvs[made.face_normals[:, 2] < 0, :, 0] += 0.5
    return Mesh(
        vertices=made.vertices.astype(np.float32),
        faces=made.faces,
        corner_uvs=uvs.astype(np.float32) if textured else None,
        texture=rng.integers(0, 256, (8, 16, 3), dtype=np.uint8) if textured else None,
        vertex_colors=rng.integers(0, 256, made.vertices.shape, dtype=np.uint8) if colored else None,
    )


def entity(name: str, mesh: Mesh, motion: Motion) -> Entity:
    return Entity(name=name, mesh=mesh, rest_world_from_object=motion.matrices()[0], motion=motion)


@pytest.fixture(scope="module")
def scene() -> Scene:
    keys = [
        Keyframe(frame=0, translation=(1.0, 0.0, -4.0), easing="ease"),
        Keyframe(frame=9, translation=(-1.5, 0.25, -5.0), rotation_wxyz=(0.6, 0.0, 0.8, 0.0), scale=(1.0, 2.0, 0.5)),
        Keyframe(frame=FRAMES - 1, translation=(0.0, 1.0, -6.0), rotation_wxyz=(0.0, 0.6, 0.8, 0.0)),
    ]
    swing = Motion.from_keyframes(keys, FRAMES)
    clay = ball(colored=True)
    breathing = 1 + 0.2 * np.sin(np.arange(FRAMES))[:, None, None]
    still = Motion.still(FRAMES, transforms.compose([2, 0, -6], [1, 0, 0, 0]))
    bending = replace(still, vertices_object=(clay.vertices[None] * breathing).astype(np.float32))
    flight = Motion.from_keyframes(
        [Keyframe(frame=0), Keyframe(frame=FRAMES - 1, translation=(1, 1, 2), rotation_wxyz=(0.9, 0.1, 0.4, 0))], FRAMES
    )
    lens = Intrinsics(width=160, height=120, fx=150.0, fy=150.0, cx=77.0, cy=60.5)
    camera = CameraPath(world_from_camera=flight.matrices(), intrinsics=lens, zoom=np.linspace(1, 1.5, FRAMES))
    return Scene(
        entities=(
            entity("red car", ball(textured=True), swing),
            entity("lamp.post_2", ball(), replace(swing.hidden(4, 6), scale=np.full((FRAMES, 3), 0.5))),
            entity("clay", clay, bending),
        ),
        camera=camera,
        fps=FPS,
    )


def assert_same_entity(found: Entity, expected: Entity, atol: float = 5e-6) -> None:
    assert found.mesh.is_closed()
    np.testing.assert_array_equal(found.mesh.faces, expected.mesh.faces)
    np.testing.assert_array_equal(found.motion.visible, expected.motion.visible)
    for frame in range(expected.motion.frames):
        np.testing.assert_allclose(found.vertices_world(frame), expected.vertices_world(frame), atol=atol)
    for name in ("corner_uvs", "texture", "vertex_colors"):
        mine, theirs = getattr(found.mesh, name), getattr(expected.mesh, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, atol=1e-6, err_msg=name)


def test_an_untouched_scene_comes_back_whole(scene: Scene, tmp_path: Path) -> None:
    save_glb(scene, tmp_path / "in.glb")
    through_blender(tmp_path / "in.glb", tmp_path / "out.glb")
    read = load_glb(tmp_path / "out.glb", fps=FPS)
    assert read.frames == FRAMES
    assert [e.name for e in read.entities] == scene.names
    for found, expected in zip(read.entities, scene.entities, strict=True):
        assert_same_entity(found, expected)
    assert read.camera is not None
    np.testing.assert_allclose(read.camera.world_from_camera, scene.camera.world_from_camera, atol=5e-6)


def test_blenders_own_frame_rate_costs_only_interpolation(scene: Scene, tmp_path: Path) -> None:
    """24 frames/s is Blender's default: every other frame of our 16 then falls between two of its samples."""
    save_glb(scene, tmp_path / "in.glb")
    through_blender(tmp_path / "in.glb", tmp_path / "out.glb", fps=24)
    read = load_glb(tmp_path / "out.glb", frames=FRAMES, fps=FPS)
    for name in ("red car", "clay"):
        found = next(e for e in read.entities if e.name == name)
        for frame in range(FRAMES):
            expected = scene.entity(name).vertices_world(frame)
            np.testing.assert_allclose(found.vertices_world(frame), expected, atol=0.15 if frame % 2 else 1e-5)


def test_edits_reach_the_scene_folder(scene: Scene, tmp_path: Path) -> None:
    """Moved, parented, deleted, added; the camera turned; no custom properties in the export."""
    folder = tmp_path / "scene"
    save_scene(scene, folder)
    edit = """
car, lamp = named["red car"], named["lamp.post_2"]
bpy.data.objects.remove(lamp)
car.animation_data_clear()
car.rotation_mode = "QUATERNION"
car.rotation_quaternion, car.scale = (1, 0, 0, 0), (1, 1, 1)
for frame, place in ((0, (0, 0, 0)), (16, (0, 0, 4))):
    car.location = place
    car.keyframe_insert("location", frame=frame)
for layer in car.animation_data.action.layers:
    for strip in layer.strips:
        for bag in strip.channelbags:
            for curve in bag.fcurves:
                for key in curve.keyframe_points:
                    key.interpolation = "LINEAR"
bpy.ops.mesh.primitive_cube_add(size=1)
cube = bpy.context.object
cube.name = "rider"
cube.parent = car
cube.location = (0, 0, 2)
cube.scale = (1, 2, 3)
camera = named["Camera"]
camera.animation_data_clear()
camera.data.animation_data_clear()
camera.matrix_world = Matrix.Translation((0, -8, 1)) @ Euler((1.5707963, 0, 0)).to_matrix().to_4x4()
"""
    through_blender(folder / "scene.glb", tmp_path / "out.glb", edit)
    (folder / "scene.glb").write_bytes((tmp_path / "out.glb").read_bytes())
    read, notes = read_scene(folder)
    assert read.names == ["red car", "clay", "rider"]
    assert [e.name for e in read.removed] == ["lamp.post_2"]
    assert len(notes) == 3  # one gone, one new, and the lens whose keys were deleted
    assert_same_entity(read.entity("clay"), scene.entity("clay"))
    heights = np.linspace(0, 4, FRAMES)  # Blender's z is up
    car = read.entity("red car")
    np.testing.assert_allclose(car.motion.translation, np.stack([0 * heights, heights, 0 * heights], 1), atol=1e-4)
    np.testing.assert_allclose(car.mesh.vertices, scene.entity("red car").mesh.vertices, atol=1e-5)
    rider = read.entity("rider")
    assert rider.mesh.is_closed()
    assert len(rider.mesh.vertices) == 8
    for frame in (0, 8, 16):
        world = rider.vertices_world(frame)
        np.testing.assert_allclose(np.ptp(world, axis=0), [1, 3, 2], atol=1e-5)
        np.testing.assert_allclose(world.mean(axis=0), [0, heights[frame] + 2, 0], atol=1e-4)
    pose = read.camera.world_from_camera[0]
    np.testing.assert_allclose(pose, transforms.compose([0, 1, 8], [1, 0, 0, 0]), atol=1e-5)
    np.testing.assert_array_equal(read.camera.zoom, scene.camera.zoom)


def test_an_armature_made_in_blender_bends_its_mesh(scene: Scene, tmp_path: Path) -> None:
    """Blender evaluates the pose itself and writes the world vertices it sees, to be compared with ours."""
    save_glb(replace(scene, entities=()), tmp_path / "in.glb")
    edit = """
import json
bpy.ops.mesh.primitive_cylinder_add(vertices=8, depth=4, location=(0, 0, 2))
body = bpy.context.object
body.name = "snake"
bpy.ops.object.mode_set(mode="EDIT")
bpy.ops.mesh.select_all(action="SELECT")
bpy.ops.mesh.subdivide(number_cuts=3)
bpy.ops.mesh.quads_convert_to_tris()
bpy.ops.object.mode_set(mode="OBJECT")
bpy.ops.object.armature_add(location=(0, 0, 0))
rig = bpy.context.object
bpy.ops.object.mode_set(mode="EDIT")
lower = rig.data.edit_bones[0]
lower.name, lower.tail = "lower", (0, 0, 2)
upper = rig.data.edit_bones.new("upper")
upper.head, upper.tail, upper.parent = (0, 0, 2), (0, 0, 4), lower
bpy.ops.object.mode_set(mode="OBJECT")
body.parent = rig
body.modifiers.new("rig", "ARMATURE").object = rig
for name in ("lower", "upper"):
    body.vertex_groups.new(name=name)
for vertex in body.data.vertices:
    share = min(max((vertex.co.z + 2) / 4, 0.0), 1.0)
    body.vertex_groups["upper"].add([vertex.index], share, "REPLACE")
    body.vertex_groups["lower"].add([vertex.index], 1 - share, "REPLACE")
bone = rig.pose.bones["upper"]
bone.rotation_mode = "XYZ"
for frame, angle in ((0, 0.0), (8, 1.2)):
    bone.rotation_euler = (angle, 0, 0.3 * angle)
    bone.keyframe_insert("rotation_euler", frame=frame)
    rig.location = (angle, 0, 0)
    rig.keyframe_insert("location", frame=frame)
seen = []
for frame in range(9):
    bpy.context.scene.frame_set(frame)
    shown = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    world = shown.matrix_world
    seen.append([list(world @ v.co) for v in shown.data.vertices])
bpy.context.scene.frame_end = 8
open(target + ".json", "w").write(json.dumps(seen))
"""
    through_blender(tmp_path / "in.glb", tmp_path / "out.glb", edit)
    seen = np.array(json.loads((tmp_path / "out.glb.json").read_text()))
    seen = np.stack([seen[..., 0], seen[..., 2], -seen[..., 1]], axis=-1)  # Blender's Z-up world to ours
    read = load_glb(tmp_path / "out.glb", frames=9, fps=FPS)
    snake = next(e for e in read.entities if e.name == "snake")
    assert snake.mesh.is_closed()
    assert snake.motion.vertices_object is not None
    for frame in range(9):
        mine = snake.vertices_world(frame)
        distance = np.linalg.norm(mine[:, None] - seen[frame][None], axis=-1)
        assert distance.min(axis=1).max() < 1e-4
        assert distance.min(axis=0).max() < 1e-4
    assert quaternions.angle_between(snake.motion.rotation_wxyz[0], snake.motion.rotation_wxyz[-1]) < 1e-5


def test_what_stands_on_something_is_its_child_in_blender(tmp_path: Path) -> None:
    """Untouched, both come back where they were; moved there, the table takes the cup along."""
    drive = Motion.from_keyframes(
        [Keyframe(frame=0), Keyframe(frame=FRAMES - 1, translation=(2, 0, -1), rotation_wxyz=(0.8, 0, 0.6, 0))], FRAMES
    )
    table = entity("table", ball(), drive)
    rest = transforms.compose([0.2, 1.0, 0.1], [1, 0, 0, 0], 0.2)
    cup = Entity(name="cup", mesh=ball(), rest_world_from_object=rest, motion=Motion.still(FRAMES, rest))
    cup = replace(cup, relation=Relation(word="on", to="table"))
    lens = Intrinsics(width=160, height=120, fx=150.0, fy=150.0, cx=80.0, cy=60.0)
    still = Scene(entities=(table, cup), camera=CameraPath.still(FRAMES, lens, np.eye(4)), fps=FPS)
    scene = carry(still)
    save_scene(scene, tmp_path / "scene")
    glb = tmp_path / "scene" / "scene.glb"
    through_blender(glb, tmp_path / "same.glb")
    for found in load_glb(tmp_path / "same.glb", fps=FPS).entities:
        assert_same_entity(found, scene.entity(found.name))
    edit = """
assert named["cup"].parent == named["table"]
table = named["table"]
table.animation_data_clear()
table.location, table.rotation_quaternion = (0, -3, 0), (1, 0, 0, 0)
"""
    through_blender(glb, glb, edit)
    moved, _ = read_scene(tmp_path / "scene")
    assert moved.entity("cup").relation == Relation(word="on", to="table")
    np.testing.assert_allclose(moved.entity("cup").motion.translation, np.tile([0.2, 1.0, 3.1], (FRAMES, 1)), atol=1e-5)


def test_a_person_posed_on_its_armature_comes_back_posed(tmp_path: Path) -> None:
    """The elbow of two tetrahedra along x, turned about Blender's −y, which is our z."""
    corners = np.array([[0, 0, 0], [0.9, 0, 0], [0, 0.3, 0], [0, 0, 0.3]])
    sides = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32)
    mesh = Mesh(vertices=np.concatenate([corners, corners + np.eye(3)[0]]), faces=np.concatenate([sides, sides + 4]))
    skin = Skin(
        bones=("shoulder", "elbow"), parents=(-1, 0), heads=np.array([[0.0, 0, 0], [1.0, 0, 0]]),
        weights=np.repeat(np.eye(2, dtype=np.float32), 4, axis=0), axes=np.tile(np.eye(3), (2, 1, 1)),
    )  # fmt: skip
    arm = replace(entity("arm", mesh, Motion.still(5, np.eye(4))), skin=skin)
    hat = replace(arm, name="hat", skin=None, relation=Relation(word="with", to="arm"))
    camera = CameraPath.still(5, Intrinsics.from_fov(32, 24, horizontal_degrees=50))
    save_scene(carry(Scene(entities=(arm, hat), camera=camera, fps=FPS)), tmp_path / "scene")
    edit = """
bone = named["arm rig"].pose.bones["elbow"]
bone.rotation_mode = "QUATERNION"
bone.keyframe_insert("rotation_quaternion", frame=0)
axis = bone.bone.matrix_local.to_3x3().inverted() @ Vector((0, -1, 0))
bone.rotation_quaternion = Quaternion(axis, 1.5707963)
bone.keyframe_insert("rotation_quaternion", frame=4)
bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, 4
"""
    through_blender(tmp_path / "scene" / "scene.glb", tmp_path / "scene" / "scene.glb", edit)
    read, notes = read_scene(tmp_path / "scene")
    assert all("normals" in note for note in notes)  # smooth ones do not suit a tetrahedron
    found = read.entity("arm")
    assert found.skin is not None
    np.testing.assert_allclose(found.vertices_world(0), mesh.vertices, atol=1e-5)
    np.testing.assert_allclose(found.vertices_world(4)[5], [1.0, 0.9, 0.0], atol=1e-5)
