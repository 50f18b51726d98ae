"""What settling found and did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["apart", "parted", "touching", "left"]


@dataclass(frozen=True, kw_only=True)
class EntityContact:
    """One entity.

    Attributes:
        name: of the entity.
        stands_on: "ground", another entity's name, or None.
        factor: by which it went farther from the photo's camera, and grew; 1 where it stayed.
        slid: how far it moved on the ground beside that, in world units.
        levelled_degrees: by how much it was turned.
        iou: of its silhouette with the one before; 1 where it was only scaled about the camera.
        ground_gap_before: height of its lowest point above the ground in percent of its height (negative: below it), or
            None where no ground is known.
        ground_gap_after: the same afterwards.
        penetration_before: the worst of its pairs, in percent of the smaller volume.
        penetration_after: the same afterwards.
    """

    name: str
    stands_on: str | None
    factor: float
    slid: float
    levelled_degrees: float
    iou: float
    ground_gap_before: float | None
    ground_gap_after: float | None
    penetration_before: float
    penetration_after: float


@dataclass(frozen=True, kw_only=True)
class PairContact:
    """Two entities whose silhouettes overlap, so that one may run into the other.

    Attributes:
        front: the nearer one, by the masks where they tell.
        behind: the other.
        penetration_before: common volume in percent of the smaller one's.
        penetration_after: the same afterwards.
        outcome: "apart" (as they were), "parted", "touching" (held in contact) or "left" (still interpenetrating).
    """

    front: str
    behind: str
    penetration_before: float
    penetration_after: float
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class ContactReport:
    """Everything that settling found.

    Attributes:
        entities: one per entity that took part.
        pairs: those whose silhouettes overlap.
        ground_y: height of the ground in world units, None where it is unknown.
        notes: for people.
    """

    entities: tuple[EntityContact, ...]
    pairs: tuple[PairContact, ...]
    ground_y: float | None
    notes: tuple[str, ...]

    def entity(self, name: str) -> EntityContact:
        """The line of one entity.

        Raises:
            KeyError: it took no part.
        """
        for line in self.entities:
            if line.name == name:
                return line
        raise KeyError(f"'{name}' took no part in settling")
