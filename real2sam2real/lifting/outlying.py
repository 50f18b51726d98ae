"""Distances that are a guess and far from the neighbours'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from real2sam2real.arrays import Float, Mask
from real2sam2real.geometry import transforms
from real2sam2real.lifting.contact.support import supports
from real2sam2real.scene import Entity, Scene

TOUCH_PIXELS = 9  # across a gap that is none
FAR_FROM_TOUCHING = 1.5  # times as far, or as near, as what it touches in the photo
FAR_FROM_ALL = 3.0  # times as far, or as near, as the others' median
ON_GROUND = 0.02  # of its height


def outlying_depths(scene: Scene) -> dict[str, str]:
    """Why the distance of an entity is not to be believed, by name, with the flag that mends it.

    Only those are looked at whose distance is a guess: nobody said where they belong, and the photo does not show them
    stand on the ground.
    """
    shown = [e for e in scene.entities if e.mask is not None and e.in_photo and len(e.mesh.vertices)]
    support = supports(shown)
    away = {entity.name: _distance(entity, scene) for entity in shown}
    found = {}
    gaps = _gaps([entity.mask for entity in shown if entity.mask is not None])
    for k, entity in enumerate(shown):
        others = [number for number in range(len(shown)) if number != k]
        standing = support[entity.name].edge == "in view" and _is_on_ground(entity, scene)
        if not others or standing or entity.relation is not None or min(away.values()) <= 0:
            continue
        near = min(others, key=lambda other: gaps[k, other])
        touching = [shown[other].name for other in others if gaps[k, other] <= TOUCH_PIXELS]
        why = _outlying(entity.name, away, touching, shown[near].name)
        if why is not None:
            found[entity.name] = why
    return found


def _outlying(name: str, away: Mapping[str, float], touching: Sequence[str], next_to: str) -> str | None:
    own = away[name]
    if touching:
        other = min(touching, key=lambda each: abs(np.log(own / away[each])))
        if abs(np.log(own / away[other])) > np.log(FAR_FROM_TOUCHING):
            return (
                f"guessed to be {own / away[other]:.2g} times as far away as {other}, which it touches in the photo; "
                f"--with {name}={other} or --on {name}={other} says that they belong together"
            )
    rest = [distance for each, distance in away.items() if each != name]
    if abs(np.log(own / np.median(rest))) > np.log(FAR_FROM_ALL):
        return (
            f"guessed to be {own:.2g} away, and the others {min(rest):.2g} to {max(rest):.2g}; "
            f"--floating {name}={next_to} puts it as far away as {next_to}, --on {name}={next_to} on top of it"
        )
    return None


def _distance(entity: Entity, scene: Scene) -> float:
    """Along the photo camera's line of sight, of the middle of its bounds."""
    points = transforms.apply(entity.rest_world_from_object, entity.mesh.bounds())
    pose = scene.photo_world_from_camera
    return float((pose[:3, 3] - points.mean(axis=0)) @ pose[:3, 2])


def _is_on_ground(entity: Entity, scene: Scene) -> bool:
    heights = transforms.apply(entity.rest_world_from_object, entity.mesh.vertices)[:, 1]
    return scene.ground_y is not None and abs(heights.min() - scene.ground_y) <= ON_GROUND * float(np.ptp(heights))


def _gaps(masks: Sequence[Mask]) -> Float:
    """`(N, N)` pixels between masks in the photo."""
    away = [cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) for mask in masks]
    return np.array([[float(one[mask].min()) for one in away] for mask in masks])
