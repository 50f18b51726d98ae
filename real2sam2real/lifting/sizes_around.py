"""The photo's lens and pitch by what else stands in it: things of one kind shrink towards the horizon.

One named object tells little of how the camera looks down on it. A street's other vehicles, which nobody named, tell
where the horizon is; which lens and pitch together put it there, the named object's own shape decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.ground import PITCH_RANGE_DEGREES, Ground
from real2sam2real.lifting.kinds import ThingKind
from real2sam2real.lifting.outline import Outline
from real2sam2real.lifting.solid import DIRECTIONS, KIND_TOLERANCE, fit_solid
from real2sam2real.perceive.camera.gravity import up_of
from real2sam2real.perceive.intrinsics import horizon_row, lens_surprise
from real2sam2real.perceive.view import PhotoView

LEAST_THINGS = 6  # their boxes are a network's, and some hide each other
MAX_RESIDUAL = 0.12  # of their median height: how far they are from one line
LENSES = np.geomspace(1.0, 4.5, 9)  # times the usual focal length
MOST_FITTED = 2  # objects, the largest: each is fitted under every lens
ALIKE_DIRECTIONS = 2.0  # neighbouring directions of an outline that say the same


def view_by_sizes_around(
    view: PhotoView, outlines: list[Outline], kinds: Mapping[str, ThingKind | None], boxes: Float, *, roll: float = 0.0
) -> PhotoView:
    """The view with the pitch, and where it is a guess the lens, that things around the objects tell.

    Args:
        view: of which nothing is known but a lens.
        outlines: of the objects.
        kinds: what they are, by name.
        boxes: `(N, 4)` left, top, right, bottom of other things of one kind.
        roll: of the camera in degrees.

    Returns:
        The same view where they tell nothing.
    """
    height = view.intrinsics.height
    boxes = boxes[boxes[:, 3] < height - 2]
    if len(boxes) < LEAST_THINGS:
        return view
    horizon = horizon_row(boxes[:, 3], boxes[:, 3] - boxes[:, 1], height, max_residual=MAX_RESIDUAL)
    if horizon is None:
        return view
    lens_is_guessed = _facts(view, "lens").get("source") == "default"
    shaped = [o for o in outlines if o.stands_in_view and (kind := kinds.get(o.name)) is not None and kind.parts]
    shaped = sorted(shaped, key=lambda o: -o.width * o.height)[:MOST_FITTED]
    grounds = [_ground(view.intrinsics, factor, horizon) for factor in (LENSES if lens_is_guessed else (1.0,))]
    costs = [
        _surprise(ground, factor, outlines, shaped, kinds) for ground, factor in zip(grounds, LENSES, strict=False)
    ]
    if not np.isfinite(min(costs)):
        return view
    ground = grounds[int(np.argmin(costs))]
    return _told(view, ground, len(boxes), roll)


def _facts(view: PhotoView, what: str) -> Mapping[str, object]:
    facts = view.provenance.get(what)
    return facts if isinstance(facts, dict) else {}


def _ground(intrinsics: Intrinsics, factor: float, horizon: float) -> Ground:
    lens = (
        Intrinsics.from_focal(intrinsics.width, intrinsics.height, intrinsics.fx * factor) if factor > 1 else intrinsics
    )
    return Ground(intrinsics=lens, pitch_radians=float(np.arctan((lens.cy - horizon) / lens.fy)), note="")


def _surprise(
    ground: Ground,
    factor: float,
    outlines: list[Outline],
    shaped: list[Outline],
    kinds: Mapping[str, ThingKind | None],
) -> float:
    """How unlikely a lens and pitch are, by themselves and by the objects' shapes; infinite where they cannot be."""
    pitch = float(np.degrees(ground.pitch_radians))
    low, high = PITCH_RANGE_DEGREES
    if not low <= pitch <= high or not all(ground.is_below_horizon(o.bottom) for o in outlines if o.stands_in_view):
        return np.inf
    misfits = [fit_solid(o.mask, o.hidden, ground, None, kinds[o.name]) for o in shaped]
    told = [
        DIRECTIONS / ALIKE_DIRECTIONS * (solid.misfit / KIND_TOLERANCE) ** 2 for solid in misfits if solid is not None
    ]
    return float(lens_surprise(factor, pitch)) + sum(told)


def _told(view: PhotoView, ground: Ground, things: int, roll: float) -> PhotoView:
    pitch, lens = float(np.degrees(ground.pitch_radians)), ground.intrinsics
    notes = [view.notes[0]]
    if lens.fx != view.intrinsics.fx:
        fov = lens.horizontal_fov_degrees
        notes = [f"no focal length in the photo: what stands around suggests a field of view near {fov:.0f}°"]
    notes.append(f"camera looks down by {pitch:.0f}°, from the sizes of {things} things around the objects")
    gravity = {"source": "sizes of things around the objects", "pitch_degrees": pitch, "roll_degrees": roll}
    facts = {**_facts(view, "lens"), "fov_degrees": lens.horizontal_fov_degrees}
    return replace(
        view,
        intrinsics=lens,
        up_camera=up_of(pitch, roll),
        provenance={**view.provenance, "lens": facts, "gravity": gravity},
        notes=tuple(notes),
    )
