"""Colours and textures beside a mesh file: pictures that it names, and the material libraries (MTL) of OBJ files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.media.pictures import TooManyPixelsError, decode_texture
from real2sam2real.mesh.gltf.materials import Material
from real2sam2real.mesh.gltf.textures import MOST_PIXELS, linear_from_srgb

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF")
_ARGUMENTS = {"-blendu": 1, "-blendv": 1, "-boost": 1, "-mm": 2, "-texres": 1, "-clamp": 1, "-bm": 1, "-imfchan": 1}
_VECTORS = ("-o", "-s", "-t")  # one to three numbers
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_MOST_LIBRARY_BYTES = 2**26


def read_texture(folder: Path, name: str) -> UInt8 | str:
    """`(H, W, 3)` sRGB pixels of the picture that a mesh file names, or a sentence on why there are none."""
    path = _beside(folder, name)
    if path is None:
        return f"its texture '{name[-80:]}' is not beside it; the surface is shown without it"
    try:
        return decode_texture(path, _FORMATS, MOST_PIXELS, as_srgb=True)
    except TooManyPixelsError:
        return f"its texture '{path.name}' has more than {MOST_PIXELS:,} pixels; scale it down"
    except ValueError as error:
        return f"its texture '{path.name}' cannot be decoded ({str(error)[:80]}); the surface is shown without it"


def _beside(folder: Path, name: str) -> Path | None:
    """The file called `name` within `folder`; where there is none, the one of that base name; else None.

    Files name others by the paths of the machine that made them. Nothing outside the folder is opened.
    """
    base = PureWindowsPath(name).name  # knows / and \
    for candidate in (name.replace("\\", "/"), base):
        try:
            target = (folder / candidate).resolve()
            if candidate and target.is_relative_to(folder.resolve()) and target.is_file():
                return target
        except (OSError, ValueError, RuntimeError):
            continue  # not a name that this system can have
    return None


def read_libraries(folder: Path, names: Iterable[str]) -> tuple[dict[str, Material], list[str]]:
    """The materials of libraries in `folder`: each its diffuse colour or texture; and notes on what was left out."""
    materials: dict[str, Material] = {}
    notes: list[str] = []
    for name in dict.fromkeys(names):
        path = _beside(folder, name)
        if path is None:
            missing = "is not beside it; its materials are shown without colours"
            notes.append(f"the material library '{name[-80:]}' {missing}")
        elif path.stat().st_size > _MOST_LIBRARY_BYTES:
            notes.append(f"the material library '{name[-80:]}' is too large to be one; it was left out")
        else:
            found, left_out = _read_library(path)
            materials |= found
            notes += left_out
    return materials, notes


def _read_library(path: Path) -> tuple[dict[str, Material], list[str]]:
    colors: dict[str, Material] = {}
    textures: dict[str, Material] = {}
    notes: list[str] = []
    current = None
    text = path.read_text(encoding="utf-8", errors="replace")
    linear = text.startswith("# Blender")
    for line in text.splitlines():
        key, rest = [*line.strip().split(None, 1), "", ""][:2]
        if key == "newmtl":
            current = rest
            colors.setdefault(current, Material())
        elif key.lower() == "kd" and current is not None:
            try:
                colors[current] = _color(rest, linear)
            except ValueError:  # "Kd spectral file" and "Kd xyz x y z" exist on paper
                colors[current] = Material()
                notes.append(f"the diffuse colour 'Kd {rest[:40]}' is not of red, green and blue; it was left out")
        elif key.lower() == "map_kd" and current is not None:
            name, left_out = _file_name(rest)
            pixels = read_texture(path.parent, name)
            if isinstance(pixels, str):
                left_out.append(pixels)
                textures.pop(current, None)
            else:  # alone: exporters write a Kd of 0.8 or 1 beside it that is not meant to tint it
                textures[current] = Material(texture=pixels)
            notes += left_out
    return {**colors, **textures}, notes


def _color(text: str, linear: bool) -> Material:
    """`Kd r g b`, or one number for all three: linear light as Blender writes it, else the screen's values."""
    values = np.array([float(word) for word in text.split()[:3]])
    values = np.clip(np.broadcast_to(values, (3,)), 0, 1)
    return Material(factor=values.copy() if linear else linear_from_srgb(np.round(values * 255).astype(np.uint8)))


def _file_name(text: str) -> tuple[str, list[str]]:
    """What is left of `text` without options before it, and which of them were not followed, for the user."""
    notes = []
    words = text.split(" ")
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in _VECTORS:
            notes.append(f"the texture option '{option}' of '{words[-1][:60] if words else ''}' was left out")
            while len(words) > 1 and _NUMBER.fullmatch(words[0]):
                words.pop(0)
        else:
            del words[: _ARGUMENTS.get(option, 1)]
    return " ".join(words).strip(), notes
