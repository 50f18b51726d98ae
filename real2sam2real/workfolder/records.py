"""JSON that a folder keeps about its work: written whole, read with an error that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from real2sam2real.errors import UserError, first_line
from real2sam2real.files import replacing_file
from real2sam2real.workfolder.json_values import parse_json, read_json, typed

T = TypeVar("T")

WRONG_VALUES = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
"""What using a JSON value raises that is of another type, missing or out of range."""
_REMEDY = "delete it, or restore it from a copy"


def write_json(path: Path, values: Any, *, indent: int = 2) -> None:
    """Write JSON values, whole or not at all."""
    with replacing_file(path) as file:
        file.write_text(json.dumps(values, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def read_record(path: Path, build: Callable[[Any], T], *, what: str, remedy: str, finite: bool = False) -> T:
    """What `build` makes of the values in a JSON file.

    Args:
        path: of the file.
        build: makes something of the values; what it raises of the kinds of a wrong value is told. See `typed`.
        what: the file is, for messages, such as "record of a run".
        remedy: what a person can do where it is damaged.
        finite: refuse numbers that are none (NaN, infinity).

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is damaged, or holds something else.
    """
    try:
        return build(read_json(path, finite=finite))
    except WRONG_VALUES as error:
        raise UserError(f"{path} is not a readable {what} ({reason_of(error)}); {remedy}") from error


def reason_of(error: Exception) -> str:
    """What is wrong with values, in a few words, from what was raised."""
    return f"it has no {error}" if isinstance(error, KeyError) else first_line(error)[:160]


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write JSON values, one a line, whole or not at all."""
    with replacing_file(path) as file, file.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[Any]:
    """The JSON values of a file with one a line; a last line that a kill cut short is left out.

    Returns:
        The values in order; none where there is no such file.

    Raises:
        UserError: another line is damaged.
    """
    if not path.is_file():
        return []
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
        return [parse_json(line) for line in lines]
    except ValueError as error:
        raise UserError(f"{path} is not a readable log ({reason_of(error)}); {_REMEDY}") from error


def trim_lines(path: Path, step: int) -> None:
    """Drop the lines of a log whose `step` is later than the given one: they are about to be made again."""
    if not path.is_file():
        return
    try:
        kept = [row for row in read_lines(path) if row["step"] <= step]
    except WRONG_VALUES as error:
        raise UserError(f"{path} is not a readable log of steps ({reason_of(error)}); {_REMEDY}") from error
    write_lines(path, kept)


def keep_settings(
    path: Path,
    settings: Mapping[str, Any],
    *,
    what: str = "run",
    changeable: Collection[str] = (),
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> None:
    """See that the work in a folder is this very work, and note its settings; the folder is made if need be.

    Args:
        path: the file of the settings in the folder.
        settings: JSON values.
        what: the work is, for messages.
        changeable: names of settings that may differ from those of the earlier call.
        upgrade: makes today's settings of those that an earlier version of the program noted.

    Raises:
        UserError: the folder holds work with other settings, which the message names; or `path` is damaged.
    """
    try:
        wanted = parse_json(json.dumps(settings))
    except ValueError as error:
        raise UserError(f"the settings of a {what} cannot be kept in {path} ({error}); choose others") from error
    if path.is_file():
        remedy = "choose another folder, or delete this one"
        there = read_record(
            path, lambda values: upgrade(typed(dict, values)), what=f"record of a {what}", remedy=remedy
        )
        if other := [name for name in _differing(there, wanted) if name.partition(".")[0] not in changeable]:
            raise UserError(
                f"{path.parent} holds a {what} with another {', '.join(other)}; choose another folder, or undo the "
                "change"
            )
    write_json(path, wanted)


def _differing(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Names of the values that differ, those within others as `outer.inner`."""
    for name in sorted(there.keys() | wanted.keys()):
        old, new = there.get(name), wanted.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from (f"{name}.{inner}" for inner in _differing(old, new))
        elif old != new:
            yield name
