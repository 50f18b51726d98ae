"""SAM 3 through a clip: what words name is found on every frame and followed; marks are followed both ways.

Shape legend: T frames, H height, W width in pixels of the clip; N instances; Q the detector's queries; h w the model's
low resolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from real2sam2real.arrays import Bool, Float32, Int32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.instances.interface import MAX_INSTANCES, InstancePrompt, Instances, check_prompts
from real2sam2real.lab.curate.instances.memory import (
    MemoryFollower,
    checked_side,
    clip_pictures,
    logits_at_clip_size,
    new_session,
)
from real2sam2real.perceive.segment.options import SAM3
from real2sam2real.perceive.segment.preprocessing import ImagePreprocessor, read_preprocessor
from real2sam2real.perceive.segment.sam3 import ACCESS, word_tokens
from real2sam2real.pretrained.hub import find_folder
from real2sam2real.pretrained.models import choose_device, load_pretrained, load_processing, transformers_class

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True, eq=False)
class Observation:
    """One instance on one frame."""

    number: int  # of the instance, from 0; it keeps it through the clip
    score: float  # 0…1, how sure the detector was that it is what the word names, when it was found
    presence: float  # 0…1, how sure the tracker is that this frame shows it; where it is found first, the score
    mask: Bool  # `(H, W)` bool


class WordFollower:
    """Finds what a word names on every frame, and tells which are the same.

    Two of the model's steps are done here, as the code that transformers would fetch for them is not to be run unseen,
    and without it it leaves them out: the weaker of two finds that overlap is dropped, and specks and holes are filled.
    """

    def __init__(self, model: Any, tokenizer: Any, preprocessor: ImagePreprocessor, device: torch.device) -> None:
        """Use a `Sam3VideoModel` in float32 on `device`, its CLIP tokenizer, and how its pictures are made.

        Raises:
            UserError: model and preprocessor are of different sizes.
        """
        checked_side(model, preprocessor)
        self.model, self.tokenizer, self.preprocessor, self.device = model, tokenizer, preprocessor, device
        self._session_class = transformers_class("Sam3VideoInferenceSession")
        self._overlap, self._speck = float(model.config.det_nms_thresh), int(model.config.fill_hole_area)
        model.det_nms_thresh, model.fill_hole_area = 0.0, 0
        model.detector_model.register_forward_hook(self._without_doubles)

    def observations(
        self, pictures: Sequence[torch.Tensor], word: str, size: tuple[int, int]
    ) -> Iterator[list[Observation]]:
        """What a word, or a short noun phrase such as "red car", names on pictures of `clip_pictures` of `size` H, W.

        Yields:
            For each frame in order what it shows; masks may overlap, none is empty.

        Raises:
            UserError: the word is empty or too long.
        """
        session = new_session(self._session_class, pictures, size, self.device)
        prompt = session.add_prompt(word)
        tokens = word_tokens(self.tokenizer, word, self.device)
        session.prompt_input_ids[prompt] = tokens["input_ids"]
        session.prompt_attention_masks[prompt] = tokens["attention_mask"]
        for output in self.model.propagate_in_video_iterator(session):
            # The model answers some frames late, so that it can take back what soon proved to be nothing.
            hidden = set(output.suppressed_obj_ids or ()) | set(session.hotstart_removed_obj_ids)
            yield [
                Observation(
                    number=int(number),
                    score=float(output.obj_id_to_score[number]),
                    presence=float(output.obj_id_to_tracker_score.get(number, 0.0)),
                    mask=mask,
                )
                for number in sorted(set(output.obj_id_to_mask) - hidden)
                if (mask := self._mask(output.obj_id_to_mask[number], size)).any()
            ]

    def _mask(self, logits: torch.Tensor, size: tuple[int, int]) -> Bool:
        """Logits `(1, h, w)` as a mask `(H, W)` bool."""
        tidy = logits.new_tensor(without_specks(logits[0].float().cpu().numpy(), self._speck))
        return np.asarray(logits_at_clip_size(tidy[None], *size)[0] > 0)

    def _without_doubles(self, detector: Any, inputs: Any, output: Any) -> Any:
        """The detector's output, with what overlaps something likelier made impossible."""
        import torch

        scores = (output.pred_logits.sigmoid() * output.presence_logits.sigmoid())[0].float().cpu().numpy()
        found = np.flatnonzero(scores > self.model.score_threshold_detection)
        masks = (output.pred_masks[0, found.tolist()] > 0).cpu().numpy()
        kept = found[distinct(masks, scores[found], self._overlap)] if self._overlap > 0 else found
        dropped = np.setdiff1d(found, kept)
        logits = output.pred_logits.clone()
        logits[0, dropped.tolist()] = -torch.inf
        output.pred_logits = logits
        return output


