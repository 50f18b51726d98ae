"""The picture that a model sees: the photo resized, normalised, and the way between the two.

Transformers' own image processors of SAM 2 and SAM 3 need torchvision, whose wheels must match torch's to the build.
What they do to one photo is a resize and a normalisation, so it is done here, from the same `preprocessor_config.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.workfolder.json_values import read_json, typed

if TYPE_CHECKING:
    import torch

_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
_RESAMPLING = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers


@dataclass(frozen=True, kw_only=True)
class ImagePreprocessor:
    """How a model's picture is made of a photo."""

    height: int | None = None  # of the picture, whatever the photo's shape; None where the photo's shape is kept
    width: int | None = None  # likewise
    shortest: int = 0  # where the shape is kept, the length of the shorter side in pixels …
    longest: int = 0  # … unless the longer side would exceed this
    mean: tuple[float, ...]  # of each colour, 0…1, to subtract
    std: tuple[float, ...]  # of each colour, to divide by
    resampling: str = "bilinear"  # "bilinear" or "bicubic"

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the picture of a photo."""
        if self.height is not None and self.width is not None:
            return self.height, self.width
        # The shorter side is rounded where the longer one limits it, and the longer one cut off: as DETR did it.
        short, long = min(height, width), max(height, width)
        exact = min(float(self.shortest), self.longest * short / long)
        small, large = round(exact), int(exact * long / short)
        return (small, large) if height <= width else (large, small)

    def picture(self, pixels: UInt8) -> torch.Tensor:
        """What the model takes, `(1, 3, h, w)` float32, of a photo `(H, W, 3)` uint8 sRGB."""
        import torch

        photo = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]
        size = self.size_for(*pixels.shape[:2])
        resized = torch.nn.functional.interpolate(
            photo, size=size, mode=self.resampling, align_corners=False, antialias=True
        )
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (resized.float() / 255 - mean) / std

    def points(self, points_photo: Float, height: int, width: int) -> Float32:
        """Points of the photo as SAM 2.1 takes them: in the picture's pixels, a pixel's centre at a whole number.

        The model adds half a pixel itself. In the photo, pixel centres are at +0.5.

        Args:
            points_photo: `(…, 2)` pixels x, y of the photo.
            height: the photo's height in pixels.
            width: the photo's width in pixels.
        """
        to_height, to_width = self.size_for(height, width)
        return (points_photo * [to_width / width, to_height / height] - 0.5).astype(np.float32)


def read_preprocessor(folder: Path) -> ImagePreprocessor:
    """What a checkpoint's folder describes.

    Raises:
        MissingPartError: the folder has no description of it.
        UserError: the description is not understood.
    """
    values = _description(folder)
    size, mean, std = values.get("size"), values.get("image_mean"), values.get("image_std")
    resampling = _RESAMPLING.get(values.get("resample") or 2)
    if not isinstance(size, dict) or not mean or not std or resampling is None:
        raise UserError(f"'{folder}' describes its pictures in a form that is not known: {values}")
    common: dict[str, Any] = {"mean": tuple(mean), "std": tuple(std), "resampling": resampling}
    if {"height", "width"} <= size.keys():
        return ImagePreprocessor(height=size["height"], width=size["width"], **common)
    if {"shortest_edge", "longest_edge"} <= size.keys():
        return ImagePreprocessor(shortest=size["shortest_edge"], longest=size["longest_edge"], **common)
    raise UserError(f"'{folder}' gives the size of its pictures in a form that is not known: {size}")


def _description(folder: Path) -> dict[str, Any]:
    for name in _FILES:
        file = folder / name
        if not file.is_file():
            continue
        try:
            values = typed(dict[str, Any], read_json(file))
        except ValueError as error:
            raise UserError(f"'{file}' is no JSON as it should be ({error}); download it again") from None
        values = values.get("image_processor", values)  # as transformers 5 writes it
        if "image_mean" in values:
            return values
    raise MissingPartError(f"'{folder}' lacks {_FILES[0]}; download the whole checkpoint, not its weights alone")
