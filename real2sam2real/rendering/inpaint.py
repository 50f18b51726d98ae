"""Fill holes in a picture with texture from the rest of it.

Large holes need texture, which diffusion (OpenCV's Telea and Navier-Stokes) smears. This is completion by example, from
coarse to fine: every patch that touches the hole looks for its nearest neighbour among the known patches, then every
pixel of the hole becomes the weighted mean of what the patches over it propose (Wexler et al., 2007), and again. The
search is PatchMatch (Barnes et al., 2009): good matches spread to their neighbours, random trials find new ones.

Two things of our own keep a road a road. A guide, the prevailing colour and roughness of the surroundings, makes a
patch pay for looking unlike them: without it smooth patches win (Newson et al., 2014, show why) and bystanders are
copied into the middle of the street. And a patch pays for coming from far away, because perspective scales texture with
the image row. Everything is deterministic.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import cv2
import numba
import numpy as np

from real2sam2real.arrays import Bool, Float32, Int32, UInt8

_RADIUS = 3  # patches are 7×7
_COARSEST_SIDE = 24
# A patch of another image row is drawn in another perspective (the stones of a road get smaller with distance), so
# matches pay for their distance: squared colour levels per squared image height, vertical and horizontal.
_VERTICAL_COST = 3000.0
_HORIZONTAL_COST = 300.0
_GUIDE_SIGMA = 6.0  # pixels of the finest level
_COLOR_COST = 1.0
_ROUGHNESS_COST = 6.0
_ODDITY_COST = 0.5
_UNLIKE = 6.0
"""The guide weighs half where the border of the hole is so many colour levels off from what prevails around it."""
# Per level, the finest first: how often matching and voting alternate, and the sweeps of each matching.
_ROUNDS = ((2, 2), (4, 2), (10, 3))
_DRAFT_ROUNDS = ((0, 0), (2, 1), (3, 2), (10, 3))
# The search is shared out in so many bands where there are enough targets for each.
_BANDS, _BAND_TARGETS = 4, 4000


class Inpainter(Protocol):
    """What fills holes as `inpaint` does."""

    def __call__(self, image: UInt8, hole: Bool, *, avoid: Bool | None = None, draft: bool = False) -> UInt8:
        """See `inpaint`."""


def inpaint(image: UInt8, hole: Bool, *, avoid: Bool | None = None, draft: bool = False) -> UInt8:
    """Replace the pixels of `hole` by texture found elsewhere in the picture.

    Args:
        image: `(H, W, 3)` uint8.
        hole: `(H, W)` bool, the pixels to replace.
        avoid: `(H, W)` bool, pixels that stay but are not to be copied from (other objects), or None.
        draft: search at the coarser levels only, and draw the finest one from what they found: some three times as
            fast, for what is seldom looked at.

    Returns:
        `(H, W, 3)` uint8; outside the hole exactly `image`. A picture that is all hole becomes mid-grey; where nothing
        is left to copy from, the hole is filled smoothly from its border.

    Raises:
        ValueError: the sizes do not match.
    """
    if image.ndim != 3 or image.shape[2] != 3 or hole.shape != image.shape[:2]:
        raise ValueError(f"cannot fill a hole of {hole.shape} in an image of {image.shape}")
    if avoid is not None and avoid.shape != hole.shape:
        raise ValueError(f"the pixels to avoid have shape {avoid.shape}; expected {hole.shape}")
    if not hole.any():
        return image.copy()
    if hole.all():
        return np.full_like(image, 128)
    unusable = hole if avoid is None else hole | avoid
    levels = _pyramid(image.astype(np.float32), hole, unusable)
    rounds = _DRAFT_ROUNDS if draft and len(levels) > 1 else _ROUNDS
    finest = sum(1 for count, _ in rounds if count == 0)  # of the levels that search
    guide = _guide(levels[finest][0], levels[finest][2], _GUIDE_SIGMA / 2**finest)
    picture, matches = _spread(*levels[-1][:2]), None
    for number in range(len(levels) - 1, -1, -1):
        known, level_hole, level_unusable = levels[number]
        if picture.shape != known.shape:
            picture = cv2.resize(picture, (known.shape[1], known.shape[0]), interpolation=cv2.INTER_LINEAR)
        picture = np.where(level_hole[..., None], picture, known)
        size = (known.shape[1], known.shape[0])
        parts = (guide[..., :3], guide[..., 3:])  # OpenCV 5 resizes at most four channels at every ratio
        level_guide = np.dstack([cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts])
        plan = rounds[min(number, len(rounds) - 1)]
        picture, matches = _complete(picture, level_hole, level_unusable, level_guide, matches, plan, number)
    filled = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return np.where(hole[..., None], filled, image)


_Level = tuple[Float32, Bool, Bool]


def _pyramid(image: Float32, hole: Bool, unusable: Bool) -> list[_Level]:
    """Halve until the hole is thinner than two patches; fine level first."""
    levels = [(image, hole, unusable)]
    while min(hole.shape) >= 2 * _COARSEST_SIDE:
        if cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max() <= 2 * _RADIUS:
            break
        levels.append(_halved(*levels[-1]))
        hole = levels[-1][1]
    return levels


def _halved(image: Float32, hole: Bool, unusable: Bool) -> _Level:
    """Half the size; colours are means of known pixels only, and a pixel with any unusable part is unusable."""
    height, width = hole.shape
    size = ((width + 1) // 2, (height + 1) // 2)
    small, share = _shrunk(image, hole, size)
    usable = cv2.resize(1 - unusable.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small_hole = share < 0.5
    return small, small_hole, (usable < 0.99) | small_hole


def _shrunk(values: Float32, missing: Bool, size: tuple[int, int]) -> tuple[Float32, Float32]:
    """`(H, W, C)` at a smaller size (width, height): means of what is known, and how much of each pixel that is."""
    known = 1 - missing.astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(values * known[..., None], size, interpolation=cv2.INTER_AREA).reshape(*share.shape, -1)
    return total / np.maximum(share, 1e-6)[..., None], share.astype(np.float32, copy=False)


def _spread(values: Float32, missing: Bool) -> Float32:
    """Fill the missing pixels of `(H, W, C)` smoothly from the others: means over ever coarser grids (pull-push)."""
    height, width = missing.shape
    if not missing.any() or missing.all():
        return values
    small, share = _shrunk(values, missing, ((width + 1) // 2, (height + 1) // 2))
    coarse = _spread(small, share < 1e-3)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(values.shape)
    return np.where(missing[..., None], smooth, values).astype(np.float32)


def _guide(image: Float32, unusable: Bool, sigma: float) -> Float32:
    """`(H, W, 6)`: local mean colour, roughness (deviation of grey from its mean), oddity, and how much they weigh.

    Unusable pixels get the colour and roughness that prevail around them. Oddity says how much more a pixel's
    surroundings differ from what prevails than its roughness explains: a person on a road is odd, its stones are not.
    """
    known = (~unusable).astype(np.float32)
    gray = image.mean(axis=-1)
    values = np.dstack([image, gray * gray]) * known[..., None]
    share = cv2.GaussianBlur(known, (0, 0), sigma)
    mean = cv2.GaussianBlur(values, (0, 0), sigma) / np.maximum(share, 1e-3)[..., None]
    variance = mean[..., 3] - mean[..., :3].mean(axis=-1) ** 2
    local = np.dstack([mean[..., :3], np.sqrt(np.maximum(variance, 0))]).astype(np.float32)
    common = prevailing(local, unusable)
    guide = np.where(unusable[..., None], common, local)
    distance = cv2.GaussianBlur(((image - common[..., :3]) ** 2).mean(axis=-1), (0, 0), sigma / 2)
    oddity = np.sqrt(np.maximum(distance - 4 * common[..., 3] ** 2, 0))
    costs = np.sqrt(np.array([_COLOR_COST] * 3 + [_ROUGHNESS_COST, _ODDITY_COST], np.float32))
    # Where the hole's border is itself unlike what prevails, as between sky and houses, there is nothing to hold on to.
    unlike = ((local[..., :3] - common[..., :3]) ** 2).mean(axis=-1, keepdims=True)
    weight = 1 / (1 + _spread(unlike, unusable) / _UNLIKE**2)
    return np.dstack([np.dstack([guide, np.where(unusable, 0, oddity)]) * costs, weight]).astype(np.float32)


def prevailing(values: Float32, missing: Bool, *, reach: float = 0.06) -> Float32:
    """`(H, W, C)` float32: what most of the known neighbourhood looks like, a smooth mean that leaves outliers out.

    Of `values` `(H, W, C)` the first three channels are colour in 0…255; `missing` `(H, W)` pixels say nothing. `reach`
    is the neighbourhood's standard deviation, as a share of the picture's longer side.
    """
    height, width = missing.shape
    size = (max(1, width // 4), max(1, height // 4))
    small, share = _shrunk(values, missing, size)
    sigma = max(1.0, reach * max(size))
    weight, mean = share, small
    for tolerance in (60.0, 40.0, 25.0):
        total = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(small * weight[..., None], (0, 0), sigma) / np.maximum(total, 1e-6)[..., None]
        mean = _spread(mean, total < 1e-3)
        distance = ((small[..., :3] - mean[..., :3]) ** 2).sum(axis=-1)
        weight = share * np.exp(-distance / (2 * tolerance**2))
    return cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _complete(
    picture: Float32,
    hole: Bool,
    unusable: Bool,
    guide: Float32,
    matches: Int32 | None,
    plan: tuple[int, int],
    level: int,
) -> tuple[Float32, Int32 | None]:
    """Alternate between matching and voting at one level; `matches` come from the next coarser level."""
    height, width = hole.shape
    kernel = np.ones((2 * _RADIUS + 1, 2 * _RADIUS + 1), np.uint8)
    targets = cv2.dilate(hole.astype(np.uint8), kernel) > 0
    # A patch that reaches out of the picture is no source either.
    sources = cv2.dilate(unusable.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1) == 0
    choices = np.flatnonzero(sources).astype(np.int32)
    if not len(choices):
        return picture, None
    # What lies deep in the hole is a guess and counts less, in matching and in voting.
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    trust = np.where(hole, np.maximum(1.2 ** -depth.astype(np.float32), 0.05), 1.0).astype(np.float32)
    rows, columns = (a.astype(np.int32) for a in np.nonzero(targets))
    field = _first_matches(rows, columns, targets, sources, choices, matches, level)
    costs = np.zeros((height, width), np.float32)
    padded_trust = np.pad(trust, _RADIUS)
    if matches is not None:
        # Draw with this level's own detail first. The enlarged coarser picture is blurred, and would match blur.
        _vote(picture, _with_border(picture), hole, targets, trust, field, costs, 1.0)
    rounds, sweeps = plan
    for round_number in range(rounds):
        padded, seed = _with_border(picture), level * 100 + round_number
        _match_by_threads(padded, padded_trust, guide, rows, columns, targets, sources, field, costs, sweeps, seed)
        sharpness = 2.0 if round_number < rounds - 1 else 6.0
        spread = max(float(np.median(costs[targets])), 1.0) / sharpness
        picture = picture.copy()
        _vote(picture, padded, hole, targets, trust, field, costs, spread)
    return picture, field


def _with_border(picture: Float32) -> Float32:
    return np.pad(picture, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)), mode="edge")


def _first_matches(
    rows: Int32,
    columns: Int32,
    targets: Bool,
    sources: Bool,
    choices: Int32,
    coarse: Int32 | None,
    level: int,
) -> Int32:
    """`(H, W, 2)` source row and column per target: twice the coarser level's, at random where that is no source."""
    height, width = targets.shape
    field = np.full((height, width, 2), -1, np.int32)
    drawn = choices[np.random.default_rng(level).integers(0, len(choices), len(rows))]
    source_rows, source_columns = drawn // width, drawn % width
    if coarse is not None:
        coarse_rows = np.minimum(rows // 2, coarse.shape[0] - 1)
        coarse_columns = np.minimum(columns // 2, coarse.shape[1] - 1)
        guess = coarse[coarse_rows, coarse_columns]
        guess_rows = np.clip(guess[:, 0] * 2 + rows % 2, 0, height - 1)
        guess_columns = np.clip(guess[:, 1] * 2 + columns % 2, 0, width - 1)
        good = (guess[:, 0] >= 0) & sources[guess_rows, guess_columns]
        source_rows = np.where(good, guess_rows, source_rows)
        source_columns = np.where(good, guess_columns, source_columns)
    field[rows, columns, 0], field[rows, columns, 1] = source_rows, source_columns
    return field


@numba.njit(cache=True, nogil=True, fastmath=True)
def _cost(padded, trust, guide, row, column, source_row, source_column, limit, height):  # type: ignore[no-untyped-def]
    """Weighted mean squared colour difference of two patches plus the price of their distance; stops above `limit`."""
    vertical = np.float32(source_row - row) / height
    horizontal = np.float32(source_column - column) / height
    price = np.float32(_VERTICAL_COST) * vertical * vertical + np.float32(_HORIZONTAL_COST) * horizontal * horizontal
    unlike = guide[source_row, source_column, 4] * guide[source_row, source_column, 4]
    for k in range(4):
        difference = guide[row, column, k] - guide[source_row, source_column, k]
        unlike += difference * difference
    price += unlike * guide[row, column, 5]
    if price >= limit:
        return price
    side = 2 * _RADIUS + 1
    weight = np.float32(0.0)
    for y in range(side):
        for x in range(side):
            weight += trust[row + y, column + x]
    total = np.float32(0.0)
    room = (limit - price) * weight
    for y in range(side):
        for x in range(side):
            t = trust[row + y, column + x]
            a = padded[row + y, column + x, 0] - padded[source_row + y, source_column + x, 0]
            b = padded[row + y, column + x, 1] - padded[source_row + y, source_column + x, 1]
            c = padded[row + y, column + x, 2] - padded[source_row + y, source_column + x, 2]
            total += t * (a * a + b * b + c * c)
        if total > room:
            return limit
    return price + total / weight


def _match_by_threads(
    padded: Float32, trust: Float32, guide: Float32, rows: Int32, columns: Int32, targets: Bool, sources: Bool,
    field: Int32, costs: Float32, sweeps: int, seed: int,
) -> None:  # fmt: skip
    """`_match` of bands that know nothing of each other, so that the result is the same at any number of threads."""
    bands = max(1, min(_BANDS, len(rows) // _BAND_TARGETS))
    starts = [len(rows) * band // bands for band in range(bands + 1)]

    def match(band: int) -> None:
        own = slice(starts[band], starts[band + 1])
        rest = (targets, sources, field, costs, sweeps, seed + 10_000 * band)
        _match(padded, trust, guide, rows[own], columns[own], *rest)

    if bands == 1:
        match(0)
        return
    with ThreadPoolExecutor(min(bands, numba.config.NUMBA_NUM_THREADS)) as pool:
        list(pool.map(match, range(bands)))


@numba.njit(cache=True, nogil=True)
def _match(padded, trust, guide, rows, columns, targets, sources, field, costs, sweeps, seed):  # type: ignore[no-untyped-def]
    """PatchMatch: improve `field` and set `costs` of these targets, in order of rows, both in place."""
    height, width = targets.shape
    first, last = rows[0] * width + columns[0], rows[-1] * width + columns[-1]
    state = np.uint64(seed * 2654435761 + 88172645463325252)
    for i in range(len(rows)):
        # One type of each argument at all calls of `_cost`, so that it is compiled once.
        r, c = np.int64(rows[i]), np.int64(columns[i])
        sr, sc = np.int64(field[r, c, 0]), np.int64(field[r, c, 1])
        costs[r, c] = _cost(padded, trust, guide, r, c, sr, sc, np.float64(np.float32(1e30)), height)
    for sweep in range(sweeps):
        step = 1 if sweep % 2 == 0 else -1
        for k in range(len(rows)):
            i = k if step == 1 else len(rows) - 1 - k
            r, c = np.int64(rows[i]), np.int64(columns[i])
            best_row, best_column, best = np.int64(field[r, c, 0]), np.int64(field[r, c, 1]), np.float64(costs[r, c])
            for axis in range(2):
                nr, nc = (r - step, c) if axis == 0 else (r, c - step)
                own = first <= nr * width + nc <= last  # what another thread writes is not read
                if own and 0 <= nr < height and 0 <= nc < width and targets[nr, nc]:
                    sr = np.int64(field[nr, nc, 0]) + (step if axis == 0 else 0)
                    sc = np.int64(field[nr, nc, 1]) + (step if axis == 1 else 0)
                    if 0 <= sr < height and 0 <= sc < width and sources[sr, sc]:
                        cost = _cost(padded, trust, guide, r, c, sr, sc, best, height)
                        if cost < best:
                            best_row, best_column, best = sr, sc, cost
            reach = max(height, width)
            while reach >= 1:
                state ^= state << np.uint64(13)
                state ^= state >> np.uint64(7)
                state ^= state << np.uint64(17)
                sr = best_row + np.int64(state % np.uint64(2 * reach + 1)) - reach
                sc = best_column + np.int64((state >> np.uint64(32)) % np.uint64(2 * reach + 1)) - reach
                if 0 <= sr < height and 0 <= sc < width and sources[sr, sc]:
                    cost = _cost(padded, trust, guide, r, c, sr, sc, best, height)
                    if cost < best:
                        best_row, best_column, best = sr, sc, cost
                reach //= 2
            field[r, c, 0], field[r, c, 1], costs[r, c] = best_row, best_column, best


@numba.njit(cache=True, nogil=True, fastmath=True)
def _vote(picture, padded, hole, targets, trust, field, costs, spread):  # type: ignore[no-untyped-def]
    """Set the hole's pixels of `picture` to the weighted mean of what the patches over them propose."""
    height, width = hole.shape
    weights = np.zeros((height, width), np.float32)
    for r in range(height):
        for c in range(width):
            if targets[r, c]:
                weights[r, c] = trust[r, c] * np.exp(-min(costs[r, c] / spread, 60.0))
    for r in range(height):
        for c in range(width):
            if not hole[r, c]:
                continue
            total, red, green, blue = 0.0, 0.0, 0.0, 0.0
            for y in range(max(r - _RADIUS, 0), min(r + _RADIUS + 1, height)):
                for x in range(max(c - _RADIUS, 0), min(c + _RADIUS + 1, width)):
                    weight = weights[y, x] / (1.0 + (y - r) * (y - r) + (x - c) * (x - c))
                    sr, sc = field[y, x, 0] + r - y + _RADIUS, field[y, x, 1] + c - x + _RADIUS
                    total += weight
                    red += weight * padded[sr, sc, 0]
                    green += weight * padded[sr, sc, 1]
                    blue += weight * padded[sr, sc, 2]
            if total > 0:
                picture[r, c, 0], picture[r, c, 1], picture[r, c, 2] = red / total, green / total, blue / total
