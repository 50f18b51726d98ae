"""Distances along the lines of sight at which all entities are separated, with the least change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.contact import pairs
from real2sam2real.lifting.contact.body import ContactBody, common_volume
from real2sam2real.lifting.contact.ground_contact import GroundContact
from real2sam2real.lifting.contact.limits import ROUNDING, Limit, least_change_of_most
from real2sam2real.lifting.contact.pairs import PairObservation
from real2sam2real.lifting.contact.support import Support

ROUNDS = 20  # of solving and looking at the meshes again; each one settles at least one edge of one pair
TOUCHES = 1e-3  # log depth: nearer to contact than that, two entities are taken to touch
SAID_REACH = 3.0  # log depth: so far an entity may go to what it was said to stand on
NEAR_EDGE = 2e-3  # log depth: an edge as near as that is asked of the meshes and not of the rays alone

Pair = tuple[int, int]  # numbers of two bodies, the lower one first


@dataclass(frozen=True, kw_only=True, eq=False)
class PairConstraint:
    """Two bodies that the photo shows on common lines of sight, and the shifts at which they may be."""

    pair: Pair  # numbers of the bodies a and b
    observation: PairObservation  # what the rays say
    touching: bool  # whether they are to touch
    interval: tuple[float, float]  # `(low, high)` shifts of b relative to a at which they are separated
    exact: tuple[bool, bool]  # whether low and high were asked of the meshes
    wanted: float  # the shift that the interval was chosen for
    given_up: bool = False  # whether no interval was found within reach, or none that agrees with the others

    @property
    def edge(self) -> int:
        """Of the interval, the one that is nearer to the wanted shift: 0 or 1."""
        return 0 if abs(self.interval[0] - self.wanted) <= abs(self.interval[1] - self.wanted) else 1

    def limit(self) -> Limit:
        """For the solver."""
        low, high = self.interval
        if self.touching:
            is_free = low - ROUNDING <= self.wanted <= high + ROUNDING
            low = high = self.interval[self.edge]
            if abs(low - self.wanted) <= TOUCHES and self.exact[self.edge] and is_free:
                low = high = self.wanted  # as good as touching already: nothing moves for less
        return Limit(first=self.pair[0], second=self.pair[1], low=low, high=high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Separation:
    """The distances that were found."""

    log_factors: Float  # `(N,)` by which every body goes farther
    # of the pairs that the photo shows on common lines of sight, where one of both can move
    constraints: Mapping[Pair, PairConstraint]
    # of all pairs on common lines of sight, whether the first one is mostly the nearer one there
    first_in_front: Mapping[Pair, bool]
    conflicts: tuple[Pair, ...]  # pairs that still interpenetrate there

    def applied(self, bodies: Sequence[ContactBody]) -> list[ContactBody]:
        """The bodies at these distances."""
        return [body.farther(float(x)) for body, x in zip(bodies, self.log_factors, strict=True)]


class SeparationSolver:
    """One search for distances: intervals are chosen, solved for, asked of the meshes and solved for again."""

    def __init__(
        self,
        bodies: Sequence[ContactBody],
        observations: Mapping[Pair, PairObservation],
        ground_contacts: Mapping[str, GroundContact],
        support: Mapping[str, Support],
        reach: float,
    ) -> None:
        self.bodies, self.support, self.reach = bodies, support, float(np.log(reach))
        self.observations = dict(observations)
        grounded = [ground_contacts.get(body.name) for body in bodies]
        self.wanted: Float = np.array([contact.log_factor if contact else 0.0 for contact in grounded])
        self.fixed = [
            (contact is not None and contact.fixed) or not body.is_before_camera
            for contact, body in zip(grounded, bodies, strict=True)
        ]
        self.common = {(i, j): common_volume(bodies[i], bodies[j]) for i, j in self.observations}
        self.constraints: dict[Pair, PairConstraint] = {}

    def solve(self) -> Separation:
        """Until the meshes agree with the rays."""
        for (i, j), observation in self.observations.items():
            constraint = self._chosen((i, j), observation, float(self.wanted[j] - self.wanted[i]))
            if constraint is not None:
                self.constraints[i, j] = constraint
        x, left_out = self._solved()
        for _ in range(ROUNDS):
            for pair in left_out:  # the interval that the masks would have has no place among the others
                self.constraints[pair] = self._other_interval(self.constraints[pair])
            if not (left_out or self._ask_meshes(x)):
                break
            x, left_out = self._solved()
        return Separation(
            log_factors=x,
            constraints=self.constraints,
            first_in_front={(i, j): bool(x[j] - x[i] > o.balance) for (i, j), o in self.observations.items()},
            conflicts=tuple(self._conflicts(x)),
        )

    def _chosen(self, pair: Pair, observation: PairObservation, wanted: float) -> PairConstraint | None:
        """An interval for a pair; None where neither of both can move."""
        if self.fixed[pair[0]] and self.fixed[pair[1]]:
            return None
        held = _touches(observation)
        touching = self._is_supported(pair) or held
        wanted = 0.0 if held else wanted
        reach = SAID_REACH if self._is_supported(pair, said=True) else self.reach
        interval = observation.choose_interval(wanted, reach, touching=touching)
        return PairConstraint(
            pair=pair,
            observation=observation,
            touching=touching and interval is not None,
            interval=interval or (-np.inf, np.inf),
            exact=(False, False),
            wanted=wanted,
            given_up=interval is None,
        )

    def _is_supported(self, pair: Pair, *, said: bool = False) -> bool:
        """Whether one of a pair stands on the other; with `said`, because somebody said so."""
        names = [self.bodies[number].name for number in pair]
        on = [self.support[name] for name in names]
        return any(s.on == other and (s.said or not said) for s, other in zip(on, reversed(names), strict=True))

    def _tied(self) -> list[Limit]:
        """What stands on, or belongs to, something that it shares no line of sight with keeps its distance from it."""
        pairs_apart = [pair for pair in combinations(range(len(self.bodies)), 2) if pair not in self.observations]
        return [
            Limit(first=i, second=j, low=0.0, high=0.0)
            for i, j in pairs_apart
            if self._is_supported((i, j)) and not (self.fixed[i] and self.fixed[j])
        ]

    def _solved(self) -> tuple[Float, list[Pair]]:
        """Numbers, and the pairs that contradict others: what touches comes first, then what has most in common."""
        active = [constraint for constraint in self.constraints.values() if not constraint.given_up]
        active.sort(key=lambda constraint: (not constraint.touching, -self.common[constraint.pair]))
        limits = [*(constraint.limit() for constraint in active), *self._tied()]
        x, left_out = least_change_of_most(self.wanted, self.fixed, limits)
        return x, [active[k].pair for k in left_out if k < len(active)]

    def _conflicts(self, x: Float) -> list[Pair]:
        """Pairs with something in common that no constraint separates."""
        found = []
        for pair in self.observations:
            constraint = self.constraints.get(pair)
            kept = constraint is not None and not constraint.given_up and constraint.limit().holds(x)
            if not kept and self._common(pair, x) > pairs.FREE:
                found.append(pair)
        return found

    def _common(self, pair: Pair, x: Float) -> float:
        i, j = pair
        return common_volume(self.bodies[i], self.bodies[j].farther(float(x[j] - x[i])))

    def _ask_meshes(self, x: Float) -> bool:
        """Correct intervals whose edges matter here by what the meshes say; whether anything changed."""
        changed = False
        for pair, constraint in list(self.constraints.items()):
            side = None if constraint.given_up else self._side_to_ask(constraint, x)
            if side is not None:
                self.constraints[pair] = self._asked(constraint, side)
                changed = True
        return changed

    def _side_to_ask(self, constraint: PairConstraint, x: Float) -> int | None:
        shift = float(x[constraint.pair[1]] - x[constraint.pair[0]])
        distances = [abs(edge - shift) for edge in constraint.interval]
        order = [constraint.edge] if constraint.touching else [int(np.argmin(distances)), int(np.argmax(distances))]
        unknown = [side for side in order if not constraint.exact[side] and np.isfinite(constraint.interval[side])]
        near = [side for side in unknown if distances[side] < NEAR_EDGE]
        if near:
            return near[0]
        if all(constraint.exact) or self._common(constraint.pair, x) <= pairs.FREE:
            return None
        return unknown[0] if unknown else None

    def _asked(self, constraint: PairConstraint, side: int) -> PairConstraint:
        """The constraint with one edge as the meshes have it, or with another interval if this one has no place."""
        a, b = (self.bodies[number] for number in constraint.pair)
        low, high = constraint.interval
        most = min(high - low, self.reach)
        edge = pairs.exact_edge(a, b, constraint.interval[side], 1.0 if side == 0 else -1.0, most)
        if edge is None or (side == 0 and edge > high) or (side == 1 and edge < low):
            return self._other_interval(constraint)
        exact = (True, constraint.exact[1]) if side == 0 else (constraint.exact[0], True)
        return replace(constraint, interval=(edge, high) if side == 0 else (low, edge), exact=exact)

    def _other_interval(self, constraint: PairConstraint) -> PairConstraint:
        observation = constraint.observation.without_interval(constraint.interval)
        chosen = self._chosen(constraint.pair, observation, constraint.wanted)
        assert chosen is not None  # one of both is free, or there had been no constraint
        self.observations[constraint.pair] = observation
        return chosen


def observe_all_pairs(bodies: Sequence[ContactBody], intrinsics: Intrinsics) -> dict[Pair, PairObservation]:
    """Of the pairs that the photo shows on common lines of sight."""
    found = {}
    for i, j in combinations(range(len(bodies)), 2):
        if bodies[i].is_before_camera and bodies[j].is_before_camera:
            observation = pairs.observe_pair(bodies[i], bodies[j], intrinsics)
            if observation is not None:
                found[i, j] = observation
    return found


def _touches(observation: PairObservation) -> bool:
    """Whether the two touch as they are: it is free there, and a small step from there is not."""
    low, high = observation.forbidden.T
    inside = bool(((low + TOUCHES < 0) & (high - TOUCHES > 0)).any())
    return not inside and bool(np.abs(observation.forbidden).min() <= TOUCHES)
