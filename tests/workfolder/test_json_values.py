"""JSON within limits, and as the types that it was written from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.workfolder.json_values import parse_json, read_json, typed

FLAT = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(FLAT, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: tuple[int, int]
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    kind: Literal["done", "failed"]
    seconds: float
    inner: Inner
    more: dict[str, Inner] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    anything: Mapping[str, Any] = field(default_factory=dict)


OUTER = Outer(
    kind="done", seconds=1.5, inner=Inner(size=(3, 4)), more={"a": Inner(size=(1, 2), name="b")}, notes=("n",)
)


@given(VALUES)
def test_whatever_can_be_written_is_read(values: Any) -> None:
    assert parse_json(json.dumps(values)) == values
    assert parse_json(json.dumps(values, ensure_ascii=False).encode()) == values


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 10_000 + "]" * 10_000, "more than 100 deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "more than 100 deep"),
        ('["\\ud800"]', "lone surrogate"),
        ('{"\\udc00": 1}', "lone surrogate"),
        ("1" + "0" * 30, "64 bits"),
        ("9" * 5000, "digit"),
        ("NaN", "NaN, which is not JSON"),
        ("[1e999]", "beyond the range"),
        ("[1,", "Expecting"),
        (b"\xff", "utf-8"),
    ],
)
def test_beyond_a_limit_is_refused(text: str | bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_json(text, finite=True)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (path := tmp_path / "a.json").write_text("[1, 2, 3]")
    with pytest.raises(ValueError, match="MB are read"):
        read_json(path, most_bytes=5)


def test_a_dataclass_comes_back_from_its_values() -> None:
    assert typed(Outer, json.loads(json.dumps(asdict(OUTER)))) == OUTER


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["seconds"], "1", "'seconds' is 1, which is not a finite number"),
        (["seconds"], float("inf"), "'seconds' is Infinity, which is not a finite number"),
        (["seconds"], True, "'seconds' is true, which is not"),
        (["kind"], "maybe", "'kind' is maybe; it must be one of done, failed"),
        (["kind"], [], "'kind' is a list; it must be"),
        (["inner"], None, "'inner' is null, which is not"),
        (["inner", "size"], [1], "'inner.size' has 1 entries; 2 belong there"),
        (["inner", "size"], [1, 2.5], r"'inner.size\[1\]' is 2.5, which is not a whole number"),
        (["inner", "color"], 1, "'inner.color' is not known here"),
        (["more", "a", "name"], 5, "'more.a.name' is 5, which is not a text"),
        (["notes"], {"a": 1}, "'notes' is an object, which is not a list"),
    ],
)
def test_a_wrong_value_is_named(path: list[str], value: Any, told: str) -> None:
    values = inside = json.loads(json.dumps(asdict(OUTER)))
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    with pytest.raises(ValueError, match=told):
        typed(Outer, values)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ValueError, match="'inner' is missing"):
        typed(Outer, {"kind": "done", "seconds": 1})
