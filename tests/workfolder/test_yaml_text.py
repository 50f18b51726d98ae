"""YAML is read within limits, by PyYAML's fast parser or without it."""

import pytest
import yaml

from real2sam2real.errors import UserError
from real2sam2real.workfolder.yaml_text import MAX_EVENTS, parse_yaml_node, parse_yaml_values


@pytest.fixture(params=["as installed", "plain Python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def test_values_and_their_lines() -> None:
    text = "a: [1, 2.5, x]\nb:\n  c: true\n  <<: {d: 2026-11-28}\n"
    assert parse_yaml_values(text, "f", "shot") == yaml.safe_load(text)
    root = parse_yaml_node(text, "f", "shot")
    assert [key.start_mark.line for key, _ in root.value] == [0, 1]
    assert parse_yaml_values("", "f", "shot") is None
    assert parse_yaml_node("# nothing", "f", "shot") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &x 1\nb: *x", r"f:2: '\*x' is an alias; a shot writes everything out"),
        ("a:\n  " + "[" * 30 + "]" * 30, "f:2: lists and settings are nested too deeply for a shot"),
        ("[" * 10_000, "f:1: "),
        (f"[{'0,' * MAX_EVENTS}0]", "f:1: more words and numbers than a shot can need"),
        ("a: [1", "f:[12]: this is not valid YAML"),
        ("a: \x01", "f: this is not valid YAML"),
        ("--- 1\n--- 2", "f:2: this is not valid YAML"),
        ("a: !!python/name:os.system x", "f:1: this is not valid YAML .could not determine a constructor"),
        ("a: 2026-13-45", "f: a value cannot be read"),
        ("? {b: 1}\n: 2", "f:1: this is not valid YAML"),
    ],
)
def test_what_is_refused(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        parse_yaml_values(text, "f", "shot")
