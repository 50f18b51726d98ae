"""SAM 3: masks of everything that a word names, from one model. Its weights are given out on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from real2sam2real.arrays import Float, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.segment.detections import Detection, Search, suppress_overlapping
from real2sam2real.perceive.segment.network import Embedding, Network
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.sam2 import at_photo_size

if TYPE_CHECKING:
    import torch

LONGEST_TEXT = 32  # tokens, as it was trained
ACCESS = (
    "SAM 3 is given out under its own licence: log in at huggingface.co, ask for access on the page of facebook/sam3, "
    "and when it is granted, run: hf auth login. Or choose sam2, whose models are open to everyone."
)


class Sam3(Network):
    """SAM 3 with its weights loaded: a `Sam3Model` and its CLIP tokenizer."""

    @classmethod
    def load(cls, options: SegmentOptions) -> Sam3:
        """Find and load the weights.

        Raises:
            MissingPartError: transformers or the weights are missing, or access to them was not granted; the message
                says how to get them.
            UserError: the weights are another model's or incomplete.
        """
        return cls.from_checkpoint(options.sam3, "Sam3Model", ("sam3", "sam3_video"), options, hint=ACCESS)

    def embed(self, pixels: UInt8) -> Embedding:
        """Look at a photo `(H, W, 3)` uint8 sRGB, once for all words."""
        with self.inference():
            features = self.model.get_vision_features(self.preprocessor.picture(pixels).to(self.device))
        return Embedding(features=features, height=pixels.shape[0], width=pixels.shape[1])

    def find(self, embedding: Embedding, words: Sequence[str], least: float, overlap: float) -> Search:
        """Masks of everything that the words name, word by word, best first.

        Args:
            embedding: of the photo.
            words: short noun phrases, such as "red car".
            least: the least score that counts, 0…1.
            overlap: IoU of boxes above which the weaker of two instances of one word is dropped.

        Raises:
            UserError: a word is empty or too long.
        """
        search = Search()
        for word in words:
            scores, boxes, logits = self._run(embedding, word)
            search.nearest[word] = float(scores.max())
            fit = np.flatnonzero(scores >= least)
            kept = fit[suppress_overlapping(boxes[fit], scores[fit], overlap)]
            masks = at_photo_size(logits[kept.tolist()], embedding.height, embedding.width) if len(kept) else ()
            search.found.extend(
                Detection(word=word, mask=mask, score=float(scores[k]))
                for k, mask in zip(kept, masks, strict=True)
                if mask.any()
            )
        return search

    def _run(self, embedding: Embedding, word: str) -> tuple[Float, Float, torch.Tensor]:
        """Scores `(Q,)`, boxes `(Q, 4)` as shares of the photo, and mask logits `(Q, h, w)` of the model's queries."""
        tokens = word_tokens(self.tokenizer, word, self.device)
        with self.inference():
            output = self.model(vision_embeds=embedding.features, **tokens)
        # Whether the word is in the photo at all, and which of the queries shows it, are two questions to the model.
        scores = output.pred_logits.double().sigmoid() * output.presence_logits.double().sigmoid()
        boxes = output.pred_boxes[0].double().cpu().numpy()
        return scores[0].cpu().numpy(), boxes, output.pred_masks[0].float().cpu()


def word_tokens(tokenizer: Any, word: str, device: torch.device) -> dict[str, torch.Tensor]:
    """A word as SAM 3 takes it: `input_ids` and `attention_mask`, `(1, 32)` int64.

    Raises:
        UserError: it is empty or too long.
    """
    if not word.strip():
        raise UserError("a word that names an object is empty; write for example 'car'")
    tokens = tokenizer(word, return_tensors="pt", padding="max_length", max_length=LONGEST_TEXT)
    if tokens["input_ids"].shape[1] > LONGEST_TEXT:
        raise UserError(f"'{word}' is too long for SAM 3; name the thing in a few words")
    return {name: tokens[name].to(device) for name in ("input_ids", "attention_mask")}
