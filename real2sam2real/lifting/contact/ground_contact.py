"""Ground contact: what stands in view is brought to the ground along its lines of sight, and levelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.lifting.contact.body import ContactBody
from real2sam2real.lifting.contact.raster import silhouette_iou
from real2sam2real.lifting.contact.support import Support
from real2sam2real.lifting.options import ContactOptions

STANDS = 5e-4  # of its height: nearer to the ground than that, it stands on it
SUNK = 5e-3  # of its height: what does not show where it stands may be guessed that much too low
FLATTEST = np.sin(np.radians(1.0))  # a lowest point seen flatter below the horizon says nothing about distance
AGREE = 0.1  # relative: heights of the camera above what stands that differ by less mean one ground
BASE_SHARE = 0.25  # of its footprint that a face of the hull must take to be its base
LEVEL_DEGREES = 0.3  # what is that level needs no turn
SAME_FACE = np.cos(np.radians(0.2))


@dataclass(frozen=True, kw_only=True)
class GroundContact:
    """How one entity is drawn to the ground."""

    log_factor: float  # by which it has to go farther to touch it
    fixed: bool  # whether it stays there whatever others do; else it only would rather be there


def known_ground(
    bodies: Sequence[ContactBody], support: Mapping[str, Support], ground: float | None, floating: Sequence[str]
) -> tuple[float | None, bool]:
    """Height of the ground in the eye frame (negative), and whether it was derived here from what stands.

    Without a given height it is the median of the lowest points of what stands in view, if these agree.
    """
    if ground is not None:
        return (ground, False) if ground < 0 else (None, False)
    bottoms = [b.bottom for b in bodies if _shows_lower_edge(b, support[b.name]) and b.name not in floating]
    if not bottoms:
        return None, False
    middle = float(np.median(bottoms))
    spread = float(np.median(np.abs(np.array(bottoms) / middle - 1)))
    return (middle, True) if spread < AGREE else (None, False)


def _shows_lower_edge(body: ContactBody, support: Support) -> bool:
    """Whether its lowest point is seen, on nothing else, and clearly below the horizon."""
    lowest = body.points[np.argmin(body.points[:, 1])]
    return support.edge == "in view" and support.on is None and -lowest[1] > FLATTEST * float(np.linalg.norm(lowest))


def ground_contact_of(
    body: ContactBody, support: Support, ground: float, options: ContactOptions
) -> GroundContact | None:
    """How the ground draws an entity; None where it does not, or where that is out of reach.

    What shows its lower edge stands there. What hides it would rather stand there than float, but others come first;
    what the photo's border cuts goes on below, so it may well end above the ground, yet not below it.
    """
    if body.name in options.floating or body.bottom >= 0:
        return None
    gap = body.bottom - ground
    log_factor = float(np.log(ground / body.bottom))
    if abs(log_factor) > np.log(options.reach):
        return None
    on_ground = abs(gap) <= STANDS * body.height
    if _shows_lower_edge(body, support):
        return GroundContact(log_factor=0.0 if on_ground else log_factor, fixed=True)
    if abs(gap) <= SUNK * body.height or support.on is not None:
        return None
    if gap < 0 or support.edge == "hidden":
        return GroundContact(log_factor=log_factor, fixed=False)
    return None


def is_out_of_reach(body: ContactBody, support: Support, ground: float, options: ContactOptions) -> bool:
    """Whether the ground would draw an entity if it were nearer to it."""
    if body.name in options.floating or not _shows_lower_edge(body, support):
        return False
    return abs(float(np.log(ground / body.bottom))) > np.log(options.reach)


def levelled(body: ContactBody, options: ContactOptions) -> tuple[ContactBody, float]:
    """Turned until its base lies level, and by how many degrees; as it was where that would show too much.

    The base is the largest face of the convex hull that nearly faces down, if it takes a good part of the footprint:
    the feet of a table, the wheels of a car.
    """
    normal = _base_normal(body, options.max_level_degrees)
    if normal is None or not body.is_before_camera:
        return body, 0.0
    degrees = float(np.degrees(np.arccos(np.clip(-normal[1], -1, 1))))
    pivot = (body.points.min(axis=0) + body.points.max(axis=0)) / 2  # moves least in the picture
    turn = np.eye(4)
    turn[:3, :3] = _least_rotation(normal, np.array([0.0, -1.0, 0.0]))
    turn[:3, 3] = pivot - turn[:3, :3] @ pivot
    turned = body.moved(turn)
    if not turned.is_before_camera:
        return body, 0.0
    if silhouette_iou(body.start_camera, turned.points_camera, body.faces) < 1 - options.max_iou_loss:
        return body, 0.0
    return turned, degrees


def _base_normal(body: ContactBody, max_degrees: float) -> Float | None:
    """`(3,)` outward normal of the base in the eye frame; None where there is none, or where it is level."""
    if body.volume <= 0:
        return None
    hull = body.solid.hull().to_mesh64()
    corners: Float = np.asarray(hull.vert_properties)[:, :3][np.asarray(hull.tri_verts).astype(np.int64)]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    normals = cross / np.maximum(area, 1e-300)[:, None]
    footprint = float(-cross[cross[:, 1] < 0, 1].sum())
    low = np.nonzero(normals[:, 1] < -np.cos(np.radians(max_degrees)))[0]
    if not len(low):
        return None
    largest = normals[low[np.argmax(area[low])]]
    face = low[normals[low] @ largest > SAME_FACE]
    if area[face].sum() < BASE_SHARE * footprint:
        return None
    normal = cross[face].sum(axis=0)
    normal /= np.linalg.norm(normal)
    return None if -normal[1] > np.cos(np.radians(LEVEL_DEGREES)) else np.asarray(normal, np.float64)


def _least_rotation(source: Float, target: Float) -> Float:
    """`(3, 3)` rotation by the least angle that takes one unit vector to another, less than a right angle away."""
    v, c = np.cross(source, target), float(source @ target)
    skew = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + c)
