"""Read instance masks from files: 8-bit, 1-bit, 16-bit, alpha, and label images that hold several instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from real2sam2real.arrays import Bool, Int, Mask
from real2sam2real.errors import UserError
from real2sam2real.media.pictures import open_picture
from real2sam2real.perceive.segment.options import named_file

MIN_PIXELS = 64
FULL_SHARE = 0.995
_VOID = 255  # PASCAL VOC, ADE20K and others, in indexed pictures
SPECK_SHARE = 0.01  # of the largest component
MAX_INSTANCES = 255
PHOTO_VALUES = 64  # different ones; label images have fewer, or fill areas with them
PHOTO_SHARE = 0.4  # of the picture between black and white; more than a soft mask of hair has
_SUFFIXES = {".png", ".bmp", ".gif", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}


class Masks(dict[str, Bool]):
    """`(H, W)` bool by name, and `notes` on what was resized, dropped or resolved, in words."""

    def __init__(self, masks: Mapping[str, Bool] | None = None, notes: Iterable[str] = ()) -> None:
        super().__init__(masks or {})
        self.notes = list(notes)


def load_masks(
    paths: Path | str | Iterable[Path | str], width: int, height: int, *, photo: Path | None = None
) -> Masks:
    """Read masks and bring them to the photo's size.

    Args:
        paths: a folder, one file, or several files, each also as `name=path`. Without a name the entity is called as
            its file; the instances of a label image get the label's number behind it. Files that are given under one
            name are parts of one entity.
        width: the photo's width in pixels.
        height: the photo's height in pixels.
        photo: the photo's own file, which is no mask where it lies in the same folder.

    Returns:
        `(height, width)` bool per entity, disjoint, in the order of the files, with notes.

    Raises:
        UserError: a file is unreadable, of another aspect ratio, empty, full, tiny, or two entities share a name.
    """
    masks = Masks()
    owners: dict[str, str] = {}  # under which name each entity was given; empty for its file's own
    for given, path in _named_files(paths, photo):
        name = given or path.stem
        read = _read(path, width, height)
        masks.notes += read.notes
        for label, mask in read.items():
            full_name = _entity_name(name + label)
            if full_name in masks and not (given and owners[full_name] == given):
                raise UserError(
                    f"two masks are called '{full_name}'; rename one, or give it as name=path. Parts of one object are "
                    f"given under its name, as {full_name}=FILE {full_name}=FILE"
                )
            if full_name != name + label:
                masks.notes.append(f"the mask '{name + label}' is called '{full_name}'")
            owners[full_name] = given
            masks[full_name] = masks[full_name] | mask if full_name in masks else mask
    return clean_masks(masks)


def clean_masks(masks: Mapping[str, Bool]) -> Masks:
    """Check masks `(H, W)` bool, drop their specks, and give contested pixels to the smaller mask.

    That is most often the part in front. Notes that the masks bring are kept.

    Raises:
        UserError: there is no mask, or one is empty, full, tiny or wholly covered by another.
    """
    if not masks:
        raise UserError("there is no mask; give at least one, or a box around an object")
    if len(masks) > MAX_INSTANCES:
        raise UserError(f"{len(masks)} masks are more than the {MAX_INSTANCES} that fit 8-bit ids; leave some out")
    result = Masks(notes=masks.notes if isinstance(masks, Masks) else ())
    for name, mask in masks.items():
        result[name], notes = _without_specks(name, mask)
        result.notes += notes
    taken = np.zeros(next(iter(masks.values())).shape, bool)
    for name, mask in sorted(result.items(), key=lambda item: int(item[1].sum())):
        if contested := int((mask & taken).sum()):
            result[name] = mask & ~taken
            if result[name].sum() < MIN_PIXELS:
                raise UserError(f"the mask '{name}' lies wholly under other masks; remove the double")
            result.notes.append(f"{contested} pixels of '{name}' also belong to smaller masks and are left to those")
        taken |= mask
    return result


def _named_files(paths: Path | str | Iterable[Path | str], photo: Path | None) -> list[tuple[str, Path]]:
    """Files with the names that they were given, empty where they were given none."""
    if isinstance(paths, str | Path):
        folder = Path(paths)
        if folder.is_dir():
            files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith("."))
            files = [file for file in files if photo is None or not file.samefile(photo)]
            if not files:
                raise UserError(f"the folder '{folder}' holds no mask image (PNG, BMP, TIFF, …)")
            return [("", file) for file in files]
        paths = [paths]
    named = [(str(item), *named_file(str(item))) for item in paths]
    return [("" if Path(item) == file else name, file) for item, name, file in named]


def _entity_name(name: str) -> str:
    """A name that a scene accepts: odd characters become '_'."""
    valid = "".join(c if c.isalnum() or c in "_-. " else "_" for c in name).strip() or "entity"
    return valid if valid[0].isalnum() or valid[0] == "_" else f"_{valid}"


def _read(path: Path, width: int, height: int) -> Masks:
    """The masks of one file at the photo's size; several where it is a label image, their suffixes as keys."""
    picture = open_picture(path)
    image = picture.image
    labels, lossy = _label_values(image), picture.format in ("JPEG", "WEBP")
    notes = list(picture.notes)
    if (void := _void(image, labels)) is not None:
        labels = np.where(void, 0, labels)
        notes.append(f"'{path.name}': the label {_VOID} means void, and is no object")
    if (image.width, image.height) != (width, height):
        labels = _resize(path, labels, width, height)
        notes.append(f"'{path.name}' resized from {image.width}×{image.height} to {width}×{height}")
    values = np.unique(labels)
    if labels.dtype == bool or len(values) <= 2:
        return Masks({"": labels > values[0] if len(values) == 2 else labels > 0}, notes)
    _check_no_photo(path, labels, values)
    if lossy or not _holds_instances(labels, values):
        return Masks({"": labels > (float(values[0]) + float(values[-1])) / 2}, notes)
    instances = [value for value in values if value != 0]
    if len(instances) > MAX_INSTANCES:
        raise UserError(f"'{path.name}' holds {len(instances)} different values; a label image has at most 255")
    notes.append(f"'{path.name}' is a label image of {len(instances)} instances")
    by_number = {f"_{rank + 1 if values[-1] > 65535 else int(v)}": labels == v for rank, v in enumerate(instances)}
    return Masks(by_number, notes)


