"""Processes of the tests that need the same kernel at once compile it once."""

import importlib
import os
import sys
from pathlib import Path

import numba  # noqa: F401  (before the first test, for `share_kernels`)
import pytest

MODULE = """
import numba

@numba.njit(cache=True)
def triple(x):
    return [x, x, x]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_one_of_two_processes_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needed_twice.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    triple = importlib.import_module("needed_twice").triple

    def compile_and_tell() -> None:
        os.read(ready, 1)
        triple(1.5)
        (tmp_path / str(os.getpid())).write_text(str(sum(triple.stats.cache_misses.values())))

    ready, begin = os.pipe()
    children = [os.fork() or (compile_and_tell(), os._exit(0)) for _ in range(2)]
    os.write(begin, b"go")
    for child in children:
        os.waitpid(child, 0)
    assert sorted((tmp_path / str(child)).read_text() for child in children) == ["0", "1"]
