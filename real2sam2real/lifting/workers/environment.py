"""Where one lifter runs, and with what. Light: no array is touched here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from real2sam2real.errors import UserError

# What ssh may be given as a destination; anything that could be read as an option or by a shell is left out.
_HOST = re.compile(r"(?!-)[\w.%+@:\[\]-]+")


@dataclass(frozen=True, kw_only=True)
class LifterEnvironment:
    """Where a lifter runs, and with what.

    Paths are text: with `host` they are paths over there, and `~` is expanded where they are used.

    Raises:
        UserError: a value cannot be.
    """

    python: str | None = None  # of the lifter's own environment; a folder that holds `bin/python` will do
    host: str | None = None  # `user@machine`, or a name from ~/.ssh/config; None for this machine
    code: str | None = None  # clone of the lifter's repository; needed where it is not installed in that environment
    # a file, a folder or a name on the Hugging Face hub; the lifter's own default where None
    weights: str | None = None
    device: str = "auto"  # "auto", "cuda", "cuda:1" …, or "cpu"
    seed: int = 42  # of the random numbers
    timeout: float = 1800.0  # seconds after which one entity, or the loading of the model, counts as hung
    offline: bool = False  # never download

    def __post_init__(self) -> None:
        if self.host is not None and not _HOST.fullmatch(self.host):
            raise UserError(f"'{self.host}' is no host; give user@machine, or a name from ~/.ssh/config")
        if not self.timeout > 0:
            raise UserError(f"a timeout of {self.timeout:g} seconds leaves no time; an entity takes about a minute")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"the seed {self.seed} is outside 0…{2**32 - 1}")
