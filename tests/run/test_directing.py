from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.run.directing import SceneReader, along_notes, open_scene
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.gltf import save_glb
from real2sam2real.scene.shot import parse_shot


def box(name: str) -> Entity:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (0, 2) for z in (-1, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))], np.int32)
    mesh = Mesh(vertices=corners, faces=faces)
    assert mesh.is_closed()
    assert mesh.volume() > 0
    pose = np.eye(4)
    pose[2, 3] = -6
    return Entity(name=name, mesh=mesh, rest_world_from_object=pose, motion=Motion.still(5, pose))


def scene(*entities: Entity) -> Scene:
    lens = Intrinsics.from_fov(64, 48, horizontal_degrees=50)
    return Scene(entities=entities, camera=CameraPath.still(5, lens), photo=np.zeros((48, 64, 3), np.uint8))


def test_a_mesh_opened_or_turned_inside_out_elsewhere_enters_closed_and_is_told(tmp_path: Path) -> None:
    whole, holed, inverted = box("whole"), box("holed"), box("inverted")
    save_scene(scene(whole, holed, inverted), tmp_path / "scene")
    holed = replace(holed, mesh=replace(holed.mesh, faces=holed.mesh.faces[2:]))
    inverted = replace(inverted, mesh=inverted.mesh.flipped())
    save_glb(scene(whole, holed, inverted), tmp_path / "scene" / "scene.glb")

    opened, notes = open_scene(tmp_path / "scene")

    for entity in opened.entities:
        assert entity.mesh.is_closed()
        assert abs(entity.mesh.volume() - 8) < 1e-4
    assert any("holed" in note for note in notes)
    assert any("inverted" in note for note in notes)


def test_an_untouched_scene_comes_back_as_it_is_without_a_word(tmp_path: Path) -> None:
    save_scene(scene(box("whole")), tmp_path / "scene")
    opened, notes = open_scene(tmp_path / "scene")
    assert notes == []
    assert np.allclose(opened.entity("whole").mesh.volume(), 8)


def test_a_scene_is_read_again_when_a_file_of_it_changed_and_only_then(tmp_path: Path) -> None:
    save_scene(scene(box("whole")), tmp_path / "scene")
    scenes = SceneReader()
    first, _ = scenes.open(tmp_path / "scene")
    assert scenes.open(tmp_path / "scene")[0] is first
    save_glb(scene(box("whole"), box("other")), tmp_path / "scene" / "scene.glb")
    assert list(scenes.open(tmp_path / "scene")[0].names) == ["whole", "other"]


def test_a_motion_of_the_scenes_own_that_moves_replace_is_told() -> None:
    rolling = box("ball")
    poses = np.tile(rolling.rest_world_from_object, (5, 1, 1))
    poses[:, 0, 3] = np.arange(5)
    own = scene(replace(rolling, motion=Motion.from_matrices(poses)), box("crate"))
    for moves, told in (("ball: [{right: 1}]", 1), ("ball: [{hide: 0-1}]", 0), ("crate: [{right: 1}]", 0)):
        shot = parse_shot(f"entities:\n  {moves}\n")
        notes = along_notes(own, shot, shot.apply(own))
        assert len(notes) == told, moves
        assert all(note.startswith("ball has a motion of its own in the scene") for note in notes)
