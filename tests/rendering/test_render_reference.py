"""The kernels against a slow and readable reference (every ray against every face) and against Embree."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from trimesh.ray.ray_pyembree import RayMeshIntersector

from real2sam2real.arrays import Float, UInt8
from real2sam2real.geometry import transforms
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.deformed_normals import normals_of
from real2sam2real.rendering import Frame, render_frames
from real2sam2real.rendering.renderer import NEAR
from real2sam2real.scene import CameraPath, Entity, Scene


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between unit vectors `(..., 3)`, exact also for tiny ones."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


def assert_same(frame: Frame, expected: Frame) -> None:
    np.testing.assert_array_equal(frame.ids, expected.ids)
    seen = expected.ids > 0
    np.testing.assert_allclose(frame.depth[seen], expected.depth[seen], rtol=1e-5)
    assert np.isinf(frame.depth[~seen]).all()
    assert degrees_between(frame.normals, expected.normals)[seen].max(initial=0) < 0.01
    assert not frame.normals[~seen].any()


@pytest.mark.parametrize("seed", range(0, 60, 5))
def test_random_scenes_match_the_reference(workshop, seed: int) -> None:
    scene = workshop.jumble(seed)
    (frame,) = render_frames(scene, width=64, height=48)
    expected = reference_frame(scene, 0, width=64, height=48)
    assert expected.ids.any()
    assert_same(frame, expected)


@pytest.mark.parametrize("seed", [3, 8])
def test_a_moved_zoomed_camera_and_another_image_size_match_the_reference(workshop, seed: int) -> None:
    scene = workshop.jumble(seed, frames=2)
    eye = np.stack([transforms.look_at([1.5, 1, 3 - k], [0, 0, -2]) for k in range(2)])
    camera = replace(scene.camera, world_from_camera=eye, zoom=np.array([1.0, 1.7]))
    seen_from = Scene(entities=scene.entities, camera=camera)
    for number, frame in enumerate(render_frames(scene, width=50, height=70, camera=camera)):
        assert_same(frame, reference_frame(seen_from, number, width=50, height=70))


def test_deformation_matches_the_reference(workshop) -> None:
    scene = workshop.jumble(21, frames=3)
    rng = np.random.default_rng(0)
    entities = []
    for entity in scene.entities:
        wobble = rng.normal(1, 0.02, (3, *entity.mesh.vertices.shape))
        motion = replace(entity.motion, vertices_object=(entity.mesh.vertices * wobble).astype(np.float32))
        entities.append(replace(entity, motion=motion))
    scene = replace(scene, entities=tuple(entities))
    for number, frame in enumerate(render_frames(scene, width=64, height=48)):
        assert_same(frame, reference_frame(scene, number, width=64, height=48))


@pytest.mark.parametrize("seed", [2, 11])
def test_magnified_textures_and_vertex_colors_match_the_reference(workshop, seed: int) -> None:
    scene = workshop.jumble(seed)
    (frame,) = render_frames(scene, width=160, height=120, color=True)
    expected = reference_frame(scene, 0, width=160, height=120)
    difference = np.abs(frame.color.astype(int) - expected.color)
    assert np.mean(difference.max(axis=-1) > 1) < 0.002  # faces so oblique that their texture is minified


@pytest.mark.parametrize("seed", [5, 10])
def test_antialiasing_gathers_the_samples_of_twice_the_size(workshop, seed: int) -> None:
    scene = workshop.jumble(seed)
    (frame,) = render_frames(scene, width=32, height=24, antialias=True)
    fine = reference_frame(scene, 0, width=64, height=48)

    def gathered(samples: np.ndarray) -> np.ndarray:
        blocks = samples.reshape(24, 2, 32, 2, -1).swapaxes(1, 2)
        return blocks.reshape(24, 32, 4, -1)

    ids, depths = gathered(fine.ids)[..., 0], gathered(fine.depth)[..., 0]
    hit = ids > 0
    np.testing.assert_array_equal(frame.coverage, hit.mean(axis=-1))
    total = gathered(fine.normals).sum(axis=2)
    soft = total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-9)
    assert degrees_between(frame.normals, soft)[hit.any(axis=-1)].max() < 0.01
    for y, x in np.ndindex(24, 32):
        votes = {i: int(np.sum(ids[y, x] == i)) for i in set(ids[y, x].tolist())}
        leaders = [i for i, count in votes.items() if count == max(votes.values())]
        winner = min(leaders, key=lambda i: depths[y, x][ids[y, x] == i].min())
        assert frame.ids[y, x] == winner
        if winner:
            np.testing.assert_allclose(frame.depth[y, x], depths[y, x][ids[y, x] == winner].mean(), rtol=1e-5)


def test_embree_agrees(workshop) -> None:
    """Another renderer, in single precision, sees the same entities and the same normals."""
    width, height = 640, 360
    scene = workshop.jumble(4, count=5, subdivisions=5)
    away = transforms.look_at([0.5, 1.0, 9.0], [0, 0, -2])
    scene = replace(scene, camera=CameraPath.still(1, scene.camera.intrinsics.resized(width, height), away))
    (frame,) = render_frames(scene, width=width, height=height)
    ids, normals = embree(scene, width, height)
    assert np.mean(ids > 0) > 0.05
    assert np.sum(ids != frame.ids) <= 1  # Embree rounds to 24 bits, so a ray through an edge may go either way
    seen = (ids > 0) & (frame.ids == ids)
    assert degrees_between(frame.normals, normals)[seen].mean() < 0.05


def embree(scene: Scene, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids `(H, W)` and camera-space normals `(H, W, 3)` of frame 0, as Embree's rays find them."""
    camera_from_world = scene.camera.camera_from_world()[0]
    meshes, normals = [], []
    for entity in scene.entities:
        matrix = camera_from_world @ entity.motion.matrices()[0]
        meshes.append(entity.mesh.transformed(matrix))
        normals.append(entity.mesh.vertex_normals() @ np.linalg.inv(matrix[:3, :3]))
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts[:-1], strict=True)])
    owner = np.repeat(np.arange(len(meshes)) + 1, [len(mesh.faces) for mesh in meshes])
    whole = trimesh.Trimesh(np.concatenate([mesh.vertices for mesh in meshes]), faces, process=False)
    intrinsics = scene.camera.intrinsics_at(0)
    pixels = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1).reshape(-1, 2)
    rays = intrinsics.unproject(pixels, np.ones(len(pixels)))
    hit = RayMeshIntersector(whole).intersects_first(np.zeros_like(rays), rays)
    struck = np.flatnonzero(hit >= 0)
    corners = whole.vertices[faces[hit[struck]]]
    plane = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    reach = np.sum(corners[:, 0] * plane, axis=1) / np.sum(rays[struck] * plane, axis=1)
    weights = trimesh.triangles.points_to_barycentric(corners, rays[struck] * reach[:, None])
    vectors = np.einsum("nk,nkc->nc", weights, np.concatenate(normals)[faces[hit[struck]]])
    ids, image = np.zeros(len(pixels), np.uint8), np.zeros((len(pixels), 3))
    ids[struck] = owner[hit[struck]]
    image[struck] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return ids.reshape(height, width), image.reshape(height, width, 3)


