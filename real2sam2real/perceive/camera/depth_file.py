"""A depth map of the user's own, standing where an estimator would: read, understood, and brought to the photo.

Files say neither what their numbers are nor which way they grow. What is asked for by `DepthKind` is believed; where
nothing is said, the photo tells which way is near: objects stand before what surrounds them, and the lower part of a
picture shows what is nearer than its upper part. Where the two disagree, the user has to say.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Mask, UInt8
from real2sam2real.errors import MissingPartError, UserError, first_line
from real2sam2real.files import existing_file, refuse_if_system, refuse_pipe
from real2sam2real.media.numpy_files import ALONE, array_names, read_arrays
from real2sam2real.perceive.camera.depth import DepthEstimate, resized_depth, with_unknown
from real2sam2real.perceive.camera.options import DEPTH_FILE_SUFFIXES, DepthKind

SAME_ASPECT = 0.01  # relative difference of width / height that scaling may explain
MIN_KNOWN = 0.5  # of a map's pixels; what knows less is the wrong file, or broken
TYPICAL_DEPTH = 5.0  # of a map without a unit: its median
FARTHEST = 100.0  # times the median: beyond, a map without a unit says "far away" and no more
CLEAR = 0.04  # of the map's span: a smaller difference tells nothing
RING_SHARE = 0.15  # of an object's size: how far around it its surroundings are looked at
SURE = 0.75  # of the votes, for one direction
GROUND_FIT = 0.02  # of the map's span: how far off a line the ground may be
_MOST_BYTES = 2_000_000_000
_MOST_PIXELS = 100_000_000  # of an EXR's display window, which costs a file nothing
_KEYS = ("depth", "disparity", "arr_0")


class DepthFile:
    """A map read from a file; see `read_depth_file`."""

    licence = "your own file"

    def __init__(self, path: Path, depth: Float32, *, metric: bool, meaning: str) -> None:
        self.model, self.name = str(path), f"{path.name}, {meaning}"
        self._depth, self._metric = depth, metric

    def estimate(self, pixels: UInt8, *, known_focal: float | None, assumed_focal: float) -> DepthEstimate:
        """See `DepthEstimator.estimate`; a file knows no focal length."""
        height, width = pixels.shape[:2]
        return DepthEstimate(
            depth=resized_depth(self._depth, width, height),
            focal_px=assumed_focal if known_focal is None else known_focal,
            focal_source="assumed" if known_focal is None else "given",
            model_focal_px=None,
            normals_camera=None,
            metric=self._metric,
        )


def read_depth_file(
    path: Path, kind: DepthKind, *, size: tuple[int, int], masks: Iterable[Mask], horizon: float | None
) -> DepthFile:
    """Read a depth map and make depths of it.

    Args:
        path: PNG or TIFF (8 or 16 bits, or floats), PFM, EXR, NPY, NPZ.
        kind: what its numbers are.
        size: width and height of the photo; the map may be larger or smaller, but of the same aspect.
        masks: `(H, W)` bool of the photo's objects.
        horizon: the photo's row of the horizon where it is known; it tells the shift of an `inverse` map.

    Raises:
        MissingPartError: it is an EXR file, and the package for those is not installed.
        UserError: it cannot be read, is no map of this photo, is constant or mostly unknown, or does not show which
            way is near.
    """
    raw = _read(path)
    _check_size(path, raw, *size)
    if kind == "metric" and raw.dtype == np.uint8:
        raise UserError(f"'{path.name}' has 8 bits a pixel, which hold no metres; leave --depth-kind metric out")
    values: Float = raw.astype(np.float64)
    known = np.isfinite(values) if raw.dtype.kind == "f" else np.ones(values.shape, bool)
    if kind != "inverse" and kind != "auto":
        known &= values > 0
    _check_values(path, values, known)
    small = [
        cv2.resize(mask.astype(np.uint8), values.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0 for mask in masks
    ]
    if kind == "auto":
        kind = "inverse" if _near_is_large(path, values, known, small) else "relative"
    if kind == "metric":
        unit = 1e-3 if raw.dtype.kind in "ui" else 1.0
        depth = with_unknown(np.where(known, values * unit, np.nan).astype(np.float32), metric=True)
        return DepthFile(path, depth, metric=True, meaning="metres" if unit == 1 else "millimetres")
    meaning = {"relative": "depths without a unit", "disparity": "disparities"}.get(kind, "")
    if kind == "inverse":
        row = None if horizon is None else horizon * values.shape[0] / size[1]
        shift = _shift(values, known & ~np.any([np.zeros(known.shape, bool), *small], axis=0), row)
        meaning = "inverse depths, their zero from the ground and the horizon"
        if shift is None:
            shift, meaning = 0.0, "inverse depths, zero taken for infinitely far"
        values, known = values + shift, known & (values + shift > 0)
        _check_values(path, values, known)
    with np.errstate(divide="ignore"):
        depth64 = values if kind == "relative" else 1 / np.where(known, values, np.nan)
    depth64 = depth64 / np.median(depth64[known])
    depth64 = np.where(known & (depth64 > 0) & (depth64 <= FARTHEST), TYPICAL_DEPTH * depth64, np.nan)
    return DepthFile(path, with_unknown(depth64.astype(np.float32), metric=False), metric=False, meaning=meaning)


def _read(path: Path) -> np.ndarray:
    """`(H, W)` of an integer or a floating type."""
    refuse_pipe(path)
    if not path.is_file():
        raise UserError(f"there is no depth map '{path}'; check the path")
    existing_file(path)
    suffix = path.suffix.lower()
    found: Any
    try:
        if suffix in (".npy", ".npz"):
            found = _from_numpy(path)
        elif suffix == ".exr":
            found = _from_exr(path)
        else:
            found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError, RuntimeError, cv2.error) as error:
        refuse_if_system(error, path)
        raise UserError(f"the depth map '{path.name}' cannot be read ({first_line(error)}); save it again") from error
    if found is None:
        formats = ", ".join(DEPTH_FILE_SUFFIXES)
        raise UserError(f"'{path.name}' cannot be read as a depth map; formats are {formats}")
    found = np.squeeze(found)
    if found.ndim == 3 and found.shape[2] in (2, 3, 4):
        colors = found[..., : 1 if found.shape[2] == 2 else 3]
        if (colors != colors[..., :1]).any():
            raise UserError(f"'{path.name}' is a picture in colours, no depth map; save depth as grey values")
        found = found[..., 0]
    if found.ndim != 2 or found.dtype.kind not in "uif" or min(found.shape) < 2:
        raise UserError(f"'{path.name}' holds {found.dtype} {found.shape}; a depth map is (height, width) numbers")
    return found


def _from_numpy(path: Path) -> np.ndarray:
    names = array_names(path)
    key = next((key for key in (ALONE, *_KEYS) if key in names), names[0] if len(names) == 1 else None)
    # What else an archive holds does not matter, be it of any kind or size.
    arrays = read_arrays(path, "depth map", most_bytes=_MOST_BYTES, names=() if key is None else (key,))
    if key not in arrays:
        held = ", ".join(names)[:200] or "no array"
        raise UserError(f"'{path.name}' holds {held}; call the map 'depth'")
    return arrays[key]


def _from_exr(path: Path) -> np.ndarray:
    try:
        import OpenEXR
    except ModuleNotFoundError as error:
        raise MissingPartError(
            f"'{path.name}' is an EXR file, and the package for those is not installed; get it with: "
            "pip install OpenEXR (or save the map as TIFF, PFM or NPY)"
        ) from error
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels, header = file.channels(), file.header()
        name = _depth_channel(list(channels))
        if name is None:
            raise UserError(f"'{path.name}' has the channels {', '.join(channels)}; call the one with depths Z")
        return _in_window(np.asarray(channels[name].pixels), header["dataWindow"], header["displayWindow"])


def _depth_channel(names: list[str]) -> str | None:
    """Which of an EXR file's channels (`channel` or `layer.channel`) holds depths; None where no name says it."""
    vectors = {name.rpartition(".")[0] for name in names if name.rpartition(".")[2].upper() == "X"}
    scalars = [name for name in names if name.rpartition(".")[0] not in vectors]  # a normal's Z is no depth
    named = [name for name in scalars if "depth" in name.lower()]
    layers_first = sorted(named or scalars, key=lambda name: ".depth." not in f".{name.lower()}")
    for last in ("Z", "Y", "DEPTH", "R", "V"):
        if found := [name for name in layers_first if name.rpartition(".")[2].upper() == last]:
            return found[0]
    return names[0] if len(names) == 1 else None


