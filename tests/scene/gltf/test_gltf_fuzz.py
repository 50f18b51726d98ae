"""Random damage to valid files: a message for the user or a scene, never another exception."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.container import write_glb
from real2sam2real.scene import Scene
from real2sam2real.scene.gltf import load_glb, save_glb

ROUNDS = 80
"""Per test. A hundred times as many were run by hand; every fault they found is a case of its own by now."""

VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2, 3, 7, 255, 5126, 2**31, 2**63, 10**30, -1.5, 0.1, 1e300),
    *("", "x", "SCALAR", "MAT4", "STEP", "CUBICSPLINE", [], {}, [0], [[]], [0.0] * 16, {"a": 1}),
]


def outcome(path: Path) -> bool:
    """Whether the file loads; a UserError counts as an answer."""
    try:
        load_glb(path, frames=3)
    except UserError:
        return False
    return True


def parts(data: bytes) -> tuple[Any, bytes]:
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def damage_json(node: Any, dice: random.Random) -> None:
    """Replace, delete or copy one value anywhere in the tree."""
    places: list[tuple[Any, Any]] = []

    def walk(current: Any) -> None:
        for key in current if isinstance(current, dict) else range(len(current)):
            places.append((current, key))
            if isinstance(current[key], dict | list):
                walk(current[key])

    walk(node)
    holder, key = dice.choice(places)
    kind = dice.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        other, other_key = dice.choice(places)
        holder[key] = json.loads(json.dumps(other[other_key]))
    elif kind == 2 and isinstance(holder[key], int | float):
        holder[key] = holder[key] + dice.choice([-1, 1, 4, -0.5])
    else:
        holder[key] = dice.choice(VALUES)


@pytest.fixture
def valid(scene: Scene, tmp_path: Path) -> bytes:
    save_glb(scene, tmp_path / "valid.glb")
    return (tmp_path / "valid.glb").read_bytes()


def test_flipped_bytes_and_cut_files(valid: bytes, tmp_path: Path) -> None:
    dice = random.Random(1)
    json_end = 20 + struct.unpack_from("<I", valid, 12)[0]
    path = tmp_path / "damaged.glb"
    loaded = 0
    for _ in range(ROUNDS):
        data = bytearray(valid)
        for _ in range(dice.choice([1, 2, 10])):
            data[dice.randrange(len(data) if dice.random() < 0.5 else json_end)] = dice.randrange(256)
        if dice.random() < 0.2:
            del data[dice.randrange(len(data)) :]
        path.write_bytes(data)
        loaded += outcome(path)
    assert 0 < loaded < ROUNDS


def test_damaged_json(valid: bytes, tmp_path: Path) -> None:
    dice = random.Random(2)
    path = tmp_path / "damaged.glb"
    text, binary = json.dumps(parts(valid)[0]), parts(valid)[1]
    loaded = 0
    for _ in range(ROUNDS):
        root = json.loads(text)
        for _ in range(dice.choice([1, 1, 3])):
            damage_json(root, dice)
        write_glb(path, root, binary)
        loaded += outcome(path)
    assert 0 < loaded < ROUNDS
