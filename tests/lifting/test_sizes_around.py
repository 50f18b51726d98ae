"""Vehicles that nobody named tell the lens and the pitch, with the shape of the one that somebody named."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.ground import Ground
from real2sam2real.lifting.kinds import kind_of
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.lifting.sizes_around import view_by_sizes_around
from real2sam2real.perceive.segment.nanodet import ScoredBox
from real2sam2real.perceive.segment.things import boxes_of_likes
from real2sam2real.perceive.view import PhotoView

WIDTH, HEIGHT = 960, 540
KINDS = {"car": kind_of("car")}
EYE = 14.0  # metres above the street


def car_points(x, z, yaw):
    """Corners `(N, 3)` of a car's body and cabin on the ground, in a world with the camera at its origin."""
    kind = KINDS["car"]
    points = []
    for part in kind.parts:
        corners = np.array([[a, b, c] for a in part.x for b in part.y for c in part.z])
        points.append(corners * (kind.width / 2, kind.height, kind.depth / 2))
    c, s = np.cos(yaw), np.sin(yaw)
    return np.concatenate(points) @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) + (x, -EYE, z)


def pixels_of(points, ground):
    rotation = ground.world_from_camera[:3, :3]
    return ground.intrinsics.project(points @ rotation)[0]


def street(factor, horizon, seed=0):
    """A usual view of a street taken through a lens `factor` times the usual one; its boxes, mask and true camera."""
    usual = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=55)
    lens = Intrinsics.from_focal(WIDTH, HEIGHT, usual.fx * factor)
    pitch = float(np.arctan((lens.cy - horizon) / lens.fy))
    truth = Ground(intrinsics=lens, pitch_radians=pitch, note="")
    rng = np.random.default_rng(seed)
    boxes = []
    for row in np.linspace(0.25, 0.95, 10) * HEIGHT:
        place = EYE * truth.points_world(np.array([rng.uniform(0.1, 0.9) * WIDTH, row]))
        seen = pixels_of(car_points(place[0], place[2], rng.uniform(-0.6, 0.6)), truth)
        boxes.append([*seen.min(axis=0), *seen.max(axis=0)])
    place = EYE * truth.points_world(np.array([0.5 * WIDTH, 0.6 * HEIGHT]))
    seen = pixels_of(car_points(place[0], place[2], 0.35), truth)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for half in np.split(seen, 2):
        cv2.fillConvexPoly(mask, np.rint(cv2.convexHull(half.astype(np.float32))[:, 0]).astype(np.int32), 1)
    return (
        PhotoView(intrinsics=usual, provenance={"lens": {"source": "default"}}, notes=("assumed",)),
        np.array(boxes),
        mask > 0,
        truth,
    )


@pytest.mark.parametrize(("factor", "horizon"), [(2.5, -350.0), (1.6, -250.0)])
def test_lens_and_pitch_are_near_the_truth(factor, horizon):
    view, boxes, mask, truth = street(factor, horizon)
    found = view_by_sizes_around(view, outlines_by_nearness({"car": mask}), KINDS, boxes)
    assert found.up_camera is not None
    pitch = np.degrees(np.arcsin(found.up_camera[2]))
    assert pitch == pytest.approx(np.degrees(truth.pitch_radians), abs=5.0)
    assert found.intrinsics.fx == pytest.approx(truth.intrinsics.fx, rel=0.35)
    assert "things around the objects" in found.notes[1]


def test_a_lens_that_is_known_stays():
    view, boxes, mask, _ = street(2.5, -350.0)
    known = replace(view, provenance={"lens": {"source": "exif"}})
    found = view_by_sizes_around(known, outlines_by_nearness({"car": mask}), KINDS, boxes)
    assert found.intrinsics == view.intrinsics
    assert found.up_camera is not None


def test_few_things_or_things_of_all_sizes_tell_nothing():
    view, boxes, mask, _ = street(2.5, -350.0)
    outlines = outlines_by_nearness({"car": mask})
    assert view_by_sizes_around(view, outlines, KINDS, boxes[:5]) is view
    odd = boxes.copy()
    odd[:, 1] = odd[:, 3] - np.random.default_rng(0).uniform(10, 200, len(odd))
    assert view_by_sizes_around(view, outlines, KINDS, odd) is view


def test_the_vehicles_of_a_street_are_one_kind():
    words = ("car", "truck", "person", "car", "chair")
    things = [ScoredBox(word=word, box=(k, 0, k + 1, 1), score=0.5) for k, word in enumerate(words)]
    assert boxes_of_likes(things)[:, 0].tolist() == [0, 1, 3]
    assert boxes_of_likes([]).shape == (0, 4)
