"""When a move happens, and how much of it is done at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from real2sam2real.scene.easing import Easing, ease
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.units import BadValueError, Span


@dataclass(frozen=True)
class Timing:
    """A span in frames, not rounded, and its easing."""

    start: float
    end: float
    easing: Easing

    @classmethod
    def of(cls, span: Span, easing: Easing, scene: Scene) -> Timing:
        """The timing of a span in a scene's frames.

        Raises:
            BadValueError: it leaves the shot or takes no time.
        """
        return cls(*span.in_frames(scene.frames, scene.fps), easing)

    def progress(self, time: float) -> float:
        """Share of the move, 0…1, that is done at frame number `time`."""
        if self.end <= self.start:
            return 0.0
        return float(ease((time - self.start) / (self.end - self.start), self.easing))

    def touches(self, before: float, after: float) -> bool:
        """True when some of the span lies between two moments."""
        return after > self.start and before < self.end


def check_distinct(frames: Iterable[float]) -> None:
    """Raise a `BadValueError` when two keyframes stand on the same frame."""
    for a, b in pairwise(sorted(frames)):
        if b - a < 1e-9:
            raise BadValueError(f"two keyframes stand on frame {a:g}; remove one")