def _in_window(pixels: np.ndarray, data: Any, display: Any) -> np.ndarray:
    """An EXR file's pixels, which cover its data window, in its display window, NaN where they do not reach.

    Args:
        pixels: `(h, w)`.
        data: first and last column and row that the pixels cover.
        display: of the picture.
    """
    (left, top), (right, bottom) = np.asarray(display).tolist()
    (x, y), (last_x, last_y) = np.asarray(data).tolist()
    if (x, y, last_x, last_y) == (left, top, right, bottom):
        return pixels
    width, height = right - left + 1, bottom - top + 1
    if not 0 < width * height <= _MOST_PIXELS:
        raise ValueError(f"its display window is {width}×{height} pixels")
    if pixels.shape != (last_y - y + 1, last_x - x + 1):
        raise ValueError("its depths are not given for every pixel")
    rows, columns = np.arange(max(y, top), min(last_y, bottom) + 1), np.arange(max(x, left), min(last_x, right) + 1)
    placed = np.full((height, width), np.nan, np.result_type(pixels.dtype, np.float32))
    placed[np.ix_(rows - top, columns - left)] = pixels[np.ix_(rows - y, columns - x)]
    return placed


def _check_size(path: Path, raw: np.ndarray, width: int, height: int) -> None:
    rows, columns = raw.shape
    if abs(np.log(columns * height / (rows * width))) <= SAME_ASPECT:
        return
    turned = ", and lies on its side: turn it as the photo is seen" if (columns > rows) != (width > height) else ""
    raise UserError(
        f"the depth map '{path.name}' has {columns}×{rows} pixels and the photo {width}×{height}: another aspect, so "
        f"it is not of this photo as it is{turned}. Crop it, or make it anew"
    )


