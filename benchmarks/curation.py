"""How fast `r2s2r curate` is, and whether `kill -9` changes what it makes.

    python benchmarks/curation.py [--clips 200] [--workers 1 2] [--size 256x144] [--frames 33] [-o FOLDER]
    python benchmarks/curation.py --kills 10 [--clips 40] [--workers 1] [--seed N]
    python benchmarks/curation.py --kills 10 --video FILE --box LABEL=LEFT,TOP,RIGHT,BOTTOM --size 480x272 --frames 81

Procedural clips are written first and then curated by the command in a process of its own. The times are a table: clips
per minute of each stage alone and of the whole, with the start-up and without, and the peak memory of all processes.

With `--kills`, the clips (or a video of yours) are curated undisturbed, and again while all processes are killed at
random moments of the work, each time followed by the same command; then the two data sets are compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from real2sam2real.lab.curate.dataset import INFO_FILE
from real2sam2real.lab.curate.pipeline.run import TIMINGS, WORK
from real2sam2real.lab.synth.export import write_clips

CALL = "import sys; from real2sam2real.cli.main import main; main(sys.argv[1:])"
PROCEDURAL = ["--shots", "none", "--min-sharpness", "0", "--min-light", "0", "--licence", "synthetic"]
NOT_COMPARED = {TIMINGS, ".lock"}
MEMORY_EVERY = 0.5  # seconds
MISSES = 12  # curations that may end before the moment they were to be killed at


@dataclass(kw_only=True)
class Course:
    """How an undisturbed curation went.

    Attributes:
        seconds: from the start of the process to its end.
        finished: seconds after the start at which sources were finished, in order.
        first: key of the source that was finished first.
        peak_bytes: most memory of all processes together; what several share counts once.
    """

    seconds: float = 0.0
    finished: list[float] = field(default_factory=list)
    first: str = ""
    peak_bytes: int = 0

    def start_up(self, folder: Path) -> float:
        """Seconds before the first source was begun."""
        return max(0.0, self.finished[0] - sum(stage_seconds(folder)[self.first].values()))


def curation(arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start `r2s2r curate ARGUMENTS -o FOLDER` in a process group of its own; what it says goes to a file beside."""
    command = [sys.executable, "-c", CALL, "curate", *arguments, "-o", str(folder)]
    with folder.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def undisturbed(arguments: Sequence[str], folder: Path, *, measure_memory: bool = True) -> Course:
    """Curate to the end and watch."""
    course, begun, looked = Course(), time.monotonic(), 0.0
    process = curation(arguments, folder)
    while process.poll() is None:
        now = time.monotonic()
        rows = finished_sources(folder)
        course.first = course.first or next((path.stem for path in rows), "")
        course.finished += [now - begun] * (len(rows) - len(course.finished))
        if measure_memory and now - looked >= MEMORY_EVERY:
            course.peak_bytes, looked = max(course.peak_bytes, memory(process.pid)), now
        time.sleep(0.01)
    check(process, folder)
    course.seconds = time.monotonic() - begun
    return course


def check(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.wait():
        said = folder.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        raise SystemExit(f"curating to {folder} ended with status {process.returncode}:\n{said[-2000:]}")


def finished_sources(folder: Path) -> list[Path]:
    """The rows of finished sources while the data set is being made."""
    return [path for path in (folder / WORK).glob("*.json") if not path.name.startswith(".")]


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name != ".lock"]


def family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory(pid: int) -> int:
    """Proportional set sizes of a process and all that it started, in bytes."""
    total = 0
    for process in family(pid):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return total


