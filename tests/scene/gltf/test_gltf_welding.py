from __future__ import annotations

import itertools

import numpy as np
import trimesh

from real2sam2real.mesh.gltf.welding import group_rows, weld


def soup(faces: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every corner its own vertex, as flat-shaded exports have it."""
    return positions[faces.ravel()], np.arange(faces.size).reshape(-1, 3)


def is_closed(faces: np.ndarray) -> bool:
    edges = [edge for a, b, c in faces.tolist() for edge in ((a, b), (b, c), (c, a))]
    known = set(edges)
    return len(known) == len(edges) and all((b, a) in known for a, b in edges)


def test_groups_are_numbered_by_first_occurrence_and_know_no_negative_zero() -> None:
    rows = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0], [-0.0, 0.0], [3.0, 1.0]])
    assert group_rows(rows).tolist() == [0, 1, 0, 1, 2]


def test_a_soup_of_triangles_becomes_the_closed_surface_again() -> None:
    for made in (trimesh.creation.icosphere(subdivisions=2), trimesh.creation.torus(1, 0.3), trimesh.creation.box()):
        positions, triangles = soup(made.faces, made.vertices)
        first, faces = weld(group_rows(positions), triangles)
        assert len(first) == len(made.vertices)
        assert is_closed(faces)
        np.testing.assert_array_equal(positions[first][faces], made.vertices[made.faces])


def test_bodies_that_touch_along_an_edge_do_not_grow_together() -> None:
    box = trimesh.creation.box()
    positions = np.concatenate([box.vertices, box.vertices + np.array([1, 1, 0])])
    faces = np.concatenate([box.faces, box.faces + 8])
    first, welded = weld(group_rows(positions), faces)
    assert len(first) == 16
    assert is_closed(welded)


def test_triangles_that_collapse_leave_no_hole() -> None:
    """A latitude-longitude sphere has quads at its poles whose top edge is a point."""
    rows, columns = 5, 8
    theta = np.linspace(0, np.pi, rows)[:, None]
    phi = np.linspace(0, 2 * np.pi, columns + 1)[None]
    phi = np.where(np.arange(columns + 1) == columns, 0.0, phi)  # the seam's two columns are the same points
    points = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta) + 0 * phi, np.sin(theta) * np.sin(phi)], -1)
    points[0], points[-1] = (0, 1, 0), (0, -1, 0)
    number = np.arange(rows * (columns + 1)).reshape(rows, columns + 1)
    quads = [(number[i, j], number[i, j + 1], number[i + 1, j + 1], number[i + 1, j])
             for i, j in itertools.product(range(rows - 1), range(columns))]  # fmt: skip
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    first, faces = weld(group_rows(points.reshape(-1, 3)), triangles)
    assert (faces[:, 0] < 0).sum() == 2 * columns
    kept = faces[faces[:, 0] >= 0]
    assert is_closed(kept)
    assert len(first) == (rows - 2) * columns + 2
