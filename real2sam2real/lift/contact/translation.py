"""The last resort: two that stand in each other are separated by moving them on the ground, where the photo allows."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.lift.contact.body import ContactBody, common_volume
from real2sam2real.lift.contact.pairs import FREE
from real2sam2real.lift.contact.raster import image_plane, silhouette_iou

DIRECTIONS = 8  # half of them are tried each way
TRIAL = 0.01  # of its height: a step by which the way over the picture is measured
FILLED = 0.75  # of its box, by a usual silhouette
FINEST = 0.02  # of the way that is allowed


def separate_on_ground(a: ContactBody, b: ContactBody, max_iou_loss: float) -> tuple[ContactBody, ContactBody] | None:
    """Both moved on the ground by half of the shortest way that separates them; None where none is short enough.

    Both are in front of the camera. What each one's silhouette loses, against the start, stays below `max_iou_loss`.
    """
    best: tuple[float, Float] | None = None
    for direction in _directions(a, b):
        most = min(_allowed(a, -direction, max_iou_loss), _allowed(b, direction, max_iou_loss))
        if best is not None:
            most = min(most, best[0])
        way = _shortest(a, b, direction, most)
        if way is not None and (best is None or way < best[0]):
            best = way, direction
    if best is None:
        return None
    way, direction = best
    moved = a.translated(-way * direction), b.translated(way * direction)
    losses = (1 - silhouette_iou(body.start_camera, body.points_camera, body.faces) for body in moved)
    return moved if all(loss <= max_iou_loss for loss in losses) else None


def _directions(a: ContactBody, b: ContactBody) -> list[Float]:
    """Horizontal unit vectors in which b may leave a: from middle to middle first, then others around."""
    between = (b.points.mean(axis=0) - a.points.mean(axis=0))[[0, 2]]
    start = float(np.arctan2(between[1], between[0]))
    turns = [0, *(sign * k for k in range(1, DIRECTIONS // 2) for sign in (1, -1)), DIRECTIONS // 2]
    angles = [start + 2 * np.pi * k / DIRECTIONS for k in turns]
    return [np.array([np.cos(angle), 0.0, np.sin(angle)]) for angle in angles]


def _allowed(body: ContactBody, direction: Float, max_iou_loss: float) -> float:
    """About how far it may move: what a moved silhouette gains and loses at its rims, whose lengths its box gives."""
    step = TRIAL * body.height
    uv, _ = image_plane(body.points_camera)
    middle = body.points_camera.mean(axis=0)
    ends = image_plane(np.stack([middle, middle + step * direction @ body.camera_from_eye.T]))[0]
    rims = 2 * np.abs(ends[1] - ends[0]) / (FILLED * np.maximum(np.ptp(uv, axis=0), 1e-12))
    return step * max_iou_loss / max(float(rims.sum()), 1e-9)


def _shortest(a: ContactBody, b: ContactBody, direction: Float, most: float) -> float | None:
    """The least way in one direction, for each of both, after which they are free; None where `most` is too little."""

    def is_free(way: float) -> bool:
        return common_volume(a.translated(-way * direction), b.translated(way * direction)) <= FREE

    if most <= 0 or not is_free(most):
        return None
    inside, outside = 0.0, most
    while outside - inside > FINEST * most:
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_free(middle) else (middle, outside)
    return outside