def stage_seconds(folder: Path) -> dict[str, dict[str, float]]:
    """Seconds of each stage by the source's key."""
    rows = [json.loads(line) for line in (folder / TIMINGS).read_text(encoding="utf-8").splitlines()]
    return {row.pop("key"): row for row in rows}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a data set but the timings and the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_COMPARED)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def differences(folder: Path, other: Path) -> list[str]:
    """Files that only one of two data sets has, or that are not the same in both."""
    first, second = contents(folder), contents(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def identical(folder: Path, other: Path) -> bool:
    """Whether two data sets are; says so."""
    different, count = differences(folder, other), len(contents(folder))
    size = sum(map(len, contents(folder).values()))
    verdict = f"identical to the byte: {count} files, {size:,} bytes"
    if different:
        verdict = f"NOT identical: {', '.join(different)}"
    print(f"{folder.name} and {other.name} are {verdict}", flush=True)
    return not different


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What a kill left: sources finished so far, files half written, and whether the packing had begun."""

    finished: int
    half_written: int
    packing: bool


class KillRounds:
    """Kill a curation at random moments of its work and start it again, until all kills are done.

    A moment is drawn from the undisturbed course: so many sources finished, and so much time since then (since the
    start-up, where that many were finished before). A curation that ends before the moment has come is compared and
    begun anew in another folder, with an earlier moment instead, so that every kill strikes a running one.

    Args:
        arguments: of `r2s2r curate`, without `-o`.
        reference: a data set that nobody disturbed.
        course: how it came to be.
        seed: of the moments.
    """

    def __init__(self, arguments: Sequence[str], reference: Path, course: Course, *, seed: int) -> None:
        self._arguments, self._reference, self._course = arguments, reference, course
        self._start_up = course.start_up(reference)
        self._random = random.Random(seed)
        self.kills: list[Kill] = []
        self.alike = True
        self.rounds = 0

    def run(self, kills: int) -> None:
        moments = sorted(self._random.uniform(self._start_up, self._course.seconds) for _ in range(kills))
        while moments or not self.rounds:
            self.rounds += 1
            if self.rounds > MISSES + kills:
                raise SystemExit("the curation ends before it can be killed; give it more clips")
            folder = self._reference.with_name(f"killed-{self.rounds}")
            moments = self._one_round(folder, moments)
            if moments:  # a machine that is quicker now than it was undisturbed would miss this one for ever
                moments[0] = self._random.uniform(self._start_up, moments[0])
            self.alike &= identical(self._reference, folder)

    def _one_round(self, folder: Path, moments: list[float]) -> list[float]:
        """Kill at these moments for as long as the curation runs, then let it finish; the moments that are left."""
        kept: dict[Path, tuple[int, int]] = {}
        while moments and self._kill(folder, moments[0]):
            moments = moments[1:]
            kept = self._look(folder, kept)
        check(curation(self._arguments, folder), folder)
        return moments

    def _kill(self, folder: Path, moment: float) -> bool:
        """Whether the curation still ran."""
        wanted = sum(at <= moment for at in self._course.finished)
        since = moment - (self._course.finished[wanted - 1] if wanted else self._start_up)
        process = curation(self._arguments, folder)
        begun = time.monotonic()
        if len(finished_sources(folder)) >= wanted:
            since += self._start_up
        while process.poll() is None and len(finished_sources(folder)) < wanted:
            time.sleep(0.002)
            begun = time.monotonic()
        while process.poll() is None and time.monotonic() < begun + since:
            time.sleep(0.002)
        members = family(process.pid)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        for member in members:  # Ray's have groups of their own
            if member.is_running():
                member.kill()
        struck = process.wait() == -signal.SIGKILL
        psutil.wait_procs(members, timeout=30)
        if not struck:
            check(process, folder)
            return False
        return True

    def _look(self, folder: Path, kept: dict[Path, tuple[int, int]]) -> dict[Path, tuple[int, int]]:
        """Note what the kill left, and see that what was finished before has not been made again."""
        done = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in finished_sources(folder)}
        finished = (folder / INFO_FILE).exists()
        if not finished and any(done.get(path) != identity for path, identity in kept.items()):
            raise SystemExit(f"a finished source was made again in {folder}")
        every = len(self._course.finished)
        kill = Kill(
            finished=every if finished else len(done),
            half_written=len(half_written(folder)),
            packing=finished or len(done) == every,
        )
        self.kills.append(kill)
        print(f"kill {len(self.kills)}: {kill}", flush=True)
        return done


def soak(arguments: Sequence[str], folder: Path, *, kills: int, seed: int) -> None:
    """Curate undisturbed and killed, and compare.

    Raises:
        SystemExit: the data sets differ.
    """
    course = undisturbed(arguments, folder / "undisturbed", measure_memory=False)
    start_up = course.start_up(folder / "undisturbed")
    print(f"undisturbed: {len(course.finished)} sources, {course.seconds:.1f} s, {start_up:.1f} s of them to start up")
    begun = time.monotonic()
    rounds = KillRounds(arguments, folder / "undisturbed", course, seed=seed)
    rounds.run(kills)
    struck = rounds.kills
    print(
        f"{len(struck)} kills, each of a curation at work, over {rounds.rounds} data sets, "
        f"in {time.monotonic() - begun:.0f} s; sources finished at each: "
        f"{', '.join(str(kill.finished) for kill in struck)} of {len(course.finished)}; "
        f"{sum(kill.half_written > 0 for kill in struck)} struck while a file was half written, "
        f"{sum(kill.packing for kill in struck)} after the last source"
    )
    if not rounds.alike:
        raise SystemExit("killed curations do not give the same data set")


def measure(arguments: Sequence[str], folder: Path, workers: Sequence[int]) -> None:
    """Print the table, and whether the data sets are the same."""
    stages: list[str] = []
    for count in workers:
        made = folder / f"workers-{count}"
        if made.exists():
            raise SystemExit(f"{made} is there already; choose another folder or remove it")
        course = undisturbed([*arguments, "--workers", str(count)], made)
        rows = list(stage_seconds(made).values())
        if not stages:
            stages = list(rows[0])
            print(f"{len(rows)} clips; clips per minute")
            head = ["workers", *stages, "all, with start-up", "start-up", "all, without", "peak memory"]
            print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
        start_up = course.start_up(made)
        cells = [str(count), *(per_minute(len(rows), sum(row[stage] for row in rows)) for stage in stages)]
        cells += [per_minute(len(rows), course.seconds), f"{start_up:.1f} s"]
        cells += [per_minute(len(rows), course.seconds - start_up), f"{course.peak_bytes / 2**20:,.0f} MiB"]
        print(f"| {' | '.join(cells)} |", flush=True)
    for count in workers[1:]:
        identical(folder / f"workers-{workers[0]}", folder / f"workers-{count}")


def per_minute(clips: int, seconds: float) -> str:
    each = seconds / clips
    return f"{60 / each:,.0f}" if each >= 0.001 else "> 60,000"


def written_clips(folder: Path, count: int, size: str, frames: int) -> Path:
    width, height = (int(side) for side in size.split("x"))
    clips = folder / f"clips-{count}-{size}x{frames}"
    for _ in write_clips(clips, range(count), width=width, height=height, frames=frames):
        pass
    return clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, help="default: 200, with --kills 40")
    parser.add_argument("--workers", type=int, nargs="+", help="default: 1 2, with --kills 1")
    parser.add_argument("--size", help="default: 256x144, with --kills 96x64")
    parser.add_argument("--frames", type=int, help="default: 33, with --kills 9")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--video", type=Path, help="kill the curation of this video instead of procedural clips")
    parser.add_argument("--box", nargs="+", default=[], help="of the instances in the video")
    parser.add_argument("-o", "--out", type=Path, help="keep everything here")
    given = parser.parse_args()
    if given.video and not given.kills:
        parser.error("--video is for --kills")
    size = given.size or ("96x64" if given.kills else "256x144")
    frames = given.frames or (9 if given.kills else 33)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if given.video:
            arguments = [str(given.video), "--box", *given.box, "--licence", "own"]
        else:
            count = given.clips or (40 if given.kills else 200)
            arguments = [str(written_clips(folder, count, size, frames)), *PROCEDURAL]
        arguments += ["--size", size, "--frames", str(frames)]
        if not given.kills:
            measure(arguments, folder, given.workers or [1, 2])
            return
        for workers in given.workers or [1]:
            place = folder / f"kills-workers-{workers}"
            place.mkdir()
            print(f"{workers} workers" if workers > 1 else "in one process", flush=True)
            soak([*arguments, "--workers", str(workers)], place, kills=given.kills, seed=given.seed)


if __name__ == "__main__":
    main()
