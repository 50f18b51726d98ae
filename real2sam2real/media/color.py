"""Colours of any picture or video as sRGB: primaries and transfer curves by their numbers in ITU-T H.273.

Video files, AVIF and HEIF speak in those numbers. High dynamic range is brought to a standard screen (BT.1886, white at
100 cd/m²) by a fixed curve, so that a video does not flicker and two runs agree: what is up to 0.6 of the screen's
white stays as it is, and highlights up to 1000 cd/m² are pressed into the rest (a Möbius curve).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Float, UInt8

UNKNOWN = 2  # H.273's number for "unspecified", of primaries and of transfer curves
_SRGB = 1  # BT.709's primaries are sRGB's
ADOBE_RGB = -1  # not in H.273: the colour space of cameras' `_DSC` files
_D65, _DCI_WHITE, _C = (0.3127, 0.3290), (0.314, 0.351), (0.310, 0.316)
_PRIMARIES = {  # red, green, blue and white as CIE xy
    _SRGB: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _C),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI_WHITE),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    ADOBE_RGB: ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), _D65),
}
_NAMES = {
    4: "NTSC",
    5: "PAL",
    6: "NTSC",
    7: "NTSC",
    9: "BT.2020",
    11: "DCI-P3",
    12: "Display P3",
    ADOBE_RGB: "Adobe RGB",
}
# Curves of standard screens: BT.709's and BT.2020's are made for the same screens as sRGB's and shown as that.
_AS_SRGB = {1, 6, 11, 13, 14, 15}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, ADOBE_RGB: 563 / 256}
_PQ, _HLG = 16, 18
_SCREEN_WHITE, _PEAK = 100.0, 1000.0  # cd/m² of a standard screen's white, and of the brightest highlight that is kept
_KNEE = 0.6  # of the screen's white, in linear light
_STEPS = 1 << 16


@dataclass(frozen=True)
class ColorSpace:
    """Primaries and transfer curve, by H.273's numbers; unknown ones count as sRGB's, as players take them."""

    primaries: int = UNKNOWN
    transfer: int = UNKNOWN
    gamma: float | None = None  # exponent in place of the curve, where a file gives that

    @property
    def is_srgb(self) -> bool:
        """Whether its values can be taken as they are."""
        linear = _GAMMAS.get(self.transfer, self.gamma)
        same_curve = linear is None and self.transfer not in (_PQ, _HLG)
        return same_curve and (self.primaries == _SRGB or self.primaries not in _PRIMARIES)

    @property
    def note(self) -> str:
        """What `to_srgb` does, or what it cannot, in words; empty where there is nothing to say."""
        curves = {_PQ: "PQ (high dynamic range)", _HLG: "HLG (high dynamic range)", 8: "linear light"}
        curve = "" if self.gamma is None else f"gamma {self.gamma:.2g}"
        curve = curves.get(self.transfer, curve)
        if not curve and self.transfer in _GAMMAS and self.transfer != ADOBE_RGB:
            curve = f"gamma {_GAMMAS[self.transfer]:g}"
        said = " ".join(filter(None, [_NAMES.get(self.primaries, ""), curve]))
        unknown = []
        if self.primaries not in _PRIMARIES and self.primaries not in (0, UNKNOWN):
            unknown.append(f"primaries {self.primaries}")
        known = _AS_SRGB | {*_GAMMAS, _PQ, _HLG, 0, UNKNOWN}
        if self.transfer not in known:
            unknown.append(f"transfer curve {self.transfer}")
        notes = [] if self.is_srgb else [f"colours converted from {said} to sRGB"]
        if unknown:
            notes.append(f"its {' and '.join(unknown)} (ITU-T H.273) cannot be honoured and counts as sRGB's")
        return "; ".join(notes)

    def to_srgb(self, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> UInt8:
        """`(H, W, 3)` uint8 sRGB of `(H, W, 3)` values of this space, over the whole range of their type."""
        top = np.iinfo(pixels.dtype).max
        light = cv2.transform(self._linear[pixels.astype(np.intp) * (_STEPS - 1) // top], self._matrix)
        is_hdr = self.transfer in (_PQ, _HLG)
        codes = np.clip((_pressed(light) if is_hdr else light) * (_STEPS - 1) + 0.5, 0, _STEPS - 1)
        return (_BT1886 if is_hdr else _SRGB_CODES)[codes.astype(np.uint16)]

    @cached_property
    def _linear(self) -> NDArray[np.float32]:
        """Linear light of 65,536 values, 1 the white of a standard screen."""
        values = np.linspace(0.0, 1.0, _STEPS)
        gamma = _GAMMAS.get(self.transfer, self.gamma)
        if self.transfer == _PQ:
            power = values ** (1 / 78.84375)
            light = 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
            light = light / _SCREEN_WHITE
        elif self.transfer == _HLG:
            a, b, c = 0.17883277, 0.28466892, 0.55991073
            scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
            # On a screen of 1000 cd/m². The exponent is taken for each colour, as converters (zscale) do; BT.2100's
            # own, of the luminance, gives paler colours than such videos have on standard screens.
            light = _PEAK / _SCREEN_WHITE * scene**1.2
        elif gamma is not None:
            light = values**gamma
        else:
            light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return light.astype(np.float32)

    @cached_property
    def _matrix(self) -> NDArray[np.float32]:
        """Linear light of sRGB from this space's, both relative to their own white."""
        own = _xyz_from_rgb(self.primaries if self.primaries in _PRIMARIES else _SRGB)
        srgb = _xyz_from_rgb(_SRGB)
        adapted = np.diag(srgb.sum(axis=1) / own.sum(axis=1)) if not np.allclose(own.sum(1), srgb.sum(1)) else np.eye(3)
        return (np.linalg.inv(srgb) @ adapted @ own).astype(np.float32)


def _xyz_from_rgb(primaries: int) -> Float:
    """`(3, 3)`: CIE XYZ from linear light, its white at Y = 1."""
    *corners, white = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in _PRIMARIES[primaries])
    columns = np.stack(corners, axis=1)
    return columns * np.linalg.solve(columns, white)


def _pressed(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Highlights of `(H, W, 3)` brought into 0…1, by one factor a pixel, so that hues stay."""
    light = np.maximum(light, 0)
    peak = _PEAK / _SCREEN_WHITE
    a = -(_KNEE**2) * (peak - 1) / (_KNEE**2 - 2 * _KNEE + peak)
    b = (_KNEE**2 - 2 * _KNEE * peak + peak) / (peak - 1)
    brightest = light.max(axis=-1)
    curve = (b**2 + 2 * b * _KNEE + _KNEE**2) / (b - a) * (brightest + a) / (brightest + b)
    factor = np.where(brightest > _KNEE, curve / np.maximum(brightest, _KNEE), 1.0).astype(np.float32)
    return light * factor[..., None]


_LIGHT = np.linspace(0.0, 1.0, _STEPS)
_BT1886 = np.round(_LIGHT ** (1 / 2.4) * 255).astype(np.uint8)
_SRGB_CODES = np.where(_LIGHT <= 0.0031308, 12.92 * _LIGHT, 1.055 * _LIGHT ** (1 / 2.4) - 0.055)
_SRGB_CODES = np.round(_SRGB_CODES * 255).astype(np.uint8)
