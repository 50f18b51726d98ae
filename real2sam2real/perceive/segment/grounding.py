"""MM-Grounding-DINO: boxes around what words name.

Shape legend: Q boxes that the model proposes, L tokens of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from real2sam2real.arrays import Float, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.segment.detections import suppress_overlapping
from real2sam2real.perceive.segment.network import Network
from real2sam2real.perceive.segment.options import SegmentOptions

_SPLITTERS = ".?"  # the model takes what stands between them as one phrase


class BoxDetection(NamedTuple):
    """A box around something that a word names."""

    word: str  # which of the words
    box: tuple[float, float, float, float]  # left, top, right, bottom in the photo's pixels, within the photo
    score: float  # 0…1


class Detector(Network):
    """MM-Grounding-DINO with its weights loaded: an `MMGroundingDinoForObjectDetection` and its BERT tokenizer."""

    @classmethod
    def load(cls, options: SegmentOptions) -> Detector:
        """Find and load the weights.

        Raises:
            MissingPartError: transformers or the weights are missing; the message says how to get them.
            UserError: the weights are another model's or incomplete.
        """
        kinds = ("mm-grounding-dino",)
        return cls.from_checkpoint(options.detector, "MMGroundingDinoForObjectDetection", kinds, options)

    def detect(self, pixels: UInt8, words: Sequence[str], least: float, overlap: float) -> list[BoxDetection]:
        """Boxes around what the words name, best first.

        All words are shown to the model at once, as far as they fit; a box then belongs to the word that fits it best.

        Args:
            pixels: `(H, W, 3)` uint8 sRGB.
            words: nouns with or without an attribute, such as "red car".
            least: the least score that counts, 0…1.
            overlap: IoU above which the weaker of two boxes of one word is dropped.

        Raises:
            UserError: a word is empty, too long, or holds a full stop or a question mark.
        """
        checked = [_checked_word(word) for word in words]
        found: list[BoxDetection] = []
        for text, spans in self._texts(checked):
            boxes, token_scores = self._run(pixels, text)
            scores = np.stack([token_scores[:, span].mean(axis=1) for _, span in spans], axis=1)
            found += _detections(boxes, scores, [word for word, _ in spans], least, overlap)
        return sorted(found, key=lambda each: -each.score)

    def _texts(self, words: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, list[int]]]]]:
        """Texts that fit the model, each with its words and the positions of their tokens."""
        longest = self.model.config.max_text_len
        several: list[str] = []
        for word in words:
            if len(self._tokens([word])) > longest:
                raise UserError(f"the word '{word}' is too long for the detector; name the thing in a few words")
            if len(self._tokens([*several, word])) > longest:
                yield self._laid_out(several)
                several = []
            several.append(word)
        if several:
            yield self._laid_out(several)

    def _tokens(self, words: Sequence[str]) -> list[int]:
        return list(self.tokenizer(_text(words))["input_ids"])

    def _laid_out(self, words: Sequence[str]) -> tuple[str, list[tuple[str, list[int]]]]:
        text, start, spans = _text(words), 0, []
        offsets = self.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        for word in words:
            end = start + len(word)
            spans.append((word, [k for k, (low, high) in enumerate(offsets) if low < high and start <= low < end]))
            start = end + 2
        return text, spans

    def _run(self, pixels: UInt8, text: str) -> tuple[Float, Float]:
        """Boxes `(Q, 4)` in the photo's pixels and the score `(Q, L)` of every token for each."""
        import torch

        picture = self.preprocessor.picture(pixels).to(self.device)
        seen = torch.ones(picture.shape[0], *picture.shape[2:], dtype=torch.long, device=self.device)
        tokens = self.tokenizer(text, return_tensors="pt", return_token_type_ids=True).to(self.device)
        with self.inference():
            output = self.model(
                pixel_values=picture,
                pixel_mask=seen,
                input_ids=tokens["input_ids"],
                token_type_ids=tokens["token_type_ids"],
                attention_mask=tokens["attention_mask"],
            )
        centre, size = output.pred_boxes[0].double().cpu().numpy().reshape(-1, 2, 2).swapaxes(0, 1)
        height, width = pixels.shape[:2]
        corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1) * [width, height, width, height]
        return np.clip(corners, 0, [width, height, width, height]), output.logits[0].double().sigmoid().cpu().numpy()


def _detections(boxes: Float, scores: Float, words: Sequence[str], least: float, overlap: float) -> list[BoxDetection]:
    """Boxes `(Q, 4)` and scores `(Q, words)` to detections: one word per box, weaker overlapping boxes dropped."""
    best = scores.argmax(axis=1)
    found = []
    for k, word in enumerate(words):
        mine = np.flatnonzero((best == k) & (scores[:, k] >= least))
        for rank in suppress_overlapping(boxes[mine], scores[mine, k], overlap):
            left, top, right, bottom = (float(value) for value in boxes[mine[rank]])
            if right - left >= 1 and bottom - top >= 1:
                found.append(BoxDetection(word, (left, top, right, bottom), float(scores[mine[rank], k])))
    return found


def _text(words: Sequence[str]) -> str:
    """As the model was trained: lower case, a full stop behind every phrase."""
    return ". ".join(words) + "."


def _checked_word(word: str) -> str:
    clean = " ".join(word.lower().split())
    if not clean:
        raise UserError("a word that names an object is empty; write for example 'car'")
    if bad := [c for c in _SPLITTERS if c in clean]:
        raise UserError(f"'{word}' holds a '{bad[0]}', which the detector takes as the end of a word; leave it out")
    return clean
