"""Bends, twists, stretches and waves of an object along its own vertical.

Every one is a smooth one-to-one map of space that keeps its orientation, so a closed mesh stays closed and wound
outward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.lab.synth.seeds import Rng
from real2sam2real.scene.timing import ease

Kind = Literal["bend", "twist", "stretch", "wave"]

_KINDS: tuple[Kind, ...] = ("bend", "bend", "twist", "stretch", "stretch", "wave")


@dataclass(frozen=True, kw_only=True)
class Deformation:
    """How a body changes its shape through the clip; at time 0 it has its rest shape."""

    # bend (the vertical becomes an arc), twist (about the vertical), stretch (along the vertical, the other two axes
    # make up for the volume), wave (sideways, travelling along the vertical)
    kind: Kind
    # at the height of one body over the anchor: radians (bend, twist), natural logarithm of the height's factor
    # (stretch), or sideways offset over the body's height (wave)
    amount: float
    heading: float  # radians in the object's x, z plane, the direction of a bend or a wave
    anchor: float  # height in the object frame that stays in place
    swings: float  # periods over the clip; 0 for a change that goes one way
    waves: float  # wavelengths of a wave over the body's height

    def vertices(self, rest: Float, times: Float) -> Float32:
        """Vertices `(T, V, 3)` float32, object frame, of the rest shape `(V, 3)` at `times` `(T,)` in 0…1."""
        height = np.ptp(rest[:, 1])
        course = self._course(times)[:, None]
        y = np.broadcast_to(rest[:, 1] - self.anchor, (len(times), len(rest)))
        along = np.array([np.cos(self.heading), np.sin(self.heading)])
        u = rest[:, 0] * along[0] + rest[:, 2] * along[1]
        v = rest[:, 2] * along[0] - rest[:, 0] * along[1]
        if self.kind == "stretch":
            factor = np.exp(self.amount * course)
            u, v, y = u / np.sqrt(factor), v / np.sqrt(factor), y * factor
        elif self.kind == "wave":
            phase = 2 * np.pi * (self.waves * y / height - max(self.swings, 0.5) * times[:, None])
            u = u + self.amount * y * ease(3 * times, "ease")[:, None] * np.sin(phase)
        else:
            angle = self.amount * course * y / height
            c, s = np.cos(angle), np.sin(angle)
            if self.kind == "twist":
                u, v = c * u - s * v, s * u + c * v
            else:
                half = np.sinc(angle / (2 * np.pi))
                u, y = u * c + y * np.sin(angle / 2) * half, y * np.sinc(angle / np.pi) - u * s
        out = np.empty((len(times), len(rest), 3), np.float32)
        out[..., 0] = along[0] * u - along[1] * v
        out[..., 1] = y + self.anchor
        out[..., 2] = along[1] * u + along[0] * v
        out[times == 0.0] = rest
        return out

    def _course(self, times: Float) -> Float:
        """How far the change has gone `(T,)`, −1…1; 0 at time 0."""
        return np.sin(2 * np.pi * self.swings * times) if self.swings > 0 else ease(times, "ease")


def sample_deformation(rng: Rng, extent: Float, anchor: float) -> Deformation:
    """A random change of shape, weak enough for a body of `extent` `(3,)` not to fold; `anchor` is to stay in place."""
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    slim = float(2 * extent[1] / np.hypot(extent[0], extent[2]))
    if slim < 0.5:
        kind = "stretch"
    most = {"bend": min(1.2, 0.75 * slim), "twist": min(1.7, 1.5 * slim), "stretch": 0.45, "wave": 0.12}[kind]
    return Deformation(
        kind=kind,
        amount=float(most * rng.uniform(0.55, 1.0) * rng.choice([-1.0, 1.0])),
        heading=float(rng.uniform(0, 2 * np.pi)),
        anchor=anchor,
        swings=float(rng.choice([0.0, 0.5, 1.0, 1.5, 2.0])),
        waves=float(rng.uniform(0.6, 1.1)),
    )
