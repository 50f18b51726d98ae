"""What the masks say about who stands on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.lifting.carriers import rims
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.scene import Entity
from real2sam2real.scene.relation import GROUND, Relation

LowerEdge = Literal["in view", "hidden", "cut", "unknown"]

BELOW = 4  # pixels under a lower edge in which the thing that it stands on is looked for
BASE_SHARE = 0.6  # of the columns of a lower edge that must lie over that thing
FOOT_SHARE = 0.1  # of its height: columns that end farther up than that are no part of the lower edge
INSIDE_SHARE = 0.02  # of the size of the hull of what carries it: so far inside it lies what stands on top
INSIDE_LEAST = 2.0  # pixels


@dataclass(frozen=True, kw_only=True)
class Support:
    """Of one entity."""

    # whether its lower edge shows where it stands ("in view"), is "hidden" by a nearer entity or "cut" by the photo's
    # border; "unknown" without a mask
    edge: LowerEdge
    on: str | None = None  # the entity that its lower edge is seen against, and within whose outline it lies; or None
    said: bool = False  # whether somebody said so, and the masks need not


def supports(entities: Sequence[Entity]) -> dict[str, Support]:
    """Of every entity, by its relation, else by the masks; one with neither does not show where it stands."""
    masks = {e.name: e.mask for e in entities if e.mask is not None and e.mask.any()}
    found = {entity.name: Support(edge="unknown") for entity in entities}
    for outline in outlines_by_nearness(masks) if masks else ():
        supporter = None if outline.cut_below else _supporter(outline.name, masks)
        hidden = outline.bottom_hidden and supporter is None
        edge: LowerEdge = "cut" if outline.cut_below else "hidden" if hidden else "in view"
        found[outline.name] = Support(edge=edge, on=supporter)
    found |= {e.name: _by_word(e.name, e.relation, found, masks) for e in entities if e.relation is not None}
    return _without_circles(found)


def _by_word(name: str, relation: Relation, found: Mapping[str, Support], masks: Mapping[str, Mask]) -> Support:
    carrier = relation.carrier
    if carrier is not None and carrier in found:
        by_masks = found[name]
        stands = relation.word == "with" and by_masks.edge == "in view" and by_masks.on is None
        if stands and carrier in masks and not rims(masks[name], masks[carrier])[0].any():
            return by_masks  # it belongs to something apart from it, and stands on the ground
        edge: LowerEdge = "in view" if relation.word == "on" else "unknown"
        return Support(edge=edge, on=carrier, said=not relation.guessed)
    return Support(edge="in view" if relation.carrier == GROUND else "unknown", said=True)


def _supporter(name: str, masks: dict[str, Mask]) -> str | None:
    """The entity on which another one is seen to stand.

    What stands behind another thing also ends at that thing's mask, but there the edge is that thing's outline; what
    stands on it ends within its outline.
    """
    columns, rows = _lower_edge(masks[name])
    last = masks[name].shape[0] - 1
    best, most = None, BASE_SHARE
    for other, mask in masks.items():
        if other == name:
            continue
        below = np.any([mask[np.minimum(rows + step, last), columns] for step in range(1, BELOW + 1)], axis=0)
        share = float(below.mean())
        if share >= most and _depth_inside(mask, columns[below], rows[below]) > 0:
            best, most = other, share
    return best


def _lower_edge(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the lowest pixels of the columns that reach down to where it stands."""
    columns = np.nonzero(mask.any(axis=0))[0]
    rows = mask.shape[0] - 1 - np.argmax(mask[::-1, columns], axis=0)
    top = int(np.nonzero(mask.any(axis=1))[0][0])
    foot = rows >= rows.max() - max(2.0, FOOT_SHARE * (rows.max() - top))
    return columns[foot], rows[foot]


def _depth_inside(mask: Mask, columns: np.ndarray, rows: np.ndarray) -> float:
    """Pixels by which the middle one of some places lies deeper within a mask's convex hull than its rim may reach."""
    hull = cv2.convexHull(cv2.findNonZero(mask.astype(np.uint8)))
    depths = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in zip(columns, rows, strict=True)]
    return float(np.median(depths)) - max(INSIDE_LEAST, INSIDE_SHARE * float(np.sqrt(cv2.contourArea(hull))))


def _without_circles(found: dict[str, Support]) -> dict[str, Support]:
    """Nothing stands on what stands on it: such entities are said to stand on nothing known."""
    result = dict(found)
    for name in found:
        seen, at = {name}, found[name].on
        while at is not None and at not in seen:
            seen.add(at)
            at = found[at].on
        if at == name and not found[name].said:
            result[name] = Support(edge="unknown")
    return result
