"""Whether a lifted mesh has a size that a thing of its kind could have."""

from __future__ import annotations

import numpy as np

from real2sam2real.lifting.kinds import kind_of
from real2sam2real.scene import Entity

OUTLYING = "outlying"  # in an entity's provenance: why its distance is not to be believed
DEEPEST = 3.0  # times as deep as the larger of width and height; few things are, seen from any side
FLATTEST = 30.0  # times as large as deep; a sheet of glass is flatter, and it has a word
SPREADS = 3.0  # standard deviations of its kind's proportions


def implausible_size(entity: Entity) -> str | None:
    """Why a mesh's proportions are not to be believed, with its sizes; None where nothing speaks against them."""
    if not len(entity.mesh.vertices):
        return None
    width, height, depth = (float(x) for x in np.ptp(entity.mesh.bounds(), axis=0))
    sizes = f"{width:.2g} wide, {height:.2g} high and {depth:.2g} deep"
    if min(width, height, depth) <= 0:
        return f"it is flat: {sizes}"
    if depth > DEEPEST * max(width, height):
        return f"it is {depth / max(width, height):.1f} times as deep as large in the photo: {sizes}"
    kind = kind_of(entity.name)
    if kind is None:
        return f"it is as flat as a sheet: {sizes}" if max(width, height) > FLATTEST * depth else None
    if kind.fronted and entity.facing is not None:
        turn = np.radians(entity.facing)
        c, s = abs(np.cos(turn)), abs(np.sin(turn))
        across, along = (width, depth) if c > s else (depth, width)
        off = np.log(across / along) - np.log(kind.width / kind.depth)
        if abs(off) > SPREADS * kind.spread + np.log(1.6):
            return f"a {kind.name} has other proportions: {sizes}"
    return None
