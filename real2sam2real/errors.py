"""Errors that are messages to a person: what was given, why it does not work, what to do."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


class UserError(Exception):
    """Bad input or a missing part. The command line prints the message alone and exits with status 2."""


class MissingPartError(UserError):
    """An optional part is not installed or not on disk; the message says how to get it."""


class NoRoomError(UserError):
    """There is no room for what is written. Whatever else is tried there ends so, and goes on once there is room."""

    path: Path | None = None  # that could not be written


def first_line(error: Exception) -> str:
    """What an error of another package says, on one line; its kind where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def require(module: str, remedy: str) -> Any:
    """A module of an optional package.

    Args:
        module: its full name.
        remedy: the message where it cannot be imported: what needs it, and the command that installs it.

    Raises:
        MissingPartError: it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPartError(remedy) from error
