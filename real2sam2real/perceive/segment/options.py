"""What a user may choose about masks, as frozen values; light, so that a command line can be made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from real2sam2real.errors import UserError

SegmentModel = Literal["grabcut", "sam2", "sam3"]
Precision = Literal["float32", "bfloat16"]
Proposals = Literal["words", "grid"]

SAM2 = "facebook/sam2.1-hiera-large"
DETECTOR = "openmmlab-community/mm_grounding_dino_large_all"
SAM3 = "facebook/sam3"

# Things that a director moves: people, animals, vehicles, furniture, and what people hold or put down. Sky, roads,
# walls, trees and buildings are left out on purpose: they are background, which is left to the video model.
FOREGROUND = (
    "person", "dog", "cat", "bird", "horse", "cow", "sheep", "elephant", "bear",
    "car", "truck", "bus", "motorcycle", "bicycle", "scooter", "boat", "airplane", "train",
    "chair", "sofa", "table", "bench", "lamp", "potted plant", "vase", "statue",
    "ball", "toy", "skateboard", "surfboard", "umbrella", "backpack", "handbag", "suitcase",
    "cup", "bottle", "bowl", "cake", "fruit", "laptop", "television", "guitar",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """How objects of the photo are found and cut out.

    Attributes:
        model: "grabcut" works on colours alone and needs no download; "sam2" is SAM 2.1, with MM-Grounding-DINO for
            words; "sam3" is SAM 3 for words, with SAM 2.1 for points and boxes.
        sam2: hub name or folder of SAM 2.1.
        detector: hub name or folder of MM-Grounding-DINO.
        sam3: hub name or folder of SAM 3.
        device: "auto" (a CUDA card if there is one), "cpu", "cuda" or "cuda:1".
        precision: in which the networks compute; the weights stay in float32.
        offline: never reach for the network.
        threshold: least score, 0…1, of an object that a word names.
        overlap: boxes of one word that overlap by more than this share (IoU) are one object.
        proposals: where nothing is named, look for `vocabulary` ("words"), or for anything that stands out ("grid").
        vocabulary: the words of "words".
        max_objects: most objects that are proposed.
    """

    model: SegmentModel = "grabcut"
    sam2: str = SAM2
    detector: str = DETECTOR
    sam3: str = SAM3
    device: str = "auto"
    precision: Precision = "float32"
    offline: bool = False
    threshold: float = 0.3
    overlap: float = 0.7
    proposals: Proposals = "words"
    vocabulary: tuple[str, ...] = FOREGROUND
    max_objects: int = 12

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise UserError(f"the threshold {self.threshold:g} for words is outside 0…1; 0.3 is usual")
        if not 0 < self.overlap <= 1:
            raise UserError(f"the overlap {self.overlap:g} is outside 0…1; 0.7 is usual")
        if self.max_objects < 1:
            raise UserError(f"{self.max_objects} objects at most is too few; at least 1 is needed")
        if self.proposals == "words" and not self.vocabulary:
            raise UserError("the vocabulary of the proposals is empty; give some words, or choose the grid")
