"""What resolving the contacts of a scene found and did, in numbers and in notes for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np

from real2sam2real.lifting.contact.body import ContactBody, common_volume
from real2sam2real.lifting.contact.ground_contact import SUNK, GroundContact, is_out_of_reach
from real2sam2real.lifting.contact.pairs import FREE
from real2sam2real.lifting.contact.raster import silhouette_iou
from real2sam2real.lifting.contact.separation import PairConstraint, Separation
from real2sam2real.lifting.contact.support import Support
from real2sam2real.lifting.options import ContactOptions

WORTH_NOTING = 0.005  # relative change of distance
GAP_WORTH_NOTING = 2.0  # percent of its height

PairOutcome = Literal["apart", "separated", "touching", "penetrating"]


@dataclass(frozen=True, kw_only=True)
class EntityContact:
    """One entity."""

    name: str  # of the entity
    supported_by: str | None  # "ground", another entity's name, or None
    factor: float  # by which it went farther from the photo's camera, and grew; 1 where it stayed
    translated: float  # how far it moved on the ground beside that, in world units
    levelled_degrees: float  # by how much it was turned
    iou: float  # of its silhouette with the one before; 1 where it was only scaled about the camera
    # height of its lowest point above the ground in percent of its height (negative: below it), or None where no ground
    # is known
    ground_gap_before: float | None
    ground_gap_after: float | None  # the same afterwards
    penetration_before: float  # the worst of its pairs, in percent of the smaller volume
    penetration_after: float  # the same afterwards


@dataclass(frozen=True, kw_only=True)
class PairContact:
    """Two entities whose silhouettes overlap, so that one may penetrate the other."""

    front: str  # the nearer one, by the masks where they tell
    behind: str  # the other
    penetration_before: float  # common volume in percent of the smaller one's
    penetration_after: float  # the same afterwards
    outcome: PairOutcome  # "apart" (as they were), "separated", "touching" (held in contact) or "penetrating" (still)


@dataclass(frozen=True, kw_only=True)
class ContactReport:
    """Everything that was found and done."""

    entities: tuple[EntityContact, ...]  # one per entity that took part
    pairs: tuple[PairContact, ...]  # those whose silhouettes overlap
    ground_y: float | None  # height of the ground in world units, None where it is unknown
    notes: tuple[str, ...]  # for people

    def entity(self, name: str) -> EntityContact:
        """The line of one entity.

        Raises:
            KeyError: it took no part.
        """
        if found := [line for line in self.entities if line.name == name]:
            return found[0]
        raise KeyError(f"'{name}' took no part in the contacts")


@dataclass(kw_only=True, eq=False)
class ContactState:
    """The bodies of a scene on their way from where they were to where they come to rest."""

    before: tuple[ContactBody, ...]  # the bodies as they were
    bodies: list[ContactBody]  # the same in the same order, as they are now
    support: dict[str, Support]  # what the masks say, by name
    options: ContactOptions  # what may be done
    ground: float | None  # its height in the eye frame, or None
    ground_derived: bool = False  # whether that was derived from what stands
    ground_contacts: dict[str, GroundContact] = field(default_factory=dict)  # how the ground draws bodies, by name
    levelled: dict[str, float] = field(default_factory=dict)  # degrees by name, of those that were turned
    translated: set[str] = field(default_factory=set)  # names of those that moved on the ground
    separation: Separation | None = None  # the distances that were found; None where pairs are left alone


def report_of(state: ContactState, ground_y: float | None) -> ContactReport:
    """The report of bodies that have come to rest."""
    pairs = tuple(_pairs(state))
    entities = tuple(_entity(number, state, pairs) for number in range(len(state.bodies)))
    notes = ["the ground was not known; it is taken to be where the objects stand"] if state.ground_derived else []
    notes += [note for line in entities if (note := _note(line, state))]
    notes += _out_of_reach(state)
    notes += [
        f"{pair.front} and {pair.behind} still interpenetrate, by {pair.penetration_after:.2g} % of the smaller one: "
        "they cannot be separated without leaving their places in the photo"
        for pair in pairs
        if pair.outcome == "penetrating"
    ]
    if broken := [body.name for body in state.before if body.volume <= 0]:
        notes.append(f"{', '.join(broken)}: no closed solid, so what it penetrates is not known")
    return ContactReport(entities=entities, pairs=pairs, ground_y=ground_y, notes=tuple(notes))


def _pairs(state: ContactState) -> list[PairContact]:
    constraints = state.separation.constraints if state.separation else {}
    first_in_front = state.separation.first_in_front if state.separation else {}
    found = []
    for i, j in combinations(range(len(state.bodies)), 2):
        a, b = state.bodies[i], state.bodies[j]
        in_front = first_in_front.get((i, j))
        before = 100 * common_volume(state.before[i], state.before[j])
        after = 100 * common_volume(a, b)
        if in_front is None and before == after == 0:
            continue
        if in_front is None:
            in_front = float(np.median(a.points_camera[:, 2])) >= float(np.median(b.points_camera[:, 2]))
        front, behind = (a, b) if in_front else (b, a)
        found.append(
            PairContact(
                front=front.name,
                behind=behind.name,
                penetration_before=before,
                penetration_after=after,
                outcome=_outcome(before, after, constraints.get((i, j))),
            )
        )
    return found


def _outcome(before: float, after: float, constraint: PairConstraint | None) -> PairOutcome:
    if after > 100 * FREE:
        return "penetrating"
    if constraint is not None and constraint.touching:
        return "touching"
    return "separated" if before > 100 * FREE else "apart"


def _entity(number: int, state: ContactState, pairs: tuple[PairContact, ...]) -> EntityContact:
    before, after = state.before[number], state.bodies[number]
    own = [pair for pair in pairs if after.name in (pair.front, pair.behind)]
    translated = after.name in state.translated
    turned = translated or after.name in state.levelled
    way = after.points.mean(axis=0) - after.factor * before.points.mean(axis=0)  # beside the scaling about the camera
    return EntityContact(
        name=after.name,
        supported_by=_supporter(after, state),
        factor=after.factor,
        translated=float(np.linalg.norm(way)) if translated else 0.0,
        levelled_degrees=state.levelled.get(after.name, 0.0),
        iou=silhouette_iou(before.points_camera, after.points_camera, after.faces) if turned else 1.0,
        ground_gap_before=_ground_gap(before, state.ground),
        ground_gap_after=_ground_gap(after, state.ground),
        penetration_before=max((pair.penetration_before for pair in own), default=0.0),
        penetration_after=max((pair.penetration_after for pair in own), default=0.0),
    )


def _supporter(body: ContactBody, state: ContactState) -> str | None:
    on = state.support[body.name].on
    if on is not None:
        names = [other.name for other in state.bodies]
        first, second = sorted((names.index(body.name), names.index(on)))
        constraint = state.separation.constraints.get((first, second)) if state.separation else None
        return on if constraint is not None and constraint.touching else None
    gap = _ground_gap(body, state.ground)
    return "ground" if gap is not None and abs(gap) <= 100 * SUNK else None


def _ground_gap(body: ContactBody, ground: float | None) -> float | None:
    """Percent of its height."""
    return None if ground is None else 100 * (body.bottom - ground) / max(body.height, 1e-12)


def _note(line: EntityContact, state: ContactState) -> str | None:
    """What happened to one entity, in words; None where that is not worth noting."""
    said = []
    if abs(line.factor - 1) >= WORTH_NOTING:
        said.append(f"{abs(line.factor - 1):.1%} {'farther' if line.factor > 1 else 'nearer'}{_reason(line, state)}")
    if line.levelled_degrees:
        said.append(f"turned by {line.levelled_degrees:.1f}°, so that it stands level")
    if line.translated:
        said.append(f"moved by {line.translated:.2g} on the ground (silhouette IoU {line.iou:.3f} with the one before)")
    gap, drawn = line.ground_gap_after, line.name in state.ground_contacts
    if state.options.ground == "auto" and gap is not None and abs(gap) > GAP_WORTH_NOTING and drawn:
        said.append(f"which leaves it {abs(gap):.0f} % of its height {'above' if gap > 0 else 'below'} the ground")
    return f"{line.name}: {'; '.join(said)}" if said else None


def _reason(line: EntityContact, state: ContactState) -> str:
    if line.supported_by not in (None, "ground"):
        return f", so that it stands on {line.supported_by}"
    if line.supported_by == "ground" and line.name in state.ground_contacts:
        return ", so that it stands on the ground"
    if line.penetration_before > 100 * FREE:
        return ", so that it penetrates no other object"
    return ", so that it stays clear of other objects"


def _out_of_reach(state: ContactState) -> list[str]:
    ground = state.ground
    if ground is None or state.options.ground == "off":
        return []
    return [
        f"{body.name}: left {'above' if body.bottom > ground else 'below'} the ground, which is out of reach along its "
        "line of sight: it floats, or stands on something that is not in the scene"
        for body in state.bodies
        if is_out_of_reach(body, state.support[body.name], ground, state.options)
    ]
