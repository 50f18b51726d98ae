"""The same on another machine, behind a fake ssh that runs commands in another home and session."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lifting.workers.hosts import shell_path
from real2sam2real.lifting.workers.lifter import probe


def test_everything_goes_there_and_comes_back(sam3d, far_home: Path) -> None:
    clone = far_home / "a clone; of $it"
    sam3d.clone.rename(clone)
    outcome = sam3d.lift(host="me@gpu", code="~/a clone; of $it")
    assert [lifted.name for lifted in outcome.meshes] == list(sam3d.request.masks)
    assert sam3d.loads() == 1
    assert "car: lifting, 1 of 3" in sam3d.said
    assert not list((far_home / ".cache" / "real2sam2real").iterdir())
    assert len(sam3d.lift(host="me@gpu", code="~/a clone; of $it").meshes) == 3
    assert sam3d.loads() == 1
    assert len(sam3d.lift(host="me@gpu", code="a clone; of $it").meshes) == 3  # from home as well


def test_a_shell_that_greets_does_not_spoil_the_results(sam3d, far_home: Path, tmp_path: Path) -> None:
    (tmp_path / "ssh.log.greet").touch()
    assert len(sam3d.lift(host="me@gpu").meshes) == 3


def test_python_may_be_in_that_home_and_an_environment(sam3d, far_home: Path) -> None:
    (far_home / "my env" / "bin").mkdir(parents=True)
    (far_home / "my env" / "bin" / "python").symlink_to(sys.executable)
    packages = Path(np.__file__).parents[1]  # a link to a Python does not know its site-packages
    sam3d.monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(packages)]))
    assert len(sam3d.lift(host="me@gpu", python="~/my env").meshes) == 3


def test_a_host_that_does_not_answer(sam3d, far_home: Path) -> None:
    with pytest.raises(UserError) as caught:
        sam3d.lift(host="nobody@down")
    for part in ("Connection refused", "ssh -o BatchMode=yes nobody@down true", "ssh-copy-id", "goes on"):
        assert part in str(caught.value)


def test_a_broken_connection_loses_nothing(sam3d, far_home: Path, tmp_path: Path) -> None:
    (tmp_path / "ssh.log.break").touch()
    with pytest.raises(UserError, match="fetching the results from me@gpu failed"):
        sam3d.lift(host="me@gpu")
    assert len(sam3d.lift(host="me@gpu").meshes) == 3
    assert sam3d.loads() == 1


def test_a_crash_over_there_brings_back_what_is_finished(sam3d, far_home: Path) -> None:
    sam3d.tell(old_bench="SIGSEGV")
    with pytest.raises(UserError) as caught:
        sam3d.lift(host="me@gpu")
    for part in ("SIGSEGV", "at old bench", "1 of 3 objects are lifted and kept (car)"):
        assert part in str(caught.value)
    sam3d.tell(old_bench=None)
    assert len(sam3d.lift(host="me@gpu").meshes) == 3
    assert sam3d.lifted() == ["car", "old bench", "dög", "old bench"]


def test_no_python_over_there(sam3d, far_home: Path) -> None:
    with pytest.raises(UserError, match="there is no Python at /no/such/python on me@gpu"):
        sam3d.lift(host="me@gpu", python="/no/such/python")


def test_failures_over_there_are_told_as_here(sam3d, far_home: Path) -> None:
    (sam3d.folder / "weights" / "generator.ckpt").unlink()
    with pytest.raises(MissingPartError, match="hf auth login"):
        sam3d.lift(host="me@gpu")
    assert not list((far_home / ".cache" / "real2sam2real").iterdir())


def test_a_probe_of_another_machine(sam3d, far_home: Path) -> None:
    assert "is ready" in probe("sam3d", sam3d.options(host="me@gpu"))
    assert not list((far_home / ".cache" / "real2sam2real").iterdir())
    with pytest.raises(UserError, match="nobody@down"):
        probe("sam3d", sam3d.options(host="nobody@down"))


@pytest.mark.parametrize(
    ("path", "word"),
    [("~", '"$HOME"'), ("~/a b", "\"$HOME\"'/a b'"), ("/x/$y;z", "'/x/$y;z'"), ("~user/x", "'~user/x'")],
)
def test_paths_for_a_shell(path: str, word: str) -> None:
    assert shell_path(path) == word
