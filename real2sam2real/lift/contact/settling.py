"""`settle`: the whole of contact, from a scene at rest to one in which everything stands, touches and is apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from real2sam2real.geometry import Intrinsics
from real2sam2real.lift.contact.body import Body, common_volume
from real2sam2real.lift.contact.footing import Footing, footings
from real2sam2real.lift.contact.options import ContactOptions
from real2sam2real.lift.contact.pairs import Sightings
from real2sam2real.lift.contact.parting import Spaced, Spacing, all_sightings
from real2sam2real.lift.contact.report import ContactReport
from real2sam2real.lift.contact.reporting import Course, report_of
from real2sam2real.lift.contact.sliding import slide_apart
from real2sam2real.lift.contact.standing import Standing, known_ground, levelled, standing_of
from real2sam2real.scene import Scene


def settle(scene: Scene, options: ContactOptions | None = None) -> tuple[Scene, ContactReport]:
    """Stand on the ground what stands, keep in touch what touches, and part what interpenetrates.

    The entities of the photo take part; ones that were added later stay as they are. Distances along the lines of sight
    are settled first: they leave every silhouette as it is. What then still interpenetrates slides on the ground,
    within `options.max_iou_loss`; what cannot be parted so is left, and the notes say so.

    Args:
        scene: at rest, as it was lifted. Motions (a file's own animation) follow their entity.
        options: what may be done.

    Returns:
        The settled scene, which is `scene` itself where nothing had to move, and what was found and done. Where the
        scene knows no ground, the settled one has the ground that what stands in it agrees on.
    """
    options = options or ContactOptions()
    before = [Body.of(entity, scene.photo_world_from_camera) for entity in scene.entities if entity.in_photo]
    footing = footings([body.entity for body in before])
    eye_height = float(scene.photo_world_from_camera[1, 3])
    given = None if scene.ground_y is None else scene.ground_y - eye_height
    ground, derived = None, False
    if options.ground == "auto":
        ground, derived = known_ground(before, footing, given, options.floating)
    course = _Settling(before, footing, ground, scene.camera.intrinsics_at(0), options).run()
    course = replace(course, ground=given if ground is None else ground, derived=derived)
    ground_y = ground + eye_height if derived and ground is not None else scene.ground_y
    moved = {body.name: body.settled() for body in course.after if not body.is_still}
    settled = scene
    if moved or ground_y != scene.ground_y:
        entities = tuple(moved.get(entity.name, entity) for entity in scene.entities)
        settled = replace(scene, entities=entities, ground_y=ground_y)
    return settled, report_of(course, ground_y)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Release:
    """What comes of it when the ground lets go of one entity: where all would be then, and how wrong that is."""

    name: str
    spaced: Spaced
    error: float


class _Settling:
    """One settling in the making: level, then distances, slides and letting go, until nothing changes."""

    def __init__(
        self,
        before: list[Body],
        footing: dict[str, Footing],
        ground: float | None,
        lens: Intrinsics,
        options: ContactOptions,
    ) -> None:
        self.before, self.footing, self.ground, self.lens, self.options = before, footing, ground, lens, options
        self.bodies = list(before)
        self.levelled: dict[str, float] = {}
        self.slid: set[str] = set()
        self.standing: dict[str, Standing] = {}
        self.sights: dict[tuple[int, int], Sightings] | None = None  # as long as nothing left its lines of sight
        if ground is not None:
            self._stand_all(ground)

    def run(self) -> Course:
        """Everything in order."""
        if self.options.parts == "off":
            after = [self._on_ground(body) for body in self.bodies]
            return self._course(after, None)
        spaced = self._spaced()
        while self._fall_back(spaced) or self._slide(spaced):
            spaced = self._spaced()
        spaced = self._with_releases(spaced)
        after = [body.farther(float(x)) for body, x in zip(self.bodies, spaced.log_factors, strict=True)]
        return self._course(after, spaced)

    def _stand_all(self, ground: float) -> None:
        for k, body in enumerate(self.bodies):
            footing = self.footing[body.name]
            standing = standing_of(body, footing, ground, self.options)
            if standing is not None and standing.fixed and self.options.level == "auto":
                turned, degrees = levelled(body, self.options)
                if degrees:
                    self.bodies[k], self.levelled[body.name] = turned, degrees
                    self.sights = None
                    standing = standing_of(turned, footing, ground, self.options)
            if standing is not None:
                self.standing[body.name] = standing

    def _on_ground(self, body: Body) -> Body:
        standing = self.standing.get(body.name)
        return body if standing is None else body.farther(standing.log_factor)

    def _spaced(self, standing: dict[str, Standing] | None = None) -> Spaced:
        """Distances with all as it is, or with other ones held by the ground."""
        if self.sights is None:
            self.sights = all_sightings(self.bodies, self.lens)
        standing = self.standing if standing is None else standing
        return Spacing(self.bodies, self.sights, standing, self.footing, self.options.reach).solve()

    def _fall_back(self, spaced: Spaced) -> bool:
        """What cannot reach the thing that it is seen on may stand on the ground instead."""
        changed = False
        for link in spaced.links:
            first, second = self._names(link.first, link.second)
            for name, other in ((first, second), (second, first)):
                if link.given_up and self.footing[name].on == other:
                    self.footing[name] = replace(self.footing[name], on=None)
                    changed = True
        if changed and self.ground is not None:
            self._stand_all(self.ground)
        return changed

    def _slide(self, spaced: Spaced) -> bool:
        """Part what stands in each other by moving it on the ground; every entity slides at most once."""
        changed = False
        for i, j in spaced.conflicts:
            names = {self.bodies[k].name for k in (i, j)}
            if names & self.slid or not all((s := self.standing.get(name)) and s.fixed for name in names):
                continue
            x = spaced.log_factors
            a, b = self.bodies[i].farther(float(x[i])), self.bodies[j].farther(float(x[j]))
            if not (a.is_before_camera and b.is_before_camera):
                continue
            parted = slide_apart(a, b, self.options.max_iou_loss)
            if parted is not None:
                self.bodies[i], self.bodies[j] = parted
                for name in names:
                    self.standing[name] = replace(self.standing[name], log_factor=0.0)
                self.slid |= names
                self.sights = None
                changed = True
        return changed

    def _with_releases(self, spaced: Spaced) -> Spaced:
        """Let go of the ground one of two that still stand in each other, wherever that makes the error smaller."""
        given_up: set[tuple[int, int]] = set()
        while contested := [pair for pair in spaced.conflicts if pair not in given_up]:
            pair = contested[0]
            best = min((self._released(name) for name in self._held(pair)), key=lambda r: r.error, default=None)
            if best is None or best.error >= self._error(spaced):
                given_up.add(pair)
                continue
            self.standing[best.name] = replace(self.standing[best.name], fixed=False)
            spaced = best.spaced
        return spaced

    def _held(self, pair: tuple[int, int]) -> list[str]:
        """Those of a pair that the ground holds and that have not slid."""
        names = self._names(*pair)
        return [name for name in names if name not in self.slid and (s := self.standing.get(name)) and s.fixed]

    def _released(self, name: str) -> _Release:
        """What would come of letting go of one."""
        standing = {**self.standing, name: replace(self.standing[name], fixed=False)}
        tried = self._spaced(standing)
        return _Release(name=name, spaced=tried, error=self._error(tried))

    def _error(self, spaced: Spaced) -> float:
        """How far what shows its foot is off the ground, as a share of its height, and what pairs have in common."""
        bodies = [body.farther(float(x)) for body, x in zip(self.bodies, spaced.log_factors, strict=True)]
        drawn = [b for b in bodies if b.name in self.standing and self.footing[b.name].foot == "in view"]
        gaps = sum(abs(b.bottom - self.ground) / b.height for b in drawn) if self.ground is not None else 0.0
        return gaps + sum(common_volume(bodies[i], bodies[j]) for i, j in spaced.conflicts)

    def _course(self, after: list[Body], spaced: Spaced | None) -> Course:
        links = () if spaced is None else spaced.links
        in_front = {} if spaced is None else spaced.first_in_front
        return Course(
            before=tuple(self.before),
            after=tuple(after),
            footing=self.footing,
            standing=self.standing,
            levelled=self.levelled,
            slid=frozenset(self.slid),
            options=self.options,
            links={self._names(link.first, link.second): link for link in links},
            first_in_front={self._names(*pair): is_first for pair, is_first in in_front.items()},
        )

    def _names(self, first: int, second: int) -> tuple[str, str]:
        return self.bodies[first].name, self.bodies[second].name
