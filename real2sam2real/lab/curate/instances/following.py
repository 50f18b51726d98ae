"""One instance, followed from frame to frame: the flow carries its mask, its appearance corrects it.

Shape legend: h w work size in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.lab.curate.instances.appearance import Appearance, color_bins, difference_bins

_SOFT = 3.0  # pixels over which the carried mask's border is in doubt, per nat
_PRIOR_LIMIT = 2.5
_SURE = 5.0  # nats beyond which GrabCut is not asked
_RING = 24  # pixels around an instance that count as its surroundings
_LOST_SHARE = 0.06  # of the usual area, under which an instance is lost
_FOUND = 0.90  # correlation from which an instance has come back
_STAYS = 0.25  # weight of the carried mask in the new one


class FrameFeatures:
    """A frame `(h, w, 3)` uint8 sRGB as followers see it, and how it differs, `(h, w)` uint8, from the background."""

    def __init__(self, picture: UInt8, difference: UInt8) -> None:
        self.picture, self.difference = picture, difference
        self.colors, self.steps = color_bins(picture), difference_bins(difference)  # `(h, w)` int64 both


class Follower:
    """An instance on its way through the clip in one direction, from its mask `(h, w)` on the marked frame."""

    def __init__(self, mask: Bool, features: FrameFeatures) -> None:
        self.soft = mask.astype(np.float32)  # `(h, w)`, its mask on the last frame seen, 0…1; nothing where it is lost
        self._appearance = Appearance(features.colors, features.steps, mask, around(mask))
        self._area = float(mask.sum())
        self._seen, self._seen_picture = mask, features.picture
        self._lost = 0

    @property
    def lost(self) -> bool:
        """Whether it is nowhere to be seen."""
        return self._lost > 0

    def evidence(self, carried: Float32, trust: Float32, features: FrameFeatures) -> Float32:
        """How much speaks for each pixel's being the instance's, `(h, w)` float32 in nats.

        Args:
            carried: `(h, w)` float32, its mask carried to this frame.
            trust: `(h, w)` float32, 0…1, how far to believe that.
            features: of this frame.
        """
        mask = carried > 0.5
        if not mask.any():
            return np.full(carried.shape, -2 * _SURE, np.float32)
        distance = signed_distance(mask)
        prior = np.clip(distance / _SOFT, -_PRIOR_LIMIT, _PRIOR_LIMIT)
        prior = np.where(distance > 0, prior * (0.4 + 0.6 * trust), prior)
        seen = cv2.GaussianBlur(self._appearance.evidence(features.colors, features.steps), (0, 0), 0.8)
        reach = 6.0 + 0.08 * float(np.sqrt(mask.sum()))  # how far beyond its carried mask it may be, in pixels
        far = -2 * _SURE * np.clip((-distance - reach) / 4, 0, 1)
        return np.asarray(prior + seen + far, np.float32)

    def step(self, carried: Float32, evidence: Float32, rivals: Bool, features: FrameFeatures) -> None:
        """Take the next frame, on which other instances are the likelier ones where `rivals` `(h, w)` says so."""
        mask = cut_out(evidence, rivals, features.picture)
        mask = connected(mask, carried > 0.5)
        if mask.sum() < max(12.0, _LOST_SHARE * self._area):
            self._lost += 1
            self.soft = np.zeros_like(self.soft)
            return
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
        self.soft = np.asarray((1 - _STAYS) * soft + _STAYS * carried, np.float32)
        self.soft[rivals] = 0
        self._lost = 0
        self._area = 0.97 * self._area + 0.03 * float(mask.sum())
        if mask.sum() > 0.5 * self._area:
            self._seen, self._seen_picture = mask, features.picture
        inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        inside &= evidence > 1
        self._appearance.learn(features.colors, features.steps, inside, around(mask))

    def returned(self, features: FrameFeatures) -> Float32 | None:
        """Where a lost instance may be again, `(h, w)` float32: as it last looked, near its last place; or None."""
        rows, columns = np.nonzero(self._seen)
        y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        reach = 16 + 8 * min(self._lost, 20)
        height, width = self._seen.shape
        top, left = max(0, y0 - reach), max(0, x0 - reach)
        window = features.picture[top : min(height, y1 + reach), left : min(width, x1 + reach)]
        shape = self._seen[y0:y1, x0:x1]
        score = _correlation(window, self._seen_picture[y0:y1, x0:x1], shape)
        y, x = np.unravel_index(int(score.argmax()), score.shape)
        if score[y, x] < _FOUND:
            self._lost += 1
            return None
        mask = np.zeros(self._seen.shape, np.float32)
        mask[top + y : top + y + shape.shape[0], left + x : left + x + shape.shape[1]] = shape
        colors = self._appearance.color_evidence(features.colors)
        return mask if float(colors[mask > 0].mean()) > 0.3 else None


def around(mask: Bool) -> Bool:
    """`(h, w)` bool: what surrounds a mask, with a gap where the border may be wrong."""
    distance = signed_distance(mask)
    return np.asarray((distance < -3) & (distance > -_RING), np.bool_)


def signed_distance(mask: Bool) -> Float32:
    """`(h, w)` float32, pixels to the border of a mask, positive inside."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.where(mask, inside - 0.5, 0.5 - outside), np.float32)


