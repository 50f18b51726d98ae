"""From the course of a settling to its report, with notes for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from real2sam2real.lift.contact.body import Body, common_volume
from real2sam2real.lift.contact.footing import Footing
from real2sam2real.lift.contact.options import ContactOptions
from real2sam2real.lift.contact.pairs import FREE
from real2sam2real.lift.contact.parting import Link
from real2sam2real.lift.contact.raster import silhouette_iou
from real2sam2real.lift.contact.report import ContactReport, EntityContact, Outcome, PairContact
from real2sam2real.lift.contact.standing import SUNK, Standing, is_out_of_reach

WORTH_TELLING = 0.005  # relative change of distance
OFF_TELLING = 2.0  # percent of its height


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """Everything that a settling did.

    Attributes:
        before: the bodies as they were.
        after: the same ones where they came to rest.
        footing: what the masks say, by name.
        standing: what the ground drew, by name.
        levelled: degrees by name, of those that were turned.
        slid: names of those that moved on the ground.
        options: what was asked for.
        links: of pairs on common lines of sight of which one could move, by their names.
        first_in_front: of all pairs on common lines of sight, whether the first one is mostly the nearer one there.
        ground: its height in the eye frame, or None.
        derived: whether it was derived from what stands.
    """

    before: tuple[Body, ...]
    after: tuple[Body, ...]
    footing: Mapping[str, Footing]
    standing: Mapping[str, Standing]
    levelled: Mapping[str, float]
    slid: frozenset[str]
    options: ContactOptions
    links: Mapping[tuple[str, str], Link]
    first_in_front: Mapping[tuple[str, str], bool]
    ground: float | None = None
    derived: bool = False


def report_of(course: Course, ground_y: float | None) -> ContactReport:
    """The report of a finished settling."""
    pairs = tuple(_pairs(course))
    entities = tuple(_entity(k, course, pairs) for k in range(len(course.after)))
    notes = [note for line, body in zip(entities, course.after, strict=True) if (note := _told(line, body, course))]
    notes += _left_in_air(course)
    notes += [
        f"{pair.front} and {pair.behind} still interpenetrate, by {pair.penetration_after:.2g} % of the smaller one: "
        "they cannot be parted without leaving their places in the photo"
        for pair in pairs
        if pair.outcome == "left"
    ]
    if course.derived:
        notes.insert(0, "the ground was not known; it is taken to be where the objects stand")
    if broken := [body.name for body in course.before if body.volume <= 0]:
        notes.append(f"{', '.join(broken)}: no closed solid, so what it interpenetrates is not known")
    return ContactReport(entities=entities, pairs=pairs, ground_y=ground_y, notes=tuple(notes))


def _pairs(course: Course) -> list[PairContact]:
    found = []
    for i, j in combinations(range(len(course.after)), 2):
        a, b = course.after[i], course.after[j]
        link = course.links.get((a.name, b.name))
        in_front = course.first_in_front.get((a.name, b.name))
        before = 100 * common_volume(course.before[i], course.before[j])
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
                outcome=_outcome(before, after, link),
            )
        )
    return found


def _outcome(before: float, after: float, link: Link | None) -> Outcome:
    if after > 100 * FREE:
        return "left"
    if link is not None and link.touching:
        return "touching"
    return "parted" if before > 100 * FREE else "apart"


def _entity(number: int, course: Course, pairs: tuple[PairContact, ...]) -> EntityContact:
    before, after = course.before[number], course.after[number]
    mine = [pair for pair in pairs if after.name in (pair.front, pair.behind)]
    turned = after.name in course.slid or after.name in course.levelled
    iou = silhouette_iou(before.points_camera, after.points_camera, after.faces) if turned else 1.0
    return EntityContact(
        name=after.name,
        stands_on=_stands_on(after, course),
        factor=after.factor,
        slid=_slid(before, after) if after.name in course.slid else 0.0,
        levelled_degrees=course.levelled.get(after.name, 0.0),
        iou=iou,
        ground_gap_before=_gap(before, course.ground),
        ground_gap_after=_gap(after, course.ground),
        penetration_before=max((pair.penetration_before for pair in mine), default=0.0),
        penetration_after=max((pair.penetration_after for pair in mine), default=0.0),
    )


def _stands_on(body: Body, course: Course) -> str | None:
    on = course.footing[body.name].on
    if on is not None:
        link = course.links.get((body.name, on)) or course.links.get((on, body.name))
        return on if link is not None and link.touching else None
    gap = _gap(body, course.ground)
    return "ground" if gap is not None and abs(gap) <= 100 * SUNK else None


def _gap(body: Body, ground: float | None) -> float | None:
    """Percent of its height."""
    return None if ground is None else 100 * (body.bottom - ground) / max(body.height, 1e-12)


def _slid(before: Body, after: Body) -> float:
    """How far its lowest point's surroundings moved beside the scaling about the camera, in world units."""
    factor = after.factor
    return float(np.linalg.norm(after.points.mean(axis=0) - factor * before.points.mean(axis=0)))


def _told(line: EntityContact, body: Body, course: Course) -> str | None:
    """What happened to one entity, in words; None where that is not worth telling."""
    told = []
    if abs(line.factor - 1) >= WORTH_TELLING:
        reason = _reason(line, course)
        told.append(f"{abs(line.factor - 1):.1%} {'farther' if line.factor > 1 else 'nearer'}{reason}")
    if line.levelled_degrees:
        told.append(f"turned by {line.levelled_degrees:.1f}°, so that it stands level")
    if line.slid:
        told.append(f"moved by {line.slid:.2g} on the ground (silhouette IoU {line.iou:.3f} with the one before)")
    gap = line.ground_gap_after
    if course.options.ground == "auto" and gap is not None and abs(gap) > OFF_TELLING and body.name in course.standing:
        told.append(f"which leaves it {abs(gap):.0f} % of its height {'above' if gap > 0 else 'below'} the ground")
    return f"{line.name}: {'; '.join(told)}" if told else None


def _reason(line: EntityContact, course: Course) -> str:
    standing = course.standing.get(line.name)
    if line.stands_on not in (None, "ground"):
        return f", so that it stands on {line.stands_on}"
    if standing is not None and line.stands_on == "ground":
        return ", so that it stands on the ground"
    if line.penetration_before > 100 * FREE:
        return ", so that it is in no other object"
    return ", so that it stays clear of other objects"


def _left_in_air(course: Course) -> list[str]:
    ground, options = course.ground, course.options
    if ground is None or options.ground == "off":
        return []
    return [
        f"{body.name}: left {'above' if body.bottom > ground else 'below'} the ground, which is out of reach along its "
        "line of sight: it floats, or stands on something that is not in the scene"
        for body in course.after
        if is_out_of_reach(body, course.footing[body.name], ground, options)
    ]
