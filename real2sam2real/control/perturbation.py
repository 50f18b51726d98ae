"""Instance-level random perturbation of masked normals, for training only.

Normals of training clips are estimated from images and fit them to the pixel; those of inference are rendered from
lifted meshes and do not. Each instance is therefore distorted on its own: bent (elastic deformation), grown or shrunk
(morphology), and blurred, so that the model takes its normals for a coarse anchor.

A distortion belongs to its instance and moves with it through the clip, unless `flutter` asks for change from frame to
frame. Afterwards normals have unit length again and the background is empty. All of it runs on the CPU or the GPU.

Shape letters: T frames, H × W pixels, h × w a window that follows one instance, G control points along a side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

GRID = 24  # control points of a bending field along a side, before smoothing
FIELD_SPAN = 1.5  # of the instance's box: how far the field goes beyond it
TRACK_SIGMA = 2.0  # frames: boxes are smoothed in time, so that a flickering edge does not shake the field
EMPTY = 1e-6


@dataclass(frozen=True, kw_only=True)
class PerturbationRanges:
    """What is drawn for each instance, evenly within its range. Lengths are shares of the instance's size.

    The size is the square root of its box's area, in the median over the clip.

    Raises:
        ValueError: a range runs backwards, or a value makes no sense.
    """

    bend: tuple[float, float] = (0.0, 0.03)  # root mean square displacement of the elastic deformation
    # how far apart bends lie: the standard deviation of the Gaussian that smooths the field
    bend_scale: tuple[float, float] = (0.06, 0.2)
    grow: tuple[float, float] = (-0.02, 0.03)  # radius of a dilation; of an erosion where it is negative
    blur: tuple[float, float] = (0.0, 0.015)  # standard deviation of the Gaussian blur
    flutter: float = 0.0  # share of the displacement that is drawn anew for every frame

    def __post_init__(self) -> None:
        for name, least in (("bend", 0.0), ("bend_scale", 0.01), ("grow", -0.5), ("blur", 0.0)):
            low, high = getattr(self, name)
            if not least <= low <= high <= 0.5:
                raise ValueError(f"{name} is {low}…{high}; it must rise within {least:g}…0.5")
        if not 0 <= self.flutter <= 1:
            raise ValueError(f"flutter is {self.flutter}; it must be within 0…1")


@dataclass(frozen=True, kw_only=True, eq=False)
class Perturbation:
    """What happens to one instance; lengths are shares of its size."""

    field: Tensor  # `(1 or T, 2, G, G)` float32 displacements along columns and rows, over `FIELD_SPAN` times its box
    grow: float  # radius of a dilation, negative of an erosion
    blur: float  # standard deviation


def draw_perturbation(ranges: PerturbationRanges, frames: int, generator: torch.Generator) -> Perturbation:
    """One instance's perturbation for a clip of T `frames`; the same generator state gives the same."""

    def between(limits: tuple[float, float]) -> float:
        return limits[0] + (limits[1] - limits[0]) * float(torch.rand((), generator=generator))

    bend, scale = between(ranges.bend), between(ranges.bend_scale)
    steady = _smooth_field(torch.randn(1, 2, GRID, GRID, generator=generator), scale)
    field = steady * bend
    if ranges.flutter > 0:
        anew = _smooth_field(torch.randn(frames, 2, GRID, GRID, generator=generator), scale)
        field = bend * (math.sqrt(1 - ranges.flutter**2) * steady + ranges.flutter * anew)
    return Perturbation(field=field, grow=between(ranges.grow), blur=between(ranges.blur))


def _smooth_field(noise: Tensor, scale: float) -> Tensor:
    """Noise `(N, 2, G, G)` under a Gaussian of `scale` boxes, brought to a root mean square length of 1."""
    field = _blurred(noise, scale * GRID / FIELD_SPAN, mode="reflect")
    length = field.square().sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True).sqrt()
    return field / length.clamp_min(EMPTY)


