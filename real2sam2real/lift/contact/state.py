"""What is known and decided while the contacts of a scene are resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from real2sam2real.lift.contact.body import ContactBody
from real2sam2real.lift.contact.ground_contact import GroundContact
from real2sam2real.lift.contact.options import ContactOptions
from real2sam2real.lift.contact.separation import Separation
from real2sam2real.lift.contact.support import Support


@dataclass(kw_only=True, eq=False)
class ContactState:
    """The bodies of a scene on their way from where they were to where they come to rest.

    Attributes:
        before: the bodies as they were.
        bodies: the same in the same order, as they are now.
        support: what the masks say, by name.
        options: what may be done.
        ground: its height in the eye frame, or None.
        ground_derived: whether that was derived from what stands.
        ground_contacts: how the ground draws bodies, by name.
        levelled: degrees by name, of those that were turned.
        translated: names of those that moved on the ground.
        separation: the distances that were found; None where pairs are left alone.
    """

    before: tuple[ContactBody, ...]
    bodies: list[ContactBody]
    support: dict[str, Support]
    options: ContactOptions
    ground: float | None
    ground_derived: bool = False
    ground_contacts: dict[str, GroundContact] = field(default_factory=dict)
    levelled: dict[str, float] = field(default_factory=dict)
    translated: set[str] = field(default_factory=set)
    separation: Separation | None = None

    @property
    def numbers(self) -> Mapping[str, int]:
        """Of the bodies, by name."""
        return {body.name: number for number, body in enumerate(self.bodies)}
