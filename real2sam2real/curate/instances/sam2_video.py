"""SAM 2.1 through a clip: marks are followed both ways; words are first found by MM-Grounding-DINO.

Shape legend: T frames, H height, W width in pixels; N instances of one marked frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.curate.instances.interface import Instances, Mark, UInt8, check_marks
from real2sam2real.errors import UserError
from real2sam2real.perceive.segment.options import SAM2, SegmentOptions
from real2sam2real.perceive.segment.segmenter import Segmenter, load_segmenter
from real2sam2real.perceive.segment.weights import choose_device, find_checkpoint, load_model, transformers_class

if TYPE_CHECKING:
    import torch

Float32 = NDArray[np.float32]


class Sam2Tracker:
    """See `InstanceTracker`. Follows boxes and masks."""

    name = "sam2"

    def __init__(self, model: Any, processor: Any, device: torch.device) -> None:
        """Use a loaded model.

        Args:
            model: a `Sam2VideoModel` on `device`.
            processor: its `Sam2VideoProcessor`.
            device: where it computes.
        """
        self.model, self.processor, self.device = model, processor, device

    @classmethod
    def load(cls, weights: Path | str | None = None, device: str = "auto") -> Sam2Tracker:
        """Find and load the weights, by default the published SAM 2.1 large.

        Raises:
            MissingPartError: transformers or the weights are missing; the message says how to get them.
            UserError: the weights are another model's or incomplete.
        """
        where = choose_device(device)
        folder = find_checkpoint(str(weights or SAM2), offline=False)
        model = load_model("Sam2VideoModel", folder, kinds=("sam2_video",), device=where)
        return cls(model, _processor(model.config.image_size), where)

    def track(self, video: UInt8, marks: Sequence[Mark]) -> Instances:
        """See `InstanceTracker`."""
        check_marks(video, marks)
        if not marks:
            raise UserError("nothing is marked; draw a box around each instance that is to be followed")
        ids = np.zeros(video.shape[:3], np.uint8)
        best = np.zeros(video.shape[:3], np.float32)
        for frame in sorted({mark.frame for mark in marks}):
            numbers = [number for number, mark in enumerate(marks, 1) if mark.frame == frame]
            for at, number, logits in self._followed(video, frame, {n: marks[n - 1] for n in numbers}):
                over = logits > best[at]
                ids[at][over] = number
                best[at] = np.maximum(best[at], logits)
        return Instances(ids=ids, labels={number: mark.label for number, mark in enumerate(marks, 1)})

    def _followed(self, video: UInt8, frame: int, marks: dict[int, Mark]) -> Iterator[tuple[int, int, Float32]]:
        """What is marked on one frame, followed both ways: frame, id and `(H, W)` float32 logits, above 0 inside."""
        import torch

        with torch.inference_mode():
            session = self.processor.init_video_session(
                video=list(video), inference_device=self.device, dtype=torch.float32
            )
            for number, mark in marks.items():
                given = (
                    {"input_boxes": [[[float(value) for value in mark.box]]]}
                    if mark.box is not None
                    else {"input_masks": torch.from_numpy(np.asarray(mark.mask, np.float32))}
                )
                self.processor.add_inputs_to_inference_session(
                    inference_session=session, frame_idx=frame, obj_ids=number, **given
                )
            self.model(inference_session=session, frame_idx=frame)
            for reverse in (False, True):
                if reverse and frame == 0:
                    continue
                walk = self.model.propagate_in_video_iterator(session, start_frame_idx=frame, reverse=reverse)
                for output in walk:
                    logits = self.processor.post_process_masks(
                        [output.pred_masks], original_sizes=[list(video.shape[1:3])], binarize=False
                    )[0]
                    for number, each in zip(session.obj_ids, logits, strict=True):
                        yield output.frame_idx, int(number), each[0].float().cpu().numpy()


class GroundedSam2Tracker:
    """See `InstanceTracker`. Finds words on the first frame that shows any, then follows their masks."""

    name = "grounded-sam2"

    def __init__(self, words: Sequence[str], finder: Segmenter, tracker: Sam2Tracker) -> None:
        """Combine loaded parts.

        Args:
            words: what to look for.
            finder: finds words on a frame.
            tracker: follows masks.
        """
        self.words, self.finder, self.tracker = tuple(words), finder, tracker

    @classmethod
    def load(cls, words: Sequence[str], weights: Path | str | None = None) -> GroundedSam2Tracker:
        """Load SAM 2.1 (`weights` in place of the published one); MM-Grounding-DINO is loaded on first use.

        Raises:
            MissingPartError: transformers or the weights are missing; the message says how to get them.
            UserError: there is no word.
        """
        if not words:
            raise UserError("the tracker 'grounded-sam2' looks for words; give some, such as 'person'")
        finder = load_segmenter(SegmentOptions(model="sam2", sam2=str(weights or SAM2)))
        return cls(words, finder, Sam2Tracker.load(weights))

    def track(self, video: UInt8, marks: Sequence[Mark] = ()) -> Instances:
        """See `InstanceTracker`; marks, where there are some, are followed in place of words."""
        return self.tracker.track(video, marks or self._found(video))

    def _found(self, video: UInt8) -> list[Mark]:
        reasons = []
        for frame in sorted({0, len(video) // 2, len(video) - 1}):
            opened = self.finder.open(video[frame])
            found = []
            for word in self.words:
                try:
                    found.extend(opened.from_text([word]))
                except UserError as error:  # a word that this frame does not show
                    reasons.append(str(error))
            if found:
                return [Mark(label=each.word, frame=frame, mask=each.mask) for each in found]
        raise UserError(f"none of the words {', '.join(self.words)} was found in the clip ({reasons[0]})")


def _processor(side: int) -> Any:
    """SAM 2.1's processor for pictures of `side`×`side` pixels."""
    image = transformers_class("Sam2ImageProcessor")
    video = transformers_class("Sam2VideoVideoProcessor")
    size = {"height": side, "width": side}
    quarter = {"height": side // 4, "width": side // 4}
    return transformers_class("Sam2VideoProcessor")(
        image_processor=image(size=size, mask_size=quarter), video_processor=video(size=size), target_size=side
    )
