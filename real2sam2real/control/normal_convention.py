"""How a camera-space normal becomes a colour, as one value that travels with every file encoded by it.

Estimators disagree on which way each axis points. A `NormalConvention` says it once; the presets name the known habits.
Our own normals are right/up/towards (docs/conventions.md), which is the preset `opengl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numba
import numpy as np

from real2sam2real.arrays import Bool, Float32, Int, UInt8
from real2sam2real.errors import UserError

Rounding = Literal["nearest", "down"]

_AXES = {  # word for a direction in the camera's frame -> axis of our normals, sign
    "right": (0, 1.0),
    "left": (0, -1.0),
    "up": (1, 1.0),
    "down": (1, -1.0),
    "towards": (2, 1.0),
    "away": (2, -1.0),
}


@dataclass(frozen=True, kw_only=True)
class NormalConvention:
    """Which direction each colour channel stands for, the colour of "no instance", and the rounding to 8 bits.

    A component c in −1…1 becomes (c + 1) / 2 · 255.

    Raises:
        ValueError: the directions are not three different axes, or the background is no 8-bit colour.
    """

    # what red, green and blue are brightest for: one of right/left, one of up/down, one of towards/away (the camera),
    # in any order
    directions: tuple[str, str, str] = ("right", "up", "towards")
    background: tuple[int, int, int] = (0, 0, 0)  # colour where there is no instance
    rounding: Rounding = "nearest"  # to the nearest integer, or down (which is what a bare cast to uint8 does)

    def __post_init__(self) -> None:
        object.__setattr__(self, "directions", tuple(self.directions))
        object.__setattr__(self, "background", tuple(self.background))
        if unknown := [d for d in self.directions if d not in _AXES]:
            raise ValueError(f"'{unknown[0]}' is no direction of a normal; choose from {', '.join(_AXES)}")
        if sorted(_AXES[d][0] for d in self.directions) != [0, 1, 2]:
            raise ValueError(
                f"directions are {self.directions}; they must be one of right/left, one of up/down, one of towards/away"
            )
        if len(self.background) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in self.background):
            raise ValueError(f"the background is {self.background}; it must be three integers in 0…255")
        if self.rounding not in get_args(Rounding):
            raise ValueError(f"the rounding is '{self.rounding}'; choose one of {', '.join(get_args(Rounding))}")

    @classmethod
    def preset(cls, name: str) -> NormalConvention:
        """The convention called `name`: a habit (`opengl`, `left-up-towards`, `opencv`) or an estimator that has it.

        Raises:
            UserError: no preset has this name.
        """
        preset = PRESETS.get(name.lower())
        if preset is None:
            raise UserError(f"there is no normal convention called '{name}'; choose one of {', '.join(PRESETS)}.")
        return preset

    def encode(self, normals: Float32, ids: UInt8 | None = None) -> UInt8:
        """Colour normals.

        Args:
            normals: `(..., H, W, 3)` float, camera space right/up/towards, unit length (shorter under anti-aliasing).
            ids: `(..., H, W)` uint8, 0 = background; None takes the pixels whose normal is zero as background.

        Returns:
            `(..., H, W, 3)` uint8.

        Raises:
            ValueError: the shapes do not fit, or the normal of an instance's pixel is not finite.
        """
        normals = np.ascontiguousarray(normals, np.float32)
        if normals.ndim < 1 or normals.shape[-1] != 3:
            raise ValueError(f"normals have shape {normals.shape}; expected (..., H, W, 3)")
        foreground = normals.any(axis=-1) if ids is None else _matching_ids(ids, normals.shape)
        colors = np.empty(normals.shape, np.uint8)
        order, signs = self._order_and_signs()
        offset = np.float32(128.0 if self.rounding == "nearest" else 127.5)
        finite = _encode(
            normals.reshape(-1, 3),
            np.ascontiguousarray(foreground).reshape(-1),
            order,
            signs,
            offset,
            np.array(self.background, np.uint8),
            colors.reshape(-1, 3),
        )
        if not finite:
            raise ValueError("a normal of an instance's pixel is not finite (NaN or infinity)")
        return colors

    def decode(self, colors: UInt8, ids: UInt8 | None = None) -> Float32:
        """Normals of colours; the inverse of `encode` up to 0.39°, the angle whose sine is √3/255.

        Each channel is off by at most half a step of 2/255: rounded down, a colour stands for the middle of its step.

        Args:
            colors: `(..., H, W, 3)` uint8.
            ids: `(..., H, W)` uint8, 0 = background; None takes the pixels of exactly the background colour.

        Returns:
            `(..., H, W, 3)` float32, right/up/towards, unit length, zero on the background.

        Raises:
            ValueError: the shapes do not fit, or the colours are not uint8.
        """
        if colors.dtype != np.uint8 or colors.ndim < 1 or colors.shape[-1] != 3:
            raise ValueError(f"normal colours are (..., H, W, 3) uint8, not {colors.shape} {colors.dtype}")
        colors = np.ascontiguousarray(colors)
        foreground = self.foreground(colors) if ids is None else _matching_ids(ids, colors.shape)
        normals = np.empty(colors.shape, np.float32)
        order, signs = self._order_and_signs()
        middle = 0.0 if self.rounding == "nearest" else 0.5
        values = ((np.arange(256) + middle) / 127.5 - 1).astype(np.float32)
        _decode(
            colors.reshape(-1, 3),
            np.ascontiguousarray(foreground).reshape(-1),
            order,
            signs,
            values,
            normals.reshape(-1, 3),
        )
        return normals

    def in_our_axes(self, components: Float32) -> Float32:
        """Vectors `(..., 3)` right/up/towards of vectors whose components grow towards `directions`."""
        order, signs = self._order_and_signs()
        turned = np.empty_like(components)
        turned[..., order] = components * signs
        return turned

    def foreground(self, colors: UInt8) -> Bool:
        """`(...)` bool: where colours `(..., 3)` differ from the background colour."""
        return (colors != np.array(self.background, np.uint8)).any(axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `from_dict` gives the convention back."""
        return {"directions": list(self.directions), "background": list(self.background), "rounding": self.rounding}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NormalConvention:
        """The convention written by `to_dict`.

        Raises:
            UserError: a key is missing or unknown, or a value does not fit.
        """
        expected = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != expected:
            keys = ", ".join(map(str, values))[:80] if isinstance(values, Mapping) else repr(values)[:80]
            raise UserError(f"a normal convention needs exactly the keys {', '.join(sorted(expected))}, not {keys}.")
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise UserError(f"this is no normal convention: {str(error)[:200]}.") from error

    def _order_and_signs(self) -> tuple[Int, Float32]:
        axes = [_AXES[d] for d in self.directions]
        return np.array([a for a, _ in axes]), np.array([s for _, s in axes], np.float32)


