"""sRGB and linear light: glTF's factors and vertex colours are linear, ours are sRGB bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, UInt8


def linear_from_srgb(colors: UInt8) -> Float:
    """Linear light in 0…1 `(...)` float64 of sRGB bytes `(...)` (IEC 61966-2-1)."""
    return _LINEAR[colors]


def srgb_from_linear(colors: ArrayLike) -> UInt8:
    """The nearest sRGB bytes `(...)` of linear light `(...)`, clipped to 0…1."""
    linear = np.clip(np.asarray(colors, np.float64), 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)


def _table() -> Float:
    s = np.arange(256) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


_LINEAR = _table()
