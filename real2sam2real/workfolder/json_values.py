"""The one reader of JSON, for texts and files of whatever origin: within limits of size, depth and range.

What it lets through can be walked without a stack overflow and written again: no level beyond `MAX_DEPTH`, no lone
surrogate (half of a character), no whole number that takes more than 64 bits. `typed` checks values against types.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from real2sam2real.files import refuse_pipe

T = TypeVar("T")

MAX_DEPTH = 100
MAX_BYTES = 256_000_000


def parse_json(text: str | bytes, *, finite: bool = False) -> Any:
    """The values of a JSON text.

    Args:
        text: with or without a byte order mark; bytes are UTF-8.
        finite: refuse NaN and Infinity, which Python writes and JSON does not know, and numbers beyond a float's range.

    Raises:
        ValueError: it is no JSON, or exceeds a limit.
    """
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        value = json.loads(text, parse_constant=_refuse if finite else None)
    except RecursionError:
        raise ValueError(f"its lists nest more than {MAX_DEPTH} deep") from None
    _check(value, finite=finite)
    return value


def read_json(path: Path, *, finite: bool = False, most_bytes: int = MAX_BYTES) -> Any:
    """The values of a JSON file; see `parse_json`.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is a pipe or a device.
        ValueError: it is no JSON, or exceeds a limit.
    """
    refuse_pipe(path)
    if (size := path.stat().st_size) > most_bytes:
        raise ValueError(f"it has {size / 1e6:.0f} MB; up to {most_bytes / 1e6:.0f} MB are read")
    return parse_json(path.read_bytes(), finite=finite)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is not JSON")


def _check(root: Any, *, finite: bool) -> None:
    """See that parsed values exceed no limit; level by level, as nobody knows how deep they are."""
    level: list[Any] = [root]
    for _ in range(MAX_DEPTH):
        texts = [value for value in level if isinstance(value, str)]
        texts += [key for value in level if isinstance(value, dict) for key in value]
        if any(not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text) for text in texts):
            raise ValueError("a text in it has half a character (a lone surrogate), which cannot be written")
        if finite and any(math.isinf(value) for value in level if type(value) is float):
            raise ValueError("a number in it is beyond the range of floating-point numbers")
        if any(abs(value) >> 64 for value in level if type(value) is int):
            raise ValueError("a whole number in it takes more than 64 bits")
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return
    raise ValueError(f"its lists nest more than {MAX_DEPTH} deep")


def _inner(value: Any) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()


def typed(kind: type[T], value: Any, name: str = "") -> T:
    """JSON values as the type that they were written from: a dataclass, or what its fields may be.

    Args:
        kind: a dataclass, `int`, `float`, `str`, `bool`, `Literal`, list, tuple, mapping with keys of text, a union of
            these, or `Any`. A float is finite; dataclasses take no unknown key.
        value: from `parse_json`.
        name: of the value, for messages.

    Raises:
        ValueError: a value is of another type, missing or unknown; it is named.
        UserError: a dataclass refuses its values.
    """
    return cast("T", _typed(kind, value, name))


def _typed(kind: Any, value: Any, name: str) -> Any:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        return _first_that_fits([each for each in inner if each is not NoneType], value, name)
    if origin is Literal:
        if any(value == each and type(value) is type(each) for each in inner):
            return value
        raise ValueError(f"{_called(name)} is {_shown(value)}; it must be one of {', '.join(map(str, inner))}")
    if is_dataclass(origin) and isinstance(value, dict):
        return _as_dataclass(origin, value, name)
    if origin in (list, tuple, Sequence) and isinstance(value, list):
        return _as_sequence(origin, inner, value, name)
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {key: _typed(inner[1], each, _within(name, key)) for key, each in value.items()} if inner else value
    if origin is float and type(value) in (int, float) and abs(value) < float("inf"):
        return float(value)
    if origin in (int, str, bool) and type(value) is origin:
        return value
    raise ValueError(f"{_called(name)} is {_shown(value)}, which is not {_WANTED.get(origin, 'what belongs there')}")


_WANTED: dict[Any, str] = {
    int: "a whole number", float: "a finite number", str: "a text", bool: "true or false", list: "a list",
    tuple: "a list", Sequence: "a list", dict: "an object", Mapping: "an object",
}  # fmt: skip


def _first_that_fits(kinds: Sequence[Any], value: Any, name: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _typed(kind, value, name)
        except ValueError:
            continue
    return _typed(kinds[-1], value, name)


def _as_dataclass(kind: Any, value: dict[str, Any], name: str) -> Any:
    hints, known = get_type_hints(kind), {f.name: f for f in fields(kind) if f.init}
    if unknown := sorted(value.keys() - known.keys()):
        raise ValueError(f"{_called(_within(name, _shown(unknown[0])))} is not known here")
    for key, each in known.items():
        if key not in value and each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{_called(_within(name, key))} is missing")
    return kind(**{key: _typed(hints[key], each, _within(name, key)) for key, each in value.items()})


def _as_sequence(origin: Any, inner: tuple[Any, ...], value: list[Any], name: str) -> Any:
    if origin is tuple and inner[-1:] != (Ellipsis,):
        if len(value) != len(inner):
            raise ValueError(f"{_called(name)} has {len(value)} entries; {len(inner)} belong there")
        kinds: Iterator[Any] | Sequence[Any] = inner
    else:
        kinds = [inner[0] if inner else Any] * len(value)
    found = [_typed(each, one, f"{name}[{k}]") for k, (each, one) in enumerate(zip(kinds, value, strict=True))]
    return tuple(found) if origin is tuple else found


def _within(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _called(name: str) -> str:
    return f"'{name}'" if name else "it"


def _shown(value: Any) -> str:
    """A value in a message, briefly."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else text[:40] + "…"
