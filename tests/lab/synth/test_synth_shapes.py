from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.lab.synth import grids
from real2sam2real.lab.synth.clip import texel_normals
from real2sam2real.lab.synth.shapes import ATLAS_COLUMNS, HELD_OUT_SHAPES, KINDS, TRAIN_SHAPES, BaseShape, base_shape
from real2sam2real.mesh import Mesh


def mesh_of(shape: BaseShape) -> Mesh:
    return Mesh(vertices=shape.vertices, faces=shape.faces, corner_uvs=shape.corner_uvs)


def body_volumes(shape: BaseShape) -> list[float]:
    """Signed volume of every connected body."""
    label = np.arange(len(shape.vertices))
    while True:
        lowest = label.copy()
        for k in range(3):
            np.minimum.at(lowest, shape.faces[:, k], label[shape.faces].min(axis=1))
        if np.array_equal(lowest, label):
            break
        label = lowest
    a, b, c = (shape.vertices[shape.faces[:, k]] for k in range(3))
    parts = np.sum(a * np.cross(b, c), axis=1) / 6
    return [float(parts[label[shape.faces[:, 0]] == body].sum()) for body in np.unique(label)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([*TRAIN_SHAPES, *HELD_OUT_SHAPES]))
def test_every_shape_is_closed_outward_and_stands_on_the_origin(index: int) -> None:
    shape = base_shape(index)
    assert mesh_of(shape).is_closed()
    assert min(body_volumes(shape)) > 0
    assert 400 <= len(shape.faces) <= 2500
    assert len(np.unique(shape.faces)) == len(shape.vertices)
    low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
    assert (high - low).max() == pytest.approx(1)
    assert low[1] == pytest.approx(0)
    assert low[[0, 2]] + high[[0, 2]] == pytest.approx([0, 0])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TRAIN_SHAPES))
def test_the_texel_under_a_corner_is_at_the_corner(index: int) -> None:
    shape = base_shape(index)
    rows, columns = shape.texel_points.shape[:2]
    assert columns == ATLAS_COLUMNS
    column, row = (shape.corner_uvs * [columns, rows] - 0.5).astype(np.float32).transpose(2, 0, 1)
    found = cv2.remap(shape.texel_points, np.ascontiguousarray(column), np.ascontiguousarray(row), cv2.INTER_LINEAR)
    error = np.linalg.norm(found - shape.vertices[shape.faces], axis=-1)
    # Strips have about as many rows as their grid, so a profile's sharp corners fall between texels.
    assert np.median(error) < 0.02
    assert np.percentile(error, 90) < 0.12


def test_all_families_occur_in_both_pools() -> None:
    for pool in (TRAIN_SHAPES, HELD_OUT_SHAPES):
        assert {base_shape(index).kind for index in pool} == set(KINDS)


def test_a_shape_depends_on_its_index_alone() -> None:
    first = base_shape(7)
    base_shape.cache_clear()
    base_shape(3)
    again = base_shape(7)
    assert again is not first
    assert np.array_equal(first.vertices, again.vertices)
    assert np.array_equal(first.texel_points, again.texel_points)


def test_grids_of_every_kind_are_outward_in_any_orientation() -> None:
    upside_down = np.diag([1.0, -1.0, 1.0])  # mirrors, so the naive winding would be inward
    for grid in (grids.box((1, 2, 3)), grids.wheel(1.0, 0.3), grids.capsule(0.5, 1.0), grids.ellipsoid((1, 1, 2))):
        for matrix in (np.eye(3), upside_down):
            vertices, faces, _ = grid.moved((1.0, 2.0, 3.0), matrix).triangles()
            mesh = Mesh(vertices=vertices, faces=faces)
            assert mesh.is_closed()
            assert mesh.volume() > 0


def test_an_ellipsoid_has_its_volume_and_normals() -> None:
    vertices, faces, _ = grids.ellipsoid((1.0, 2.0, 0.5), 60, 120).triangles()
    assert Mesh(vertices=vertices, faces=faces).volume() == pytest.approx(4 / 3 * np.pi * 1.0 * 2.0 * 0.5, rel=0.01)


@pytest.mark.parametrize("index", range(12))
def test_texel_normals_point_outward(index: int) -> None:
    shape = base_shape(index)
    stretch = np.array([1.0, 0.7, 1.3])
    normals = texel_normals(shape, stretch)
    assert np.allclose(np.linalg.norm(normals, axis=-1), 1)
    mesh = Mesh(vertices=shape.vertices * stretch, faces=shape.faces)
    rows, columns = normals.shape[:2]
    uv = shape.corner_uvs.mean(axis=1)
    row = np.minimum((uv[:, 1] * rows).astype(int), rows - 1)
    column = np.minimum((uv[:, 0] * columns).astype(int), columns - 1)
    crosses = mesh.face_cross_products()
    areas = np.linalg.norm(crosses, axis=1)
    cosines = np.sum(normals[row, column] * crosses, axis=1) / np.maximum(areas, 1e-12)
    assert np.average(cosines, weights=areas) > 0.9
