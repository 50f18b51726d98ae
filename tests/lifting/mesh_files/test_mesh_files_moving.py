"""Animation of the user's own meshes: kept by the file's reader, brought to the frames of a shot."""

from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import transforms
from real2sam2real.geometry.quaternions import from_axis_angle
from real2sam2real.lifting.file_animation import entity_motion
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.scene import Entity

ALIGNED = transforms.compose([0.5, -1.0, -4.0], from_axis_angle([0.2, 1.0, 0.1], 0.7), 0.3)
"""A similarity that an alignment may find."""


def shown(lifted: LiftedMesh, frames: int, fps: float, rest: np.ndarray = ALIGNED) -> np.ndarray:
    """`(T, V, 3)` in the world."""
    motion = entity_motion(lifted, rest, frames, fps)
    entity = Entity(name="it", mesh=lifted.mesh, rest_world_from_object=rest, motion=motion)
    return np.stack([entity.vertices_world(frame) for frame in range(frames)])


def in_file(lifted: LiftedMesh, points_world: np.ndarray) -> np.ndarray:
    """World points of an object aligned by `ALIGNED`, in the object frame."""
    return transforms.apply(np.linalg.inv(ALIGNED), points_world)


def same_points(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether two clouds are the same but for their order."""
    a, b = (p[np.lexsort(np.round(p, 4).T)] for p in (a, b))
    return a.shape == b.shape and bool(np.abs(a - b).max() <= tolerance)


def standing(points: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Points of the file in the object frame that the file's first moment defines."""
    low, high = first.min(axis=0), first.max(axis=0)
    return points - [(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2]


def test_what_does_not_move_rests_at_its_aligned_pose(files, tmp_path: Path) -> None:
    glb = files.glb()
    glb.node(mesh=glb.cube())
    lifted = read_mesh_file(glb.save(tmp_path / "cube.glb"), name="cube")
    assert lifted.motion is None
    motion = entity_motion(lifted, ALIGNED, 7, 16.0)
    assert motion.frames == 7
    assert motion.vertices_object is None
    np.testing.assert_allclose(motion.matrices(), np.broadcast_to(ALIGNED, (7, 4, 4)), atol=1e-12)


def test_a_file_that_moves_rigidly_keeps_its_vertices_and_gets_poses(files, tmp_path: Path) -> None:
    glb = files.glb()
    node = glb.node(mesh=glb.cube(), translation=[2.0, 0.0, 0.0], scale=[1.0, 2.0, 1.0])
    glb.clip("go", (node, "translation", [0.0, 2.0], [[2, 0, 0], [6, 0, 0]]))
    lifted = read_mesh_file(glb.save(tmp_path / "go.glb"), name="car")
    assert lifted.motion is not None
    assert lifted.motion.vertices_object is None
    seen = shown(lifted, 33, 16.0)
    rest = transforms.apply(ALIGNED, lifted.mesh.vertices)
    np.testing.assert_allclose(seen[0], rest, atol=1e-6)
    step = ALIGNED[:3, :3] @ [1.0, 0.0, 0.0]
    np.testing.assert_allclose(seen[16] - rest, np.broadcast_to(2 * step, rest.shape), atol=1e-5)
    np.testing.assert_allclose(seen[32] - rest, np.broadcast_to(4 * step, rest.shape), atol=1e-5)


def test_a_turn_about_another_place_than_the_footprint(files, tmp_path: Path) -> None:
    glb = files.glb()
    node = glb.node(mesh=glb.cube(), children=[], translation=[0, 0, 0])
    arm = glb.node(children=[node], rotation=files.turn_y(0))
    glb.nodes = [arm]
    glb.builder.root["nodes"][node]["translation"] = [5, 0, 0]
    del glb.builder.root["nodes"][node]["children"]
    glb.clip("turn", (arm, "rotation", [0.0, 1.0], [files.turn_y(0), files.turn_y(90)]))
    lifted = read_mesh_file(glb.save(tmp_path / "turn.glb"), name="moon")
    first = np.add(files.cube, [5, 0, 0])
    last = files.cube @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0.0]]) + [0, 0, -5]
    got = in_file(lifted, shown(lifted, 17, 16.0))
    assert same_points(got[0], standing(first, first))
    assert same_points(got[16], standing(last, first))


def test_a_turn_stays_rigid_between_the_samples(files, tmp_path: Path) -> None:
    glb = files.glb()
    node = glb.node(mesh=glb.cube())
    angles = np.arange(0, 361, 30)
    glb.clip("spin", (node, "rotation", angles / 360, [files.turn_y(a) for a in angles]))
    lifted = read_mesh_file(glb.save(tmp_path / "spin.glb"), name="wheel")
    seen = in_file(lifted, shown(lifted, 20, 17.0))
    radius = np.hypot(seen[..., 0], seen[..., 2])
    np.testing.assert_allclose(radius, np.sqrt(2), atol=1e-5)


