"""A job's program with kinds of jobs for tests, run as the studio's own is: `python -m job_program`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.run.progress import Progress
from real2sam2real.studio import job


def count(folder: Path, options: dict[str, Any], progress: Progress) -> Any:
    """Count to `total`, `seconds` each, and write how often it was begun."""
    begun = folder / "begun.txt"
    begun.write_text(begun.read_text() + "x" if begun.exists() else "x")
    progress.info("count …")
    with progress.bar("counting") as advance:
        for done in range(1, options["total"] + 1):
            time.sleep(options.get("seconds", 0))
            if picture := options.get("picture"):
                Path(picture).write_bytes(b"%d" % done)
            advance(done, options["total"])
    print("a library says something on standard output")
    progress.notes(["counted"])
    return {"counted": options["total"]}


def wait(folder: Path, options: dict[str, Any], progress: Progress) -> Any:
    """Wait for ever beside a process of its own; `deaf` to being asked to end."""
    if options.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    progress.info(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def fail(folder: Path, options: dict[str, Any], progress: Progress) -> Any:
    """Fail as the options say."""
    if "refusal" in options:
        raise UserError(options["refusal"])
    if "exit" in options:
        print("the last word", file=sys.stderr, flush=True)
        os._exit(options["exit"])
    raise KeyError("unheard of")


if __name__ == "__main__":
    job.KINDS = {name: f"job_program:{name}" for name in ("count", "wait", "fail")}
    job._PRELOADED = ()
    job.main()
