"""The ground plane under the objects: how far the camera looks down, and where a pixel's ray meets the ground.

Heights are measured in camera heights here; `embedded` scales the finished scene.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.lifting.outline import Outline
from real2sam2real.perceive.intrinsics import horizon_row

DEFAULT_PITCH_DEGREES = 6.0
MIN_CONTACT_DEGREES = 5.0  # a contact point seen flatter than this below the horizon would lie absurdly far away
PITCH_RANGE_DEGREES = (-20.0, 80.0)
ASSUMED = "camera is assumed to look down"
"""How the note begins where nothing told the pitch."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A horizontal plane one unit below a camera that looks down by `pitch_radians` and does not roll."""

    intrinsics: Intrinsics  # of the photo
    pitch_radians: float  # angle of the optical axis below the horizon
    note: str  # how it was found
    is_assumed: bool = False  # whether nothing told the pitch
    lowest_pitch: float = -np.inf  # radians at which every lower edge lies clearly below the horizon

    @cached_property
    def world_from_camera(self) -> Float:
        """`(4, 4)`: the photo's camera stands at the world's origin; only its pitch differs from the world's axes."""
        rotation = quaternions.from_axis_angle([1.0, 0.0, 0.0], -self.pitch_radians)
        return transforms.compose([0.0, 0.0, 0.0], rotation)

    def pitched(self, pitch_radians: float) -> Ground:
        """The same camera, looking down by another angle."""
        return replace(self, pitch_radians=pitch_radians)

    def rays_world(self, pixels: ArrayLike) -> Float:
        """Directions `(..., 3)` of pixels `(..., 2)` in the world, scaled to depth 1 along the camera's −Z."""
        pixels = np.asarray(pixels, np.float64)
        rays = self.intrinsics.unproject(pixels, np.ones(pixels.shape[:-1]))
        return rays @ self.world_from_camera[:3, :3].T

    def is_below_horizon(self, row: float) -> bool:
        """Whether the ground is seen in an image row, and not so flatly that distances mean nothing."""
        return bool(self.rays_world([self.intrinsics.cx, row])[1] < -np.sin(np.radians(MIN_CONTACT_DEGREES) / 2))

    def points_world(self, pixels: ArrayLike) -> Float:
        """Ground points `(..., 3)` at `pixels` `(..., 2)`; far away, but finite, at and above the horizon."""
        rays = self.rays_world(pixels)
        flattest = np.sin(np.radians(MIN_CONTACT_DEGREES) / 2)
        return rays / np.maximum(-rays[..., 1:2], flattest)


def ground_under(outlines: Iterable[Outline], intrinsics: Intrinsics, pitch_degrees: float | None) -> Ground:
    """`estimate_ground` from the objects that stand in full view."""
    standing = [outline for outline in outlines if outline.stands_in_view]
    bottoms, heights = [outline.bottom for outline in standing], [outline.height for outline in standing]
    return estimate_ground(intrinsics, bottoms, heights, pitch_degrees=pitch_degrees)


def estimate_ground(
    intrinsics: Intrinsics, bottoms: ArrayLike, heights: ArrayLike, *, pitch_degrees: float | None = None
) -> Ground:
    """The camera's pitch: as given, else from how objects shrink towards the horizon, else a stated default.

    Of objects that stand on the ground in full view, `bottoms` `(N,)` are the image rows of the lower edges, `heights`
    `(N,)` are pixels. `pitch_degrees` is the user's own knowledge, positive when the camera looks down.

    Raises:
        UserError: the given pitch is outside the range in which the objects' feet can stand on the ground.
    """
    if pitch_degrees is not None:
        low, high = PITCH_RANGE_DEGREES
        if not low <= pitch_degrees <= high:
            raise UserError(f"a pitch of {pitch_degrees:g}° is outside {low:g}…{high:g}° (positive looks down)")
        return Ground(intrinsics=intrinsics, pitch_radians=float(np.radians(pitch_degrees)), note="pitch as given")
    bottoms, heights = np.asarray(bottoms, np.float64), np.asarray(heights, np.float64)
    lowest_allowed = _pitch_for(intrinsics, bottoms)
    horizon = horizon_row(bottoms, heights, intrinsics.height)
    if horizon is not None:
        pitch = float(np.arctan((intrinsics.cy - horizon) / intrinsics.fy))
        low, high = np.radians(PITCH_RANGE_DEGREES)
        if max(low, lowest_allowed) <= pitch <= high:
            note = f"camera looks down by {np.degrees(pitch):.0f}°, from the sizes of {len(bottoms)} objects"
            return Ground(intrinsics=intrinsics, pitch_radians=pitch, note=note)
    pitch = max(float(np.radians(DEFAULT_PITCH_DEGREES)), lowest_allowed)
    note = f"{ASSUMED} by {np.degrees(pitch):.0f}°"
    return Ground(intrinsics=intrinsics, pitch_radians=pitch, note=note, is_assumed=True, lowest_pitch=lowest_allowed)


def _pitch_for(intrinsics: Intrinsics, bottoms: Float) -> float:
    """The smallest pitch in radians at which every contact row lies clearly below the horizon."""
    if not len(bottoms):
        return -np.inf
    below_axis = np.arctan((bottoms.min() - intrinsics.cy) / intrinsics.fy)
    return float(np.radians(MIN_CONTACT_DEGREES) - below_axis)
