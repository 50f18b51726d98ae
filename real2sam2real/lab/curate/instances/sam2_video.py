"""SAM 2.1 through a clip: marks are followed both ways; words are first found by MM-Grounding-DINO.

Shape legend: T frames, H height, W width in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from real2sam2real.arrays import UInt8
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.instances.interface import InstancePrompt, Instances
from real2sam2real.lab.curate.instances.memory import MemoryFollower
from real2sam2real.perceive.segment.options import SAM2, SegmentOptions
from real2sam2real.perceive.segment.preprocessing import read_preprocessor
from real2sam2real.perceive.segment.segmenter import Segmenter
from real2sam2real.pretrained.hub import find_folder
from real2sam2real.pretrained.models import choose_device, load_pretrained


class Sam2Tracker(MemoryFollower):
    """See `InstanceTracker`. Follows boxes and masks by SAM 2.1's model for video."""

    name = "sam2"

    @classmethod
    def load(cls, weights: Path | str | None = None, device: str = "auto") -> Sam2Tracker:
        """Find and load the weights, by default the published SAM 2.1 large.

        Raises:
            MissingPartError: transformers or the weights are missing; the message says how to get them.
            UserError: the weights are another model's or incomplete.
        """
        where = choose_device(device)
        folder = find_folder(weights or SAM2)
        model = load_pretrained("Sam2VideoModel", folder, kinds=("sam2_video",), device=where)
        return cls(model, "Sam2VideoInferenceSession", read_preprocessor(folder), where)


class GroundedSam2Tracker:
    """See `InstanceTracker`. Finds words on the first frame that shows any, then follows their masks."""

    name = "grounded-sam2"

    def __init__(self, words: Sequence[str], finder: Segmenter, tracker: Sam2Tracker) -> None:
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
        finder = Segmenter(SegmentOptions(segmenter="sam2", sam2=str(weights or SAM2)))
        return cls(words, finder, Sam2Tracker.load(weights))

    def track(self, video: UInt8, prompts: Sequence[InstancePrompt] = ()) -> Instances:
        """See `InstanceTracker`; marks, where there are some, are followed in place of words."""
        return self.tracker.track(video, prompts or self._found(video))

    def _found(self, video: UInt8) -> list[InstancePrompt]:
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
                return [InstancePrompt(label=each.word, frame=frame, mask=each.mask) for each in found]
        raise UserError(f"none of the words {', '.join(self.words)} was found in the clip ({reasons[0]})")
