"""Read a shot file's YAML, or the same as data, into plain nodes that remember their places, and nodes into moves.

Only the safe core of YAML is used: scalars stay text (units are read by the settings), tags are not obeyed, and
aliases are refused, because a few of them can stand for billions of nodes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from real2sam2real.errors import UserError
from real2sam2real.files import read_text
from real2sam2real.scene.move_syntax import MoveT, Vocabulary, Words, build
from real2sam2real.scene.units import number_text
from real2sam2real.workfolder.yaml_text import MAX_BYTES, parse_yaml_node

MAX_MOVES = 300  # of a camera or an entity; each is computed in every frame


class ShotNode(ABC):
    """A value of a shot that knows where it was written: a scalar, a list or a mapping."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Its place, for messages."""

    @property
    @abstractmethod
    def empty(self) -> bool:
        """True for a missing value (`key:` with nothing after it)."""

    @property
    @abstractmethod
    def is_text(self) -> bool:
        """True for a scalar."""

    @property
    @abstractmethod
    def is_list(self) -> bool:
        """True for a list."""

    @abstractmethod
    def text(self, what: str) -> str:
        """The scalar as written; lists of scalars become "(a, b, c)"."""

    @abstractmethod
    def items(self, what: str) -> Sequence[ShotNode]:
        """The items of a list."""

    @abstractmethod
    def entries(self, what: str) -> dict[str, tuple[ShotNode, ShotNode]]:
        """Key and value nodes of a mapping by key text; a key that stands twice is an error."""

    def error(self, message: str) -> UserError:
        """An error that starts with the place."""
        return UserError(f"{self.where}: {message}")


@dataclass(frozen=True)
class YamlNode(ShotNode):
    """A YAML node and the name of the file it comes from."""

    node: yaml.Node
    file: str

    @property
    def where(self) -> str:
        """File and line, counted from 1."""
        return f"{self.file}:{self.node.start_mark.line + 1}"

    @property
    def empty(self) -> bool:
        """True for a missing value (`key:` with nothing after it)."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.value == "" and not self.node.style

    @property
    def is_text(self) -> bool:
        """True for a scalar."""
        return isinstance(self.node, yaml.ScalarNode)

    @property
    def is_list(self) -> bool:
        """True for a list."""
        return isinstance(self.node, yaml.SequenceNode)

    def text(self, what: str) -> str:
        """The scalar as written; lists of scalars become "(a, b, c)"."""
        if isinstance(self.node, yaml.ScalarNode):
            return str(self.node.value).strip()
        if isinstance(self.node, yaml.SequenceNode):
            return f"({', '.join(item.text(what) for item in self.items(what))})"
        raise self.error(f"expected {what}, found settings with keys of their own")

    def items(self, what: str) -> Sequence[ShotNode]:
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error(f"expected {what}: a list whose lines start with '- '")
        return [YamlNode(item, self.file) for item in self.node.value]

    def entries(self, what: str) -> dict[str, tuple[ShotNode, ShotNode]]:
        """Key and value nodes of a mapping by key text; a key that stands twice is an error."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"expected {what}: lines of the form 'key: value'")
        found: dict[str, tuple[ShotNode, ShotNode]] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in self.node.value:
            key, value = YamlNode(key_node, self.file), YamlNode(value_node, self.file)
            name = key.text("a key")
            if name in found:
                raise key.error(f"'{name}' stands here a second time (first in line {lines[name]})")
            found[name], lines[name] = (key, value), key_node.start_mark.line + 1
        return found


