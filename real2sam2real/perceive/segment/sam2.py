"""SAM 2.1: masks from points and boxes. The photo is embedded once, then every prompt costs a fraction of that.

Shape legend: B prompts, C candidate masks of a prompt, h w their low resolution (a quarter of the model's picture).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from real2sam2real.arrays import Bool, Float, Int, Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.segment.detections import box_of, box_overlaps
from real2sam2real.perceive.segment.network import Embedding, Network
from real2sam2real.perceive.segment.options import SegmentOptions

if TYPE_CHECKING:
    import torch

BATCH = 64  # prompts that are decoded together: 50 MB of candidates at the published size
NEARLY = 0.05  # a difference of the guessed IoU that says nothing
_PADDING = -10  # the label of a point that is none
_TWINS = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """What is known of one object, in the photo's pixels; points, a box, or both."""

    inside: Float = field(default_factory=lambda: np.zeros((0, 2)))  # `(N, 2)` float64 x, y on the object
    outside: Float = field(default_factory=lambda: np.zeros((0, 2)))  # `(M, 2)` float64 x, y beside it
    box: Float | None = None  # `(4,)` float64 left, top, right, bottom around it, or None

    @property
    def ambiguous(self) -> bool:
        """One point alone may mean a part, the whole, or a group; anything more is meant to be unambiguous."""
        return self.box is None and len(self.inside) + len(self.outside) == 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """The masks that SAM 2.1 offers for one prompt."""

    logits: torch.Tensor  # `(C, h, w)` float32 on the CPU; above 0 is inside
    quality: Float  # `(C,)` float64, the model's own guess of each mask's IoU with the truth, 0…1


