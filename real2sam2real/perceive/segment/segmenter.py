"""One interface to everything that finds and cuts out objects of a photo.

```python
segmenter = Segmenter(SegmentOptions(segmenter="sam2"))
opened = segmenter.open(photo.pixels)
car = opened.from_box((410, 300, 720, 520))
dogs = opened.from_text(["dog"])
```

Where the user names nothing, objects are proposed by looking for the words of a stated vocabulary of things that can
move or be moved. A grid of points through SAM 2.1 is the other way; it is not the default, because SAM 2.1 has no
notion of an object: it gives windows and sleeves, sky and road with the same confidence as a car, and every mask
without a name. What the method lifts is foreground, and a shot's moves need names; words give both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import mask_from_box, mask_from_points
from real2sam2real.perceive.masks import MIN_PIXELS
from real2sam2real.perceive.prompts import box_text, checked_box, checked_inside, checked_points
from real2sam2real.perceive.segment.detections import SAME, Detection, Search, mask_iou
from real2sam2real.perceive.segment.embedded import EmbeddedNetworks, EmbeddedPhoto
from real2sam2real.perceive.segment.grid import propose_by_grid
from real2sam2real.perceive.segment.grounding import Detector
from real2sam2real.perceive.segment.network import Embedding
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.saliency import SIDE
from real2sam2real.perceive.segment.sam2 import Prompt, Sam2
from real2sam2real.perceive.segment.sam3 import Sam3

_LEAST_SCORE = 0.3  # MM-Grounding-DINO's and SAM 3's, from which an object counts
_FLOOR = 0.02  # scores are asked for down to here, so that a message can say how near a word came
_REMEDY = "choose another segmenter (docs/masks.md), or draw a box"
_SMALLEST_SHARE = 0.001  # of the photo: a smaller proposal is nothing that one would direct


class OpenedPhoto(Protocol):
    """A photo whose objects can be cut out. Pixels as in docs/conventions.md."""

    def from_points(self, inside: ArrayLike, outside: ArrayLike = (), box_xyxy: Sequence[float] | None = None) -> Mask:
        """The object, `(H, W)` bool, that holds the points `inside` `(N, 2)` and none of those `outside` `(M, 2)`.

        Raises:
            UserError: a point cannot be used, or nothing is found there.
        """

    def from_box(self, box_xyxy: Sequence[float]) -> Mask:
        """The object, `(H, W)` bool, that fills a box: left, top, right, bottom, the latter two not included.

        Raises:
            UserError: the box cannot be used, or nothing is found there.
        """

    def from_text(self, words: Sequence[str]) -> list[Detection]:
        """Every object that each word names.

        Raises:
            UserError: a word cannot be used, or names nothing in the photo.
        """

    def propose(self) -> list[Detection]:
        """The foreground's objects, the most prominent first.

        Raises:
            UserError: there is none.
        """


@dataclass(frozen=True, eq=False)
class GrabCutPhoto:
    """See `OpenedPhoto`. Points and boxes, cut out by their colours alone."""

    pixels: UInt8

    def from_points(self, inside: ArrayLike, outside: ArrayLike = (), box_xyxy: Sequence[float] | None = None) -> Mask:
        """See `OpenedPhoto`."""
        return mask_from_points(self.pixels, inside, outside, box_xyxy)

    def from_box(self, box_xyxy: Sequence[float]) -> Mask:
        """See `OpenedPhoto`."""
        return mask_from_box(self.pixels, box_xyxy)

    def from_text(self, words: Sequence[str]) -> list[Detection]:
        """Refused: GrabCut knows colours, not words."""
        raise UserError(f"GrabCut cannot find '{', '.join(words)}' by name; {_REMEDY} around it")

    def propose(self) -> list[Detection]:
        """Refused: GrabCut needs a box or points."""
        raise UserError(f"GrabCut cannot propose objects; {_REMEDY} around each")


@dataclass(frozen=True, eq=False)
class Segmenter:
    """Finds and cuts out objects, as the options say.

    By the package's own networks, by GrabCut, by SAM 2.1 with MM-Grounding-DINO, or by both SAMs with SAM 3 for words.

    Weights are loaded when they are first needed, each model once.
    """

    options: SegmentOptions  # which models, where from, and how

    @cached_property
    def embedded(self) -> EmbeddedNetworks:
        """The package's own."""
        return EmbeddedNetworks(self.options)

    @cached_property
    def sam2(self) -> Sam2:
        """SAM 2.1, loaded on first use."""
        return Sam2.load(self.options)

    @cached_property
    def detector(self) -> Detector:
        """MM-Grounding-DINO, loaded on first use."""
        return Detector.load(self.options)

    @cached_property
    def sam3(self) -> Sam3:
        """SAM 3, loaded on first use."""
        return Sam3.load(self.options)

    def warm_up(self) -> None:
        """Load what boxes and points need, so that the first one is answered as soon as the others.

        Raises:
            UserError: a model is missing.
        """
        if self.options.segmenter == "embedded":
            self.embedded.saliency.look(np.zeros((SIDE, SIDE, 3), np.uint8))  # which lays out the network's memory
        elif self.options.segmenter != "grabcut":
            _ = self.sam2

    def open(self, pixels: UInt8) -> OpenedPhoto:
        """A photo, `(H, W, 3)` uint8 sRGB, ready to be asked; it is looked at when it first is."""
        if self.options.segmenter == "embedded":
            return EmbeddedPhoto(self.embedded, pixels)
        return GrabCutPhoto(pixels) if self.options.segmenter == "grabcut" else ModelPhoto(self, pixels)