@dataclass(frozen=True)
class DataNode(ShotNode):
    """A JSON value of a shot, and the words that say where it stands: "camera, move 2 (orbit)"."""

    value: Any
    place: str = ""

    @property
    def where(self) -> str:
        """The place in words."""
        return self.place or "the shot"

    @property
    def empty(self) -> bool:
        """True for a missing value."""
        return self.value is None

    @property
    def is_text(self) -> bool:
        """True for what is neither list nor mapping."""
        return not isinstance(self.value, list | dict)

    @property
    def is_list(self) -> bool:
        """True for a list."""
        return isinstance(self.value, list)

    def text(self, what: str) -> str:
        """The scalar as a shot file has it; lists of scalars become "(a, b, c)"."""
        if isinstance(self.value, list):
            return f"({', '.join(item.text(what) for item in self.items(what))})"
        if isinstance(self.value, dict):
            raise self.error(f"expected {what}, found settings with keys of their own")
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, float):
            return number_text(self.value) if math.isfinite(self.value) else str(self.value)
        return "" if self.value is None else str(self.value).strip()

    def items(self, what: str) -> Sequence[ShotNode]:
        """The items of a list, called by their number and their first word."""
        if not isinstance(self.value, list):
            raise self.error(f"expected {what}, found '{str(self.value)[:40]}'")
        return [DataNode(item, self._called(number, item)) for number, item in enumerate(self.value, start=1)]

    def entries(self, what: str) -> dict[str, tuple[ShotNode, ShotNode]]:
        """Key and value nodes of a mapping; both stand where the mapping does, or below its name at the top."""
        if not isinstance(self.value, dict):
            raise self.error(f"expected {what}, found '{str(self.value)[:40]}'")
        return {
            name: (DataNode(name, self.place or name), DataNode(each, self._below(name)))
            for name, each in self.value.items()
        }

    def _below(self, name: str) -> str:
        if self.place in ("", "entities"):
            return name
        return self.place

    def _called(self, number: int, item: Any) -> str:
        first = next(iter(item), "") if isinstance(item, dict) else str(item).partition(" ")[0]
        keys = isinstance(item, dict) and ("time" in item or "frame" in item or "at" in item)
        return f"{self.place}, key {number}" if keys else f"{self.place}, move {number} ({str(first)[:40]})"


def read_yaml(path: Path) -> YamlNode | None:
    """The root of a YAML file, or None for an empty one.

    Raises:
        UserError: the file cannot be read, is too large, is not YAML, or uses aliases.
    """
    return parse_yaml(read_text(path, "shot file", most_bytes=MAX_BYTES), str(path))


def parse_yaml(text: str, file: str) -> YamlNode | None:
    """The root of a YAML text; `file` names it in messages."""
    node = parse_yaml_node(text, file, "shot file")
    return None if node is None else YamlNode(node, file)


def moves(source: ShotNode, vocabulary: Vocabulary[MoveT]) -> tuple[MoveT, ...]:
    """The moves of a list; one line of text or one mapping counts as a list of one."""
    if source.empty:
        return ()
    found: list[MoveT] = []
    for item in source.items(f"a list of {vocabulary.what}s") if source.is_list else [source]:
        found += vocabulary.parse(item.text("a move"), item.where) if item.is_text else [_move(item, vocabulary)]
        if len(found) > MAX_MOVES:
            raise source.error(f"more {vocabulary.what}s than the {MAX_MOVES} of a shot")
    return tuple(found)


def _move(item: ShotNode, vocabulary: Vocabulary[MoveT]) -> MoveT:
    """One move written as a mapping: its name with its main value, and its settings."""
    entries = item.entries("a move")
    directions = [name for name in entries if name.lower() in vocabulary.value_words]
    names = [name for name in entries if name.lower() in vocabulary.words and name not in directions]
    if len(names) + bool(directions) > 1:
        both = " and ".join(f"'{name}'" for name in (*names, *directions[:1]))
        raise item.error(f"one list item holds one move, but here are {both}; give each its own line with '- '")
    if not names and not directions:
        first = next(iter(entries), "")
        key = entries[first][0] if first else item
        vocabulary.find(first or "nothing", key.where)  # raises with the nearest name
    if directions:
        main: str | Sequence[Words] | None = ", ".join(
            f"{name} {entries[name][1].text('a distance')}" for name in directions
        )
        head = directions[0]
    else:
        head = names[0]
        main = _value(entries[head][1])
    where = entries[head][0].where
    rest = {name: entry for name, entry in entries.items() if name != head and name not in directions}
    return build(vocabulary.find(head, where), _words(main, rest, where))


def _value(source: ShotNode) -> str | Sequence[Words] | None:
    """A setting's value: text, a list of keyframes, or None when it is missing."""
    if source.empty:
        return None
    if source.is_list and any(not item.is_text and not item.is_list for item in source.items("a list")):
        items = source.items("a list of keyframes")
        return [_words(None, item.entries("a keyframe"), item.where) for item in items]
    return source.text("a value")


def _words(main: str | Sequence[Words] | None, entries: dict[str, tuple[ShotNode, ShotNode]], where: str) -> Words:
    settings, places = {}, {}
    for name, (key, value) in entries.items():
        found = _value(value)
        if found is None:
            raise key.error(f"'{name}' has no value")
        settings[name], places[name] = found, value.where
    return Words(main, settings, where, places)