def perturb(
    normals: Tensor, ids: Tensor, ranges: PerturbationRanges, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Perturb every instance of a clip on its own.

    Args:
        normals: `(T, 3, H, W)` float, unit length, zero where there is no instance.
        ids: `(T, H, W)` uint8, 0 = none.
        ranges: what is drawn.
        generator: on the CPU, so that every device draws the same.

    Returns:
        Normals and ids of the same shapes.
    """
    present = [int(number) for number in torch.unique(ids).tolist() if number]
    return apply_perturbations(
        normals, ids, {number: draw_perturbation(ranges, len(ids), generator) for number in present}
    )


def apply_perturbations(
    normals: Tensor, ids: Tensor, perturbations: Mapping[int, Perturbation]
) -> tuple[Tensor, Tensor]:
    """Apply given perturbations; instances without one stay as they are.

    Where two come to lie on one pixel, the one that was there stays; on free ground the higher id wins. Normals
    and ids are as for `perturb`, the perturbations by id.

    Raises:
        ValueError: the shapes do not fit.
    """
    if normals.ndim != 4 or normals.shape[1] != 3 or ids.shape != (normals.shape[0], *normals.shape[2:]):
        raise ValueError(
            f"normals {tuple(normals.shape)} and ids {tuple(ids.shape)} are not (T, 3, H, W) and (T, H, W)"
        )
    new_normals, new_ids = torch.zeros_like(normals), torch.zeros_like(ids)
    for number in sorted(int(n) for n in torch.unique(ids).tolist() if n):
        own = ids == number
        if number not in perturbations:
            keep = own & (new_ids == 0)
            new_ids[keep] = number
            new_normals += normals * keep[:, None]
            continue
        window = _Window.around(own)
        moved, mask = _perturbed(normals, own, window, perturbations[number])
        _put(new_normals, new_ids, ids, window, moved, mask, number)
    return new_normals, new_ids


@dataclass(frozen=True, kw_only=True, eq=False)
class _Window:
    """A window of one size that follows an instance through the clip."""

    left: Tensor  # `(T,)` long, its first column; it may lie outside the picture
    top: Tensor  # `(T,)` long
    width: int  # w
    height: int  # h
    centre: Tensor  # `(T, 2)` of the instance's box, in pixels from the window's corner
    box: Tensor  # `(T, 2)` its width and height, smoothed in time
    size: float  # of the instance in pixels

    @classmethod
    def around(cls, own: Tensor) -> _Window:
        """Of a mask `(T, H, W)` that is not empty in every frame."""
        low, high, seen = _boxes(own)
        size = float((high - low).prod(dim=1)[seen].sqrt().median())
        low, high = (_in_time(values, seen) for values in (low, high))
        margin = math.ceil(0.2 * size) + 8
        width, height = (int((high - low)[:, axis].max().ceil()) + 2 * margin for axis in (0, 1))
        middle = (low + high) / 2
        left = (middle[:, 0] - width / 2).round().long()
        top = (middle[:, 1] - height / 2).round().long()
        return cls(
            left=left,
            top=top,
            width=width,
            height=height,
            centre=middle - torch.stack([left, top], dim=1),
            box=(high - low).clamp_min(1.0),
            size=size,
        )


def _boxes(own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`(T, 2)` first and one past the last column and row of a mask `(T, H, W)`, and `(T,)` whether it is seen."""
    low, high = [], []
    for line in (own.any(dim=1), own.any(dim=2)):
        length = line.shape[1]
        low.append(line.float().argmax(dim=1))
        high.append(length - line.flip(1).float().argmax(dim=1))
    seen = own.flatten(1).any(dim=1)
    return torch.stack(low, dim=1).float(), torch.stack(high, dim=1).float(), seen


def _in_time(values: Tensor, seen: Tensor) -> Tensor:
    """`(T, C)` smoothed along T by a Gaussian over the frames that count; the others are filled in.

    What is smoothed is the deviation from a straight line, so that the ends of a steady motion stay where they are.
    """
    times = torch.arange(len(values), device=values.device, dtype=torch.float32)
    line = torch.stack([torch.ones_like(times), times - times[seen].mean()], dim=1)
    slope = (line[seen, 1] @ values[seen]) / line[seen, 1].square().sum().clamp_min(1.0)
    straight = values[seen].mean(dim=0) + line[:, 1:] * slope
    weight = torch.exp(-((times[:, None] - times) ** 2) / (2 * TRACK_SIGMA**2)) * seen
    weight = weight + 1e-12 * torch.exp(-(times[:, None] - times).abs()) * seen  # far from any sight: the nearest
    return straight + weight @ (values - straight) / weight.sum(dim=1, keepdim=True)


def _perturbed(normals: Tensor, own: Tensor, window: _Window, what: Perturbation) -> tuple[Tensor, Tensor]:
    """Normals `(T, 3, h, w)` and mask `(T, 1, h, w)` of one instance in its window."""
    grid = _sampling_grid(window, what.field.to(normals.device), normals.shape)
    masked = torch.cat([normals * own[:, None], own[:, None].to(normals.dtype)], dim=1)
    bent = functional.grid_sample(masked, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    mask = (bent[:, 3:] > 0.5).to(normals.dtype)
    bent = bent[:, :3] * mask
    radius = round(what.grow * window.size)
    if radius:
        bent, mask = _resized(bent, mask, radius)
    if what.blur * window.size > 0.3:  # a narrower Gaussian is a single pixel
        bent = _blurred(bent, what.blur * window.size)
    length = bent.square().sum(dim=1, keepdim=True).sqrt()
    mask = mask * (length > EMPTY)
    return bent / length.clamp_min(EMPTY) * mask, mask


def _sampling_grid(window: _Window, field: Tensor, shape: torch.Size) -> Tensor:
    """`(T, h, w, 2)` where each pixel of the window looks in the whole picture, as `grid_sample` counts."""
    frames, _, height, width = shape
    device = window.centre.device
    x = torch.arange(window.width, device=device) + 0.5
    y = torch.arange(window.height, device=device) + 0.5
    u = (x - window.centre[:, :1]) / window.box[:, :1] * (2 / FIELD_SPAN)
    v = (y - window.centre[:, 1:]) / window.box[:, 1:] * (2 / FIELD_SPAN)
    at = torch.stack([u[:, None].expand(-1, len(y), -1), v[:, :, None].expand(-1, -1, len(x))], dim=-1)
    offset = functional.grid_sample(
        field.expand(frames, -1, -1, -1).to(at.dtype), at, mode="bicubic", padding_mode="border", align_corners=False
    )
    offset = offset.permute(0, 2, 3, 1) * window.size
    column = x + window.left[:, None] + 0.0
    row = y + window.top[:, None] + 0.0
    place = torch.stack([column[:, None].expand(-1, len(y), -1), row[:, :, None].expand(-1, -1, len(x))], dim=-1)
    scale = torch.tensor([2 / width, 2 / height], device=device)
    return (place + offset) * scale - 1


def _resized(normals: Tensor, mask: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Dilation by a square, where new pixels take the mean normal of those within reach; erosion below zero."""
    if radius < 0:
        smaller = 1 - _pooled(functional.max_pool2d, 1 - mask, -radius)
        return normals * smaller, smaller
    larger = _pooled(functional.max_pool2d, mask, radius)
    around = _pooled(functional.avg_pool2d, normals, radius)
    return torch.where(mask > 0, normals, around) * larger, larger


def _pooled(pool: Callable[..., Tensor], values: Tensor, radius: int) -> Tensor:
    size = 2 * radius + 1
    along = pool(values, (1, size), stride=1, padding=(0, radius))
    return pool(along, (size, 1), stride=1, padding=(radius, 0))


def _blurred(values: Tensor, sigma: float, mode: str = "constant") -> Tensor:
    """`(N, C, H, W)` under a Gaussian of `sigma` pixels, cut off at three of them."""
    radius = max(1, min(math.ceil(3 * sigma), (min(values.shape[2:]) - 1) if mode == "reflect" else 10**6))
    at = torch.arange(-radius, radius + 1, device=values.device, dtype=values.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(values.shape[1], 1, -1)
    padded = functional.pad(values, (radius, radius, radius, radius), mode=mode)
    along = functional.conv2d(padded, kernel[:, :, None, :], groups=values.shape[1])
    return functional.conv2d(along, kernel[:, :, :, None], groups=values.shape[1])


def _put(
    new_normals: Tensor, new_ids: Tensor, ids: Tensor, window: _Window, moved: Tensor, mask: Tensor, number: int
) -> None:
    """Enter one instance's window into the clip, in place."""
    height, width = ids.shape[1:]
    for frame, (left, top) in enumerate(zip(window.left.tolist(), window.top.tolist(), strict=True)):
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + window.width, width), min(top + window.height, height)
        if x0 >= x1 or y0 >= y1:
            continue
        inner = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        outer = (slice(y0, y1), slice(x0, x1))
        here, before = new_ids[frame][outer], ids[frame][outer]
        # A pixel that another instance both had and has is its own; on free ground the later one wins.
        taken = (here > 0) & (here == before) & (before != number)
        put = (mask[frame, 0][inner] > 0) & ~taken
        here[put] = number
        new_normals[frame][:, outer[0], outer[1]] = torch.where(
            put, moved[frame][:, inner[0], inner[1]], new_normals[frame][:, outer[0], outer[1]]
        )