class Sam2(Network):
    """SAM 2.1 with its weights loaded: a `Sam2Model`.

    With `bfloat16` its embedding is computed so. Prompts are always taken in float32: in bfloat16 a point would be
    rounded to some two pixels.
    """

    @classmethod
    def load(cls, options: SegmentOptions) -> Sam2:
        """Find and load the weights.

        Raises:
            MissingPartError: transformers or the weights are missing; the message says how to get them.
            UserError: the weights are another model's or incomplete, or not of the size that their folder says.
        """
        kinds = ("sam2", "sam2_video")  # published checkpoints name the video model; the image model is a part of it
        found = cls.from_checkpoint(options.sam2, "Sam2Model", kinds, options, words=False, twins=_TWINS)
        side = found.model.config.prompt_encoder_config.image_size
        if (found.preprocessor.height, found.preprocessor.width) != (side, side):
            raise UserError(f"this SAM 2.1 is made for {side}×{side} pixels, but its folder says {found.preprocessor}")
        return found

    def embed(self, pixels: UInt8) -> Embedding:
        """Look at a photo `(H, W, 3)` uint8 sRGB, once for all its objects."""
        picture = self.preprocessor.picture(pixels).to(self.device)
        with self.inference():
            maps = self.model.get_image_embeddings(picture)
        return Embedding(features=[each.float() for each in maps], height=pixels.shape[0], width=pixels.shape[1])

    def candidates(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Iterator[Candidates]:
        """The masks that the model offers for each prompt, in order.

        A prompt that may mean several things gets the model's three answers (part, whole, group); any other also its
        single answer, which it was trained to give to unambiguous prompts.

        Args:
            embedding: of the photo.
            prompts: each with its own numbers of points; some may have boxes.
        """
        import torch

        for several in _alike(prompts):
            outputs = [self._decode(embedding, several, multimask=True)]
            if not several[0].ambiguous:
                outputs.append(self._decode(embedding, several, multimask=False))
            for k in range(len(several)):
                logits = torch.cat([every[k] for every, _ in outputs])
                yield Candidates(logits=logits, quality=np.concatenate([quality[k] for _, quality in outputs]))

    def masks(self, embedding: Embedding, prompts: Sequence[Prompt]) -> list[tuple[Mask, float]]:
        """The best mask `(H, W)` bool of each prompt, and the model's guess of its IoU with the truth, in order.

        The best is the one of the highest guess times how well it agrees with the prompt: it holds the points inside,
        leaves out those outside, and fills its box. For one point alone, the largest among masks of nearly the same
        guess is taken, since what is lifted is a whole thing.
        """
        chosen = []
        for prompt, offered in zip(prompts, self.candidates(embedding, prompts), strict=True):
            masks = at_photo_size(offered.logits, embedding.height, embedding.width)
            agreement = [consistency(mask, prompt.inside, prompt.outside, prompt.box) for mask in masks]
            areas = masks.reshape(len(masks), -1).sum(axis=1)
            best = preferred(offered.quality * agreement, areas if prompt.ambiguous else None)
            chosen.append((masks[best], float(offered.quality[best])))
        return chosen

    def _decode(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> tuple[torch.Tensor, Float]:
        """Logits `(B, C, h, w)` and qualities `(B, C)` of prompts that all have points, or boxes, or both."""
        import torch

        with torch.inference_mode():
            output = self.model(
                image_embeddings=embedding.features, multimask_output=multimask, **self._inputs(embedding, prompts)
            )
        return output.pred_masks[0].float().cpu(), output.iou_scores[0].double().cpu().numpy()

    def _inputs(self, embedding: Embedding, prompts: Sequence[Prompt]) -> dict[str, torch.Tensor]:
        import torch

        shape = (embedding.height, embedding.width)
        inputs: dict[str, torch.Tensor] = {}
        counts = [len(prompt.inside) + len(prompt.outside) for prompt in prompts]
        if any(counts):
            points = np.zeros((len(prompts), max(counts), 2), np.float32)
            labels = np.full((len(prompts), max(counts)), _PADDING, np.int64)
            for k, prompt in enumerate(prompts):
                together = np.concatenate([prompt.inside, prompt.outside])
                points[k, : counts[k]] = self.preprocessor.points(together, *shape)
                labels[k, : counts[k]] = [1] * len(prompt.inside) + [0] * len(prompt.outside)
            inputs["input_points"] = torch.from_numpy(points)[None].to(self.device)
            inputs["input_labels"] = torch.from_numpy(labels)[None].to(self.device)
        boxes = [prompt.box.reshape(2, 2) for prompt in prompts if prompt.box is not None]
        if boxes:
            corners = self.preprocessor.points(np.stack(boxes), *shape).reshape(1, -1, 4)
            inputs["input_boxes"] = torch.from_numpy(corners).to(self.device)
        return inputs


def at_photo_size(logits: torch.Tensor, height: int, width: int) -> Bool:
    """Low-resolution logits `(C, h, w)` to masks `(C, height, width)` bool, their edges interpolated."""
    import torch

    large = torch.nn.functional.interpolate(logits[None], size=(height, width), mode="bilinear", align_corners=False)
    return np.asarray((large[0] > 0).numpy())


def consistency(mask: Mask, inside: Float, outside: Float, box: Float | None) -> float:
    """How well a mask agrees with its prompt, 0…1; 0 for an empty mask.

    Args:
        mask: `(H, W)` bool.
        inside: `(N, 2)` points x, y that it should hold, in pixels.
        outside: `(M, 2)` points x, y that it should not hold.
        box: `(4,)` left, top, right, bottom that it should fill, or None.

    Returns:
        The share of the points that are as they should be, times the IoU of the box and the mask's own box.
    """
    if not mask.any():
        return 0.0
    agreement = 1.0
    if len(inside) + len(outside):
        columns, rows = np.concatenate([inside, outside]).astype(int).T
        agreement *= float((mask[rows, columns] == (np.arange(len(rows)) < len(inside))).mean())
    if box is not None:
        agreement *= float(box_overlaps(box_of(mask), box[None])[0])
    return agreement


def preferred(scores: Float, areas: Int | None = None) -> int:
    """Index of the highest score; with `areas`, of the largest mask among those that score nearly as high."""
    if areas is None:
        return int(np.argmax(scores))
    near = scores >= scores.max() - NEARLY
    return int(np.argmax(np.where(near, areas, -1)))


def _alike(prompts: Sequence[Prompt]) -> Iterator[list[Prompt]]:
    """Runs of consecutive prompts that the model can decode together."""

    def kind(prompt: Prompt) -> tuple[bool, bool, bool]:
        return prompt.box is not None, len(prompt.inside) + len(prompt.outside) > 0, prompt.ambiguous

    for _, run in groupby(prompts, key=kind):
        alike = list(run)
        yield from (alike[k : k + BATCH] for k in range(0, len(alike), BATCH))