def test_parts_that_move_against_each_other_become_vertices(files, tmp_path: Path) -> None:
    glb = files.glb()
    body = glb.node(mesh=glb.cube(size=2.0))
    lid = glb.node(mesh=glb.cube(), translation=[0, 3, 0])
    glb.clip("open", (lid, "translation", [0.0, 1.0], [[0, 3, 0], [0, 5, 0]]))
    lifted = read_mesh_file(glb.save(tmp_path / "box.glb"), name="box")
    assert len(lifted.mesh.faces) == 24
    assert body == 0
    first = np.concatenate([files.cube * 2, np.add(files.cube, [0, 3, 0])])
    last = np.concatenate([files.cube * 2, np.add(files.cube, [0, 5, 0])])
    got = in_file(lifted, shown(lifted, 17, 16.0))
    assert same_points(got[0], standing(first, first))
    assert same_points(got[16], standing(last, first))


def test_a_skin_bends(files, tmp_path: Path) -> None:
    lifted = read_mesh_file(files.skinned_arm(tmp_path / "arm.glb"), name="arm")
    assert lifted.motion is not None
    assert lifted.motion.vertices_object is not None
    got = in_file(lifted, shown(lifted, 17, 16.0))
    turned = files.cube @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0.0]])
    last = np.where(files.cube[:, 1:2] > 0, turned, files.cube)
    assert same_points(got[0], standing(files.cube, files.cube))
    assert same_points(got[16], standing(last, files.cube))
    half = in_file(lifted, shown(lifted, 2, 2.0))[1]
    radius = np.hypot(half[:, 0], half[:, 2])
    np.testing.assert_allclose(radius, np.sqrt(2), rtol=0.01)  # the limb does not shrink between samples


def test_a_morph_follows_its_weights(files, tmp_path: Path) -> None:
    glb = files.glb()
    up = np.where(files.cube[:, 1:2] > 0, [[0.0, 2.0, 0.0]], 0.0)
    node = glb.node(mesh=glb.cube(targets=[up]), weights=[0.5])
    glb.clip("grow", (node, "weights", [0.0, 1.0], [0.5, 1.0]))
    lifted = read_mesh_file(glb.save(tmp_path / "grow.glb"), name="plant")
    assert lifted.mesh.bounds()[1, 1] == pytest.approx(3.0)  # as the first moment shows it, not undeformed
    got = in_file(lifted, shown(lifted, 17, 16.0))
    assert same_points(got[0], standing(files.cube + 0.5 * up, files.cube + 0.5 * up))
    assert same_points(got[16], standing(files.cube + up, files.cube + 0.5 * up))


def test_an_animation_that_ends_elsewhere_holds(files, tmp_path: Path) -> None:
    lifted = read_mesh_file(files.skinned_arm(tmp_path / "arm.glb", seconds=0.5), name="arm")
    seen = shown(lifted, 33, 16.0)
    np.testing.assert_allclose(seen[8:], np.broadcast_to(seen[8], seen[8:].shape), atol=1e-6)


def two_clips(files, path: Path) -> Path:
    glb = files.glb()
    node = glb.node(mesh=glb.cube())
    glb.clip("walk", (node, "translation", [0.0, 1.0], [[0, 0, 0], [0, 0, 1]]))
    glb.clip("jump", (node, "translation", [0.0, 1.0], [[0, 0, 0], [0, 7, 0]]))
    return glb.save(path)


def test_the_first_clip_plays_and_the_others_are_named(files, tmp_path: Path) -> None:
    lifted = read_mesh_file(two_clips(files, tmp_path / "clips.glb"), name="man")
    moved = in_file(lifted, shown(lifted, 17, 16.0))
    np.testing.assert_allclose((moved[16] - moved[0]).mean(axis=0), [0, 0, 1], atol=1e-5)
    assert any("jump" in note for note in lifted.notes)


def test_a_clip_is_chosen_by_name(files, tmp_path: Path) -> None:
    lifted = read_mesh_file(two_clips(files, tmp_path / "clips.glb"), name="man", clip="jump")
    moved = in_file(lifted, shown(lifted, 17, 16.0))
    np.testing.assert_allclose((moved[16] - moved[0]).mean(axis=0), [0, 7, 0], atol=1e-5)
    with pytest.raises(UserError, match=r"(?s)run.*walk.*jump"):
        read_mesh_file(tmp_path / "clips.glb", name="man", clip="run")


def test_a_clip_that_begins_late_begins_with_the_shot(files, tmp_path: Path) -> None:
    glb = files.glb()
    node = glb.node(mesh=glb.cube())
    glb.clip("late", (node, "translation", [4.0, 5.0], [[0, 0, 0], [0, 0, 1]]))
    lifted = read_mesh_file(glb.save(tmp_path / "late.glb"), name="man")
    moved = in_file(lifted, shown(lifted, 17, 16.0))
    np.testing.assert_allclose((moved[8] - moved[0]).mean(axis=0), [0, 0, 0.5], atol=1e-5)


def test_a_part_that_is_hidden_later_is_gone_then(files, tmp_path: Path) -> None:
    glb = files.glb()
    glb.node(mesh=glb.cube(size=2.0))
    ghost = glb.node(mesh=glb.cube(), translation=[9, 0, 0])
    glb.clip("hide", (ghost, "scale", [0.0, 0.5, 0.51, 1.0], [[1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]]))
    lifted = read_mesh_file(glb.save(tmp_path / "ghost.glb"), name="it")
    got = in_file(lifted, shown(lifted, 17, 16.0))
    assert np.ptp(got[0][:, 0]) == pytest.approx(12.0, abs=1e-4)
    part = got[16][np.argsort(got[0][:, 0])[-4:]]  # what was farthest to the right at first
    assert np.ptp(part, axis=0).max() < 1e-3
