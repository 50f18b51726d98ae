"""Triangles that run through each other everywhere: closed all the same, with work that is bounded."""

import numpy as np
import pytest

from real2sam2real.mesh import Mesh, remesh
from real2sam2real.mesh.bvh import Bvh
from real2sam2real.mesh.components import is_thicket
from real2sam2real.mesh.repair import repair
from real2sam2real.mesh.solidity import is_solid
from real2sam2real.mesh.soup import Soup


def triangles(count: int, size: float, spread: float) -> Mesh:
    """Triangles of a `size` at random, each by itself, over a ball of the radius `spread`."""
    draw = np.random.default_rng(3)
    places = spread * draw.standard_normal((count, 1, 3))
    return Mesh(
        vertices=(places + size * draw.standard_normal((count, 3, 3))).reshape(-1, 3),
        faces=np.arange(3 * count).reshape(-1, 3),
    )


@pytest.mark.parametrize(
    ("count", "size", "thicket"),
    [(700, 1.0, True), (450, 0.01, False), (60, 1.0, False)],
    ids=["mess", "leaves", "few"],
)
def test_only_a_thicket_is_rebuilt_at_once(
    count: int, size: float, thicket: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remesh, "SIDE", 16)  # a coarse one is made in less time
    mesh = triangles(count, size, 0.1)
    assert is_thicket(Soup.of(mesh)) == thicket
    made = repair(mesh)
    assert is_solid(made.mesh)
    assert made.report.rebuilt == thicket
    assert len(made.mesh.faces) < 100_000


def test_sheets_of_which_too_many_cross_are_not_united() -> None:
    made = repair(triangles(100, 1.0, 0.5))
    assert is_solid(made.mesh)
    assert len(made.mesh.faces) == 100 * 8  # a slab for every triangle


@pytest.mark.parametrize("away", [1.0, 100.0])
def test_the_farthest_point_is_that_of_all_distances(away: float) -> None:
    mesh = triangles(200, 0.3, 1.0)
    points = away * np.random.default_rng(4).standard_normal((500, 3))
    tree = Bvh.over(mesh.vertices, mesh.faces)
    assert tree.farthest(points) == pytest.approx(tree.nearest(points).distance.max(), rel=1e-12)