OPENGL = NormalConvention()
LEFT_UP_TOWARDS = NormalConvention(directions=("left", "up", "towards"))
OPENCV = NormalConvention(directions=("right", "down", "away"))

PRESETS: dict[str, NormalConvention] = {
    "opengl": OPENGL,
    "left-up-towards": LEFT_UP_TOWARDS,
    "opencv": OPENCV,
    "normalcrafter": OPENGL,
    "marigold": OPENGL,
    "moge-2": OPENGL,
    "dsine": LEFT_UP_TOWARDS,
    "stablenormal": LEFT_UP_TOWARDS,
}


def with_current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a JSON file; `coding`, which older files have, under its name of today, `normal_convention`."""
    return {("normal_convention" if name == "coding" else name): value for name, value in values.items()}


def _matching_ids(ids: UInt8, shape: tuple[int, ...]) -> UInt8:
    ids = np.asarray(ids)
    if ids.shape != shape[:-1] or ids.dtype not in (np.uint8, np.bool_):
        raise ValueError(f"ids are {ids.shape} {ids.dtype}; these pictures need {shape[:-1]} uint8")
    return ids


@numba.njit(cache=True, nogil=True)
def _encode(normals, foreground, order, signs, offset, background, colors):  # type: ignore[no-untyped-def]
    finite = True
    a, b, c = order[0], order[1], order[2]
    sa, sb, sc = signs[0] * np.float32(127.5), signs[1] * np.float32(127.5), signs[2] * np.float32(127.5)
    top = np.float32(255.0)
    zero = np.float32(0.0)
    for i in range(len(normals)):
        if foreground[i]:
            x = normals[i, a] * sa + offset
            y = normals[i, b] * sb + offset
            z = normals[i, c] * sc + offset
            finite &= np.isfinite(x + y + z)
            colors[i, 0] = np.uint8(min(max(x, zero), top))
            colors[i, 1] = np.uint8(min(max(y, zero), top))
            colors[i, 2] = np.uint8(min(max(z, zero), top))
        else:
            colors[i, 0], colors[i, 1], colors[i, 2] = background[0], background[1], background[2]
    return finite


@numba.njit(cache=True, nogil=True)
def _decode(colors, foreground, order, signs, values, normals):  # type: ignore[no-untyped-def]
    for i in range(len(colors)):
        if foreground[i]:
            x, y, z = values[colors[i, 0]], values[colors[i, 1]], values[colors[i, 2]]
            # No colour is the zero vector: 127.5 is not a whole number. So the length is never zero when rounding to
            # the nearest, and the middle grey of the other rounding is guarded.
            length = np.sqrt(x * x + y * y + z * z)
            scale = np.float32(1.0) / length if length > 0 else np.float32(0.0)
            normals[i, order[0]] = x * scale * signs[0]
            normals[i, order[1]] = y * scale * signs[1]
            normals[i, order[2]] = z * scale * signs[2]
        else:
            normals[i, 0] = normals[i, 1] = normals[i, 2] = np.float32(0.0)
