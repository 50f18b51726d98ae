"""Stages are redone when, and only when, something that decides their result has changed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from real2sam2real import files
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file
from real2sam2real.run.folder import RunFolder, Stage, open_run
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder import fingerprint as fp


class Chain:
    """Two real stages: `copy` copies the input, `shout` makes it upper case, in a file and in a folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.source, self.place = tmp_path / "in.txt", tmp_path / "run"
        self.source.write_text("hello")
        self.settings = {"copy": 1, "shout": 1}

    def stages(self) -> list[Stage]:
        def stage(name: str, given: Path, outputs: tuple[str, ...], change: Callable[[str], str]) -> Stage:
            def work(made: Path) -> list[str]:
                for output in outputs:
                    with replacing_file(made / output if "." in output else made / output / "a.txt") as file:
                        file.write_text(change(given.read_text()))
                return [f"{name} was done"]

            return Stage(
                name=name, title=name, code=("run",), settings=self.settings[name], inputs=(given,), outputs=outputs,
                work=work,
            )  # fmt: skip

        return [
            stage("copy", self.source, ("copy.txt",), str),
            stage("shout", self.place / "copy.txt", ("shout.txt", "letters"), str.upper),
        ]

    def run(self, text: str | None = None) -> RunFolder:
        if text is not None:
            self.source.write_text(text)
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


def test_an_edit_after_a_kill_is_kept_too(chain: Chain) -> None:
    """Killed when the stage had finished, before its outputs were in their places."""
    chain.run()
    chain.source.write_text("new")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "_take_in", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            chain.run()
    (chain.place / "copy.txt").write_text("edited")
    folder = chain.run()
    assert (chain.place / "copy.txt").read_text() == "new"
    assert (chain.place / "copy-edited-1.txt").read_text() == "edited"
    assert "copy-edited-1.txt" in folder.records["copy"].notes[-1]


def test_a_persons_own_hidden_files_stay(chain: Chain) -> None:
    chain.run()
    own = chain.place / "notes" / ".notes-20240101.txt"
    own.parent.mkdir()
    own.write_text("mine")
    chain.run()
    assert own.read_text() == "mine"


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
    assert {p.name for p in chain.place.iterdir()} == {".lock", "copy.txt", "shout.txt", "letters", "run.json"}


def told(place: Path) -> dict[str, object]:
    """Every file's text by name; of run.json, what each stage was made from, what it made and said."""
    files = {path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*") if path.is_file()}
    stages = json.loads(files.pop("run.json"))["stages"]
    return files | {name: (r["fingerprint"], r["outputs"], r["notes"]) for name, r in stages.items()}


@pytest.fixture
def killed(chain: Chain, kills: ModuleType, tmp_path: Path):
    """A run of "a", then whatever is asked for, then one of "b" that is killed before each of its steps."""

    def kill(meanwhile: Callable[[], object] = lambda: None) -> list:
        chain.run("a")
        meanwhile()
        with kills.every_kill(chain.place, tmp_path / "copies") as struck:
            chain.run("b")
        for name in ("copy.txt", "shout.txt", "letters", "run.json"):
            assert any(kill.step.endswith(f" {name}") for kill in struck), name
        return struck

    return kill


@pytest.mark.parametrize("swaps", [True, False], ids=["by swaps", "by two renames"])
def test_no_record_stands_for_the_outputs_of_another_whatever_step_is_killed(
    chain: Chain, killed, swaps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swaps:
        monkeypatch.setattr(files, "_swapped", lambda *_: False)
    struck = killed()
    made = {text: told(chain.place) for text in "ba" if chain.run(text)}
    for kill in struck:
        for sequel in ("aba", "bab"):
            kill.strike()
            for text in sequel:
                folder = chain.run(text)
                assert told(chain.place) == made[text], (kill.step, sequel)
                assert "by hand" not in str(folder.records)


def test_what_was_finished_when_a_run_was_killed_is_not_made_again(chain: Chain, killed) -> None:
    redone = []
    for kill in killed():
        kill.strike()
        redone.append(len(chain.run("b").redone))
    assert redone == sorted(redone, reverse=True)
    assert set(redone) == {0, 1, 2}


def test_what_was_edited_by_hand_is_never_lost_whatever_step_is_killed(chain: Chain, killed) -> None:
    struck = killed(lambda: (chain.place / "shout.txt").write_text("by a hand"))
    other = told(chain.place)
    assert other["shout-edited-1.txt"] == "by a hand"
    for kill in struck:
        kill.strike()
        chain.run("b")
        assert told(chain.place) == other, kill.step
        kill.strike()
        chain.run("a")
        assert list(told(chain.place).values()).count("by a hand") == 1, kill.step


def test_a_killed_process_leaves_what_the_tests_take_it_to_leave(chain: Chain, killed, kills: ModuleType) -> None:
    struck = killed()
    for number in range(0, len(struck), 4):
        struck[0].strike()
        child = os.fork()
        if child == 0:
            kills.kill_before(number, chain.place)
            chain.run("b")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        left, taken = ([p for p in place.rglob("*") if p.is_file()] for place in (chain.place, struck[number].copy))
        assert sorted(p.read_text() for p in left if "json" not in p.name and p.name != ".lock") == sorted(
            p.read_text() for p in taken if "json" not in p.name and p.name != ".lock"
        )


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
