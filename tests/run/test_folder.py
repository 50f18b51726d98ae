"""Stages are redone when, and only when, something that decides their result has changed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from real2sam2real.errors import UserError
from real2sam2real.run.folder import RunFolder, Stage, open_run
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder import fingerprint as fp


class Chain:
    """Two real stages: `copy` copies the input, `shout` makes it upper case."""

    def __init__(self, tmp_path: Path) -> None:
        self.source, self.place = tmp_path / "in.txt", tmp_path / "run"
        self.source.write_text("hello")
        self.settings = {"copy": 1, "shout": 1}

    def stages(self) -> list[Stage]:
        def stage(name: str, given: Path, output: str, change: Callable[[str], str]) -> Stage:
            def work() -> list[str]:
                (self.place / output).write_text(change(given.read_text()))
                return [f"{name} was done"]

            return Stage(
                name=name, title=name, code=("run",), settings=self.settings[name], inputs=(given,), outputs=(output,),
                work=work,
            )  # fmt: skip

        return [
            stage("copy", self.source, "copy.txt", str),
            stage("shout", self.place / "copy.txt", "shout.txt", str.upper),
        ]

    def run(self) -> RunFolder:
        with open_run(self.place, command=["r2s2r", "run"], config={"a": 1}, progress=Progress()) as folder:
            for stage in self.stages():
                folder.do(stage)
        return folder


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def test_nothing_is_redone_when_nothing_changed(chain: Chain) -> None:
    assert chain.run().redone == ["copy", "shout"]
    assert chain.run().redone == []
    assert (chain.place / "shout.txt").read_text() == "HELLO"


def test_changed_input_redoes_all_that_follows(chain: Chain) -> None:
    chain.run()
    chain.source.write_text("bye")
    assert chain.run().redone == ["copy", "shout"]
    assert (chain.place / "shout.txt").read_text() == "BYE"


def test_changed_setting_redoes_its_stage_and_only_what_it_changes(chain: Chain) -> None:
    chain.run()
    chain.settings["shout"] = 2
    assert chain.run().redone == ["shout"]
    chain.settings["copy"] = 2  # its output stays the same, so what follows is kept
    assert chain.run().redone == ["copy"]


def test_missing_output_is_made_again(chain: Chain) -> None:
    chain.run()
    (chain.place / "shout.txt").unlink()
    assert chain.run().redone == ["shout"]


def test_changed_code_redoes_the_stage(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.run()
    monkeypatch.setattr(fp, "code_version", lambda code: "another")
    assert chain.run().redone == ["copy", "shout"]


def test_an_output_edited_by_hand_feeds_what_follows_and_is_never_lost(chain: Chain) -> None:
    chain.run()
    (chain.place / "copy.txt").write_text("edited")
    assert chain.run().redone == ["shout"]
    assert (chain.place / "shout.txt").read_text() == "EDITED"
    chain.source.write_text("new")
    folder = chain.run()
    assert (chain.place / "copy-edited-1.txt").read_text() == "edited"
    assert "copy-edited-1.txt" in folder.records["copy"].notes[-1]


def test_run_json_records_config_versions_times_and_notes(chain: Chain) -> None:
    chain.run()
    record = json.loads((chain.place / "run.json").read_text())
    assert record["config"] == {"a": 1}
    assert {"real2sam2real", "python", "numpy", "torch"} <= record["versions"].keys()
    assert record["stages"]["copy"]["notes"] == ["copy was done"]
    assert record["stages"]["shout"]["seconds"] >= 0


def test_two_runs_cannot_share_a_folder(chain: Chain) -> None:
    chain.run()
    script = (
        "import sys; from pathlib import Path; from real2sam2real.workfolder.lock import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(chain.place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another run is working in"):
        chain.run()
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    chain.run()  # the lock died with its holder


def test_what_a_killed_run_left_half_written_is_swept(chain: Chain) -> None:
    chain.run()
    script = (
        "import os, signal, sys; from pathlib import Path; from real2sam2real.files import *\n"
        "p = Path(sys.argv[1])\n"
        "with replacing_folder(p / 'scene') as a, replacing_file(p / 'big.mp4') as b:\n"
        "    (a / 'x').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(chain.place)])
    assert done.returncode == -signal.SIGKILL
    assert len(list(chain.place.glob(".*-*"))) == 2
    chain.run()
    assert {p.name for p in chain.place.iterdir()} == {".lock", "copy.txt", "shout.txt", "run.json"}


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with (
        pytest.raises(UserError, match="neither empty nor an earlier run"),
        open_run(tmp_path, command=[], config=None, progress=Progress()),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with (
        pytest.raises(UserError, match="is a file"),
        open_run(tmp_path / "x", command=[], config=None, progress=Progress()),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stages": {"copy": {"no": 1}}}', '{"stages": 3}'])
def test_a_damaged_record_is_named(chain: Chain, text: str) -> None:
    chain.run()
    (chain.place / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json is not a readable record"):
        chain.run()