class Sam3Tracker:
    """See `InstanceTracker`. Finds and follows what words name, or follows boxes and masks.

    An instance is followed from the first frame on which its word is found, towards the end of the clip. Each word is
    looked for by itself; a pixel goes to the instance that the detector was surest of.
    """

    name = "sam3"

    def __init__(self, words: Sequence[str], folder: Path, device: torch.device) -> None:
        """Use a checkpoint's folder, whose parts are loaded when they are needed; see `load`."""
        self.words, self._folder, self._device = tuple(dict.fromkeys(words)), folder, device

    @classmethod
    def load(cls, words: Sequence[str] = (), weights: Path | str | None = None, device: str = "auto") -> Sam3Tracker:
        """Find and load the weights, by default the published ones; no words are needed where all clips are marked.

        Raises:
            MissingPartError: transformers or the weights are missing, or access to them was not granted; the message
                says how to get them.
            UserError: the weights are another model's or incomplete.
        """
        where = choose_device(device)
        tracker = cls(words, find_folder(weights or SAM3, hint=ACCESS), where)
        _ = tracker.finder if words else tracker.follower  # what is wrong with it shows now
        return tracker

    @cached_property
    def finder(self) -> WordFollower:
        """The part for words."""
        model = load_pretrained("Sam3VideoModel", self._folder, kinds=("sam3_video",), device=self._device)
        tokenizer = load_processing("AutoTokenizer", self._folder, "tokenizer")
        return WordFollower(model, tokenizer, read_preprocessor(self._folder), self._device)

    @cached_property
    def follower(self) -> MemoryFollower:
        """The part for marks."""
        model = load_pretrained("Sam3TrackerVideoModel", self._folder, kinds=("sam3_video",), device=self._device)
        return MemoryFollower(model, "Sam3TrackerVideoInferenceSession", read_preprocessor(self._folder), self._device)

    def track(self, video: UInt8, prompts: Sequence[InstancePrompt] = ()) -> Instances:
        """See `InstanceTracker`; marks, where there are some, are followed in place of words.

        Raises:
            UserError: no word is found, or so much that 8-bit ids do not suffice.
        """
        if prompts:
            return self.follower.track(video, prompts)
        if not self.words:
            raise UserError("there is neither a word nor a mark; say what is to be found, or draw a box around it")
        check_prompts(video, prompts)
        size = (int(video.shape[1]), int(video.shape[2]))
        pictures = clip_pictures(self.finder.preprocessor, video)
        ids, best = np.zeros(video.shape[:3], np.int32), np.zeros(video.shape[:3], np.float32)
        words: list[str] = []
        for word in self.words:
            first = len(words) + 1
            for at, seen in enumerate(self.finder.observations(pictures, word, size)):
                mine, score = painted(seen, size)
                over = score > best[at]
                ids[at][over] = mine[over] + first
                best[at][over] = score[over]
                words += [word] * (max((each.number + first for each in seen), default=0) - len(words))
        return _numbered(ids, words, self.words)


def painted(seen: Sequence[Observation], size: tuple[int, int]) -> tuple[Int32, Float32]:
    """The instances of one word on one frame of `size` H, W: the one that is surest to be seen is in front.

    Returns:
        Each pixel's instance `(H, W)` int32, by its number, and its score `(H, W)` float32; -1 and 0 where is none.
    """
    numbers, scores = np.full(size, -1, np.int32), np.zeros(size, np.float32)
    for each in sorted(seen, key=lambda observation: (observation.presence, -observation.number)):
        numbers[each.mask] = each.number
        scores[each.mask] = each.score
    return numbers, scores


def distinct(masks: Bool, scores: NDArray[np.floating[Any]], overlap: float) -> NDArray[np.intp]:
    """Which of the masks `(N, h, w)` stay, best first: of two with an IoU above `overlap` the lesser score is dropped.

    Returns:
        `(M,)` indices.
    """
    flat = masks.reshape(len(masks), masks.shape[1] * masks.shape[2]).astype(np.float32)
    shared = flat @ flat.T
    areas = flat.sum(axis=1)
    same = shared > overlap * np.maximum(areas[:, None] + areas[None] - shared, 1)
    kept: list[int] = []
    for k in np.argsort(-scores, kind="stable"):
        if not same[k, kept].any():
            kept.append(int(k))
    return np.asarray(kept, np.intp)


def without_specks(logits: Float32, most: int) -> Float32:
    """Logits `(h, w)` without holes and specks of at most so many pixels, as SAM 3 does it.

    No speck is larger than half of what is inside, either.
    """
    result = logits.copy()
    result[_small(result <= 0, most)] = 0.1
    inside = result > 0
    result[_small(inside, min(most, int(inside.sum()) // 2))] = -0.1
    return result


def _small(mask: Bool, most: int) -> Bool:
    """The connected parts of a mask that have at most so many pixels; corners connect."""
    parts, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    return np.asarray(mask & (np.bincount(parts.ravel())[parts] <= most))


def _numbered(ids: Int32, words: Sequence[str], asked: Sequence[str]) -> Instances:
    """Instances numbered from 1 in the order of their words, without those that are nowhere to be seen."""
    seen = [int(number) for number in np.unique(ids) if number]
    if not seen:
        raise UserError(f"none of the words {', '.join(asked)} was found in the clip; name what it shows")
    if len(seen) > MAX_INSTANCES:
        raise UserError(f"{len(seen)} instances are more than the {MAX_INSTANCES} that fit 8-bit ids; use fewer words")
    table = np.zeros(len(words) + 1, np.uint8)
    table[seen] = np.arange(1, len(seen) + 1)
    return Instances(ids=table[ids], labels={k: words[number - 1] for k, number in enumerate(seen, 1)})
