"""Joints of a skinned entity that bend in a shot."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.folder import load_scene, save_scene
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
