"""Errors that are messages to a person: what was given, why it does not work, what to do."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or a missing part. The command line prints the message alone and exits with status 2."""


class MissingPartError(UserError):
    """An optional part is not installed or not on disk; the message says how to get it."""
