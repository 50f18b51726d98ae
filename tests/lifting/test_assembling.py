"""Lifted meshes in their places: upright, on one ground, coloured by the photo."""

from dataclasses import replace

import cv2
import manifold3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.lifting.align import Alignment
from real2sam2real.lifting.assembling import Aligned, Surroundings, align_lifted, entity_of, on_one_ground, upright
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.lifting.photo_texture import refined, with_photo
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.view import PhotoView
from real2sam2real.rendering import render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

LENS = Intrinsics.from_fov(320, 240, horizontal_degrees=55)
PITCH = np.radians(12)
UP = np.array([0.0, np.cos(PITCH), np.sin(PITCH)])
WORLD = upright(UP)


def chair() -> Mesh:
    """Seat, back and legs, +Y up, on the ground about the origin."""
    solid = manifold3d.Manifold.cube((0.5, 0.06, 0.5)).translate((-0.25, 0.4, -0.25))
    solid = solid + manifold3d.Manifold.cube((0.5, 0.5, 0.06)).translate((-0.25, 0.42, -0.25))
    for x in (-0.25, 0.19):
        for z in (-0.25, 0.19):
            solid = solid + manifold3d.Manifold.cube((0.06, 0.42, 0.06)).translate((x, 0.0, z))
    result = solid.to_mesh()
    return Mesh(vertices=np.asarray(result.vert_properties, np.float64)[:, :3], faces=result.tri_verts)


def standing_at(x: float, z: float, turn: float, size: float = 1.0) -> np.ndarray:
    """`world_from_object` on the ground, 1.4 units below a camera at the origin."""
    return transforms.compose([x, -1.4, z], quaternions.from_axis_angle([0.0, 1, 0], np.radians(turn)), size)


def drawn(meshes: dict[str, tuple[Mesh, np.ndarray]]) -> dict[str, np.ndarray]:
    entities = tuple(
        Entity(name=name, mesh=mesh, rest_world_from_object=pose, motion=Motion.still(1, pose))
        for name, (mesh, pose) in meshes.items()
    )
    scene = Scene(entities=entities, camera=CameraPath.still(1, LENS, WORLD))
    ids = next(render_frames(scene, width=LENS.width, height=LENS.height)).ids
    return {name: ids == number for number, name in enumerate(meshes, start=1)}


PLACES = {"near": standing_at(-0.5, -3.2, 30), "far": standing_at(0.7, -4.4, -50)}


@pytest.fixture(scope="module")
def masks() -> dict[str, np.ndarray]:
    return drawn({name: (chair(), pose) for name, pose in PLACES.items()})


@pytest.fixture
def around() -> Surroundings:
    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    view = PhotoView(intrinsics=LENS, up_camera=UP)
    nothing = np.zeros((240, 320), bool)
    return Surroundings(pixels=pixels, view=view, world_from_camera=WORLD, occluder=nothing, max_faces=5000)


def pose_of(name: str, factor: float = 1.0) -> np.ndarray:
    """The true pose as a lifter would give it, so many times as near."""
    matrix = np.linalg.inv(WORLD) @ PLACES[name]
    matrix[:3] *= factor
    return matrix


def aligned(around: Surroundings, masks, name: str, **lifted) -> Aligned:
    outline = next(o for o in outlines_by_nearness(masks) if o.name == name)
    return align_lifted(LiftedMesh(name=name, mesh=chair(), **lifted), outline, around, lambda text: None)


def test_poses_under_another_focal_length_are_put_on_the_ground_of_the_trusted_one(around, masks) -> None:
    found = {
        "near": aligned(around, masks, "near", camera_from_object=pose_of("near"), intrinsics=LENS),
        "far": aligned(around, masks, "far", camera_from_object=pose_of("far", 0.4) @ np.diag([0.4, 0.4, 0.4, 1])),
    }
    assert found["near"].trusted
    assert not found["far"].trusted
    found, height = on_one_ground(found, WORLD, None)
    assert height == pytest.approx(1.4, rel=0.02)
    for name, item in found.items():
        entity = entity_of(item, around, frames=3, fps=16.0)
        vertices = entity.vertices_world(0)
        assert vertices[:, 1].min() == pytest.approx(-1.4, rel=0.02)
        truth = transforms.apply(PLACES[name], chair().vertices)
        np.testing.assert_allclose(vertices.mean(axis=0), truth.mean(axis=0), atol=0.08)


def test_a_height_that_is_known_otherwise_decides(around, masks) -> None:
    item = aligned(around, masks, "near", camera_from_object=pose_of("near", 0.5))
    item = replace(item, trusted=False)
    found, height = on_one_ground({"near": item}, WORLD, 2.8)
    assert height == 2.8
    assert found["near"].height_of_camera(WORLD) == pytest.approx(2.8)


def test_without_anything_that_stands_the_ground_is_unknown(around, masks) -> None:
    item = aligned(around, masks, "near", camera_from_object=pose_of("near"))
    item = replace(item, outline=replace(item.outline, cut_below=True))
    found, height = on_one_ground({"near": item}, WORLD, None)
    assert height is None
    assert found["near"] is item


def test_entities_stand_upright_and_face_the_camera(around, masks) -> None:
    entity = entity_of(aligned(around, masks, "near", camera_from_object=pose_of("near")), around, frames=3, fps=16.0)
    low, high = entity.mesh.bounds()
    assert low[1] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose((low + high)[[0, 2]], 0, atol=0.1)
    forward = entity.rest_world_from_object[:3, 2]
    assert forward[1] == 0
    assert forward @ -entity.rest_world_from_object[:3, 3] > 0
    assert entity.motion.frames == 3
    assert entity.provenance["alignment"]["iou_after"] > 0.95
    assert "IoU" in entity.provenance["notes"][-1]


