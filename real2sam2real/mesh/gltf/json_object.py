"""JSON objects of a glTF file, read with checks. Every error names the file, the element and what is wrong with it."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from real2sam2real.errors import UserError

REMEDY = "export the file again, or repair it in Blender"


class JsonObject:
    """One JSON object, the label that messages call it by, such as `bench.glb: nodes[3]`, and the outermost object."""

    def __init__(self, value: object, label: str, root: JsonObject | None = None) -> None:
        """Wrap `value`, which stands within `root`; None: it is the outermost object itself.

        Raises:
            UserError: `value` is not a JSON object.
        """
        self.label, self.root = label, root or self
        if not isinstance(value, dict):
            raise UserError(f"{label} is {_kind(value)} where a JSON object belongs; {REMEDY}")
        self.value: dict[str, Any] = value

    def fail(self, reason: str, remedy: str = REMEDY) -> NoReturn:
        """Raise a UserError about this element."""
        raise UserError(f"{self.label}: {reason}; {remedy}")

    def has(self, key: str) -> bool:
        """Whether `key` is given."""
        return key in self.value

    def _get(self, key: str, default: Any) -> Any:
        value = self.value.get(key, default)
        if value is None:
            self.fail(f"'{key}' is missing")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0, most: int = 2**53) -> int:
        """The whole number under `key`, within `least…most`; an error when it is missing without a default."""
        value = self._get(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # some exporters write 3.0
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(f"'{key}' is {_kind(value)} where a whole number belongs")
        if not least <= value <= most:
            self.fail(f"'{key}' is {_short(value)}, outside {least}…{most}")
        return value

    def index(self, key: str, kind: str) -> int | None:
        """The index under `key` into the root's list `kind`, or None where the key is absent."""
        if key not in self.value:
            return None
        value, count = self.integer(key), len(self.root.array(kind))
        if value >= count:
            self.fail(f"'{key}' points at {kind}[{_short(value)}] but the file has {count}")
        return value

    def needed_index(self, key: str, kind: str) -> int:
        """Like `index`, and an error where the key is absent."""
        value = self.index(key, kind)
        if value is None:
            self.fail(f"'{key}' is missing")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """The finite number under `key`; an error when it is missing without a default."""
        return self._finite(self._get(key, default), f"'{key}'")

    def numbers(self, key: str, count: int | None, default: tuple[float, ...] | None = None) -> list[float]:
        """The list of `count` finite numbers (any length for None) under `key`."""
        value = self._get(key, None if default is None else list(default))
        if not isinstance(value, list) or (count is not None and len(value) != count):
            self.fail(f"'{key}' is {_kind(value)} where {count or 'a list of'} numbers belong")
        return [self._finite(v, f"'{key}'[{i}]") for i, v in enumerate(value)]

    def _finite(self, value: object, name: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.fail(f"{name} is {_kind(value)} where a number belongs")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fail(f"{name} is {_short(value)}, not a finite number")
        return number

    def text(self, key: str, default: str | None = None) -> str:
        """The string under `key`."""
        value = self._get(key, default)
        if not isinstance(value, str):
            self.fail(f"'{key}' is {_kind(value)} where a text belongs")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """The true or false under `key`."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            self.fail(f"'{key}' is {_kind(value)} where true or false belongs")
        return value

    def array(self, key: str) -> list[Any]:
        """The list under `key`; empty where the key is absent."""
        value = self.value.get(key, [])
        if not isinstance(value, list):
            self.fail(f"'{key}' is {_kind(value)} where a list belongs")
        return value

    def objects(self, key: str) -> list[JsonObject]:
        """The list of JSON objects under `key`; empty where the key is absent."""
        return [JsonObject(value, f"{self.label}.{key}[{i}]", self.root) for i, value in enumerate(self.array(key))]

    def indices(self, key: str, kind: str) -> list[int]:
        """The list of indices under `key` into the root's list `kind`."""
        return [JsonObject({key: value}, self.label, self.root).needed_index(key, kind) for value in self.array(key)]

    def child(self, key: str) -> JsonObject:
        """The JSON object under `key`; an empty one where the key is absent."""
        return JsonObject(self.value.get(key, {}), f"{self.label}.{key}", self.root)

    def extension(self, name: str) -> JsonObject | None:
        """The element's extension called `name`, or None."""
        extensions = self.child("extensions")
        return extensions.child(name) if extensions.has(name) else None


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "a JSON object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return _short(value)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number too long to print"
    return text if len(text) <= 40 else text[:37] + "…"
