"""Closed triangle meshes: volume, normals, winding, texture corners."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.geometry import quaternions, transforms
from real2sam2real.mesh import Mesh, concatenate

seeds = st.integers(0, 2**32 - 1)


def sphere(subdivisions: int = 2) -> Mesh:
    shape = trimesh.creation.icosphere(subdivisions=subdivisions)
    return Mesh(vertices=np.array(shape.vertices), faces=np.array(shape.faces))


def lump(seed: int) -> Mesh:
    """A closed, dented mesh away from the origin."""
    ball, random = sphere(1), np.random.default_rng(seed)
    radius = random.uniform(0.5, 1.5, size=(len(ball.vertices), 1))
    return Mesh(vertices=ball.vertices * radius + random.normal(size=3), faces=ball.faces)


def textured() -> Mesh:
    ball = sphere(1)
    uvs = np.random.default_rng(0).uniform(size=(len(ball.faces), 3, 2))
    return Mesh(vertices=ball.vertices, faces=ball.faces, corner_uvs=uvs, texture=np.zeros((2, 2, 3), np.uint8))


@given(seeds)
@settings(max_examples=20)
def test_volume_agrees_with_trimesh_and_turns_with_the_winding(seed):
    mesh = lump(seed)
    judge = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert mesh.volume() == pytest.approx(judge.volume)
    assert mesh.volume() > 0
    assert mesh.flipped().volume() == pytest.approx(-mesh.volume())


@given(seeds)
@settings(max_examples=20)
def test_a_rigid_move_keeps_volume_and_a_scale_multiplies_it(seed):
    random = np.random.default_rng(seed)
    mesh, scale = lump(seed), random.uniform(-2, 2, size=3) + 0.01
    matrix = transforms.compose(random.normal(size=3), random.normal(size=4), scale)
    moved = mesh.transformed(matrix)
    assert moved.volume() == pytest.approx(
        mesh.volume() * abs(np.prod(scale))
    )  # outward stays outward, mirrored or not
    assert moved.is_closed()
    np.testing.assert_allclose(moved.vertices, transforms.apply(matrix, mesh.vertices))


def test_a_mirror_keeps_texture_corners_on_their_vertices():
    mesh = textured()
    mirrored = mesh.transformed(np.diag([-1.0, 1, 1, 1]))
    assert corner_places(mesh) == corner_places(mirrored)


def corner_places(mesh: Mesh) -> dict[tuple[int, ...], tuple[float, ...]]:
    """Texture coordinates by vertex and face (faces named by their sorted vertices)."""
    places = {}
    for face, uvs in zip(mesh.faces.tolist(), mesh.corner_uvs.tolist(), strict=True):
        for vertex, uv in zip(face, uvs, strict=True):
            places[vertex, *sorted(face)] = tuple(uv)
    return places


def test_vertex_normals_of_a_sphere_point_outward():
    ball = sphere(3)
    np.testing.assert_allclose(ball.vertex_normals(), ball.vertices, atol=0.01)
    flat = ball.vertices * [1.0, 0.5, 1.0]
    expected = flat / np.array([1.0, 0.5, 1.0]) ** 2
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(ball.vertex_normals(flat), expected, atol=0.03)  # of deformed positions


def test_vertex_normals_do_not_depend_on_how_a_square_is_cut():
    corners = np.array([[x, y, z] for x in (0.0, 1) for y in (0.0, 1) for z in (0.0, 1)])
    box = trimesh.convex.convex_hull(corners)
    mesh = Mesh(vertices=np.array(box.vertices), faces=np.array(box.faces))
    np.testing.assert_allclose(np.abs(mesh.vertex_normals()), 1 / np.sqrt(3))
    np.testing.assert_allclose(np.sign(mesh.vertex_normals()), np.sign(mesh.vertices - 0.5))


@given(seeds)
@settings(max_examples=10)
def test_normals_turn_with_the_mesh(seed):
    mesh = lump(seed)
    rotation = quaternions.normalize(np.random.default_rng(seed).normal(size=4))
    turned = mesh.transformed(transforms.compose([1, 2, 3], rotation)).vertex_normals()
    np.testing.assert_allclose(turned, mesh.vertex_normals() @ quaternions.to_matrix(rotation).T, atol=1e-9)


def test_a_vertex_without_area_gets_some_unit_normal():
    mesh = Mesh(vertices=np.eye(3).repeat(2, axis=0), faces=np.array([[0, 0, 1], [2, 3, 2]]))
    np.testing.assert_allclose(np.linalg.norm(mesh.vertex_normals(), axis=1), 1)


def test_closed_means_every_edge_twice_in_opposite_directions():
    ball = sphere(1)
    assert ball.is_closed()
    assert ball.flipped().is_closed()
    assert not Mesh(vertices=ball.vertices, faces=ball.faces[1:]).is_closed()
    one_turned = ball.faces.copy()
    one_turned[0] = one_turned[0][::-1]
    assert not Mesh(vertices=ball.vertices, faces=one_turned).is_closed()
    doubled = np.concatenate([ball.faces, ball.faces])
    assert not Mesh(vertices=ball.vertices, faces=doubled).is_closed()
    fin = np.concatenate([ball.faces, [ball.faces[0], ball.faces[0][::-1]]])
    assert not Mesh(vertices=ball.vertices, faces=fin).is_closed()
    assert not Mesh(vertices=ball.vertices, faces=np.zeros((0, 3), int)).is_closed()


def test_bounds_and_face_normals():
    mesh = lump(3)
    low, high = mesh.bounds()
    np.testing.assert_array_equal(low, mesh.vertices.min(axis=0))
    np.testing.assert_array_equal(high, mesh.vertices.max(axis=0))
    judge = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    np.testing.assert_allclose(
        mesh.face_cross_products(), 2 * judge.area_faces[:, None] * judge.face_normals, atol=1e-12
    )


def test_joining_keeps_every_part():
    red = np.full((42, 3), (255, 0, 0), np.uint8)
    parts = [Mesh(vertices=sphere(1).vertices + k, faces=sphere(1).faces, vertex_colors=red) for k in (0, 5)]
    joined = concatenate(parts)
    assert joined.is_closed()
    assert joined.volume() == pytest.approx(2 * parts[0].volume())
    np.testing.assert_array_equal(joined.vertex_colors, np.concatenate([red, red]))
    assert concatenate([parts[0], sphere(1)]).vertex_colors is None
    with pytest.raises(ValueError, match="no mesh"):
        concatenate([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": np.zeros((3, 2))}, r"shape \(3, 2\)"),
        ({"faces": np.zeros((3, 4), int)}, r"shape \(3, 4\)"),
        ({"vertices": np.array([[np.nan, 0, 0], [1, 0, 0], [0, np.inf, 0]])}, "2 of 3 vertices are not finite"),
        ({"faces": np.array([[0, 1, 3]])}, "0…3 but there are 3 vertices"),
        ({"faces": np.array([[0, 1, -1]])}, "-1…1"),
        ({"vertex_colors": np.zeros((2, 3), np.uint8)}, "vertex colours"),
        ({"corner_uvs": np.zeros((2, 3, 2))}, "corner UVs"),
        ({"texture": np.zeros((2, 2, 3), np.uint8)}, "needs corner_uvs"),
    ],
)
def test_what_is_no_mesh(change, message):
    with pytest.raises(ValueError, match=message):
        Mesh(**{"vertices": np.eye(3), "faces": np.array([[0, 1, 2]]), **change})
