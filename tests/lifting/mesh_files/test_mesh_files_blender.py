"""Files that the real Blender writes, and the vertices that it shows itself, frame by frame.

Blender is no dependency (it is GPL). To run these tests, install `bpy` into an environment of its own and name its
Python:

    python3.11 -m venv blender && blender/bin/pip install bpy==5.0.1
    R2S2R_BLENDER_PYTHON=blender/bin/python python -m pytest tests/lifting/mesh_files/test_mesh_files_blender.py
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from real2sam2real.geometry import transforms
from real2sam2real.lifting.file_animation import entity_motion
from real2sam2real.lifting.mesh_files import read_mesh_file

BLENDER = os.environ.get("R2S2R_BLENDER_PYTHON", "")
FPS, SHOWN = 24, (1, 13, 25, 49)

pytestmark = pytest.mark.skipif(not BLENDER, reason="R2S2R_BLENDER_PYTHON names no Python that has bpy")

SCRIPT = """
import bpy, json, math, os, sys
os.chdir(sys.argv[1])
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps, scene.frame_start, scene.frame_end = 24, 1, 49


def material(name, color, image=None):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes = made.node_tree.nodes
    nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1)
    if image:
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = image
        made.node_tree.links.new(texture.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    return made


def shown():
    depsgraph = bpy.context.evaluated_depsgraph_get()
    found = []
    for thing in scene.objects:
        if thing.type == "MESH":
            now = thing.evaluated_get(depsgraph)
            found += [list(now.matrix_world @ v.co) for v in now.to_mesh().vertices]
    return found


def remember(name):
    truth = {}
    for frame in (1, 13, 25, 49):
        scene.frame_set(frame)
        truth[frame] = shown()
    json.dump(truth, open(name, "w"))


image = bpy.data.images.new("paint", 8, 8)
image.pixels = [0.0, 0.0, 1.0, 1.0] * 64
image.filepath_raw, image.file_format = os.path.abspath("paint.png"), "PNG"
image.save()
bpy.ops.mesh.primitive_cube_add(size=2, location=(0, 0, 1))
body = bpy.context.object
body.scale = (2, 1, 0.5)
body.data.materials.append(material("paint", (1, 1, 1), image))
bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
wheels, tyre = [], material("tyre", (0.02, 0.02, 0.02))
for x in (-1, 1):
    bpy.ops.mesh.primitive_cylinder_add(radius=0.5, depth=2.4, rotation=(math.pi / 2, 0, 0), location=(x, 0, 0.5))
    wheel = bpy.context.object
    wheel.data.materials.append(tyre)
    bpy.ops.object.transform_apply(location=False, rotation=True, scale=False)
    wheel.parent, wheel.matrix_parent_inverse = body, body.matrix_world.inverted()
    wheels.append(wheel)
bpy.ops.export_scene.gltf(filepath=os.path.abspath("still.glb"))
bpy.ops.wm.obj_export(filepath=os.path.abspath("still.obj"), path_mode="RELATIVE")
for name, text in (("still", False), ("text", True)):
    bpy.ops.wm.ply_export(filepath=os.path.abspath(name) + ".ply", ascii_format=text)
    bpy.ops.wm.stl_export(filepath=os.path.abspath(name) + ".stl", ascii_format=text)
for frame, x in ((1, 0), (49, 6)):
    body.location.x = x
    body.keyframe_insert("location", frame=frame)
    for wheel in wheels:
        wheel.rotation_euler[1] = x / 0.5
        wheel.keyframe_insert("rotation_euler", frame=frame)
bpy.ops.export_scene.gltf(filepath=os.path.abspath("drive.glb"))
remember("drive.json")

for thing in list(scene.objects):
    bpy.data.objects.remove(thing)
for action in list(bpy.data.actions):
    bpy.data.actions.remove(action)
bpy.ops.mesh.primitive_cylinder_add(radius=0.3, depth=3, location=(0, 0, 1.5))
pole = bpy.context.object
bpy.ops.object.mode_set(mode="EDIT")
bpy.ops.mesh.select_all(action="SELECT")
bpy.ops.mesh.subdivide(number_cuts=4)
bpy.ops.object.mode_set(mode="OBJECT")
bpy.ops.object.armature_add()
armature = bpy.context.object
bpy.ops.object.mode_set(mode="EDIT")
lower = armature.data.edit_bones[0]
lower.head, lower.tail = (0, 0, 0), (0, 0, 1.5)
upper = armature.data.edit_bones.new("upper")
upper.head, upper.tail, upper.parent = (0, 0, 1.5), (0, 0, 3), lower
bpy.ops.object.mode_set(mode="OBJECT")
pole.select_set(True)
bpy.context.view_layer.objects.active = armature
bpy.ops.object.parent_set(type="ARMATURE_AUTO")
bone = armature.pose.bones["upper"]
bone.rotation_mode = "XYZ"
animation = armature.animation_data_create()
for name, angle in (("Bow", 1.0), ("Wave", -0.5)):
    animation.action = action = bpy.data.actions.new(name)
    for frame, a in ((1, 0), (25, angle), (49, 0)):
        bone.rotation_euler[0] = a
        bone.keyframe_insert("rotation_euler", frame=frame)
    track = animation.nla_tracks.new()
    track.name, track.mute = name, name != "Bow"
    track.strips.new(name, 1, action)
    animation.action = None
bpy.ops.export_scene.gltf(filepath=os.path.abspath("pole.glb"))
remember("pole.json")
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blender")
    done = subprocess.run(
        [BLENDER, "-c", SCRIPT, str(folder)], capture_output=True, text=True, timeout=300, check=False
    )
    assert (folder / "pole.json").exists(), done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", ["still.glb", "still.obj", "still.ply", "text.ply", "still.stl", "text.stl"])
def test_a_car_of_three_objects(exported: Path, name: str) -> None:
    up = "y" if name.endswith(("glb", "obj")) else "z"
    mesh = read_mesh_file(exported / name, name="car", up=up).mesh
    assert mesh.is_closed()
    assert len(mesh.vertices) == 8 + 2 * 64
    np.testing.assert_allclose(mesh.bounds(), [[-2, 0, -1.2], [2, 1.5, 1.2]], atol=1e-5)
    if up == "y":  # STL has no colours, and these PLY none either
        at = mesh.corner_uvs.mean(axis=1) * mesh.texture.shape[1::-1]
        colors = mesh.texture[at[:, 1].astype(int), at[:, 0].astype(int)]
        assert {tuple(c) for c in colors.tolist()} == {(0, 0, 255), (39, 39, 39)}


@pytest.mark.parametrize(("name", "clip"), [("drive", None), ("pole", None), ("pole", "Bow")])
def test_what_moves_in_blender_moves_here(exported: Path, name: str, clip: str | None) -> None:
    lifted = read_mesh_file(exported / f"{name}.glb", name=name, fps=FPS, clip=clip)
    motion = entity_motion(lifted, np.eye(4), 49, FPS)
    truth = {
        int(frame): np.array(points)[:, [0, 2, 1]] * [1, 1, -1]
        for frame, points in json.loads((exported / f"{name}.json").read_text()).items()
    }
    low, high = truth[1].min(axis=0), truth[1].max(axis=0)
    origin = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    for frame in SHOWN:
        found = transforms.apply(motion.matrices()[frame - 1], motion.vertices_object[frame - 1])
        expected = truth[frame] - origin
        assert cKDTree(found).query(expected)[0].max() < 1e-5
        assert cKDTree(expected).query(found)[0].max() < 1e-5


def test_the_other_clip(exported: Path) -> None:
    bow, wave = (read_mesh_file(exported / "pole.glb", name="pole", clip=clip, fps=FPS) for clip in ("Bow", "Wave"))
    assert np.sign(bow.motion.vertices_object[24][:, 2].sum()) == -np.sign(wave.motion.vertices_object[24][:, 2].sum())


def test_the_car_drives_as_its_body_does(exported: Path) -> None:
    motion = read_mesh_file(exported / "drive.glb", name="car", fps=FPS).motion
    np.testing.assert_allclose(motion.translation[-1], [6, 0, 0], atol=1e-5)
    np.testing.assert_allclose(motion.rotation_wxyz[-1], [1, 0, 0, 0], atol=1e-6)
