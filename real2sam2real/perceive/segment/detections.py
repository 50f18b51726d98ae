"""Objects that were found rather than named: their masks, boxes and names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Mask

SAME = 0.85  # IoU from which two masks are one object


@dataclass(frozen=True, kw_only=True, eq=False)
class Detection:
    """One object that a model found."""

    word: str  # what it is: the word that was asked for, or "object"
    mask: Mask  # `(H, W)` bool
    score: float  # 0…1, how sure the model is
    asked: bool = True  # whether the user asked for that word; False for a proposal


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search for words brought."""

    found: list[Detection] = field(default_factory=list)  # the objects above the threshold
    # the best score of each word, above the threshold or not; 0…1
    nearest: dict[str, float] = field(default_factory=dict)


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """The smallest box around a mask that is not empty: left, top, right, bottom, the latter two not included."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def box_area(box: Sequence[float]) -> float:
    """Pixels in a box: left, top, right, bottom."""
    return (box[2] - box[0]) * (box[3] - box[1])


def mask_iou(one: Mask, other: Mask) -> float:
    """IoU, 0…1, of two masks `(H, W)` bool; 0 where both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def box_overlaps(one: ArrayLike, many: Float) -> Float:
    """IoU `(N,)` of one box `(4,)` with boxes `(N, 4)`; all left, top, right, bottom."""
    box = np.asarray(one, np.float64)
    low, high = np.maximum(box[:2], many[:, :2]), np.minimum(box[2:], many[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = np.clip(many[:, 2:] - many[:, :2], 0, None).prod(axis=1)
    union = np.clip(box[2:] - box[:2], 0, None).prod() + areas - common
    return common / np.maximum(union, 1e-12)


def suppress_overlapping(boxes: Float, scores: Float, overlap: float) -> list[int]:
    """Non-maximum suppression: the best box, then the best of those that do not overlap it, and so on.

    Args:
        boxes: `(N, 4)` left, top, right, bottom.
        scores: `(N,)`.
        overlap: IoU above which the weaker of two boxes goes.

    Returns:
        Indices of the boxes that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        order = rest[box_overlaps(boxes[best], boxes[rest]) <= overlap]
    return kept


def name_detections(
    found: Sequence[Detection], taken: Collection[str] = (), names: Mapping[str, str] | None = None
) -> dict[str, Detection]:
    """Names: the word itself for a single object of its kind, else car_1, car_2 … from left to right.

    Args:
        found: in any order.
        taken: names that are in use already.
        names: by word, what is said in place of it.

    Returns:
        In the order of the words as they first come, then from left to right.
    """
    named: dict[str, Detection] = {}
    words = list(dict.fromkeys(each.word for each in found))
    for word in words:
        same = sorted((each for each in found if each.word == word), key=_middle)
        stem = _as_name((names or {}).get(word) or word)
        if len(same) == 1 and stem not in taken and stem not in named:
            named[stem] = same[0]
            continue
        number = 0
        for each in same:
            number += 1
            while f"{stem}_{number}" in taken or f"{stem}_{number}" in named:
                number += 1
            named[f"{stem}_{number}"] = each
    return named


def _middle(found: Detection) -> float:
    """Horizontal centre of mass in pixels."""
    columns = found.mask.sum(axis=0)
    return float((columns * np.arange(len(columns))).sum() / max(columns.sum(), 1))


def _as_name(word: str) -> str:
    """A word as a name that needs no quotes in a shot: "potted plant" becomes potted_plant."""
    name = "".join(c if c.isalnum() or c in "-." else "_" for c in word.strip()).strip("_-.")
    return name or "object"