def cut_out(evidence: Float32, rivals: Bool, picture: UInt8) -> Bool:
    """`(h, w)` bool: GrabCut on a picture of the evidence, the lightness and the redness; sure pixels are fixed."""
    likely = evidence > -_SURE
    if not (likely & ~rivals).any():
        return np.zeros(evidence.shape, np.bool_)
    rows, columns = np.nonzero(likely)
    margin = 8
    window = (
        slice(max(0, rows.min() - margin), rows.max() + 1 + margin),
        slice(max(0, columns.min() - margin), columns.max() + 1 + margin),
    )
    part, rival = evidence[window], rivals[window]
    labels = np.where(part > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[part > _SURE] = cv2.GC_FGD
    labels[(part < -_SURE) | rival] = cv2.GC_BGD
    mask = np.zeros(evidence.shape, np.bool_)
    inner, outer = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD))
    if min(inner.sum(), outer.sum()) < 10:  # too few to learn five colours of
        mask[window] = inner
        return mask
    lab = cv2.cvtColor(np.ascontiguousarray(picture[window]), cv2.COLOR_RGB2LAB)
    chance = 255 / (1 + np.exp(-part / 1.5))
    mixed = np.dstack([chance.astype(np.uint8), lab[..., 0], cv2.addWeighted(lab[..., 1], 1.0, lab[..., 2], 1.0, -128)])
    cv2.setRNGSeed(0)
    cv2.grabCut(mixed, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    mask[window] = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return mask


def connected(mask: Bool, carried: Bool) -> Bool:
    """Without specks, pinholes, parts that the carried mask hardly touches, and parts that have come away.

    What has a wide gap to the main part is something else that moved behind the instance and has now left it.
    """
    _, parts, stats, _ = cv2.connectedComponentsWithStats(_opened(mask), connectivity=8)
    areas = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    touching = np.bincount(parts[carried & (parts > 0)], minlength=len(areas))
    touched = touching / areas
    touched[0] = 0
    kept = touched > 0.2
    if kept.any():
        main = parts == int(np.argmax(np.where(kept, touching, 0)))
        gap = 4.0 + 0.05 * float(np.sqrt(main.sum()))  # how far from its main part a part may be, in pixels
        near = signed_distance(main) > -gap
        kept &= np.bincount(parts[near], minlength=len(areas)) > 0
    return tidied(kept[parts])


def tidied(mask: Bool) -> Bool:
    """Without specks and pinholes."""
    small = _opened(mask)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(small, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] > 0.01 * small.sum()
    keep[0] = False
    kept = keep[parts]
    _, holes, stats, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8), connectivity=4)
    tiny = stats[:, cv2.CC_STAT_AREA] < max(6.0, 0.004 * kept.sum())
    tiny[0] = False
    return np.asarray(kept | tiny[holes], np.bool_)


def _opened(mask: Bool) -> UInt8:
    """Opened by 2×2; OpenCV's own opening moves what is left by a pixel, as it does not turn an even kernel round."""
    kernel = np.ones((2, 2), np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), kernel, anchor=(1, 1))
    return np.asarray(cv2.dilate(eroded, kernel, anchor=(0, 0)), np.uint8)


def _correlation(window: UInt8, template: UInt8, shape: Bool) -> Float32:
    """Masked correlation of a template at every place in a window, -1…1."""
    mask = np.repeat(shape[..., None], 3, axis=2).astype(np.float32)
    score = cv2.matchTemplate(window.astype(np.float32), template.astype(np.float32), cv2.TM_CCOEFF_NORMED, mask=mask)
    return np.asarray(np.where(np.isfinite(score), score, -1), np.float32)
