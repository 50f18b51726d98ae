"""Follows marked instances by flow, which carries masks, and by colours and the background behind, which correct them.

Where a label is a word that the package's detector knows, it looks now and then whether a mask has left its thing.

Shape legend: T frames, H height, W width in pixels; h w work size; N instances.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.instances.following import (
    Follower,
    FrameFeatures,
)
from real2sam2real.lab.curate.instances.interface import Box, InstancePrompt, Instances, check_prompts
from real2sam2real.lab.curate.instances.motion import ClipMotion
from real2sam2real.lab.curate.instances.redetection import Redetector
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.segmenter import Segmenter

_SEARCH_EVERY = 5  # frames after which other things that move are looked for anew
_REDETECT_EVERY = 4  # frames after which the detector is asked
_INSIDE = 127  # of 255, above which a pixel is an instance's
_ENOUGH = 12  # pixels of a mask from which it can be followed
_AGREED = 0.5  # share of a mask that must be found on the way back, for it to count
_MOVES = 16  # grey levels from which a pixel differs from the background behind it
_MOST_MOVES = 0.3  # of the picture; where more differs, the background is not known well enough to name movers
_LEAST_AREA = 0.004  # of the picture, for something that moves by itself
_GAP = 7  # pixels between an instance and what moves beside it
_SETTLED = 0.5  # weight of each neighbouring frame when masks are made steady


class EmbeddedTracker:
    """See `InstanceTracker`. 81 frames take about twenty seconds, or forty where more moves than is marked."""

    name = "embedded"

    def __init__(self) -> None:
        self._segmenter = Segmenter(SegmentOptions())

    def cut_out(self, picture: UInt8, box: Box) -> Bool:
        """The instance in a box of a frame `(H, W, 3)`, `(H, W)` bool.

        Raises:
            UserError: the box lies beside the picture, or nothing stands out in it.
        """
        return self._segmenter.open(picture).from_box(box)

    def track(self, video: UInt8, prompts: Sequence[InstancePrompt]) -> Instances:
        """See `InstanceTracker`."""
        check_prompts(video, prompts)
        if not prompts:
            raise UserError("nothing is marked; draw a box around each instance that is to be followed")
        motion = ClipMotion(video)
        starts = [self._start(motion, video[prompt.frame], prompt) for prompt in prompts]
        _part(starts, prompts)
        soft = np.zeros((len(prompts), *motion.frames.shape[:3]), np.uint8)
        starts_at = [prompt.frame for prompt in prompts]
        redetector = Redetector(video, [prompt.label for prompt in prompts], self._segmenter.embedded)
        for direction in (1, -1):
            if _follow(motion, starts_at, starts, direction, soft, redetector):
                _retrace(motion, starts_at, direction, soft, redetector)
        for each in soft:
            _settle(motion, each)
        return Instances(
            ids=_at_full_size(soft, video.shape[1], video.shape[2]),
            labels={number: prompt.label for number, prompt in enumerate(prompts, 1)},
        )

    def _start(self, motion: ClipMotion, frame: UInt8, prompt: InstancePrompt) -> Bool:
        """The instance on the marked frame, `(h, w)` bool."""
        if prompt.mask is not None:
            return _work_size(prompt.mask, motion)
        assert prompt.box is not None  # a mark has either
        return _work_size(self.cut_out(frame, prompt.box), motion)


def _part(starts: list[Bool], prompts: Sequence[InstancePrompt]) -> None:
    """Leave each pixel `(h, w)` that several start with on one frame to the smallest of them.

    Raises:
        UserError: nothing is left of one.
    """
    for frame in {prompt.frame for prompt in prompts}:
        taken = np.zeros(starts[0].shape, np.bool_)
        there = [k for k, prompt in enumerate(prompts) if prompt.frame == frame]
        for k in sorted(there, key=lambda k: starts[k].sum()):
            starts[k] = starts[k] & ~taken
            if not starts[k].any():
                raise UserError(f"'{prompts[k].label}' is the same as another mark on its frame; leave one out")
            taken |= starts[k]


def _movers(features: FrameFeatures, taken: Sequence[Bool]) -> list[Bool]:
    """What moves by itself, `(h, w)` bool each, and is none of the instances: they must not be mistaken for it."""
    moves = cv2.morphologyEx(
        (features.difference > _MOVES).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)
    )
    moves = cv2.morphologyEx(moves, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if moves.mean() > _MOST_MOVES:
        return []
    for mask in taken:
        moves[cv2.dilate(mask.astype(np.uint8), np.ones((2 * _GAP + 1, 2 * _GAP + 1), np.uint8)) > 0] = 0
    _, parts, stats, _ = cv2.connectedComponentsWithStats(moves, connectivity=8)
    large = [k for k in range(1, len(stats)) if stats[k, cv2.CC_STAT_AREA] > _LEAST_AREA * moves.size]
    return [parts == k for k in large]


def _work_size(mask: Bool, motion: ClipMotion) -> Bool:
    small = cv2.resize(mask.astype(np.float32), (motion.width, motion.height), interpolation=cv2.INTER_AREA)
    found = small > 0.5
    return np.asarray(found if found.any() else small >= small.max(), np.bool_)


def _features(motion: ClipMotion, at: int) -> FrameFeatures:
    return FrameFeatures(motion.frames[at], motion.difference(at))


def _follow(
    motion: ClipMotion,
    starts_at: Sequence[int],
    starts: Sequence[Bool],
    direction: int,
    soft: UInt8,
    redetector: Redetector,
) -> bool:
    """Follow every instance from where it is known to one end of the clip; `soft` `(N, T, h, w)` gets its masks, 0…255.

    What else moves is followed too, so that it is not taken for an instance that it touches.

    Returns whether anything else moves.
    """
    others = False
    frames = len(motion.frames)
    followers: dict[int, Follower] = {}
    for at in range(frames) if direction > 0 else range(frames - 1, -1, -1):
        due = [k for k, start in enumerate(starts_at) if start == at]
        if not (due or followers):
            continue
        features = _features(motion, at)
        _step(motion, followers, at - direction, at, features)
        if redetector.words and at % _REDETECT_EVERY == 0:
            _redetect(motion, followers, at, features, redetector)
        followers.update({k: Follower(starts[k], features) for k in due})
        for k in [k for k, follower in followers.items() if k < 0 and follower.lost]:
            del followers[k]
        if due or at % _SEARCH_EVERY == 0:
            known = [follower.soft > 0.5 for follower in followers.values()]
            for mask in _movers(features, known):
                followers[min(0, *followers) - 1] = Follower(mask, features)
                others = True
        for k, follower in followers.items():
            if k >= 0:
                soft[k, at] = np.round(255 * follower.soft)
    return others


def _redetect(
    motion: ClipMotion, followers: dict[int, Follower], at: int, features: FrameFeatures, redetector: Redetector
) -> None:
    """Begin anew with those instances that the detector sees elsewhere than their masks are."""
    masks = {k: redetector.full_size(follower.soft) for k, follower in followers.items() if not follower.lost}
    for k, mask in redetector.replaced(at, masks).items():
        followers[k] = Follower(_work_size(mask, motion), features)


def _retrace(motion: ClipMotion, starts_at: Sequence[int], direction: int, soft: UInt8, redetector: Redetector) -> None:
    """Follow the instances back from where they were last seen, and keep of `soft` what both ways agree on.

    Something that comes out from behind an instance looks like a part of it, until it has left. Seen backwards it comes
    as what it is: something else that moves.
    """
    ends = [_last_seen(masks, start, direction) for masks, start in zip(soft, starts_at, strict=True)]
    back = np.zeros_like(soft)
    known = [masks[end] > _INSIDE for masks, end in zip(soft, ends, strict=True)]
    _follow(motion, ends, known, -direction, back, redetector)
    for there, again, start, end in zip(soft, back, starts_at, ends, strict=True):
        for at in range(start + direction, end, direction):
            one, other = there[at] > _INSIDE, again[at] > _INSIDE
            if (one & other).sum() > _AGREED * one.sum():
                there[at] = np.minimum(there[at], again[at])


def _last_seen(masks: UInt8, start: int, direction: int) -> int:
    """The frame furthest from `start`, that way, on which a mask `(T, h, w)` shows enough to be followed."""
    seen = np.flatnonzero((masks > _INSIDE).sum(axis=(1, 2)) >= _ENOUGH)
    ahead = seen[(seen - start) * direction >= 0]
    return int(ahead.max() if direction > 0 else ahead.min()) if len(ahead) else start


def _step(motion: ClipMotion, followers: dict[int, Follower], before: int, after: int, features: FrameFeatures) -> None:
    """Take all instances to the next frame together, so that each pixel goes to the likeliest one."""
    carried: dict[int, Float32] = {}
    evidence: dict[int, Float32] = {}
    for k, follower in followers.items():
        if follower.lost:
            place = follower.returned(features)
            if place is None:
                continue
            carried[k], trust = place, np.ones_like(place)
        else:
            carried[k], trust = motion.warped(follower.soft, before, after)
        evidence[k] = follower.evidence(carried[k], trust, features)
    for k, mine in evidence.items():
        others = [other for j, other in evidence.items() if j != k]
        best = np.max(others, axis=0) if others else np.full_like(mine, -np.inf)
        followers[k].step(carried[k], mine, (best > mine) & (best > 0), features)


def _settle(motion: ClipMotion, masks: UInt8) -> None:
    """Make masks `(T, h, w)` steady: each becomes the mean of itself and its neighbours, carried to it."""
    before = masks.copy()
    for at in range(len(masks)):
        total, weight = before[at].astype(np.float32), 1.0
        for near in (at - 1, at + 1):
            if 0 <= near < len(masks) and before[at].any() and before[near].any():
                carried, trust = motion.warped(before[near].astype(np.float32), near, at)
                total += _SETTLED * (trust * carried + (1 - trust) * before[at])
                weight += _SETTLED
        masks[at] = np.round(total / weight)


def _at_full_size(soft: UInt8, height: int, width: int) -> UInt8:
    """`(T, H, W)` uint8 ids of soft masks `(N, T, h, w)`: the strongest instance where it is more there than not."""
    ids = np.zeros((soft.shape[1], height, width), np.uint8)
    for at in range(soft.shape[1]):
        best = np.full((height, width), 127.5, np.float32)
        for number, small in enumerate(soft[:, at], 1):
            if not small.any():
                continue
            large = cv2.resize(small.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            over = large > best
            ids[at][over] = number
            best = np.where(over, large, best)
    return ids
