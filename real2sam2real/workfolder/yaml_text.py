"""The one reader of YAML: its safe core, within limits of depth, and without aliases.

A few aliases can stand for billions of nodes; tags are not obeyed.
"""

from __future__ import annotations

from typing import Any

import yaml

from real2sam2real.errors import UserError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


def parse_yaml_node(text: str, file: str, what: str) -> yaml.Node | None:
    """The root node of a YAML text, or None for an empty one.

    Args:
        text: of the file.
        file: its name, for messages.
        what: the file is, for messages.

    Raises:
        UserError: it is no YAML, uses aliases, or is nested too deeply.
    """
    try:
        _check_events(text, file, what)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _explained(error, file) from error


def parse_yaml_values(text: str, file: str, what: str) -> Any:
    """The plain values of a YAML text; see `parse_yaml_node`.

    Raises:
        UserError: likewise, or a value cannot be.
    """
    parse_yaml_node(text, file, what)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _explained(error, file) from error
    except (ValueError, OverflowError, AttributeError, TypeError) as error:  # a date such as 2026-13-45, a key in vain
        raise UserError(f"{file}: a value cannot be read ({str(error)[:80]}); write it in quotes") from error


def _explained(error: yaml.YAMLError, file: str) -> UserError:
    if not isinstance(error, yaml.MarkedYAMLError):
        return UserError(f"{file}: this is not valid YAML ({error})")
    mark = error.problem_mark or error.context_mark
    line = "" if mark is None else f":{mark.line + 1}"
    return UserError(f"{file}{line}: this is not valid YAML ({error.problem or error.context})")


def _check_events(text: str, file: str, what: str) -> None:
    """Refuse what makes reading slow, before a tree is built: aliases, and brackets nested without end."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = f":{event.start_mark.line + 1}" if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{file}{line}: '*{event.anchor}' is an alias; a {what} writes everything out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UserError(f"{file}{line}: lists and settings are nested too deeply for a {what}")
