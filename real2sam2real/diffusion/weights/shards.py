"""Which safetensors files make up a model: one, the shards of an index, or numbered shards without one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from real2sam2real.diffusion.weights.keys import is_left_out
from real2sam2real.errors import UserError

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors$")


def sharded(folder: Path, stem: str = "diffusion_pytorch_model") -> tuple[Path, ...]:
    """The safetensors files of a model in `folder`: one file, the shards of its index, or shards without an index.

    Shards that are not on disk are among the answer, so that they are named when opened or counted as missing.

    Returns:
        Nothing where there is no such model.

    Raises:
        UserError: the index cannot be read, or numbered shards of several sets lie together.
    """
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        return tuple(folder / name for name in shard_names(index))
    if single.is_file():
        return (single,)
    found = [match for path in folder.glob(f"{stem}-*.safetensors") if (match := _SHARD.match(path.name))]
    if not found:
        return ()
    totals = {int(match[3]) for match in found}
    if len(totals) > 1:
        raise UserError(f"{folder} holds shards of several sets: of {', '.join(map(str, sorted(totals)))} files")
    total = totals.pop()
    return tuple(folder / f"{stem}-{number:05d}-of-{total:05d}.safetensors" for number in range(1, total + 1))


def shard_names(index: Path) -> list[str]:
    """The files of an index that hold anything but the face and motion branch, in order.

    Raises:
        UserError: the index cannot be read.
    """
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted({str(name) for key, name in weight_map.items() if not is_left_out(key)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is damaged or no index of weights: {error}") from error
    if any(Path(name).name != name for name in names):
        raise UserError(f"{index} names files outside its folder; it is damaged or not to be trusted")
    return names
