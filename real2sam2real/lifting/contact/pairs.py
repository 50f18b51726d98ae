"""Two entities along the lines of sight: at which distances they are free, touch, or interpenetrate.

Scaled about the camera, an entity moves along the logarithm of depth without changing there. So whether two of them
interpenetrate depends on one number, the shift of the one behind relative to the other, and the forbidden shifts are a
union of intervals: of every ray's spans in both, one interval per pair of spans.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from real2sam2real.arrays import Float, Int, Mask
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.contact.body import ContactBody, common_volume
from real2sam2real.lifting.contact.raster import Lattice, Spans, cast, expanded_ranges, image_plane, spans

SIDE = 128  # nodes along the longer side of the window in which both are seen
FREE = 1e-7  # of the smaller volume: less in common counts as touching
RIM = 5  # pixels: nearer than half of that to both masks, neither of them tells who is in front
CLEAR_SHARE = 0.005  # of the smaller silhouette: fewer pixels than that do not tell who is in front
AS_GOOD = 0.05  # difference between two orders' agreement with the masks that does not count
FIRST_STEP = 1e-4  # how far, in log depth, an edge between rays is looked for at first
FINEST = 2e-6  # and how exactly
NARROW = 1e-5  # gaps narrower than that are none


@dataclass(frozen=True, kw_only=True, eq=False)
class PairObservation:
    """What the rays through both of two bodies, a and b, tell."""

    forbidden: Float  # `(K, 2)` open intervals of b's shift relative to a, in log depth, ascending and apart
    a_shows: Float  # `(N,)` sorted shifts that b must exceed to be behind a where a's mask is
    b_shows: Float  # `(N,)` sorted shifts that b must stay below to be in front of a where b's mask is
    balance: float  # the shift at which each is in front on half of the common rays; above it a mostly is

    def agreement(self, shift: float) -> float:
        """Share of the pixels at which the nearer one is the one that the photo shows; 1 where none tells."""
        count = len(self.a_shows) + len(self.b_shows)
        if not count:
            return 1.0
        right = np.searchsorted(self.a_shows, shift, side="right")
        right += len(self.b_shows) - np.searchsorted(self.b_shows, shift, side="left")
        return float(right) / count

    def intervals(self) -> Float:
        """`(K + 1, 2)` the closed intervals between the forbidden ones."""
        edges = np.concatenate([[-np.inf], self.forbidden.reshape(-1), [np.inf]])
        return edges.reshape(-1, 2)

    def choose_interval(self, shift: float, reach: float, *, touching: bool) -> tuple[float, float] | None:
        """The interval to stay in, within `reach` of the shift now: in the masks' order, and then the nearest to it.

        Where they shall touch, distance counts to the interval's nearest edge.
        """
        intervals = [interval for interval in self.intervals() if interval[1] - interval[0] > NARROW]
        nearest = [_nearest_shift(interval, shift, touching=touching) for interval in intervals]
        near = [k for k, place in enumerate(nearest) if abs(place - shift) <= reach]
        if not near:
            return None
        agreement = {k: self.agreement(nearest[k]) for k in near}
        best = max(agreement.values())
        right = [k for k in near if agreement[k] >= best - AS_GOOD]
        low, high = intervals[min(right, key=lambda k: (abs(nearest[k] - shift), k))]
        return float(low), float(high)

    def without_interval(self, interval: tuple[float, float]) -> PairObservation:
        """The same with one of the intervals forbidden too, an outer one up to a far end."""
        far = 100.0
        low, high = max(interval[0], -far), min(interval[1], far)
        apart = (self.forbidden[:, 1] < low) | (self.forbidden[:, 0] > high)
        merged = self.forbidden[~apart]
        one = [[merged[:, 0].min(initial=low), merged[:, 1].max(initial=high)]]
        forbidden = np.concatenate([self.forbidden[apart], one])
        return replace(self, forbidden=forbidden[np.argsort(forbidden[:, 0], kind="stable")])


def observe_pair(a: ContactBody, b: ContactBody, intrinsics: Intrinsics) -> PairObservation | None:
    """Of two bodies in front of the camera; None where no ray meets both."""
    seen = [image_plane(body.points_camera)[0] for body in (a, b)]
    low = np.maximum(seen[0].min(axis=0), seen[1].min(axis=0))
    high = np.minimum(seen[0].max(axis=0), seen[1].max(axis=0))
    if np.any(high <= low):
        return None
    lattice = Lattice.over(low, high, SIDE)
    of_a, of_b = (spans(cast(body.points_camera, body.faces, lattice)) for body in (a, b))
    forbidden = _forbidden(of_a, of_b)
    if not len(forbidden):
        if common_volume(a, b) <= FREE:
            return None
        forbidden = np.array([[-NARROW, NARROW]])  # between the rays; the meshes know how far it goes
    nodes, equal = _equally_near(of_a, of_b)
    a_shows, b_shows = _shown(a.entity.mask, b.entity.mask, nodes, equal, lattice, intrinsics)
    balance = float(np.median(equal)) if len(equal) else 0.0
    return PairObservation(forbidden=forbidden, a_shows=a_shows, b_shows=b_shows, balance=balance)


def _forbidden(a: Spans, b: Spans) -> Float:
    """The union over all rays of (a begins − b ends, a ends − b begins)."""
    first, past = (np.searchsorted(b.nodes, a.nodes, side=side) for side in ("left", "right"))
    of_a, of_b = expanded_ranges(first, past)
    if not len(of_a):
        return np.zeros((0, 2))
    low, high = a.near[of_a] - b.far[of_b], a.far[of_a] - b.near[of_b]
    order = np.argsort(low, kind="stable")
    low, high = low[order], np.maximum.accumulate(high[order])
    apart = low[1:] > high[:-1] + NARROW
    return np.stack([low[np.append(True, apart)], high[np.append(apart, True)]], axis=-1)


def _equally_near(a: Spans, b: Spans) -> tuple[Int, Float]:
    """The rays that meet both, and the shifts of b at which both are equally near on them."""
    nodes_a, near_a = a.first()
    nodes_b, near_b = b.first()
    both, at_a, at_b = np.intersect1d(nodes_a, nodes_b, assume_unique=True, return_indices=True)
    return both, near_a[at_a] - near_b[at_b]


def _shown(
    mask_a: Mask | None, mask_b: Mask | None, nodes: Int, equal: Float, lattice: Lattice, intrinsics: Intrinsics
) -> tuple[Float, Float]:
    """The shifts of equal nearness, sorted, at the pixels that show a, and at those that show b."""
    nothing = np.zeros(0)
    if mask_a is None or mask_b is None:
        return nothing, nothing
    rim = np.ones((RIM, RIM), np.uint8)
    wide_a, wide_b = (cv2.dilate(mask.astype(np.uint8), rim).astype(bool) for mask in (mask_a, mask_b))
    intrinsics = intrinsics.resized(mask_a.shape[1], mask_a.shape[0])
    only_a = _lookup(mask_a & ~wide_b, nodes, lattice, intrinsics)
    only_b = _lookup(mask_b & ~wide_a, nodes, lattice, intrinsics)
    pixels = float(np.prod(lattice.step)) * intrinsics.fx * intrinsics.fy
    if (only_a.sum() + only_b.sum()) * pixels < CLEAR_SHARE * min(mask_a.sum(), mask_b.sum()):
        return nothing, nothing
    return np.sort(equal[only_a]), np.sort(equal[only_b])


def _lookup(mask: Mask, nodes: Int, lattice: Lattice, k: Intrinsics) -> np.ndarray:
    """`(N,)` bool, whether the photo's mask covers nodes; not outside the photo."""
    u, v = lattice.at(nodes).T
    x, y = np.floor(k.cx + k.fx * u).astype(int), np.floor(k.cy - k.fy * v).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return inside & mask[np.clip(y, 0, mask.shape[0] - 1), np.clip(x, 0, mask.shape[1] - 1)]


def _nearest_shift(interval: Float, shift: float, *, touching: bool) -> float:
    """The shift in an interval that is nearest to the present one, or the nearest edge."""
    if touching:
        return float(min((edge for edge in interval if np.isfinite(edge)), key=lambda edge: abs(edge - shift)))
    return float(np.clip(shift, interval[0], interval[1]))


def exact_edge(a: ContactBody, b: ContactBody, edge: float, outward: float, most: float) -> float | None:
    """An edge of an interval as the meshes have it: where the rays saw it, or beyond by no more than `most`.

    That is a shift of b, `outward` (+1 or -1) of `edge`, at which they have no more than `FREE` in common, but would
    have if it were `FINEST` or, where rays and meshes agree, `FIRST_STEP` smaller; None where there is none.
    """

    def is_free(beyond: float) -> bool:
        return common_volume(a, b.farther(edge + outward * beyond)) <= FREE

    if is_free(0.0):
        return edge
    inside, outside = 0.0, FIRST_STEP
    while not is_free(outside):
        inside, outside = outside, 2 * outside
        if outside > most:
            return None
    while outside - inside > max(FINEST, 0.02 * outside):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_free(middle) else (middle, outside)
    return edge + outward * outside
