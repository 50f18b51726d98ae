"""Kinds of files that the program reads."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import mutators

Make = Callable[[Path], Path | Sequence[Path]]
Read = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """A kind of file; `make` fills an empty folder and returns which of its files are damaged, one at a time."""

    name: str
    make: Make
    read: Read  # of the damaged file, as a user's command or call does it: succeeds or says what is wrong
    mutators: Sequence[mutators.Mutator]


_KINDS: dict[str, Kind] = {}


def kind(name: str, read: Read, *how: mutators.Mutator) -> Callable[[Make], Make]:
    """Register what makes the valid files of a kind.

        @kind("marks", read_marks, *mutators.JSON)
        def marks(folder: Path) -> Path:
            (path := folder / "clip.instances.json").write_text('{"instances": []}')
            return path

    Args:
        name: of the kind, as it is reported.
        read: gets the damaged file's path; undamaged, it must succeed.
        how: the damage, one of them by lot for each mutant; that of bytes where there is none.
    """

    def register(make: Make) -> Make:
        assert name not in _KINDS, f"two kinds are called {name}"
        _KINDS[name] = Kind(name, make, read, how or mutators.BYTES)
        return make

    return register


def known_kinds(home: str = "tests.fuzz.kinds") -> dict[str, Kind]:
    """All kinds of a module or of the modules of a package, by name."""
    kinds = importlib.import_module(home)
    for module in pkgutil.iter_modules(getattr(kinds, "__path__", ())):
        importlib.import_module(f"{home}.{module.name}")
    return _KINDS
