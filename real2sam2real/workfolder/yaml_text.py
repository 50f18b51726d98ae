"""The one reader of YAML: its safe core, parsed once, within limits of depth and length, and without aliases.

A few aliases can stand for billions of nodes; tags are not obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from real2sam2real.errors import UserError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_EVENTS = 100_000
"""Of the parser: about one a word or number. Each frame of a minute at 16 a second may set 100."""


def parse_yaml_node(text: str, file: str, what: str) -> yaml.Node | None:
    """The root node of a YAML text, or None for an empty one.

    Args:
        text: of the file.
        file: its name, for messages.
        what: the file is, for messages.

    Raises:
        UserError: it is no YAML, uses aliases, or is nested too deeply or too long.
    """
    try:
        return _Document(_checked_events(text, file, what)).get_single_node()
    except yaml.YAMLError as error:
        raise _explained(error, file) from error


def parse_yaml_values(text: str, file: str, what: str) -> Any:
    """The plain values of a YAML text; see `parse_yaml_node`.

    Raises:
        UserError: likewise, or a value cannot be.
    """
    try:
        return _Document(_checked_events(text, file, what)).get_single_data()
    except yaml.YAMLError as error:
        raise _explained(error, file) from error
    except (ValueError, OverflowError, AttributeError, TypeError) as error:  # a date such as 2026-13-45, a key in vain
        raise UserError(f"{file}: a value cannot be read ({str(error)[:80]}); write it in quotes") from error


class _Document(Composer, SafeConstructor, Resolver):
    """Nodes and values of a text that is parsed once, as its events come."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self._events = events
        self._next = next(events, None)

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        return isinstance(self._next, kinds or yaml.Event)

    def peek_event(self) -> yaml.Event | None:
        return self._next

    def get_event(self) -> yaml.Event | None:
        event, self._next = self._next, next(self._events, None)
        return event


def _explained(error: yaml.YAMLError, file: str) -> UserError:
    if not isinstance(error, yaml.MarkedYAMLError):
        return UserError(f"{file}: this is not valid YAML ({error})")
    mark = error.problem_mark or error.context_mark
    line = "" if mark is None else f":{mark.line + 1}"
    return UserError(f"{file}{line}: this is not valid YAML ({error.problem or error.context})")


def _checked_events(text: str, file: str, what: str) -> Iterator[yaml.Event]:
    """What is parsed; refused as soon as it makes reading slow: aliases, and brackets nested without end."""
    depth = 0
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # several times as fast, where PyYAML was built with it
    for number, event in enumerate(yaml.parse(text, Loader=loader)):
        line = f":{event.start_mark.line + 1}" if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{file}{line}: '*{event.anchor}' is an alias; a {what} writes everything out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UserError(f"{file}{line}: lists and settings are nested too deeply for a {what}")
        if number > MAX_EVENTS:
            raise UserError(f"{file}{line}: more words and numbers than a {what} can need; it is read up to here")
        yield event
