"""What the stand-in lifters are told to do, and what they have seen; named by the environment variable STANDIN.

An object is recognised by the number of pixels of its mask, because lifters are not told names.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ["STANDIN"])


def record(**what):
    """Add what happened to calls.jsonl."""
    with (FOLDER / "calls.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def told(key):
    """What is to happen for this key, or None."""
    return json.loads((FOLDER / "behaviour.json").read_text(encoding="utf-8")).get(str(key))


def truth(area):
    """Arrays that the test has made for the object with this many pixels."""
    with np.load(FOLDER / f"{area}.npz") as arrays:
        return dict(arrays)


def misbehave(key):
    """Do what the test has told for this key."""
    import torch

    what = told(key)
    if what == "memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.15 GiB. GPU 0 has 23.64 GiB in total.")
    if what == "cuda":
        raise RuntimeError("CUDA error: device-side assert triggered")
    if what == "no package":
        import diso  # noqa: F401
    if what == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x")
    if what == "raise":
        raise ValueError("list index out of range")
    if what in ("SIGSEGV", "SIGKILL"):
        os.kill(os.getpid(), getattr(signal, what))
    if what == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (FOLDER / "hanging.tmp").write_text(json.dumps([os.getpid(), child.pid]), encoding="utf-8")
        (FOLDER / "hanging.tmp").rename(FOLDER / "hanging.json")
        time.sleep(600)
