"""Packages that are needed for some models only: imported, or said to be missing and how to install."""

from __future__ import annotations

import importlib
from typing import Any

from real2sam2real.errors import MissingPartError

INSTALL_TRANSFORMERS = 'pip install "transformers>=5"'


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


def transformers_class(name: str) -> Any:
    """A class of transformers, by name.

    Raises:
        MissingPartError: transformers is not installed, or too old to know it.
    """
    transformers = require("transformers", f"this needs transformers, which is not installed: {INSTALL_TRANSFORMERS}")
    try:
        return getattr(transformers, name)
    except (AttributeError, ImportError):
        raise MissingPartError(
            f"transformers {transformers.__version__} does not know {name}; update it: {INSTALL_TRANSFORMERS}"
        ) from None
