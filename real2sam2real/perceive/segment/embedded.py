"""Objects by the networks that come with the package: no download, and a few seconds an object on a laptop's CPU.

NanoDet finds what its 80 words name; U²-Net tells an object in a box from what is around it; colours refine where a
person's points say otherwise.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Float32, Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import mask_from_points
from real2sam2real.perceive.masks import MIN_PIXELS
from real2sam2real.perceive.prompts import box_text, checked_box, checked_inside, checked_points
from real2sam2real.perceive.segment.box_masks import BoxMaps, WholeBox, grow_box
from real2sam2real.perceive.segment.detections import Detection, box_area, box_of, box_overlaps
from real2sam2real.perceive.segment.nanodet import WORDS, NanoDet, ScoredBox, coco_word
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.points import obeying, parts_with
from real2sam2real.perceive.segment.saliency import SaliencyNet

LEAST_SCORE = 0.35  # NanoDet's, from which a box is a thing
_FLOOR = 0.05  # scores are asked for down to here, so that a message can say how near a word came
BOX_MARGIN = 0.04  # a detector's boxes grow by this share, as they tend to cut limbs and bumpers
_SAME_BOX = 0.6  # IoU from which boxes of two words are one thing
_SMALLEST_SHARE = 0.004  # of the photo: a smaller proposal is nothing that one would direct
_STANDS_OUT = 0.5
_REMEMBERED = 4  # boxes
_CROP_SHARES = (0.15, 0.25, 0.4, 0.6, 0.8)  # of the photo's longer side: crops around points


@dataclass(frozen=True, eq=False)
class EmbeddedNetworks:
    """The two networks, each loaded when it is first needed."""

    options: SegmentOptions

    @cached_property
    def saliency(self) -> SaliencyNet:
        """U²-Net."""
        return SaliencyNet.load()

    @cached_property
    def detector(self) -> NanoDet:
        """NanoDet."""
        return NanoDet.load()


class EmbeddedPhoto:
    """A photo, looked at when it is first asked; its methods are those of `segmenter.OpenedPhoto`."""

    def __init__(self, networks: EmbeddedNetworks, pixels: UInt8) -> None:
        self.networks, self.options, self.pixels = networks, networks.options, pixels
        self.height, self.width = pixels.shape[:2]
        self._boxes: OrderedDict[WholeBox, BoxMaps] = OrderedDict()  # looked at last

    def from_box(self, box_xyxy: Sequence[float]) -> Mask:
        """The object, `(H, W)` bool, in a box: left, top, right, bottom, the latter two not included.

        Raises:
            UserError: the box cannot be used, or nothing stands out in it.
        """
        box = checked_box(self.width, self.height, box_xyxy)
        try:
            return self._look(box).best_mask()
        except UserError as error:
            raise UserError(f"the box {box_text(box_xyxy)}: {error}") from None

    def from_points(self, inside: ArrayLike, outside: ArrayLike = (), box_xyxy: Sequence[float] | None = None) -> Mask:
        """The object, `(H, W)` bool, that holds the points `inside` `(N, 2)` and none of those `outside` `(M, 2)`.

        Without a box, it is the smallest thing found that holds all points inside; where there is none, colours decide.

        Raises:
            UserError: a point cannot be used, or nothing is found there.
        """
        inner = checked_inside(self.width, self.height, inside)
        outer = checked_points(self.width, self.height, outside, "outside")
        if box_xyxy is None:
            mask, probability = self._around(inner, outer)
            return parts_with(obeying(self.pixels, mask, probability, inner, outer), inner)
        mask, probability = self._in_box(checked_box(self.width, self.height, box_xyxy), inner, outer)
        return obeying(self.pixels, mask, probability, inner, outer)

    def _look(self, box: WholeBox) -> BoxMaps:
        """What stands out around a box; the last ones are remembered, for the next point on the same object."""
        if box not in self._boxes:
            self._boxes[box] = BoxMaps.look(self.networks.saliency, self.pixels, box)
        self._boxes.move_to_end(box)
        while len(self._boxes) > _REMEMBERED:
            self._boxes.popitem(last=False)
        return self._boxes[box]

    def _around(self, inner: Float, outer: Float) -> tuple[Mask, Float32]:
        """A mask and a probability, `(H, W)` both, of the object with some points, as far as its surroundings tell.

        Points that no one thing holds have their own each: together these are the object.
        """
        box = self._box_around(inner, outer)
        if box is not None:
            return self._in_box(box, inner, outer)
        if len(inner) > 1:
            each = [self._around(point[None], outer) for point in inner]
            return np.any([mask for mask, _ in each], axis=0), np.max([likely for _, likely in each], axis=0)
        mask = mask_from_points(self.pixels, inner, outer)
        return mask, mask.astype(np.float32)

    def _in_box(self, box: WholeBox, inner: Float, outer: Float) -> tuple[Mask, Float32]:
        """The same for a box; where nothing stands out in it, colours tell the object by its points."""
        maps = self._look(box)
        try:
            return maps.best_mask(), maps.probability()
        except UserError:
            return mask_from_points(self.pixels, inner, outer, box), maps.probability()

    def from_text(self, words: Sequence[str]) -> list[Detection]:
        """Every object that each word names.

        Raises:
            UserError: NanoDet does not know a word, or finds nothing of the kind.
        """
        words = list(dict.fromkeys(" ".join(word.lower().split()) for word in words))
        known = {_known(word): word for word in words}
        least = self.options.least_score(LEAST_SCORE)
        seen = self.networks.detector.detect(self.pixels, list(known), min(_FLOOR, least), self.options.overlap)
        for word, said in known.items():
            best = max((each.score for each in seen if each.word == word), default=0.0)
            if best < least:
                raise UserError(
                    f"no '{said}' was found in the photo: the best guess scores {best:.2f} and the threshold is "
                    f"{least:g}. Draw a box around it, or try --segmenter sam2"
                )
        found = self._cut_out(_one_word_each([each for each in seen if each.score >= least]))
        return [replace(each, word=known[each.word]) for each in found]

    def propose(self) -> list[Detection]:
        """What stands out, the most prominent first: things with a word of NanoDet's, else "object".

        Raises:
            UserError: nothing stands out.
        """
        found: list[Detection] = []
        for each in self._prominent:
            if len(found) == self.options.max_objects:
                break
            found += [replace(cut, asked=False) for cut in self._cut_out([each])]
        if not found:
            raise UserError("nothing stands out in the photo by itself; name the objects, or draw a box around each")
        return found

    @cached_property
    def _standing_out(self) -> Float32:
        """`(H, W)` 0…1: what stands out in the whole photo."""
        net = self.networks.saliency
        return (net.look(self.pixels) + net.look(self.pixels, mirrored=True)) * np.float32(0.5)

    @cached_property
    def _things(self) -> list[ScoredBox]:
        """Boxes of everything that has a word, the surest first."""
        least = self.options.least_score(LEAST_SCORE)
        return _one_word_each(self.networks.detector.detect(self.pixels, WORDS, least, self.options.overlap))

    @cached_property
    def _prominent(self) -> list[ScoredBox]:
        """Things with a word and things that stand out, those that are large, sure and stand out first."""
        boxes = [each for each in self._things if box_area(each.box) >= _SMALLEST_SHARE * self._standing_out.size]
        for box, standing_out in self._salient_boxes:
            known = np.array([each.box for each in boxes]).reshape(-1, 4)
            if not len(known) or not (_shared(box, known) > _STANDS_OUT).any():
                boxes.append(ScoredBox(word="object", box=box, score=standing_out))
        return sorted(boxes, key=self._prominence, reverse=True)

    def _prominence(self, thing: ScoredBox) -> float:
        left, top, right, bottom = grow_box(thing.box, 0, self.width, self.height)
        share = (right - left) * (bottom - top) / self._standing_out.size
        return float(np.sqrt(share) * thing.score * self._standing_out[top:bottom, left:right].mean())

    @cached_property
    def _salient_boxes(self) -> list[tuple[tuple[float, float, float, float], float]]:
        """Boxes of the parts that stand out in the whole photo, with how much they do, 0…1."""
        parts_mask = (self._standing_out > _STANDS_OUT).astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(parts_mask, connectivity=8)
        result = []
        for part in range(1, count):
            if stats[part, cv2.CC_STAT_AREA] >= _SMALLEST_SHARE * parts.size:
                mask = parts == part
                left, top, right, bottom = (float(value) for value in box_of(mask))
                result.append(((left, top, right, bottom), float(self._standing_out[mask].mean())))
        return result

    def _box_around(self, inner: Float, outer: Float) -> WholeBox | None:
        """The box of the smallest thing with all points inside it, and as few of those outside as can be."""
        offers = [each.box for each in self._things] + [box for box, _ in self._salient_boxes]
        around = [box for box in offers if _within(box, inner) == len(inner)]
        if not around:
            return self._box_from_crops(inner)
        best = min(around, key=lambda box: (_within(box, outer), box_area(box)))
        return grow_box(best, BOX_MARGIN, self.width, self.height)

    def _box_from_crops(self, inner: Float) -> WholeBox | None:
        """The box of what stands out at all points in a crop around them: the smallest crop that holds it whole."""
        low, high = inner.min(axis=0), inner.max(axis=0)
        for share in _CROP_SHARES:
            margin = max(0.0, (share * max(self.width, self.height) - float((high - low).max())) / 2)
            margin = max(margin, 0.2 * float((high - low).max()))
            crop = grow_box((*(low - margin), *(high + margin)), 0, self.width, self.height)
            left, top, right, bottom = crop
            seen = self.networks.saliency.look(self.pixels[top:bottom, left:right]) > _STANDS_OUT
            _, parts = cv2.connectedComponents(seen.astype(np.uint8))
            numbers = np.unique(parts[(inner[:, 1] - top).astype(int), (inner[:, 0] - left).astype(int)])
            if len(numbers) != 1 or numbers[0] == 0:
                continue
            x0, y0, x1, y1 = np.add(box_of(parts == numbers[0]), (left, top, left, top)).tolist()
            cut = (x0 == left > 0, y0 == top > 0, x1 == right < self.width, y1 == bottom < self.height)
            if not any(cut):
                return grow_box((x0, y0, x1, y1), BOX_MARGIN, self.width, self.height)
        return None

    def _cut_out(self, things: Sequence[ScoredBox]) -> list[Detection]:
        """Their masks; what nothing stands out of is left out."""
        found = []
        for each in things:
            box = grow_box(each.box, BOX_MARGIN, self.width, self.height)
            try:
                mask = BoxMaps.look(self.networks.saliency, self.pixels, box).best_mask()
            except UserError:
                continue
            if mask.sum() >= MIN_PIXELS:
                found.append(Detection(word=each.word, mask=mask, score=each.score))
        return found


def _known(word: str) -> str:
    """NanoDet's word for one of a user's.

    Raises:
        UserError: it has none.
    """
    known = coco_word(word)
    if known is None:
        near = difflib.get_close_matches(word, WORDS, n=3, cutoff=0.7)
        hint = f" (it knows {', '.join(near)})" if near else ""
        raise UserError(
            f"'{word}' is none of the 80 words that the package's own detector knows{hint}. --segmenter sam2 or sam3 "
            "knows any word (they download models, see docs/masks.md), or draw a box around it"
        )
    return known


def _one_word_each(seen: Sequence[ScoredBox]) -> list[ScoredBox]:
    """Each thing with the word that fits it best: boxes come with the surest first."""
    kept: list[ScoredBox] = []
    for each in seen:
        if not kept or box_overlaps(each.box, np.array([other.box for other in kept])).max() < _SAME_BOX:
            kept.append(each)
    return kept


def _within(box: Sequence[float], points: Float) -> int:
    """How many points `(N, 2)` lie in a box."""
    return int(((points >= box[:2]) & (points < box[2:])).all(axis=1).sum())


def _shared(box: Sequence[float], others: Float) -> Float:
    """`(N,)`: which share of a box lies in each of others `(N, 4)`, or of the other in it, whichever is more."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    smaller = np.minimum(box_area(box), np.clip(others[:, 2:] - others[:, :2], 0, None).prod(axis=1))
    return common / np.maximum(smaller, 1e-9)
