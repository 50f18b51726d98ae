"""What the option classes of all stages share; their fields become the command line's flags, and Python's arguments.

Light on purpose, as those classes are: no image, no mesh and no tensor is touched here, only text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from tyro.conf import Fixed, Suppress, UseAppendAction

from real2sam2real.errors import UserError

T = TypeVar("T")
Hidden = Annotated[T, Suppress, Fixed]
"""A field for Python alone, with no flag of its own."""
Texts = UseAppendAction[tuple[str, ...]]
OptionalPath = Path | None

_SIZE = re.compile(r"(\d+)\s*[x×]\s*(\d+)")


def value_for(name: str, values: Sequence[str]) -> str | None:
    """Of values such as `["a", "car=b"]` the one for `name`: its own, else the last without a name, else None."""
    general = None
    for value in values:
        owner, equals, own = value.partition("=")
        if equals and owner == name:
            return own
        general = general if equals else value
    return general


def split_named(option: str, values: Sequence[str]) -> dict[str, str]:
    """`["car=a.png"]` to `{"car": "a.png"}`, in order.

    Raises:
        UserError: a value has no name or no content, or a name comes twice.
    """
    grouped = group_named(option, values)
    if doubled := [name for name, contents in grouped.items() if len(contents) > 1]:
        raise UserError(f"{option} names '{doubled[0]}' twice; give each object its own name")
    return {name: contents[0] for name, contents in grouped.items()}


def group_named(option: str, values: Sequence[str]) -> dict[str, list[str]]:
    """`["car=a.png", "car=b.png"]` to `{"car": ["a.png", "b.png"]}`, in order.

    Raises:
        UserError: a value has no name or no content.
    """
    named: dict[str, list[str]] = {}
    for value in values:
        name, equals, content = (part.strip() for part in value.partition("="))
        if not (equals and name and content):
            raise UserError(f"{option} '{value}' is not NAME=VALUE; write it as {option} car=…")
        named.setdefault(name, []).append(content)
    return named


def parse_size(text: str) -> tuple[int, int]:
    """`"1280x720"` to `(1280, 720)`.

    Raises:
        UserError: it is not two numbers, or a side is outside 16…8192.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UserError(f"--size {text} is not understood; write WIDTHxHEIGHT, such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise UserError(f"--size {text} has a side outside 16…8192 pixels")
    return width, height


def as_json(value: Any) -> Any:
    """Options as JSON values: paths become text, tuples become lists."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return value
