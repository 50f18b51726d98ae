"""Looks survive the way to a lighter mesh: textures in charts, and thin walls of two colours."""

import numpy as np
import pytest
import trimesh

from real2sam2real.mesh import Mesh
from real2sam2real.mesh.attributes import nearest_vertices, transfer_attributes
from real2sam2real.mesh.decimation import decimate


def textured_ball() -> Mesh:
    """A ball with two charts, front and back, side by side in the texture: coordinates follow from the position."""
    ball = trimesh.creation.icosphere(subdivisions=5)
    uvs = ball.vertices[ball.faces][:, :, :2] * 0.24 + 0.25
    uvs[ball.face_normals[:, 2] < 0, :, 0] += 0.5
    texture = np.zeros((8, 8, 3), np.uint8)
    return Mesh(vertices=ball.vertices, faces=ball.faces, corner_uvs=uvs, texture=texture)


@pytest.mark.parametrize("triangles", [6000, 1500])
def test_a_texture_stays_in_its_place_on_fewer_triangles(triangles: int) -> None:
    ball = textured_ball()
    light = transfer_attributes(ball, decimate(ball, triangles))
    assert light.corner_uvs is not None
    assert light.texture is ball.texture
    corners = light.vertices[light.faces]
    depth = corners.mean(axis=1)[:, 2]
    back = light.corner_uvs[:, :, 0].mean(axis=1) > 0.5
    assert (back == (depth < 0))[np.abs(depth) > 0.02].all()
    expected = corners[:, :, :2] * 0.24 + 0.25
    expected[back, :, 0] += 0.5
    error = np.abs(light.corner_uvs - expected).max(axis=2)
    inside = (np.sign(corners[:, :, 2]) == np.where(back, -1, 1)[:, None]).all(axis=1)  # within one chart
    assert inside.mean() > 0.8
    assert np.median(error[inside]) < 0.001
    assert error[inside].max() < 0.01
    assert error.max() < 0.03  # a face on the border between the charts takes what lies on the border


def test_a_texture_wound_about_a_post_does_not_tear_where_it_meets_itself() -> None:
    rows, columns = 24, 64
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, columns, endpoint=False), np.linspace(0, 2, rows))
    wall = np.stack([np.cos(angle), height, -np.sin(angle)], axis=-1).reshape(-1, 3)
    i, j = (grid.reshape(-1) for grid in np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij"))
    a, b = i * columns + j, i * columns + (j + 1) % columns
    faces = np.concatenate([np.stack([a, b, b + columns], axis=-1), np.stack([a, b + columns, a + columns], axis=-1)])
    around = np.concatenate([np.stack([j, j + 1, j + 1], axis=-1), np.stack([j, j + 1, j], axis=-1)]) / columns
    uvs = np.stack([around, np.clip(wall[faces][:, :, 1] / 2, 0, 1)], axis=-1)
    post = Mesh(vertices=wall, faces=faces, corner_uvs=uvs, texture=np.zeros((4, 4, 3), np.uint8))
    turned = Mesh(vertices=wall, faces=np.roll(faces, 1, axis=1)[::-1])
    moved = transfer_attributes(post, turned).corner_uvs
    assert moved is not None
    assert np.ptp(moved[:, :, 0], axis=1).max() < 2 / columns
    assert np.abs(moved - np.roll(uvs, 1, axis=1)[::-1]).max() < 2 / columns


def test_the_two_sides_of_a_thin_wall_keep_their_own_colours_and_vertices() -> None:
    wall = trimesh.creation.box(extents=(1, 1, 0.001))
    for _ in range(3):
        wall = wall.subdivide()
    side = wall.vertices[:, 2] > 0
    colors = np.where(side[:, None], [250, 0, 0], [0, 0, 250]).astype(np.uint8)
    source = Mesh(vertices=wall.vertices, faces=wall.faces, vertex_colors=colors)
    pushed = Mesh(vertices=wall.vertices * [1, 1, 0.2] + [0, 0, 0.0004], faces=wall.faces)  # both within the upper half
    flat = np.abs(source.vertices[:, :2]).max(axis=1) < 0.4
    painted = transfer_attributes(source, pushed).vertex_colors
    assert painted is not None
    assert (painted[flat] == colors[flat]).all()
    assert (side[nearest_vertices(source, pushed)] == side)[flat].all()
