"""Rays through meshes, limits on differences, and what two silhouettes leave room for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.lifting.contact.body import ContactBody
from real2sam2real.lifting.contact.limits import Limit, least_change, least_change_of_most
from real2sam2real.lifting.contact.pairs import observe_pair
from real2sam2real.lifting.contact.raster import Lattice, cast, silhouette_iou, spans


def lattice(side=60, reach=0.5):
    return Lattice.over(np.array([-reach, -reach]), np.array([reach, reach]), side)


def test_rays_through_a_ball(worlds):
    ball = worlds.ball(1.0)
    points = ball.vertices + np.array([0.1, -1.2, -4.0])
    center, grid = np.array([0.1, -0.2, -4.0]), lattice()
    found = spans(cast(points, ball.faces, grid))
    rays = np.concatenate([grid.at(found.nodes), -np.ones((len(found.nodes), 1))], axis=1)
    b, a = rays @ center, (rays**2).sum(axis=1)
    root = np.sqrt(np.maximum(b**2 - a * (center @ center - 1), 0))
    deep = root / a > 0.3  # at the rim a polyhedron is no ball
    assert deep.sum() > 500
    assert np.exp(found.near[deep]) == pytest.approx(((b - root) / a)[deep], abs=0.02)
    assert np.exp(found.far[deep]) == pytest.approx(((b + root) / a)[deep], abs=0.02)


def test_every_ray_through_a_closed_mesh_comes_out_again(worlds):
    """Also where it meets edges and corners: no node is dropped, none is counted twice."""
    for mesh in (worlds.box(1, 1, 1), worlds.ring(0.5, 0.2), worlds.cylinder(0.4, 1.0)):
        hits = cast(mesh.vertices + np.array([0, -0.5, -2.0]), mesh.faces, lattice(97, 0.7))
        balance = np.bincount(hits.nodes, np.where(hits.entering, 1, -1))
        assert np.all(balance == 0)
        assert len(spans(hits).nodes) == hits.entering.sum()


def test_a_ring_is_met_twice_on_a_ray(worlds):
    ring = worlds.ring(0.6, 0.1)
    found = spans(cast(ring.vertices + np.array([0, -0.1, -2.0]), ring.faces, lattice()))
    assert (np.bincount(found.nodes) == 2).any()


def test_nothing_in_the_window(worlds):
    ball = worlds.ball(0.1)
    assert len(spans(cast(ball.vertices + np.array([5.0, 0, -2]), ball.faces, lattice())).nodes) == 0


def test_iou_of_a_shifted_square(worlds):
    box = worlds.box(1.0, 1.0, 1e-6)
    here = box.vertices + np.array([0, -0.5, -2.0])
    assert silhouette_iou(here, here, box.faces) == 1.0
    assert silhouette_iou(here, here * 3.0, box.faces) == 1.0
    assert silhouette_iou(here, here + np.array([0.25, 0, 0]), box.faces) == pytest.approx(0.75 / 1.25, abs=0.02)


def test_forbidden_shifts_of_two_boxes(worlds):
    """Two boxes in line before the camera: free from where the far one's front is at the near one's back, and so on."""
    scene = worlds.scene(
        {
            "near": (worlds.box(0.4, 0.4, 0.4), worlds.ahead(0, -0.02, 2.0, 1.4)),
            "far": (worlds.box(1.0, 1.0, 0.4), worlds.ahead(0, 0.0, 3.0, 1.2)),
        },
        0,
    )
    near, far = (ContactBody.of(entity, scene.photo_world_from_camera) for entity in scene.entities)
    observation = observe_pair(near, far, scene.camera.intrinsics)
    assert observation.forbidden == pytest.approx(np.log([[1.8 / 3.2, 2.2 / 2.8]]), abs=1e-6)
    assert observation.agreement(0.0) == 1.0
    assert observation.agreement(-2.0) == 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_the_nearest_numbers_are_nearest(seed):
    """Against random feasible points: none keeps the limits and is nearer."""
    rng = np.random.default_rng(seed)
    inside = rng.normal(size=5)
    limits = []
    for _ in range(rng.integers(1, 7)):
        i, j = rng.choice(5, 2, replace=False)
        low, high = np.sort(inside[j] - inside[i] + rng.uniform(0, 1, 2) * [-1, 1])
        limits.append(Limit(first=int(i), second=int(j), low=low if rng.random() < 0.7 else -np.inf, high=high))
    wanted = rng.normal(size=5)
    fixed = rng.random(5) < 0.2
    wanted[fixed] = inside[fixed]
    found = least_change(wanted, fixed, limits)
    assert found is not None
    assert np.array_equal(found[fixed], wanted[fixed])
    assert all(limit.holds(found) for limit in limits)
    toward = inside - found
    assert toward @ (wanted - found) <= 1e-7  # the obtuse angle that marks a projection onto a convex set


def test_contradictions_are_left_out_in_order():
    limits = [
        Limit(first=0, second=1, low=1.0, high=2.0),
        Limit(first=0, second=1, low=3.0, high=4.0),
    ]
    assert least_change(np.zeros(2), [False, False], limits) is None
    found, left_out = least_change_of_most(np.zeros(2), [False, False], limits)
    assert found == pytest.approx([-0.5, 0.5])
    assert left_out == [1]
    assert least_change(np.zeros(2), [True, True], limits[:1]) is None