class ModelPhoto:
    """See `OpenedPhoto`. Each model embeds the photo once, when it is first asked."""

    def __init__(self, models: Segmenter, pixels: UInt8) -> None:
        self.models, self.options, self.pixels = models, models.options, pixels
        self.height, self.width = pixels.shape[:2]

    @cached_property
    def _seen_by_sam2(self) -> Embedding:
        return self.models.sam2.embed(self.pixels)

    @cached_property
    def _seen_by_sam3(self) -> Embedding:
        return self.models.sam3.embed(self.pixels)

    def from_points(self, inside: ArrayLike, outside: ArrayLike = (), box_xyxy: Sequence[float] | None = None) -> Mask:
        """See `OpenedPhoto`."""
        box = None if box_xyxy is None else np.array(checked_box(self.width, self.height, box_xyxy), np.float64)
        prompt = Prompt(
            inside=checked_inside(self.width, self.height, inside),
            outside=checked_points(self.width, self.height, outside, "outside"),
            box=box,
        )
        return self._cut_out(prompt, "the points")

    def from_box(self, box_xyxy: Sequence[float]) -> Mask:
        """See `OpenedPhoto`."""
        box = np.array(checked_box(self.width, self.height, box_xyxy), np.float64)
        return self._cut_out(Prompt(box=box), f"the box {box_text(box_xyxy)}")

    def from_text(self, words: Sequence[str]) -> list[Detection]:
        """See `OpenedPhoto`."""
        words = list(dict.fromkeys(" ".join(word.lower().split()) for word in words))
        search, least = self._search(words), self.options.least_score(_LEAST_SCORE)
        for word in words:
            if not any(each.word == word for each in search.found):
                best = f"the best guess scores {search.nearest.get(word, 0.0):.2f} and the threshold is {least:g}"
                raise UserError(
                    f"no '{word}' was found in the photo: {best}. Use another word, lower the threshold, or draw a box "
                    "around it"
                )
        return search.found

    def propose(self) -> list[Detection]:
        """See `OpenedPhoto`."""
        if self.options.proposals == "grid":
            masks = propose_by_grid(self.models.sam2, self._seen_by_sam2, self.options.max_objects)
            found = [Detection(word="object", mask=mask, score=score, asked=False) for mask, score in masks]
        else:
            found = _most_prominent(self._search(self.options.vocabulary).found, self.options.max_objects)
        if not found:
            raise UserError("nothing stands out in the photo by itself; name the objects, or draw a box around each")
        return found

    def _search(self, words: Sequence[str]) -> Search:
        """What the words name, by whichever model the options choose."""
        least, overlap = self.options.least_score(_LEAST_SCORE), self.options.overlap
        if self.options.segmenter == "sam3":
            return self.models.sam3.find(self._seen_by_sam3, words, least, overlap)
        seen = self.models.detector.detect(self.pixels, words, _FLOOR, overlap)
        search = Search(nearest={each.word: each.score for each in reversed(seen)})  # the best comes first in `seen`
        boxes = [each for each in seen if each.score >= least]
        if boxes:
            prompts = [Prompt(box=np.array(each.box)) for each in boxes]
            masks = self.models.sam2.masks(self._seen_by_sam2, prompts)
            search.found.extend(
                Detection(word=each.word, mask=mask, score=each.score)
                for each, (mask, _) in zip(boxes, masks, strict=True)
                if mask.any()
            )
        return search

    def _cut_out(self, prompt: Prompt, what: str) -> Mask:
        mask, _ = self.models.sam2.masks(self._seen_by_sam2, [prompt])[0]
        if mask.sum() < MIN_PIXELS:
            raise UserError(f"no object stands out at {what}; give more points, or a box around it")
        return mask


def _most_prominent(found: Sequence[Detection], most: int) -> list[Detection]:
    """Proposals without the tiny and the double, the most prominent first.

    Prominent is large and sure: the root of the mask's share of the photo, times its score.
    """
    kept: list[Detection] = []
    for each in sorted(found, key=lambda each: each.score, reverse=True):
        large = each.mask.sum() >= max(MIN_PIXELS, _SMALLEST_SHARE * each.mask.size)
        if large and not any(mask_iou(each.mask, other.mask) >= SAME for other in kept):
            kept.append(replace(each, asked=False))
    return sorted(kept, key=lambda each: float(np.sqrt(each.mask.mean()) * each.score), reverse=True)[:most]
