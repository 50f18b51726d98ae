"""A picture of the masks with their names, and files of them."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_folder
from real2sam2real.perceive.segment.detections import box_of

TINT = 0.45
OVERLAY, FOLDER = "masks.png", "masks"
_RULER, _TICK, _GRID = (0, 0, 0, 140), (255, 255, 255), (255, 255, 255, 40)
_GOLDEN = 0.618034  # steps of the golden ratio around the colour circle keep neighbours apart, however many there are
_Box = tuple[float, float, float, float]


def draw_overlay(pixels: UInt8, masks: Mapping[str, Mask]) -> UInt8:
    """The photo with every mask tinted, outlined and labelled in a colour of its own.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        masks: `(H, W)` bool by name.

    Returns:
        `(H, W, 3)` uint8 sRGB.
    """
    # Colours are easier to tell apart over grey.
    grey = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"), np.float32)
    picture = 0.5 * pixels + 0.35 * grey
    thickness = max(1, round(max(pixels.shape[:2]) / 500))
    colors = [mask_color(k) for k in range(len(masks))]
    for mask, color in zip(masks.values(), colors, strict=True):
        picture[mask] = (1 - TINT) * pixels[mask] + TINT * np.array(color)
        picture[_outline(mask, thickness)] = color
    image = Image.fromarray(np.clip(np.round(picture), 0, 255).astype(np.uint8))
    _draw_labels(image, masks, colors)
    return np.asarray(image)


def mask_color(index: int) -> tuple[int, int, int]:
    """A bright colour, sRGB 0…255; each index has its own."""
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1.0, 0.75 if index % 2 else 0.9, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_rulers(picture: UInt8, shrink: float = 1.0) -> UInt8:
    """A picture `(H, W, 3)` uint8 with rulers along its upper and left edges, to read boxes and points from.

    Args:
        picture: pixel for pixel the photo as it is worked on.
        shrink: its pixels per pixel of the photo's file, in which the rulers count.
    """
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(size=max(9, round(max(image.size) / 80)))
    _, _, text_width, text_height = draw.textbbox((0, 0), "0000", font=font)
    band, small = round(1.6 * text_height), max(2, text_height // 3)
    step = _ruler_step(2.2 * text_width / shrink)
    draw.rectangle((0, 0, image.width, band), fill=_RULER)
    draw.rectangle((0, band + 1, band, image.height), fill=_RULER)
    for axis, length in enumerate(image.size):
        for number in range(0, int(length / shrink) + 1, step // 5):
            at, major = number * shrink, number % step == 0
            if major:
                ends = (at, 0, at, image.height) if axis == 0 else (0, at, image.width, at)
                draw.line(ends, fill=_GRID)
            near = 0 if major else band - small
            draw.line((at, near, at, band) if axis == 0 else (near, at, band, at), fill=_TICK)
            if major and number and axis == 0:
                draw.text((at + 2, 1), str(number), font=font, fill=_TICK)
            elif major and number:
                _draw_upright(image, str(number), font, (1, round(at) + 2))
    return np.asarray(image)


def write_masks(folder: Path, masks: Mapping[str, Mask], pixels: UInt8, shrink: float = 1.0) -> None:
    """Write `masks/NAME.png` (8-bit, 255 on the object) for every mask and `masks.png`, a picture of them all.

    The picture has rulers in pixels of the photo's file.

    The folder is written whole or not at all; a folder of the same kind is replaced. `masks/` can be read back by
    `load_masks` and `--mask`.

    Args:
        folder: becomes what is written.
        masks: `(H, W)` bool by name.
        pixels: `(H, W, 3)` uint8 sRGB, the photo.
        shrink: its pixels per pixel of the photo's file.

    Raises:
        UserError: the folder holds something else, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{folder}' is a file; name a folder for the masks")
    if folder.is_dir() and (strange := sorted({path.name for path in folder.iterdir()} - {OVERLAY, FOLDER})):
        raise UserError(f"the folder '{folder}' holds other things, such as '{strange[0]}'; name an empty or new one")
    with replacing_folder(folder) as temporary:
        (temporary / FOLDER).mkdir()
        for name, mask in masks.items():
            Image.fromarray(mask.astype(np.uint8) * 255).save(temporary / FOLDER / f"{name}.png")
        Image.fromarray(draw_rulers(draw_overlay(pixels, masks), shrink)).save(temporary / OVERLAY)


def _ruler_step(least: float) -> int:
    """The roundest number of pixels, divisible by five, that is not below `least`."""
    decade = 10
    while True:
        for factor in (1, 2, 5):
            if factor * decade >= least:
                return factor * decade
        decade *= 10


def _draw_upright(
    image: Image.Image, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, at: tuple[int, int]
) -> None:
    """Text that is read from below, at its upper left corner."""
    _, _, width, height = font.getbbox(text)
    line = Image.new("L", (int(width) + 1, int(height) + 1))
    ImageDraw.Draw(line).text((0, 0), text, font=font, fill=255)
    turned = line.transpose(Image.Transpose.ROTATE_90)
    image.paste(_TICK, (*at, at[0] + turned.width, at[1] + turned.height), turned)


def _outline(mask: Mask, thickness: int) -> Mask:
    """The mask's inner border."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return mask & (np.asarray(image.filter(ImageFilter.MinFilter(2 * thickness + 1))) == 0)


def _draw_labels(image: Image.Image, masks: Mapping[str, Mask], colors: list[tuple[int, int, int]]) -> None:
    """Names in dark boxes, near the top of their masks, none over another."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(11, round(max(image.size) / 55)))
    placed: list[_Box] = []
    for (name, mask), color in zip(masks.items(), colors, strict=True):
        if not mask.any():
            continue
        _, _, text_width, text_height = draw.textbbox((0, 0), name, font=font)
        margin = max(2, text_height / 5)
        size = (text_width + 2 * margin, text_height + 2 * margin)
        box = _free_place(image.size, mask, size, placed)
        placed.append(box)
        draw.rectangle(box, fill=(16, 16, 16), outline=color, width=max(1, round(margin / 3)))
        draw.text((box[0] + margin, box[1] + margin), name, font=font, fill=(255, 255, 255))


def _free_place(picture: tuple[int, int], mask: Mask, size: tuple[float, float], placed: list[_Box]) -> _Box:
    """Where a label stands: inside its mask's upper part, else step by step further down until nothing is covered."""
    left, top, right, _ = box_of(mask)
    width, height = size
    first = top + 0.15 * height
    box: _Box = (0.0, 0.0, width, height)
    for step in range(2 * picture[1]):
        # Down to the picture's lower edge first, then from the mask's top upwards.
        y = first + step * height / 2
        if y + height > picture[1]:
            y = first - (y + height - picture[1])
        x = min(max((left + right - width) / 2, 0), max(picture[0] - width, 0))
        y = min(max(y, 0), max(picture[1] - height, 0))
        box = (x, y, x + width, y + height)
        if not any(_cover(box, other) for other in placed) or y <= 0:
            break
    return box


def _cover(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
