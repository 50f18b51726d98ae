"""VBench in an environment of its own: the worker's real process, and a stand-in for the package as it is called."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.cli.main import main
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.evaluate import vbench_worker
from real2sam2real.lab.evaluate.measuring import VideoJob, jobs_without_cases, read_rows
from real2sam2real.lab.evaluate.quality_scores import VBENCH, QualityRow
from real2sam2real.lab.evaluate.vbench import VBENCH_MEASURES, VBenchOptions, measure_by_vbench, vbench_result
from real2sam2real.lab.evaluate.vbench_worker.protocol import DIMENSIONS
from real2sam2real.workers.sending import OLDEST_PYTHON

STANDIN = Path(__file__).parent / "standin_vbench"
# Of VBench 0.1.5 as it is on PyPI, vbench/__init__.py.
REAL = {
    "__init__": ["self", "device", "full_info_dir", "output_path"],
    "evaluate": [
        "self", "videos_path", "name", "prompt_list", "dimension_list", "local", "read_frame", "mode", "kwargs",
    ],
}  # fmt: skip


class Calls:
    """What was asked of the stand-in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[tuple[str, int]]:
        """Dimension and number of videos of each call."""
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        return [(dimension[0], len(videos)) for dimension, videos, *_ in map(json.loads, lines)]

    def last(self) -> list[object]:
        return json.loads(self.path.read_text().splitlines()[-1])


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The stand-in is what `import vbench` finds."""
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    monkeypatch.setenv("STANDIN_CALLS", str(tmp_path / "calls.jsonl"))
    return Calls(tmp_path / "calls.jsonl")


def video(path: Path, told: str = "", seed: int = 0) -> Path:
    frames = np.random.default_rng(seed).integers(0, 256, (3, 32, 48, 3), np.uint8)
    media.write_video(path, frames, 16)
    if told:
        with path.open("ab") as file:
            file.write(f"STANDIN {told}".encode())
    return path


def measure(jobs: list[VideoJob], folder: Path, said: list[str] | None = None, **changes: object) -> None:
    options = VBenchOptions(**{"python": sys.executable, "device": "cpu", **changes})  # type: ignore[arg-type]
    measure_by_vbench(jobs, folder, options, (said if said is not None else []).append)


def test_the_standin_has_the_real_signatures() -> None:
    tree = ast.parse((STANDIN / "vbench" / "__init__.py").read_text(encoding="utf-8"))
    (bench,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    functions = {node.name: node.args for node in bench.body if isinstance(node, ast.FunctionDef)}
    for name, wanted in REAL.items():
        arguments = functions[name]
        assert [a.arg for a in arguments.args] + ([arguments.kwarg.arg] if arguments.kwarg else []) == wanted
    assert {path.stem for path in (STANDIN / "vbench").glob("*.py")} == {"__init__", *DIMENSIONS}


def test_the_standin_is_as_the_installed_one_where_there_is_one() -> None:
    real = pytest.importorskip("vbench", reason="the real package lives in an environment of its own").VBench
    assert {name: list(inspect.signature(getattr(real, name)).parameters) for name in REAL} == REAL


def test_the_worker_imports_nothing_of_ours_but_what_travels_with_it() -> None:
    allowed = {*sys.stdlib_module_names, "torch"}
    for path in Path(vbench_worker.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST_PYTHON)):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module is not None
                shared = node.module.startswith("real2sam2real.workers.there.")
                assert shared or node.module.split(".")[0] in allowed
            elif isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed


def test_every_video_gets_its_five_values_in_percent(calls: Calls, tmp_path: Path) -> None:
    for name, told in (("a", ""), ("b", "worse")):
        video(tmp_path / "videos" / f"{name}.mp4", told)
    jobs, said = jobs_without_cases({"m": tmp_path / "videos"}), []
    measure(jobs, tmp_path / "out", said, cache=str(tmp_path / "weights"))
    results = [vbench_result(job, tmp_path / "out") for job in jobs]
    assert [list(r.measures) for r in results if r] == [[m.name for m in VBENCH_MEASURES]] * 2
    assert list(results[0].measures.values()) == pytest.approx([90, 80, 98, 50, 70])  # type: ignore[union-attr]
    assert list(results[1].measures.values()) == pytest.approx([80, 70, 88, 40, 69.9])  # type: ignore[union-attr]
    assert calls.all() == [(dimension, 2) for dimension in DIMENSIONS]
    assert calls.last()[2:] == ["cpu", str(tmp_path / "weights")]
    assert "VBench: videos 1 to 2 of 2" in said
    assert "VBench: subject consistency" in said
    measure(jobs, tmp_path / "out")
    assert len(calls.all()) == 5  # nothing was measured again
    video(tmp_path / "videos" / "a.mp4", "worse", seed=1)
    measure(jobs, tmp_path / "out")
    assert calls.all()[5:] == [(dimension, 1) for dimension in DIMENSIONS]
    assert calls.last()[2:] == ["cpu", None]


def test_a_video_that_it_cannot_read_does_not_end_the_others(calls: Calls, tmp_path: Path) -> None:
    for name, told in (("a", ""), ("b", "unreadable"), ("c", "worse")):
        video(tmp_path / "videos" / f"{name}.mp4", told)
    jobs = jobs_without_cases({"m": tmp_path / "videos"})
    measure(jobs, tmp_path / "out")
    results = [vbench_result(job, tmp_path / "out") for job in jobs]
    assert [bool(r and r.measures) for r in results] == [True, False, True]
    assert results[1] is not None
    assert results[1].problem == "VBench: ValueError: cannot decode a frame"


def test_a_crash_is_told_and_the_same_call_goes_on(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video(tmp_path / "videos" / "a.mp4", "crash")
    jobs = jobs_without_cases({"m": tmp_path / "videos"})
    monkeypatch.setenv("STANDIN_VBENCH", "crash")
    with pytest.raises(UserError, match=r"ended with status 7: motion_smoothness of 00000.mp4.*same command goes on"):
        measure(jobs, tmp_path / "out")
    assert vbench_result(jobs[0], tmp_path / "out") is None
    monkeypatch.delenv("STANDIN_VBENCH")
    measure(jobs, tmp_path / "out")
    assert vbench_result(jobs[0], tmp_path / "out") is not None


@pytest.mark.parametrize(
    ("told", "error", "message"),
    [
        ("offline", MissingPartError, r"cannot get its weights: .*weights\.invalid.*1\.8 GB.*ViT-L-14\.pt"),
        ("form", UserError, r"another version than 0\.1\.5.*results of subject_consistency are of another form"),
    ],
)
def test_what_holds_for_every_video_ends_the_run(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, error: type[UserError], message: str
) -> None:
    video(tmp_path / "videos" / "a.mp4")
    monkeypatch.setenv("STANDIN_VBENCH", told)
    with pytest.raises(error, match=message):
        measure(jobs_without_cases({"m": tmp_path / "videos"}), tmp_path / "out")
    assert len(calls.all()) == 1


def test_without_the_package_the_message_says_what_to_install(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video(tmp_path / "videos" / "a.mp4")
    jobs = jobs_without_cases({"m": tmp_path / "videos"})
    monkeypatch.setenv("PYTHONPATH", "")
    with pytest.raises(
        MissingPartError, match=r"the package 'vbench' is not installed there.*pip install vbench.*1\.8 GB"
    ):
        measure(jobs, tmp_path / "out")
    with pytest.raises(MissingPartError, match=r"there is no Python at 'nowhere'.*--vbench-python"):
        measure(jobs, tmp_path / "out", python="nowhere")


def test_another_version_of_it_is_refused(calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other" / "vbench"
    other.mkdir(parents=True)
    for dimension in DIMENSIONS:
        (other / f"{dimension}.py").touch()
    lines = ["class VBench:", "    def __init__(self, device, full_info_dir, output_path): ..."]
    lines += ["    def evaluate(self, videos_path, name, dimension_list, local, **kwargs): ..."]
    (other / "__init__.py").write_text("\n".join(lines))
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    video(tmp_path / "videos" / "a.mp4")
    with pytest.raises(UserError, match=r"VBench\.evaluate does not know mode; it takes"):
        measure(jobs_without_cases({"m": tmp_path / "videos"}), tmp_path / "out")


def test_what_is_no_mp4_is_made_one(calls: Calls, tmp_path: Path) -> None:
    media.write_png(tmp_path / "photo.png", np.full((32, 48, 3), 128, np.uint8))
    photo = VideoJob(method="photo", case="a", video=tmp_path / "photo.png", length=4, photo_repeated=True)
    none = VideoJob(method="m", case="a", video=None, length=4)
    measure([photo, none], tmp_path / "out")
    (made,) = (tmp_path / "out" / "videos").glob("*.mp4")
    assert media.video_info(made).frames == 4
    assert vbench_result(photo, tmp_path / "out") is not None
    assert vbench_result(none, tmp_path / "out") is None


def test_the_command_joins_both(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video(tmp_path / "videos" / "a.mp4")
    video(tmp_path / "videos" / "b.mp4", "unreadable")
    command = ["evaluate", "quality", "--videos", str(tmp_path / "videos"), "-o", str(tmp_path / "s")]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0
    assert "VBench" not in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*command, "--vbench-python", sys.executable, "--vbench-device", "cpu"])
    assert ended.value.code == 0
    assert "| VBench subject, % ↑ |" in capsys.readouterr().out
    rows = read_rows(tmp_path / "s", QualityRow)
    assert rows["videos", "a"].measures["vbench_imaging_quality"] == pytest.approx(70)
    assert rows["videos", "a"].measures["blur"] is not None
    assert rows["videos", "b"].problem == "VBench: ValueError: cannot decode a frame"
    assert rows["videos", "b"].status == "measured"
    assert (tmp_path / "s" / VBENCH / "worker.log").is_file()
