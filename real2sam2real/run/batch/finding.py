"""Which shots a command line names: control folders, folders of them, and the official `<scene>/<camera>` input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from real2sam2real.control.folder import CAPTION, DESCRIPTION, IDS, NORMALS, OFFICIAL_NORMALS, PHOTO
from real2sam2real.errors import UserError

_LEVELS = 2
"""How far below a given folder shots are looked for: `<scene>/<camera>`."""
_NAMED_AT_MOST = 5


@dataclass(frozen=True, kw_only=True)
class BatchShot:
    """One video to be made."""

    name: str  # `<scene>/<camera>`: the last two parts of the control folder's path, and of the output's
    control: Path  # the control folder, absolute
    missing: tuple[str, ...] = ()  # files without which it is no whole control folder; empty when it can be made
    as_official: bool = False  # its official files are read, also where there are lossless ones


@dataclass(frozen=True, kw_only=True)
class FoundShots:
    """What was found: the shots in the order of their names, and folders that hold none."""

    shots: tuple[BatchShot, ...]
    left_out: tuple[Path, ...]


def find_shots(given: Sequence[Path], out: Path | None = None, *, as_official: bool = False) -> FoundShots:
    """Find the shots in `given`, each once: control folders, or folders that hold some one or two levels down.

    Args:
        given: the folders.
        out: a folder that is not looked into, as the results may lie beside the inputs.
        as_official: see `BatchShot`.

    Raises:
        UserError: a given path is no folder or holds no shot, or two shots would be written to one place.
    """
    if not given:
        raise UserError("no shot is given; name control folders, or folders that hold some")
    skipped = None if out is None else _absolute(out)
    shots: dict[Path, BatchShot] = {}
    left_out: list[Path] = []
    for path in map(_absolute, given):
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise UserError(f"{path} {what}; give control folders, or folders that hold some")
        found, empty = _search(path, _LEVELS, skipped)
        if not found:
            raise UserError(
                f"{path} holds no shot; a shot is a folder with {PHOTO} and {OFFICIAL_NORMALS} (or the "
                f"files of r2s2r render), given itself or up to {_LEVELS} levels below what is given"
            )
        left_out += empty
        for control in found:
            name = "/".join(part for part in control.parts[-2:] if part != control.anchor)
            missing = tuple(file for file in needed_files(control, as_official) if not (control / file).is_file())
            shot = BatchShot(name=name, control=control, missing=missing, as_official=as_official)
            shots.setdefault(control.resolve(), shot)
    _require_own_places(shots.values())
    return FoundShots(shots=tuple(sorted(shots.values(), key=lambda shot: shot.name)), left_out=tuple(left_out))


def files_read(control: Path, as_official: bool = False) -> list[str]:
    """The files of a control folder: the lossless ones where one describes them, else the official ones.

    Of the official ones alone, the description is read too where there is one: it names the normals' convention.
    """
    described = [DESCRIPTION] if (control / DESCRIPTION).is_file() else []
    if as_official or not described:
        return [PHOTO, CAPTION, OFFICIAL_NORMALS, *described]
    return [PHOTO, CAPTION, *described, NORMALS, IDS]


def needed_files(control: Path, as_official: bool = False) -> list[str]:
    """Those that it cannot do without; the official form may lack a caption."""
    names = files_read(control, as_official)
    return [name for name in names if name != CAPTION or NORMALS in names]


def shorten(items: Iterable[object]) -> str:
    """The first few of many, for a message."""
    texts = [str(item) for item in items]
    more = len(texts) - _NAMED_AT_MOST
    return ", ".join(texts[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _absolute(path: Path) -> Path:
    """Absolute and without `..`, but with symbolic links as they are: a link gives a shot its name."""
    return Path(os.path.abspath(path))  # noqa: PTH100  Path.resolve would follow the links


def _search(folder: Path, levels: int, skipped: Path | None) -> tuple[list[Path], list[Path]]:
    """Control folders at `folder` or below it, and the folders on the way that hold none."""
    if any((folder / name).is_file() for name in (PHOTO, CAPTION, DESCRIPTION, OFFICIAL_NORMALS)):
        return [folder], []
    found: list[Path] = []
    empty: list[Path] = []
    for below in sorted(folder.iterdir()) if levels else ():
        if below.is_dir() and not below.name.startswith(".") and below != skipped:
            more, none = _search(below, levels - 1, skipped)
            found += more
            empty += none if more else [below]
    return found, empty


def _require_own_places(shots: Iterable[BatchShot]) -> None:
    owners: dict[str, Path] = {}
    for shot in shots:
        other = owners.setdefault(shot.name, shot.control)
        if other != shot.control:
            raise UserError(
                f"{other} and {shot.control} would both be written to {shot.name}, as an output is named by the last "
                "two folders of its shot; rename one, or give them separate -o folders"
            )