def _check_no_photo(path: Path, labels: Bool | Int, values: NDArray[Any]) -> None:
    """Refuse a picture whose greys or colours are spread as a photo's are, not those of a mask with soft edges."""
    low, high = float(values[0]), float(values[-1])
    between = (labels > low + (high - low) / 8) & (labels < high - (high - low) / 8)
    if len(values) > PHOTO_VALUES and between.mean() > PHOTO_SHARE:
        raise UserError(
            f"'{path.name}' looks like a photo, not a mask: {between.mean():.0%} of it is neither black nor white. "
            "Paint the object white on black, or give a picture whose alpha channel cuts it out"
        )


def _label_values(image: Image.Image) -> Bool | Int:
    """`(H, W)`: alpha where there is any, palette indices, grey values, or a colour as one number."""
    if image.mode == "1":
        return np.array(image, bool)
    if image.mode == "P":
        return _palette_labels(image)
    if "A" in image.getbands():
        alpha = np.asarray(image.getchannel("A")).astype(np.int64)
        if alpha.min() < 255:
            return alpha
        image = image.convert("RGB")
    values = np.asarray(image)
    if values.ndim == 2:
        if not np.isfinite(values).all() or values.min() < 0:
            raise UserError("a mask holds values that are negative or not finite; save it as 8-bit PNG")
        return np.round(values * (255 if values.dtype.kind == "f" and values.max() <= 1 else 1)).astype(np.int64)
    rgb = np.asarray(image.convert("RGB")).astype(np.int64)
    if np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 1], rgb[..., 2]):
        return rgb[..., 0]
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


