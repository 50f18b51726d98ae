"""The network in the package: small, near the truth on scenes it never saw, and with our axes."""

from __future__ import annotations

from real2sam2real.lab.curate.normals.estimator import load_estimator
from real2sam2real.lab.curate.normals.mini import SHIPPED
from real2sam2real.lab.curate.normals.sphere import check
from real2sam2real.lab.evaluate.normals import evaluate_normals


def test_the_shipped_network_is_small_and_knows_normals():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 10_000_000
    score = evaluate_normals(load_estimator("mini"), scenes=4, frames=5)
    assert score.median <= 15
    assert score.flicker < 10


def test_the_shipped_network_has_our_axes():
    result = check(load_estimator("mini"))
    assert result.right
    assert result.taken < 25
