"""Which objects of a photo are cut out, and how. Light: no image is touched here, only text that becomes numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from real2sam2real.errors import UserError
from real2sam2real.options import Hidden, Texts

SegmentModel = Literal["embedded", "grabcut", "sam2", "sam3"]
Precision = Literal["float32", "bfloat16"]
Proposals = Literal["words", "grid"]

SAM2 = "facebook/sam2.1-hiera-large"
DETECTOR = "openmmlab-community/mm_grounding_dino_large_all"
SAM3 = "facebook/sam3"

# One sign and two numbers per point: "+" lies on the object, "-" beside it.
_POINT = re.compile(r"([+-]?)(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)")

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
    """Which objects of the photo can move; where none is named, the one that stands out most. docs/masks.md tells more.

    Raises:
        UserError: a value is out of range.
    """

    mask: Annotated[Texts, arg(metavar="[NAME=]FILE")] = ()
    """A mask picture, white where the object is, or a folder with one such picture per object. Several masks, or boxes,
    under one name are parts of one object."""
    box: Annotated[Texts, arg(metavar="NAME=X0,Y0,X1,Y1")] = ()
    """A box in the photo's pixels, left, top, right, bottom; the object inside it is cut out."""
    points: Annotated[Texts, arg(metavar="NAME=X,Y+X,Y-X,Y")] = ()
    """Points in the photo's pixels: '+' joins one on the object, '-' one beside it."""
    text: Annotated[Texts, arg(metavar="[NAME=]WORDS")] = ()
    """What the object is: one of 80 words such as "car"; --segmenter sam2 and sam3 know any, such as "red car"."""
    propose: bool = False
    """Look for the objects in the foreground."""
    segmenter: Annotated[SegmentModel, arg(metavar="{embedded,grabcut,sam2,sam3}")] = "embedded"
    """What cuts objects out: the package's own networks, colours alone (GrabCut), SAM 2.1 or SAM 3 (downloads)."""
    occluder: Annotated[Texts, arg(metavar="FILE|X0,Y0,X1,Y1")] = ()
    """A mask or a box around something that is no object of its own but hides a part of one."""

    sam2: Hidden[str] = SAM2
    """Hub name or folder of SAM 2.1."""
    detector: Hidden[str] = DETECTOR
    """Hub name or folder of MM-Grounding-DINO."""
    sam3: Hidden[str] = SAM3
    """Hub name or folder of SAM 3."""
    device: Hidden[str] = "auto"
    """`"auto"` (a CUDA card if there is one), "cpu", "cuda" or "cuda:1"."""
    precision: Hidden[Precision] = "float32"
    """In which the networks compute; the weights stay in float32."""
    offline: Hidden[bool] = False
    """Never reach for the network."""
    threshold: Hidden[float | None] = None
    """Least score, 0…1, of an object that a word names; None for the model's usual one."""
    overlap: Hidden[float] = 0.7
    """Boxes of one word that overlap by more than this share (IoU) are one object."""
    proposals: Hidden[Proposals] = "words"
    """Where nothing is named, look for `vocabulary` ("words"), or for anything that stands out ("grid")."""
    vocabulary: Hidden[tuple[str, ...]] = FOREGROUND
    """The words of "words"."""
    max_objects: Hidden[int] = 12
    """Most objects that are proposed."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UserError(f"the threshold {self.threshold:g} for words is outside 0…1; 0.3 is usual")
        if not 0 < self.overlap <= 1:
            raise UserError(f"the overlap {self.overlap:g} is outside 0…1; 0.7 is usual")
        if self.max_objects < 1:
            raise UserError(f"{self.max_objects} objects at most is too few; at least 1 is needed")
        if self.proposals == "words" and not self.vocabulary:
            raise UserError("the vocabulary of the proposals is empty; give some words, or choose the grid")

    @property
    def any_named(self) -> bool:
        """Whether there is a way to an object."""
        return bool(self.mask or self.box or self.points or self.text or self.propose)

    def least_score(self, usual: float) -> float:
        """The threshold, or what is usual for the model that is asked."""
        return usual if self.threshold is None else self.threshold

    def require_any(self) -> None:
        """Say how to name an object when none is named.

        Raises:
            UserError: there is neither a mask nor a box nor a point nor a word.
        """
        if not self.any_named:
            raise UserError(
                "no object was named, so nothing can be lifted or moved. Give at least one of\n"
                "  --mask [NAME=]FILE          a picture of the photo's size, white on the object\n"
                "  --box NAME=X0,Y0,X1,Y1      a box around it, in pixels from the top-left corner\n"
                "  --points NAME=X,Y+X,Y-X,Y   points on it (+) and beside it (-)\n"
                "  --text WORD                 what it is: one of 80 words, or any with --segmenter sam2\n"
                "for example: --box cup=120,80,340,300"
            )

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders of masks that are named, without the names before them."""
        occluders = (Path(item) for item in self.occluder if Path(item).exists())
        return (*(named_file(item)[1] for item in self.mask), *occluders)


def named_file(item: str) -> tuple[str, Path]:
    """The name (the file's own where none is given) and the file in `[NAME=]FILE`."""
    name, equals, path = item.partition("=")
    return (name, Path(path)) if equals and name and not Path(item).exists() else (Path(item).stem, Path(item))


def parse_box(label: str, text: str) -> tuple[int, int, int, int]:
    """`"120,80,340,300"` to `(x0, y0, x1, y1)` in pixels.

    Args:
        label: what the box was given as, such as "--box car", for messages.
        text: four numbers.

    Raises:
        UserError: it is not four numbers, or the box is empty.
    """
    try:
        x0, y0, x1, y1 = (round(float(part)) for part in text.split(","))
    except (ValueError, OverflowError):
        raise UserError(f"{label}={text} is not four numbers; write X0,Y0,X1,Y1 in pixels") from None
    if x1 <= x0 or y1 <= y0:
        raise UserError(f"{label}={text} is empty: X1 must exceed X0 and Y1 must exceed Y0")
    return x0, y0, x1, y1


def parse_points(name: str, text: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """`"120,80+130,95-20,20"` to the points inside and the points outside, `(x, y)` in pixels.

    Raises:
        UserError: the text is something else, or no point lies inside.
    """
    compact = text.replace(" ", "")
    found = list(_POINT.finditer(compact))
    if "".join(match.group() for match in found) != compact:
        raise UserError(f"--points {name}={text} is not understood; write X,Y+X,Y-X,Y, for example 120,80+130,95-20,20")
    inside: list[tuple[float, float]] = []
    outside: list[tuple[float, float]] = []
    for match in found:
        sign, x, y = match.groups()
        (outside if sign == "-" else inside).append((float(x), float(y)))
    if not inside:
        raise UserError(f"--points {name}={text} has no point on the object; start with one, such as 120,80")
    return inside, outside
