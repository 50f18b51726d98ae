"""Distances along the lines of sight at which all entities are free of each other, with the least change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics
from real2sam2real.lift.contact import pairs
from real2sam2real.lift.contact.body import Body, common_volume
from real2sam2real.lift.contact.footing import Footing
from real2sam2real.lift.contact.pairs import Sightings
from real2sam2real.lift.contact.spacing import ROUNDING, Limit, most_that_hold
from real2sam2real.lift.contact.standing import Standing

ROUNDS = 20  # of solving and looking at the meshes again; each one settles at least one edge of one pair
TOUCHES = 1e-3  # log depth: nearer to contact than that, two entities are taken to touch
NEAR_EDGE = 2e-3  # log depth: an edge as near as that is asked of the meshes and not of the rays alone


@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """Two bodies that the photo shows on common lines of sight, and the shifts at which they may be.

    Attributes:
        first: number of body a.
        second: number of body b.
        sight: what the rays say.
        touching: whether they are to touch.
        room: `(low, high)` shifts of b relative to a.
        exact: whether low and high were asked of the meshes.
        wanted: the shift that the room was chosen for.
        given_up: whether no room was found within reach, or none that agrees with the others.
    """

    first: int
    second: int
    sight: Sightings
    touching: bool
    room: tuple[float, float]
    exact: tuple[bool, bool]
    wanted: float
    given_up: bool = False

    @property
    def edge(self) -> int:
        """Of the room, the one that is nearer to the wanted shift: 0 or 1."""
        return 0 if abs(self.room[0] - self.wanted) <= abs(self.room[1] - self.wanted) else 1

    def limit(self) -> Limit:
        """For the solver."""
        low, high = self.room
        if self.touching:
            low = high = self.room[self.edge]
            if abs(low - self.wanted) <= TOUCHES and self.exact[self.edge] and self.is_free_at_wanted:
                low = high = self.wanted  # as good as touching already: nothing moves for less
        return Limit(first=self.first, second=self.second, low=low, high=high)

    @property
    def is_free_at_wanted(self) -> bool:
        """Whether the wanted shift is in the room."""
        return self.room[0] - ROUNDING <= self.wanted <= self.room[1] + ROUNDING


@dataclass(frozen=True, kw_only=True, eq=False)
class Spaced:
    """What came of it.

    Attributes:
        log_factors: `(N,)` by which every body goes farther.
        links: of the pairs that the photo shows on common lines of sight, where one of both can move.
        first_in_front: of all pairs on common lines of sight, whether the first one is mostly the nearer one there.
        conflicts: pairs of numbers that still interpenetrate there.
    """

    log_factors: Float
    links: tuple[Link, ...]
    first_in_front: dict[tuple[int, int], bool]
    conflicts: tuple[tuple[int, int], ...]


class Spacing:
    """One search for distances: the links are chosen, solved, asked of the meshes and solved again."""

    def __init__(
        self,
        bodies: Sequence[Body],
        sights: Mapping[tuple[int, int], Sightings],
        standing: Mapping[str, Standing],
        footing: Mapping[str, Footing],
        reach: float,
    ) -> None:
        self.bodies, self.footing, self.reach = bodies, footing, float(np.log(reach))
        self.standing = standing
        self.sights = dict(sights)
        self.links: dict[tuple[int, int], Link] = {}
        self.common = {(i, j): common_volume(bodies[i], bodies[j]) for i, j in self.sights}

    def solve(self) -> Spaced:
        """Until the meshes agree with the rays."""
        self._choose_all()
        x, left_out = self._solved()
        for _ in range(ROUNDS):
            if not (self._reconsider(left_out) or self._ask_meshes(x)):
                break
            x, left_out = self._solved()
        return Spaced(
            log_factors=x,
            links=tuple(self.links.values()),
            first_in_front={(i, j): bool(x[j] - x[i] > s.balance) for (i, j), s in self.sights.items()},
            conflicts=tuple(self._conflicts(x)),
        )

    def _wanted(self) -> Float:
        return np.array([s.log_factor if (s := self.standing.get(b.name)) else 0.0 for b in self.bodies])

    def _is_fixed(self, number: int) -> bool:
        standing = self.standing.get(self.bodies[number].name)
        return (standing is not None and standing.fixed) or not self.bodies[number].is_before_camera

    def _choose_all(self) -> None:
        wanted = self._wanted()
        self.links = {}
        for (i, j), sight in self.sights.items():
            link = self._chosen(i, j, sight, float(wanted[j] - wanted[i]))
            if link is not None:
                self.links[i, j] = link

    def _chosen(self, i: int, j: int, sight: Sightings, wanted: float) -> Link | None:
        """A room for a pair; None where neither of both can move."""
        if self._is_fixed(i) and self._is_fixed(j):
            return None
        held = _touches(sight)
        touching = self._carries(i, j) or held
        wanted = 0.0 if held else wanted
        room = pairs.chosen_room(sight, wanted, self.reach, touching=touching)
        return Link(
            first=i,
            second=j,
            sight=sight,
            touching=touching and room is not None,
            room=room or (-np.inf, np.inf),
            exact=(False, False),
            wanted=wanted,
            given_up=room is None,
        )

    def _carries(self, i: int, j: int) -> bool:
        a, b = self.bodies[i].name, self.bodies[j].name
        return self.footing[a].on == b or self.footing[b].on == a

    def _solved(self) -> tuple[Float, list[tuple[int, int]]]:
        """Numbers, and the links that contradict others: what touches has precedence, then what has most in common."""
        active = [link for link in self.links.values() if not link.given_up]
        active.sort(key=lambda link: (not link.touching, -self.common[link.first, link.second]))
        fixed = [self._is_fixed(k) for k in range(len(self.bodies))]
        wanted = self._wanted()
        x, left_out = most_that_hold(wanted, fixed, [link.limit() for link in active])
        return x, [(active[k].first, active[k].second) for k in left_out]

    def _conflicts(self, x: Float) -> list[tuple[int, int]]:
        """Pairs with something in common that no link will part."""
        found = []
        for i, j in self.sights:
            link = self.links.get((i, j))
            settled = link is not None and not link.given_up and link.limit().holds(x)
            if not settled and self._common(i, j, x) > pairs.FREE:
                found.append((i, j))
        return found

    def _common(self, i: int, j: int, x: Float) -> float:
        return common_volume(self.bodies[i], self.bodies[j].farther(float(x[j] - x[i])))

    def _reconsider(self, left_out: Sequence[tuple[int, int]]) -> bool:
        """Other rooms for the pairs for which there is no place in the ones that the masks would have."""
        for key in left_out:
            self.links[key] = self._other_room(self.links[key])
        return bool(left_out)

    def _ask_meshes(self, x: Float) -> bool:
        """Correct rooms whose edges matter here by what the meshes say; whether anything changed."""
        changed = False
        for key, link in list(self.links.items()):
            if link.given_up:
                continue
            shift = float(x[link.second] - x[link.first])
            side = self._side_to_ask(link, shift, x)
            if side is not None:
                self.links[key] = self._asked(link, side)
                changed = True
        return changed

    def _side_to_ask(self, link: Link, shift: float, x: Float) -> int | None:
        distances = [abs(edge - shift) for edge in link.room]
        order = [link.edge] if link.touching else [int(np.argmin(distances)), int(np.argmax(distances))]
        for side in order:
            if not link.exact[side] and np.isfinite(link.room[side]) and distances[side] < NEAR_EDGE:
                return side
        if all(link.exact) or self._common(link.first, link.second, x) <= pairs.FREE:
            return None
        unknown = [side for side in order if not link.exact[side] and np.isfinite(link.room[side])]
        return unknown[0] if unknown else None

    def _asked(self, link: Link, side: int) -> Link:
        """The link with one edge as the meshes have it, or with another room if this one has no place."""
        a, b = self.bodies[link.first], self.bodies[link.second]
        low, high = link.room
        most = min(high - low, self.reach)
        edge = pairs.exact_edge(a, b, link.room[side], 1.0 if side == 0 else -1.0, most)
        if edge is None or (side == 0 and edge > high) or (side == 1 and edge < low):
            return self._other_room(link)
        exact = (True, link.exact[1]) if side == 0 else (link.exact[0], True)
        return replace(link, room=(edge, high) if side == 0 else (low, edge), exact=exact)

    def _other_room(self, link: Link) -> Link:
        sight = link.sight.without_room(link.room)
        chosen = self._chosen(link.first, link.second, sight, link.wanted)
        assert chosen is not None  # one of both is free, or there had been no link
        self.sights[link.first, link.second] = sight
        return chosen


def all_sightings(bodies: Sequence[Body], lens: Intrinsics) -> dict[tuple[int, int], Sightings]:
    """By the numbers of the pairs that the photo shows on common lines of sight."""
    found = {}
    for i, j in combinations(range(len(bodies)), 2):
        if bodies[i].is_before_camera and bodies[j].is_before_camera:
            sight = pairs.sightings(bodies[i], bodies[j], lens)
            if sight is not None:
                found[i, j] = sight
    return found


def _touches(sight: Sightings) -> bool:
    """Whether the two touch as they are: it is free there, and a small step from there is not."""
    low, high = sight.forbidden.T
    inside = bool(((low + TOUCHES < 0) & (high - TOUCHES > 0)).any())
    return not inside and bool(np.abs(sight.forbidden).min() <= TOUCHES)
