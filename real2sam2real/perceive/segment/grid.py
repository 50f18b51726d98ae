"""Objects that nobody named: SAM 2.1 is asked at a grid of points, and what stands out well enough is kept.

SAM 2.1 knows where things end, not what they are: a window, a sleeve and the sky are as good to it as a car. The
filters below therefore ask for more than a sharp edge: a thing is neither tiny nor most of the photo, does not run
along the photo's border as sky, walls and roads do, and is no part of a larger one that was kept. What the filters
cannot tell is a group from a whole; words can (see `segmenter`), so the grid is the second choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from real2sam2real.arrays import Bool, Float, Mask
from real2sam2real.perceive.segment.network import Embedding
from real2sam2real.perceive.segment.sam2 import Candidates, Prompt, Sam2, at_photo_size

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class GridLimits:
    """What counts as an object. Shares are of the photo's pixels."""

    side: int = 24  # points along the photo's longer side
    quality: float = 0.8  # the least guess of the model of the mask's IoU with the truth
    stability: float = 0.9  # the least IoU of the mask with itself, its threshold moved by one either way
    smallest: float = 0.002  # the least share of the photo
    largest: float = 0.6  # the largest share of the photo
    border: float = 0.25  # the largest share of the photo's outline that it may touch
    same: float = 0.7  # masks that overlap by more (IoU) are one object
    within: float = 0.85  # the share of a mask within another from which it is a part of that one


def propose_by_grid(
    model: Sam2, embedding: Embedding, most: int, limits: GridLimits | None = None
) -> list[tuple[Mask, float]]:
    """Masks `(H, W)` bool of what stands out, with scores 0…1, the most prominent first.

    Args:
        model: SAM 2.1.
        embedding: of the photo.
        most: how many at most.
        limits: what counts as an object.
    """
    import torch

    limits = limits or GridLimits()
    prompts = grid_prompts(embedding.height, embedding.width, limits.side)
    offered = [_worthwhile(each, limits) for each in model.candidates(embedding, prompts)]
    logits = torch.cat([each.logits for each in offered])
    quality = np.concatenate([each.quality for each in offered])
    kept = select(logits, quality, most, limits)
    masks = at_photo_size(logits[kept], embedding.height, embedding.width) if kept else ()
    return [(mask, float(quality[k])) for k, mask in zip(kept, masks, strict=True)]


def grid_prompts(height: int, width: int, side: int) -> list[Prompt]:
    """One point per cell of a grid of square cells, `side` of them along the photo's longer side."""
    cell = max(height, width) / side
    rows, columns = max(1, round(height / cell)), max(1, round(width / cell))
    return [
        Prompt(inside=np.array([[(column + 0.5) * width / columns, (row + 0.5) * height / rows]]))
        for row in range(rows)
        for column in range(columns)
    ]


def select(logits: torch.Tensor, quality: Float, most: int, limits: GridLimits) -> list[int]:
    """Indices of the masks that are objects of their own, the most prominent first.

    Prominent is large and sure: the root of the mask's share of the photo, times the model's guess of its quality.

    Args:
        logits: `(N, h, w)` float32; above 0 is inside.
        quality: `(N,)`.
        most: how many at most.
        limits: what counts as an object.
    """
    masks = np.asarray((logits > 0).numpy())
    share = masks.mean(axis=(1, 2)) if len(masks) else np.zeros(0)
    fit = (
        (quality >= limits.quality)
        & (_stability(logits) >= limits.stability)
        & (share >= limits.smallest)
        & (share <= limits.largest)
        & (border_shares(masks) <= limits.border)
    )
    prominence = np.sqrt(share) * quality
    order = [int(k) for k in np.argsort(-prominence, kind="stable") if fit[k]]
    kept: list[int] = []
    for k in order:
        if len(kept) == most:
            break
        if not _belongs(masks[k], masks[kept], limits):
            kept.append(k)
    return kept


def border_shares(masks: Bool) -> Float:
    """The share `(N,)` of the photo's outline that each mask `(N, h, w)` touches."""
    sides: Sequence[Bool] = (masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1])
    touched = np.sum([side.sum(axis=1) for side in sides], axis=0)
    return touched / (2 * (masks.shape[1] + masks.shape[2]))


def _worthwhile(offered: Candidates, limits: GridLimits) -> Candidates:
    """Without masks that would be dropped anyway, so that a grid's thousands of them need little memory."""
    good = np.flatnonzero(offered.quality >= limits.quality)
    return Candidates(logits=offered.logits[good].clone(), quality=offered.quality[good])


def _stability(logits: torch.Tensor) -> Float:
    """IoU `(N,)` of each mask with itself when its threshold moves from −1 to +1."""
    strict, lax = ((logits > level).flatten(1).sum(dim=1) for level in (1.0, -1.0))
    return np.asarray((strict / lax.clamp(min=1)).double().numpy())


def _belongs(mask: Bool, kept: Bool, limits: GridLimits) -> bool:
    """Whether a mask `(h, w)` is one of those kept `(K, h, w)`, or a part of one."""
    common = (kept & mask).sum(axis=(1, 2))
    union = (kept | mask).sum(axis=(1, 2))
    return bool(((common > limits.same * union) | (common >= limits.within * mask.sum())).any())