def test_a_kept_pose_is_not_touched(around, masks) -> None:
    initial_pose = pose_of("near") @ transforms.compose([0.1, 0, 0], quaternions.from_axis_angle([0.0, 1, 0], 0.2), 1.0)
    item = aligned(replace(around, align=False), masks, "near", camera_from_object=initial_pose)
    np.testing.assert_array_equal(item.alignment.camera_from_object, initial_pose)
    assert item.alignment.iou_before == item.alignment.iou_after < 0.9


def test_what_the_depths_put_in_front_may_hide_it(around, masks) -> None:
    points = np.full((240, 320, 3), -9.0, np.float32)
    points[masks["far"], 2] = -4.4
    points[:, :100, 2] = -1.0  # something near on the left
    sighted = replace(around, view=replace(around.view, points_camera=points))
    outline = next(o for o in outlines_by_nearness(masks) if o.name == "far")
    observation = sighted.observation(outline)
    assert observation.hidden[:, :100][~masks["far"][:, :100]].all()
    assert not observation.hidden[~masks["near"]][:,].reshape(-1).all()
    assert around.observation(outline).depth is None


@given(st.floats(-80, 80), st.floats(-40, 40))
def test_upright_takes_up_to_up_and_keeps_the_heading(pitch: float, roll: float) -> None:
    p, r = np.radians([pitch, roll])
    up = np.array([np.sin(r) * np.cos(p), np.cos(r) * np.cos(p), np.sin(p)])
    matrix = upright(up)
    np.testing.assert_allclose(matrix[:3, :3] @ up, [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
    forward = matrix[:3, :3] @ [0, 0, -1]
    assert forward[0] == pytest.approx(0, abs=1e-9)
    assert forward[2] <= 1e-9


def test_looking_straight_down_the_pictures_up_leads() -> None:
    matrix = upright(np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(matrix[:3, :3] @ [0, 1, 0], [0, 0, -1], atol=1e-9)


def textured(own: np.ndarray | None, masks, around) -> tuple[Mesh, np.ndarray]:
    mesh = chair()
    colors = None if own is None else np.broadcast_to(own, mesh.vertices.shape).copy()
    if own is not None:
        colors[0] = 255 - own  # a single colour would count as none
    mesh = replace(mesh, vertex_colors=colors)
    initial_pose = pose_of("near")
    nothing = np.zeros_like(masks["near"])
    mesh = refined(mesh, initial_pose, LENS)
    assert mesh.is_closed()
    assert mesh.volume() == pytest.approx(chair().volume())
    return with_photo(mesh, initial_pose, around.pixels, masks["near"], nothing, LENS), initial_pose


def shown(mesh: Mesh, camera_from_object: np.ndarray, world_from_camera: np.ndarray):
    pose = WORLD @ camera_from_object
    entity = Entity(name="it", mesh=mesh, rest_world_from_object=pose, motion=Motion.still(1, pose))
    scene = Scene(entities=(entity,), camera=CameraPath.still(1, LENS, world_from_camera))
    return next(render_frames(scene, width=LENS.width, height=LENS.height, color=True))


@pytest.mark.parametrize("own", [None, np.array([200, 40, 60], np.uint8)], ids=["no colours", "own colours"])
def test_from_the_photos_camera_it_looks_like_the_photo(masks, around, own) -> None:
    mesh, initial_pose = textured(own, masks, around)
    frame = shown(mesh, initial_pose, WORLD)
    inside = cv2.erode(masks["near"].astype(np.uint8), np.ones((7, 7))).astype(bool) & (frame.ids > 0)
    off = np.abs(frame.color[inside].astype(int) - around.pixels[inside]).max(axis=1)
    assert np.median(off) <= 3
    assert np.mean(off > 30) < 0.1


def test_what_the_photo_does_not_show_keeps_its_own_colour(masks, around) -> None:
    mesh, initial_pose = textured(np.array([200, 40, 60], np.uint8), masks, around)
    behind = transforms.look_at([-0.5, -0.8, -5.8], [-0.5, -1.1, -3.2])
    frame = shown(mesh, initial_pose, behind)
    off = np.abs(frame.color[frame.ids > 0].astype(int) - [200, 40, 60]).max(axis=1)
    assert np.mean(off <= 6) > 0.6


def test_without_own_colours_the_back_takes_the_fronts(masks, around) -> None:
    red = replace(around, pixels=np.broadcast_to(np.array([180, 30, 20], np.uint8), (240, 320, 3)).copy())
    mesh, initial_pose = textured(None, masks, red)
    frame = shown(mesh, initial_pose, transforms.look_at([-0.5, -0.8, -5.8], [-0.5, -1.1, -3.2]))
    np.testing.assert_allclose(frame.color[frame.ids > 0], [[180, 30, 20]] * int((frame.ids > 0).sum()), atol=6)


def test_alignments_are_told_in_words() -> None:
    from real2sam2real.lifting.assembling import told

    found = Alignment(
        camera_from_object=np.eye(4),
        intrinsics=LENS,
        iou_before=0.26,
        iou_after=0.91,
        iou_whole=0.7,
        turned_degrees=11.2,
    )
    assert told(found) == "silhouette on its mask: IoU 0.26 → 0.91, 0.70 with what others hide, turned by 11°"
