"""What belongs together: an entity stands on another one, moves with it, or floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.scene.motion import Motion

GROUND = "ground"
"""What an entity may stand on beside other entities."""

RelationWord = Literal["on", "with", "floating"]
SAME_POSE = 1e-9  # of what it carries, in world units or as a share: an entity moved by less has not moved


@dataclass(frozen=True, kw_only=True)
class Relation:
    """How one entity belongs to another one, in the word that flags, shot files and scene.json share.

    "on" stands on it, "with" belongs to it: both are in touch with it and go where it goes. "floating" stands on
    nothing, and goes its own way.
    """

    word: RelationWord
    # the other entity's name, or `GROUND` for "on"; for "floating" the one that is as far away, if that was said
    to: str | None = None
    guessed: bool = False  # whether the masks say so, and nobody else

    def __post_init__(self) -> None:
        if self.to is None and self.word != "floating":
            raise ValueError(f"'{self.word}' needs the name of another entity")

    @property
    def carrier(self) -> str | None:
        """The entity that it goes along with, if there is one of that name."""
        return None if self.word == "floating" else self.to

    def __str__(self) -> str:
        phrases = {"on": f"stands on {self.to}", "with": f"moves with {self.to}"}
        return phrases.get(self.word, "floats" if self.to is None else f"floats, as far away as {self.to}")


def check_circles(relations: Mapping[str, Relation]) -> None:
    """See that nothing carries itself.

    Raises:
        ValueError: an entity would; the message names those of the circle.
    """
    for name in relations:
        way, at = [name], relations[name].carrier
        while at is not None and at in relations and at not in way:
            way.append(at)
            at = relations[at].carrier
        if at == name:
            raise ValueError(f"{' and '.join(way)} would carry each other; leave out one of their relations")


def carried(own: Motion, carrier: Motion, rest_world_from_carrier: Float) -> Motion:
    """A motion `own` on top of what its carrier has done since the photo, its growth and its hidden frames included.

    Where the carrier grows unequally along its axes, the entity keeps its angles.
    """
    moved_by = _moved_by(carrier, rest_world_from_carrier)
    motion = own if moved_by is None else _through(own, moved_by)
    return replace(motion, visible=own.visible & carrier.visible)


def let_go(motion: Motion, carrier: Motion, rest_world_from_carrier: Float) -> Motion:
    """The inverse of `carried`: what of a motion is the entity's own. It is seen wherever its carrier is hidden."""
    moved_by = _moved_by(carrier, rest_world_from_carrier)
    back: Float | None = None if moved_by is None else np.linalg.inv(moved_by).astype(np.float64)
    own = motion if back is None else _through(motion, back)
    return replace(own, visible=motion.visible | ~carrier.visible)


def _moved_by(carrier: Motion, rest: Float) -> Float | None:
    """`(T, 4, 4)` what takes the world of the photo along with the carrier; None where it rests."""
    moved_by: Float = carrier.matrices() @ np.linalg.inv(rest)
    return None if np.allclose(moved_by, np.eye(4), rtol=0, atol=SAME_POSE) else moved_by


def _through(motion: Motion, moved_by: Float) -> Motion:
    moved = Motion.from_matrices(moved_by @ motion.matrices())
    return replace(moved, visible=motion.visible, vertices_object=motion.vertices_object)