@pytest.mark.parametrize("seed", [0, 1])
def test_fast_vertex_normals_are_those_of_the_mesh(workshop, seed: int) -> None:
    mesh = workshop.blob(seed)
    flat = np.concatenate([mesh.faces, [[0, 0, 1], [2, 2, 2]]])  # two faces without area
    loose = Mesh(vertices=np.concatenate([mesh.vertices, [[9, 9, 9]]]), faces=flat)  # and a vertex without a face
    normals = np.empty_like(loose.vertices)
    normals_of(loose.vertices, loose.faces, loose.faces, np.zeros((0, 3, 3)), normals)
    np.testing.assert_allclose(normals, loose.vertex_normals(), atol=1e-12)


def reference_frame(scene: Scene, frame: int, *, width: int, height: int) -> Frame:
    """Normals, ids, depth and unlit, unfiltered colour of one frame, as `render_frames` defines them.

    It knows no snapping: within 2⁻¹⁵ pixel of an edge it may see another face than the kernels do. Textures are
    sampled bilinearly at full size, which is what the kernels do where a texture is not minified.
    """
    intrinsics = scene.camera.resized(width, height).intrinsics_at(frame)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack(
        [(columns - intrinsics.cx) / intrinsics.fx, (intrinsics.cy - rows) / intrinsics.fy, -np.ones_like(rows)],
        axis=-1,
    )
    camera_from_world = scene.camera.camera_from_world()[frame]
    image = Frame(
        normals=np.zeros((height, width, 3), np.float32),
        ids=np.zeros((height, width), np.uint8),
        depth=np.full((height, width), np.inf, np.float32),
        color=np.zeros((height, width, 3), np.uint8),
    )
    nearest = np.full((height, width), np.inf)
    for index, entity in enumerate(scene.entities):
        if entity.motion.visible[frame]:
            _draw_entity(entity, index + 1, frame, camera_from_world, rays, nearest, image)
    return image


