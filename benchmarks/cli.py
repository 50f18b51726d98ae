"""How long the command line takes to answer: python benchmarks/cli.py (wants at most 0.5 s for the help, warm)."""

import subprocess
import sys
import time

LIMIT_SECONDS = 0.5
REPEATS = 7


def best_seconds(arguments: list[str]) -> float:
    """The fastest of several calls: what it costs when nothing else is in the way."""
    times: list[float] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "real2sam2real", *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    for arguments in (["--help"], ["run", "--help"], ["--version"]):
        print(f"r2s2r {' '.join(arguments):12} {best_seconds(arguments):.2f} s")
    sys.exit(best_seconds(["--help"]) > LIMIT_SECONDS)


if __name__ == "__main__":
    main()