def _check_values(path: Path, values: Float, known: Bool) -> None:
    if known.mean() < MIN_KNOWN:
        raise UserError(
            f"the depth map '{path.name}' has a depth in {known.mean():.0%} of its pixels only; the others are not "
            "finite, or not positive. Export it again, or say by --depth-kind what its numbers are"
        )
    low, high = np.percentile(values[known], [1, 99])
    if not high - low > 1e-6 * max(abs(low), abs(high)):
        raise UserError(f"the depth map '{path.name}' is {low:g} everywhere; that tells nothing about depth")


def _near_is_large(path: Path, values: Float, known: Bool, masks: list[Bool]) -> bool:
    """Which way a map grows, by votes: of every object against its surroundings, and of the picture's lower part."""
    span = float(np.subtract(*np.percentile(values[known], [95, 5])))
    votes, rows = [], len(values)
    free = known & ~np.any([np.zeros(known.shape, bool), *masks], axis=0)
    below, above = free.copy(), free.copy()
    below[: 3 * rows // 4], above[rows // 4 :] = False, False
    pairs = [(below, above)]
    for mask in masks:
        reach = max(2, round(RING_SHARE * np.sqrt(mask.sum())))
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
        pairs.append((mask & known, ring & free))
    for near, far in pairs:
        if near.any() and far.any():
            difference = float(np.median(values[near]) - np.median(values[far])) / max(span, 1e-12)
            votes += [difference] if abs(difference) > CLEAR else []
    weight = np.clip(votes, -0.5, 0.5)
    share = float(weight[weight > 0].sum() / np.abs(weight).sum()) if votes else 0.5
    if 1 - SURE < share < SURE:
        raise UserError(
            f"the depth map '{path.name}' does not show whether near is large or small: objects and lower part do not "
            "agree. Say it by --depth-kind relative (near is small) or --depth-kind inverse (near is large)"
        )
    return share >= SURE


def _shift(values: Float, free: Bool, horizon: float | None) -> float | None:
    """What to add to inverse depths so that they vanish at the horizon, as the ground's do; None without evidence.

    Along a level ground the inverse depth is linear in the distance from the horizon. The line is fitted to the lower
    part of the picture's rows, by their medians.
    """
    rows = len(values)
    if horizon is None or horizon > 0.8 * rows:
        return None
    first = max(0, int(np.ceil(max(horizon + 0.05 * rows, 0.5 * rows))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row may have no free pixel
        medians = np.nanmedian(np.where(free, values, np.nan)[first:], axis=1)
    at = np.arange(first, rows)[np.isfinite(medians)] + 0.5 - horizon
    medians = medians[np.isfinite(medians)]
    if len(at) < 8:
        return None
    slope, intercept = np.polyfit(at, medians, 1)
    span = float(np.subtract(*np.percentile(values[free], [99, 1])))
    residual = float(np.median(np.abs(medians - slope * at - intercept)))
    return -float(intercept) if slope > 0 and residual < GROUND_FIT * span else None
