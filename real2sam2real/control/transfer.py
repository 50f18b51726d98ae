"""Motion transfer: the same normals over another photo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import Control, save_control
from real2sam2real.control.reading import read_control
from real2sam2real.errors import UserError
from real2sam2real.perceive.photo import Photo, load_photo

Fit = Literal["crop", "letterbox"]


@dataclass(frozen=True, kw_only=True)
class PhotoPlacement:
    """Where a photo lies in the control's frame."""

    scale: float  # control pixels per photo pixel
    left: float  # control pixels from the frame's left edge to the photo's; negative when the photo is cropped
    top: float  # the same from the top edge
    note: str  # the same in words


def place_photo(photo_size: tuple[int, int], size: tuple[int, int], fit: Fit) -> PhotoPlacement:
    """How a photo of `photo_size` (width, height) is laid, centred, into a frame of `size` without stretching it.

    `crop` fills the frame and cuts what stands over; `letterbox` shows the whole photo and fills up the rest.

    Raises:
        UserError: an unknown fit.
    """
    if fit not in get_args(Fit):
        raise UserError(f"'{fit}' is no way to fit a photo; choose one of {', '.join(get_args(Fit))}.")
    (photo_width, photo_height), (width, height) = photo_size, size
    ratios = (width / photo_width, height / photo_height)
    scale = max(ratios) if fit == "crop" else min(ratios)
    left, top = (width - scale * photo_width) / 2, (height - scale * photo_height) / 2
    words = f"photo {photo_width}×{photo_height} scaled by {scale:.3g} to {width}×{height}"
    if max(abs(left), abs(top)) < 0.5:
        note = f"{words}, all of it"
    elif fit == "crop":
        lost_x, lost_y = -2 * left / (scale * photo_width), -2 * top / (scale * photo_height)
        side = f"{lost_x:.0%} of its width" if lost_x > lost_y else f"{lost_y:.0%} of its height"
        note = f"{words}, {side} cropped away"
    else:
        side = "left and right" if left > top else "top and bottom"
        note = f"{words}, with its blurred edges as bars at {side}"
    return PhotoPlacement(scale=scale, left=left, top=top, note=note)


def fit_photo(photo: UInt8, size: tuple[int, int], fit: Fit = "crop") -> tuple[UInt8, PhotoPlacement]:
    """Bring a photo `(H', W', 3)` uint8 to `size` (width, height) without stretching it; see `place_photo`."""
    placement = place_photo((photo.shape[1], photo.shape[0]), size, fit)
    width, height = size
    inner_width = max(1, round(placement.scale * photo.shape[1]))
    inner_height = max(1, round(placement.scale * photo.shape[0]))
    interpolation = cv2.INTER_AREA if placement.scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(photo, (inner_width, inner_height), interpolation=interpolation)
    if fit == "crop":
        left, top = max(0, (inner_width - width) // 2), max(0, (inner_height - height) // 2)
        window = scaled[top : top + height, left : left + width]
        missing = ((0, height - window.shape[0]), (0, width - window.shape[1]), (0, 0))  # rounding, one pixel at most
        return np.pad(window, missing, mode="edge"), placement
    return _letterboxed(scaled, width, height), placement


def _letterboxed(scaled: UInt8, width: int, height: int) -> UInt8:
    scaled = scaled[:height, :width]
    top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
    rows = (top, height - scaled.shape[0] - top)
    columns = (left, width - scaled.shape[1] - left)
    # Mirrored and blurred, so that no hard black edge looks like an object.
    filled = cv2.copyMakeBorder(scaled, *rows, *columns, cv2.BORDER_REFLECT)
    filled = cv2.GaussianBlur(filled, (0, 0), sigmaX=max(2.0, 0.02 * width))
    filled[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return filled.astype(np.uint8, copy=False)


def transfer_control(
    control_folder: Path | str,
    photo: Path | str | UInt8,
    out_folder: Path | str,
    *,
    prompt: str | None = None,
    fit: Fit = "crop",
    from_official: bool = False,
) -> Control:
    """Write `out_folder`: the normals and ids of `control_folder` over another photo.

    Args:
        control_folder: as `write_control` makes it.
        photo: a picture file, or `(H, W, 3)` uint8 pixels.
        out_folder: is made, or replaced when it exists.
        prompt: the new caption; None keeps the old one.
        fit: see `place_photo`.
        from_official: see `read_control`.

    Returns:
        What was written; the last of its notes says how the photo was fitted.

    Raises:
        UserError: the folder or the photo cannot be used, or the two folders are the same.
    """
    if Path(control_folder).resolve() == Path(out_folder).resolve():
        raise UserError(f"{out_folder} is the control that is read; write the transfer into another folder.")
    control = read_control(control_folder, from_official=from_official)
    loaded = Photo(pixels=photo) if isinstance(photo, np.ndarray) else load_photo(photo)
    fitted, placement = fit_photo(loaded.pixels, control.size, fit)
    notes = (*control.notes, *loaded.notes, f"Motion transferred to another photo: {placement.note}.")
    transferred = replace(control, photo=fitted, prompt=control.prompt if prompt is None else prompt, notes=notes)
    save_control(out_folder, transferred)
    return transferred
