"""Joints of a skinned entity that bend in a shot."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, quaternions
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.carrying import carry
from real2sam2real.scene.folder import load_scene, save_scene
from real2sam2real.scene.gltf import load_glb, save_glb
from real2sam2real.scene.gltf.rig import joint_turns
from real2sam2real.scene.relation import Relation
from real2sam2real.scene.shot import Shot

pytestmark = pytest.mark.fast
TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32)


def arm_scene() -> Scene:
    """Two tetrahedra along x, the second on the elbow at x = 1, which bends about z."""
    upper = np.array([[0, 0, 0], [0.9, 0, 0], [0, 0.3, 0], [0, 0, 0.3]])
    vertices = np.concatenate([upper, upper + np.array([1.0, 0, 0])])
    weights = np.repeat(np.eye(2, dtype=np.float32), 4, axis=0)
    skin = Skin(
        bones=("shoulder", "left_elbow"), parents=(-1, 0), heads=np.array([[0.0, 0, 0], [1.0, 0, 0]]), weights=weights,
        axes=np.tile(np.array([[0.0, 0, 1], [0, 1.0, 0], [1.0, 0, 0]]), (2, 1, 1)),
    )  # fmt: skip
    arm = Entity(
        name="arm",
        mesh=Mesh(vertices=vertices, faces=np.concatenate([TETRAHEDRON, TETRAHEDRON + 4])),
        rest_world_from_object=np.eye(4),
        motion=Motion.still(5, np.eye(4)),
        skin=skin,
    )
    return Scene(entities=(arm,), camera=CameraPath.still(5, Intrinsics.from_fov(32, 24, horizontal_degrees=50)))


def test_an_elbow_bends_over_time_and_survives_a_scene_folder(tmp_path: Path) -> None:
    bent = Shot.from_flags(move=["arm: bend left elbow 90 deg linear, up 1 linear"]).apply(arm_scene())
    save_scene(bent, tmp_path / "scene")
    for scene in (bent, load_scene(tmp_path / "scene")):
        arm = scene.entity("arm")
        for frame, angle in ((0, 0.0), (2, np.pi / 4), (4, np.pi / 2)):
            moved = arm.vertices_world(frame) - [0, frame / 4, 0]
            np.testing.assert_allclose(moved[:4], arm.mesh.vertices[:4], atol=1e-6)
            np.testing.assert_allclose(moved[5], [1 + 0.9 * np.cos(angle), 0.9 * np.sin(angle), 0], atol=1e-6)
        assert arm.skin is not None
        assert arm.skin.bones == ("shoulder", "left_elbow")
    again = Shot.from_flags(move=["arm: bend left_elbow -90 deg going forward"]).apply(load_scene(tmp_path / "scene"))
    np.testing.assert_allclose(again.entity("arm").vertices_world(4)[5], [1, -0.9, 0], atol=1e-6)


def test_what_cannot_bend_is_said() -> None:
    scene = arm_scene()
    with pytest.raises(UserError, match=r"there is no joint 'left_knee'.*shoulder, left_elbow"):
        Shot.from_flags(move=["arm: bend left_knee 10 deg"]).apply(scene)
    with pytest.raises(UserError, match="write for example 'left_elbow 40 deg'"):
        Shot.from_flags(move=["arm: bend 10 deg"])
    stiff = scene.with_entity(replace(scene.entity("arm"), skin=None))
    with pytest.raises(UserError, match="has no joints that could bend"):
        Shot.from_flags(move=["arm: bend left_elbow 10 deg"]).apply(stiff)


def glb_document(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    document: dict[str, Any] = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    return document


def test_a_skin_is_written_as_joints_that_other_tools_can_pose(tmp_path: Path) -> None:
    scene = arm_scene()
    hat = replace(scene.entity("arm"), name="hat", skin=None, relation=Relation(word="with", to="arm"))
    scene = replace(scene, entities=(*scene.entities, hat))
    bent = Shot.from_flags(move=["arm: bend left elbow 170 deg linear, up 1 linear, grow 20% linear"]).apply(scene)
    save_glb(carry(bent), tmp_path / "arm.glb")
    document = glb_document(tmp_path / "arm.glb")
    (skin,) = document["skins"]
    assert [document["nodes"][joint]["name"] for joint in skin["joints"]] == ["shoulder", "left_elbow"]
    attributes = document["meshes"][0]["primitives"][0]
    assert {"JOINTS_0", "WEIGHTS_0"} <= set(attributes["attributes"])
    assert "targets" not in attributes
    read = load_glb(tmp_path / "arm.glb")
    assert read.parents == {"hat": "arm"}
    for entity in read.entities:
        for frame in range(5):
            expected = carry(bent).entity(entity.name).vertices_world(frame)
            np.testing.assert_allclose(entity.vertices_world(frame), expected, atol=2e-6)
    node = next(each for each in document["nodes"] if each["name"] == "left_elbow")
    assert node["translation"] == [1, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_turns_are_found_from_what_they_do_to_blended_vertices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(60, 3))
    weights = rng.dirichlet(np.full(4, 0.4), size=60).astype(np.float32)
    skin = Skin(
        bones=("hips", "chest", "left_elbow", "right_elbow"), parents=(-1, 0, 1, 1), heads=rng.normal(size=(4, 3)),
        weights=weights, axes=np.tile(np.eye(3), (4, 1, 1)),
    )  # fmt: skip
    turns = quaternions.to_matrix(quaternions.normalize(rng.normal(size=(6, 4, 4)) + 2.0 * np.eye(4)[0]))
    turns[0] = np.eye(3)
    poses = [skin.bone_matrices(dict(zip(skin.bones, frame, strict=True))) for frame in turns]
    deformed = np.stack([skin.deformed(vertices, pose) for pose in poses]).astype(np.float32)
    found = joint_turns(skin, vertices, deformed)
    assert found is not None
    np.testing.assert_allclose(found, turns, atol=1e-4)
    assert joint_turns(skin, vertices, deformed[1:]) is None  # the first frame is no bind pose
    deformed[3, 7] += 0.01
    assert joint_turns(skin, vertices, deformed) is None  # no bone moves one vertex alone


def test_what_the_joints_cannot_explain_keeps_its_morph_targets(tmp_path: Path) -> None:
    arm = arm_scene().entity("arm")
    frames = np.repeat(arm.mesh.vertices[None].astype(np.float32), 5, axis=0)
    frames[4, 2] += 0.2
    scene = arm_scene().with_entity(replace(arm, motion=replace(arm.motion, vertices_object=frames)))
    save_scene(scene, tmp_path / "scene")
    assert "skins" not in glb_document(tmp_path / "scene" / "scene.glb")
    again = load_scene(tmp_path / "scene").entity("arm")
    np.testing.assert_array_equal(again.motion.vertices_object, frames)
    assert again.skin is not None
