"""Material libraries of OBJ files: the diffuse colour and texture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.mesh.gltf.colors import linear_from_srgb
from real2sam2real.mesh.gltf.materials import Material
from real2sam2real.mesh.readers.pictures import beside, read_picture

_ARGUMENTS = {"-blendu": 1, "-blendv": 1, "-boost": 1, "-mm": 2, "-texres": 1, "-clamp": 1, "-bm": 1, "-imfchan": 1}
_VECTORS = ("-o", "-s", "-t")  # one to three numbers
_MOST_LIBRARY_BYTES = 2**26


def read_materials(folder: Path, name: str, notes: list[str]) -> dict[str, Material]:
    """The materials of the library `name` beside the OBJ, by name; remarks go into `notes`."""
    path = beside(folder, name)
    if path is None:
        notes.append(f"the material library '{name[:80]}' is not beside it; its materials are shown without colours")
        return {}
    if path.stat().st_size > _MOST_LIBRARY_BYTES:
        notes.append(f"the material library '{name[:80]}' is too large to be one; it was left out")
        return {}
    colors: dict[str, Material] = {}
    pictures: dict[str, Material] = {}
    current = None
    text = path.read_text(encoding="utf-8", errors="replace")
    linear = text.startswith("# Blender")
    for line in text.splitlines():
        key, rest = [*line.strip().split(None, 1), "", ""][:2]
        if key == "newmtl":
            current = rest
            colors.setdefault(current, Material())
        elif key.lower() == "kd" and current is not None:
            colors[current] = _color(rest, linear, notes)
        elif key.lower() == "map_kd" and current is not None:
            pictures[current] = _picture(path.parent, rest, colors[current], notes)
    return {**colors, **{k: m for k, m in pictures.items() if m.texture is not None}}


def _color(text: str, linear: bool, notes: list[str]) -> Material:
    """`Kd r g b`, or one number for all three: linear light as Blender writes it, else the screen's values (sRGB)."""
    try:
        values = np.array([float(word) for word in text.split()[:3]])
        values = np.clip(np.broadcast_to(values, (3,)), 0, 1)
        factor = values.copy() if linear else linear_from_srgb(np.round(values * 255).astype(np.uint8))
    except ValueError:  # "Kd spectral file" and "Kd xyz x y z" exist on paper
        notes.append(f"the diffuse colour 'Kd {text[:40]}' is not of red, green and blue; it was left out")
        return Material()
    return Material(factor=factor)


def _picture(folder: Path, text: str, plain: Material, notes: list[str]) -> Material:
    """The texture alone: exporters write a `Kd` of 0.8 or 1 beside it that is not meant to tint it."""
    name = _file_name(text, notes)
    pixels = read_picture(folder, name)
    if isinstance(pixels, str):
        notes.append(pixels)
        return plain
    return Material(texture=pixels)


def _file_name(text: str, notes: list[str]) -> str:
    """What is left of a texture statement without its options; names may hold spaces."""
    words = text.split(" ")
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in _VECTORS:
            notes.append(f"the texture option '{option}' of '{words[-1][:60] if words else ''}' was left out")
            while len(words) > 1 and _is_number(words[0]):
                words.pop(0)
        else:
            del words[: _ARGUMENTS.get(option, 1)]
    return " ".join(words).strip()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
