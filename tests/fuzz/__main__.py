"""`python -m tests.fuzz`: see `--help`."""

import argparse
import sys

from tests.fuzz.registry import known_kinds
from tests.fuzz.runner import Limits, fuzz


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Damage files and read them.")
    parser.add_argument("--mutants", type=int, default=1000, help="of all kinds together")
    parser.add_argument("--kind", action="append", help="of these alone; may stand several times")
    parser.add_argument("--seed", type=int, default=0, help="another one makes other mutants")
    parser.add_argument("--first", type=int, default=0, help="number of each kind's first mutant; from -2 down, pipes")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="that a mutant may take")
    parser.add_argument("--list", action="store_true", help="name the kinds and end")
    given = parser.parse_args()
    kinds = known_kinds()
    if given.list:
        print("\n".join(kinds))
        return
    names = given.kind or list(kinds)
    if unknown := [name for name in names if name not in kinds]:
        parser.error(f"no kind is called {', '.join(unknown)}; --list names them")
    limits = Limits(seconds=given.seconds)
    each = -(-given.mutants // len(names))
    report = fuzz(names, range(given.first, given.first + each), seed=given.seed, limits=limits)
    print(report)
    sys.exit(bool(report.findings))


if __name__ == "__main__":
    main()