def _palette_labels(image: Image.Image) -> Int:
    """The indices `(H, W)`, the background's as 0; the greys where the palette is grey, as of a soft mask in a GIF."""
    indices = np.asarray(image).astype(np.int64)
    colors = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    used = np.unique(indices)
    if used[-1] >= len(colors):
        return indices
    if _has_greys(image, used):
        return colors[indices, 0]
    black = used[(colors[used] == 0).all(axis=1)]
    if 0 in used and (colors[0] != 0).any() and len(black) == 1:  # a palette in another order than the labels'
        return np.where(indices == black[0], 0, np.where(indices == 0, black[0], indices))
    return indices


def _has_greys(image: Image.Image, used: NDArray[Any]) -> bool:
    """Whether the `used` entries of a palette are greys, all different."""
    palette = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    if used[-1] >= len(palette):  # the file has fewer colours than labels
        return False
    colors = palette[used]
    return bool((colors == colors[:, :1]).all()) and len(np.unique(colors[:, 0])) == len(used)


def _void(image: Image.Image, labels: Bool | Int) -> Bool | None:
    """Where an indexed label image says that nobody knows (PASCAL VOC's border), beside objects; None if nowhere."""
    if image.mode != "P" or _has_greys(image, np.unique(np.asarray(image))):
        return None
    void: Bool = labels == _VOID
    return void if void.any() and ((labels > 0) & ~void).any() else None


def _holds_instances(labels: NDArray[Any], values: NDArray[Any]) -> bool:
    """Whether values between the extremes fill areas (labels) or only line edges (a smooth mask's border)."""
    if len(values) > 2 * MAX_INSTANCES:
        return False
    kernel = np.ones((3, 3), np.uint8)
    for value in values[1:-1]:
        inside = (labels == value).astype(np.uint8)
        if inside.sum() >= MIN_PIXELS and cv2.erode(inside, kernel, borderValue=0).sum() >= inside.sum() / 4:
            return True
    return False


def _resize(path: Path, labels: Bool | Int, width: int, height: int) -> Bool | Int:
    h, w = labels.shape
    if abs(w * height / (h * width) - 1) > 0.02:
        turned = abs(h * height / (w * width) - 1) <= 0.02
        remedy = "turn it as the photo is seen" if turned else "draw it on the photo itself, or on a scaled copy of it"
        raise UserError(f"the mask '{path.name}' has {w}×{h} pixels but the photo {width}×{height}; {remedy}")
    rows = np.minimum(((np.arange(height) + 0.5) * h / height).astype(int), h - 1)
    columns = np.minimum(((np.arange(width) + 0.5) * w / width).astype(int), w - 1)
    return labels[rows[:, None], columns[None, :]]


def _without_specks(name: str, mask: Bool) -> tuple[Bool, list[str]]:
    """The mask's connected components that are worth keeping, and notes; an error where nothing or everything is."""
    total = int(mask.sum())
    if total == 0:
        raise UserError(f"the mask '{name}' is empty; paint the object white on black")
    if total >= FULL_SHARE * mask.size:
        raise UserError(f"the mask '{name}' covers the whole photo; paint only the object white")
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    keep = areas >= max(SPECK_SHARE * areas.max(), 9)
    if not keep.any() or areas[keep].sum() < MIN_PIXELS:
        raise UserError(f"the mask '{name}' has only {total} pixels; an object needs at least {MIN_PIXELS}")
    notes = []
    if dropped := int((~keep).sum()):
        notes.append(f"{dropped} specks of the mask '{name}' ({int(areas[~keep].sum())} pixels) are left out")
    if keep.sum() > 1:
        notes.append(f"the mask '{name}' has {int(keep.sum())} parts, taken as one object")
    return np.concatenate([[False], keep])[components], notes


def touching(mask: Mask, core: Mask) -> Mask:
    """The parts of a mask `(H, W)` that hold some of its core."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    numbers = np.unique(parts[core & mask])
    return np.isin(parts, numbers[numbers > 0])
