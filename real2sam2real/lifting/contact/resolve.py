"""`resolve_contacts`: from a scene at rest to one in which everything stands, touches and is separated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.contact.body import ContactBody, common_volume
from real2sam2real.lifting.contact.ground_contact import GroundContact, ground_contact_of, known_ground, levelled
from real2sam2real.lifting.contact.pairs import FREE, PairObservation
from real2sam2real.lifting.contact.raster import image_plane, silhouette_iou
from real2sam2real.lifting.contact.report import ContactReport, ContactState, report_of
from real2sam2real.lifting.contact.separation import Pair, Separation, SeparationSolver, observe_all_pairs
from real2sam2real.lifting.contact.support import supports
from real2sam2real.lifting.options import ContactOptions
from real2sam2real.scene import Scene

DIRECTIONS = 8  # half of them are tried each way
TRIAL = 0.01  # of its height: a step by which the way over the picture is measured
FILLED = 0.75  # of its box, by a usual silhouette
FINEST = 0.02  # of the way that is allowed


def resolve_contacts(scene: Scene, options: ContactOptions | None = None) -> tuple[Scene, ContactReport]:
    """Stand on the ground what stands, keep in touch what touches, and separate what interpenetrates.

    The entities of the photo take part; ones that were added later stay as they are. What an entity's relation says of
    where it stands counts, else the masks do. Distances along the lines of sight
    are changed first: they leave every silhouette as it is. What then still interpenetrates is moved on the ground,
    within `options.max_iou_loss`; what cannot be separated so is left, and the notes say so.

    Motions (a file's own animation) follow their entity. The scene comes back itself where nothing had to move; where
    it knows no ground, the changed one has the ground that what stands in it agrees on.
    """
    options = options or ContactOptions()
    floating = [e.name for e in scene.entities if e.relation is not None and e.relation.word == "floating"]
    options = replace(options, floating=(*options.floating, *floating))
    before = tuple(ContactBody.of(e, scene.photo_world_from_camera) for e in scene.entities if e.in_photo)
    support = supports([body.entity for body in before])
    eye_height = float(scene.photo_world_from_camera[1, 3])
    given = None if scene.ground_y is None else scene.ground_y - eye_height
    ground, derived = None, False
    if options.ground == "auto":
        ground, derived = known_ground(before, support, given, options.floating)
    state = ContactState(
        before=before, bodies=list(before), support=support, options=options, ground=ground, ground_derived=derived
    )
    _Resolver(state, scene.camera.intrinsics_at(0)).run()
    state.ground = given if ground is None else ground
    ground_y = ground + eye_height if derived and ground is not None else scene.ground_y
    moved = {body.name: body.as_entity() for body in state.bodies if not body.is_still}
    if moved or ground_y != scene.ground_y:
        entities = tuple(moved.get(entity.name, entity) for entity in scene.entities)
        scene = replace(scene, entities=entities, ground_y=ground_y)
    return scene, report_of(state, ground_y)


class _Resolver:
    def __init__(self, state: ContactState, intrinsics: Intrinsics) -> None:
        self.state, self.intrinsics = state, intrinsics
        self.observations: dict[Pair, PairObservation] | None = None  # as long as nothing left its lines of sight
        self._stand_all()

    def run(self) -> None:
        """Level, then distances, translations and letting go of the ground, until nothing changes."""
        state = self.state
        if state.options.separation == "off":
            contacts = state.ground_contacts
            state.bodies = [b.farther(contacts[b.name].log_factor) if b.name in contacts else b for b in state.bodies]
            return
        separation = self._separated()
        while self._fall_back(separation) or self._translate(separation):
            separation = self._separated()
        state.separation = self._with_releases(separation)
        state.bodies = state.separation.applied(state.bodies)

    def _stand_all(self) -> None:
        state = self.state
        if state.ground is None:
            return
        for k, body in enumerate(state.bodies):
            support = state.support[body.name]
            contact = ground_contact_of(body, support, state.ground, state.options)
            if contact is not None and contact.fixed and state.options.level == "auto":
                turned, degrees = levelled(body, state.options)
                if degrees:
                    state.bodies[k], state.levelled[body.name] = turned, degrees
                    self.observations = None
                    contact = ground_contact_of(turned, support, state.ground, state.options)
            if contact is not None:
                state.ground_contacts[body.name] = contact

    def _separated(self, ground_contacts: dict[str, GroundContact] | None = None) -> Separation:
        """Distances with all as it is, or with other ones held by the ground."""
        state = self.state
        if self.observations is None:
            self.observations = observe_all_pairs(state.bodies, self.intrinsics)
        contacts = state.ground_contacts if ground_contacts is None else ground_contacts
        return SeparationSolver(state.bodies, self.observations, contacts, state.support, state.options.reach).solve()

    def _fall_back(self, separation: Separation) -> bool:
        """What cannot reach the thing that it is seen on may stand on the ground instead."""
        changed, support = False, self.state.support
        for pair, constraint in separation.constraints.items():
            first, second = self._names(pair)
            for name, other in ((first, second), (second, first)):
                if constraint.given_up and support[name].on == other and not support[name].said:
                    support[name] = replace(support[name], on=None)
                    changed = True
        if changed:
            self._stand_all()
        return changed

    def _translate(self, separation: Separation) -> bool:
        """Separate what stands in each other by moving it on the ground; every entity moves so at most once."""
        state, changed = self.state, False
        for i, j in separation.conflicts:
            names = self._names((i, j))
            if self._held((i, j)) != list(names):
                continue
            x = separation.log_factors
            a, b = state.bodies[i].farther(float(x[i])), state.bodies[j].farther(float(x[j]))
            if not (a.is_before_camera and b.is_before_camera):
                continue
            moved = _separate_on_ground(a, b, state.options.max_iou_loss)
            if moved is not None:
                state.bodies[i], state.bodies[j] = moved
                for name in names:
                    state.ground_contacts[name] = replace(state.ground_contacts[name], log_factor=0.0)
                state.translated |= set(names)
                self.observations = None
                changed = True
        return changed

    def _with_releases(self, separation: Separation) -> Separation:
        """Let go of the ground one of two that still stand in each other, wherever that makes the error smaller."""
        contacts = self.state.ground_contacts
        given_up: set[Pair] = set()
        while contested := [pair for pair in separation.conflicts if pair not in given_up]:
            pair = contested[0]
            let_go = {name: replace(contacts[name], fixed=False) for name in self._held(pair)}
            tried = {name: self._separated({**contacts, name: contact}) for name, contact in let_go.items()}
            errors = {name: self._error(found) for name, found in tried.items()}
            best = min(errors, key=errors.__getitem__, default=None)
            if best is None or errors[best] >= self._error(separation):
                given_up.add(pair)
                continue
            contacts[best] = let_go[best]
            separation = tried[best]
        return separation

    def _held(self, pair: Pair) -> list[str]:
        """Those of a pair that the ground holds and that have not moved on it."""
        contacts, translated = self.state.ground_contacts, self.state.translated
        return [n for n in self._names(pair) if n not in translated and (c := contacts.get(n)) and c.fixed]

    def _error(self, separation: Separation) -> float:
        """How far what shows its foot is off the ground, as a share of its height, and what pairs have in common."""
        state, ground = self.state, self.state.ground
        bodies = separation.applied(state.bodies)
        drawn = [b for b in bodies if b.name in state.ground_contacts and state.support[b.name].edge == "in view"]
        gaps = sum(abs(b.bottom - ground) / b.height for b in drawn) if ground is not None else 0.0
        return gaps + sum(common_volume(bodies[i], bodies[j]) for i, j in separation.conflicts)

    def _names(self, pair: Pair) -> tuple[str, str]:
        return self.state.bodies[pair[0]].name, self.state.bodies[pair[1]].name


def _separate_on_ground(a: ContactBody, b: ContactBody, max_iou_loss: float) -> tuple[ContactBody, ContactBody] | None:
    """Both moved on the ground by half of the shortest way that separates them; None where none is short enough.

    Both are in front of the camera. What each one's silhouette loses, against the start, stays below `max_iou_loss`.
    """
    best: tuple[float, Float] | None = None
    for direction in _directions(a, b):
        most = min(_allowed(a, -direction, max_iou_loss), _allowed(b, direction, max_iou_loss))
        if best is not None:
            most = min(most, best[0])
        way = _shortest(a, b, direction, most)
        if way is not None and (best is None or way < best[0]):
            best = way, direction
    if best is None:
        return None
    way, direction = best
    moved = a.translated(-way * direction), b.translated(way * direction)
    losses = (1 - silhouette_iou(body.start_camera, body.points_camera, body.faces) for body in moved)
    return moved if all(loss <= max_iou_loss for loss in losses) else None


def _directions(a: ContactBody, b: ContactBody) -> list[Float]:
    """Horizontal unit vectors in which b may leave a: from middle to middle first, then others around."""
    between = (b.points.mean(axis=0) - a.points.mean(axis=0))[[0, 2]]
    start = float(np.arctan2(between[1], between[0]))
    turns = [0, *(sign * k for k in range(1, DIRECTIONS // 2) for sign in (1, -1)), DIRECTIONS // 2]
    angles = [start + 2 * np.pi * k / DIRECTIONS for k in turns]
    return [np.array([np.cos(angle), 0.0, np.sin(angle)]) for angle in angles]


def _allowed(body: ContactBody, direction: Float, max_iou_loss: float) -> float:
    """About how far it may move: what a moved silhouette gains and loses at its rims, whose lengths its box gives."""
    step = TRIAL * body.height
    uv, _ = image_plane(body.points_camera)
    middle = body.points_camera.mean(axis=0)
    ends = image_plane(np.stack([middle, middle + step * direction @ body.camera_from_eye.T]))[0]
    rims = 2 * np.abs(ends[1] - ends[0]) / (FILLED * np.maximum(np.ptp(uv, axis=0), 1e-12))
    return step * max_iou_loss / max(float(rims.sum()), 1e-9)


def _shortest(a: ContactBody, b: ContactBody, direction: Float, most: float) -> float | None:
    """The least way in one direction, for each of both, after which they are free; None where `most` is too little."""

    def is_free(way: float) -> bool:
        return common_volume(a.translated(-way * direction), b.translated(way * direction)) <= FREE

    if most <= 0 or not is_free(most):
        return None
    inside, outside = 0.0, most
    while outside - inside > FINEST * most:
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_free(middle) else (middle, outside)
    return outside