def _draw_entity(
    entity: Entity, identity: int, frame: int, camera_from_world: Float, rays: Float, nearest: Float, image: Frame
) -> None:
    """Enter one entity into the image, face by face, where it is nearer than what is there."""
    mesh, deformed = entity.mesh, entity.motion.vertices_object
    vertices = mesh.vertices if deformed is None else deformed[frame].astype(np.float64)
    camera_from_object = camera_from_world @ entity.motion.matrices()[frame]
    linear = camera_from_object[:3, :3]
    points = transforms.apply(camera_from_object, vertices)
    normals = mesh.vertex_normals(vertices) @ np.linalg.inv(linear)  # rows times M⁻¹ are columns times M⁻ᵀ
    outward = np.sign(np.linalg.det(linear))
    for number, face in enumerate(mesh.faces):
        corner, first, second = points[face[0]], points[face[1]] - points[face[0]], points[face[2]] - points[face[0]]
        plane = np.cross(first, second)
        towards = rays @ plane
        with np.errstate(divide="ignore", invalid="ignore"):
            u = rays @ np.cross(second, corner) / towards
            v = rays @ np.cross(corner, first) / towards
            depth = corner @ plane / towards
            hit = (outward * towards < 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (depth >= NEAR) & (depth < nearest)
        if not hit.any():
            continue
        weights = np.stack([1 - u - v, u, v], axis=-1)[hit]
        normal = weights @ normals[face]
        nearest[hit] = depth[hit]
        image.depth[hit] = depth[hit]
        image.ids[hit] = identity
        image.normals[hit] = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
        if image.color is not None:
            image.color[hit] = np.floor(_reference_color(entity, number, weights) + 0.5)


def _reference_color(entity: Entity, face: int, weights: Float) -> Float:
    """Colours `(N, 3)`, 0…255, at barycentric `weights` `(N, 3)` of a face."""
    mesh = entity.mesh
    if mesh.texture is not None and mesh.corner_uvs is not None:
        return _bilinear(mesh.texture, weights @ mesh.corner_uvs[face].astype(np.float32))
    if mesh.vertex_colors is not None:
        return weights @ mesh.vertex_colors[mesh.faces[face]]
    return np.full((len(weights), 3), 128.0)


def _bilinear(texture: UInt8, uvs: Float) -> Float:
    """Texture colour `(N, 3)` at `(N, 2)`, clamped at the border and repeated outside 0…1."""
    size = np.array([texture.shape[1], texture.shape[0]])
    inside = np.where((uvs < 0) | (uvs > 1), uvs - np.floor(uvs), uvs)
    place = np.clip(inside * size - 0.5, 0, size - 1)
    low = place.astype(int)
    high = np.minimum(low + 1, size - 1)
    s, t = np.split(place - low, 2, axis=-1)
    upper = texture[low[:, 1], low[:, 0]] * (1 - s) + texture[low[:, 1], high[:, 0]] * s
    lower = texture[high[:, 1], low[:, 0]] * (1 - s) + texture[high[:, 1], high[:, 0]] * s
    return upper * (1 - t) + lower * t
