"""What hangs together and what is a solid, against SciPy and against the slower answers of the repair's own steps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from real2sam2real.mesh import Mesh, concatenate
from real2sam2real.mesh.solidity import connected, is_solid, opposite_half_edges
from real2sam2real.mesh.soup import following, twins

pytestmark = pytest.mark.fast

CORNERS = np.array([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6],
                  [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]], np.int32)  # fmt: skip
BOX = Mesh(vertices=CORNERS, faces=FACES)


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_numbered_as_scipy_does(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    i, j = np.array(edges, np.int64).reshape(-1, 2).T
    matrix = coo_matrix((np.ones(len(i)), (i, j)), shape=(count, count))
    np.testing.assert_array_equal(connected(i, j, count), connected_components(matrix, directed=False)[1])


def test_opposite_half_edges_are_those_of_the_repair() -> None:
    twin = opposite_half_edges(FACES.astype(np.int64))
    assert twin is not None
    lower, upper = twins(FACES.astype(np.int64))
    np.testing.assert_array_equal(twin[lower], upper)
    np.testing.assert_array_equal(twin[twin], np.arange(36))
    ends = FACES.reshape(-1)
    np.testing.assert_array_equal(ends[twin], ends[following(np.arange(36))])


def test_what_is_a_solid() -> None:
    beside = replace(BOX, vertices=CORNERS + np.array([3.0, 0.0, 0.0]))
    assert is_solid(BOX)
    assert is_solid(concatenate([BOX, beside]))
    assert not is_solid(Mesh(vertices=CORNERS, faces=FACES[1:]))  # open
    assert not is_solid(BOX.flipped())  # inside out
    assert not is_solid(concatenate([BOX, beside.flipped()]))  # a part of it is
    assert not is_solid(Mesh(vertices=CORNERS, faces=np.zeros((0, 3), np.int32)))
    touching = Mesh(
        vertices=np.concatenate([CORNERS, np.zeros((8, 3)), CORNERS[1:] + 1.0]),
        faces=np.concatenate([FACES, np.where(FACES == 0, 7, FACES + 15)]),
    )
    assert not is_solid(touching)
