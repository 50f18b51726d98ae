"""Everything that can end a run: one message that says what, why and what to do; what is finished is kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lifting.workers.lifter import probe
from real2sam2real.lifting.workers.lifting_worker.protocol import RESULTS
from real2sam2real.workers.streaming import HungError, stream


def message(standin, kind: type[UserError] = UserError, **changes: object) -> str:
    with pytest.raises(kind) as caught:
        standin.lift(**changes)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_a_crash_keeps_what_is_finished_and_the_same_request_goes_on(sam3d, name: str) -> None:
    sam3d.tell(old_bench=name)
    text = message(sam3d)
    for part in (
        name,
        "at old bench",
        "1 of 3 objects are lifted and kept (car)",
        "same command goes on",
        "worker.log",
    ):
        assert part in text
    assert ("memory runs out" in text) == (name == "SIGKILL")
    # The one that kills it now comes last, so that it cannot stand in the way of the others.
    text = message(sam3d)
    assert "2 of 3 objects are lifted and kept (car, dög)" in text
    assert sam3d.lifted() == ["car", "old bench", "dög", "old bench"]
    sam3d.tell(old_bench=None)
    assert [lifted.name for lifted in sam3d.lift().meshes] == ["car", "old bench", "dög"]
    assert sam3d.lifted()[4:] == ["old bench"]
    assert not [path for path in (sam3d.request.folder / RESULTS).iterdir() if path.name.startswith(".")]


def test_a_card_that_answers_no_more_stops_the_run(sam3d) -> None:
    sam3d.tell(old_bench="cuda")
    text = message(sam3d)
    for part in ("device-side assert", "(car)", "for the end"):
        assert part in text
    assert sam3d.lifted() == ["car", "old bench"]


def test_a_model_that_does_not_fit_the_card(sam3d) -> None:
    sam3d.tell(load="memory")
    text = message(sam3d)
    for part in ("does not fit", "1.0 of 48.0 GiB are free", "32 GB", "--lifter triposg"):
        assert part in text


def test_a_missing_package_is_named_with_the_way_to_install_it(sam3d) -> None:
    script = sam3d.clone / "notebook" / "inference.py"
    script.write_text(script.read_text().replace("import kaolin", "import pytorch3d_absent, kaolin"))
    text = message(sam3d, MissingPartError)
    for part in ("'pytorch3d_absent' is not installed", sys.executable, "doc/setup.md", "docs/lifters.md"):
        assert part in text


@pytest.mark.parametrize("lifter", ["sam3d", "sam3d-body", "triposg", "step1x3d"])
def test_a_python_without_the_lifter_is_the_wrong_one(standin_for, lifter: str) -> None:
    standin = standin_for(lifter)
    text = message(standin, MissingPartError, code=None)
    for part in ("is not installed there", "Is it the right Python?", "--lifter-code", "https://github.com/"):
        assert part in text


def test_a_folder_that_is_no_clone(sam3d, tmp_path: Path) -> None:
    text = message(sam3d, MissingPartError, code=str(tmp_path))
    assert "not a clone of SAM 3D Objects" in text
    assert "--lifter-code" in text


def test_a_package_built_for_another_torch(standin_for) -> None:
    body = standin_for("sam3d-body")
    package = body.clone / "sam_3d_body" / "__init__.py"
    package.write_text("raise OSError('libtorch_cuda.so: undefined symbol: _ZN3c104impl')\n")
    text = message(body, MissingPartError)
    assert "undefined symbol" in text
    assert "INSTALL.md" in text


def test_another_version_of_the_call(sam3d) -> None:
    sam3d.monkeypatch.setenv("OLD_VERSION", "1")
    text = message(sam3d)
    for part in ("another version", "does not know pointmap; it takes (image, mask, seed)", "git pull", "setup.md"):
        assert part in text
    assert sam3d.loads() == 0


def test_another_version_of_the_output_stops_at_the_first_object(sam3d) -> None:
    sam3d.tell(keys="renamed")
    text = message(sam3d)
    assert "has no rotation" in text
    assert "rot_wxyz" in text
    assert sam3d.lifted() == ["car"]


@pytest.mark.parametrize("name", ["pipeline.yaml", "generator.ckpt"])
def test_missing_weights_are_named_before_anything_is_loaded(sam3d, name: str) -> None:
    (sam3d.folder / "weights" / name).unlink()
    text = message(sam3d, MissingPartError)
    for part in (name, "Ask for access", "huggingface.co/facebook/sam-3d-objects", "hf auth login", "--lifter-weights"):
        assert part in text
    assert sam3d.loads() == 0


@pytest.mark.parametrize("kind", ["no package", "full"])
def test_what_fails_for_all_alike_stops_at_the_first_object(standin_for, kind: str) -> None:
    triposg = standin_for("triposg")
    triposg.tell(old_bench=kind)
    text = message(triposg, MissingPartError if kind == "no package" else UserError)
    parts = {"no package": ("'diso' is not installed", "TripoSG#-installation"), "full": ("disk is full", "Make room")}
    for part in (*parts[kind], "1 of 3 objects are lifted and kept (car)"):
        assert part in text
    assert triposg.lifted() == ["car", "old bench"]
    triposg.tell(old_bench=None)
    assert len(triposg.lift().meshes) == 3


def test_missing_weights_of_the_others(standin_for, tmp_path: Path) -> None:
    body = standin_for("sam3d-body")
    (body.folder / "weights" / "assets" / "mhr_model.pt").unlink()
    assert "mhr_model.pt is missing" in message(body, MissingPartError)
    text = message(body, MissingPartError, weights="facebook/sam-3d-body-dinov3")
    assert "not given to you yet" in text
    assert "GatedRepoError" in text
    assert "is missing" in message(body, MissingPartError, weights=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("lifter", ["triposg", "step1x3d"])
def test_missing_weights_of_the_open_ones(standin_for, tmp_path: Path, lifter: str) -> None:
    standin = standin_for(lifter)
    text = message(standin, MissingPartError, weights=str(tmp_path))
    assert "model_index.json is missing" in text
    assert "hf download" in text
    assert "access" not in text


def test_a_machine_without_a_card(sam3d) -> None:
    sam3d.monkeypatch.setenv("NO_CARD", "1")
    text = message(sam3d)
    for part in ("sees no CUDA card", "nvidia-smi", "--lifter-host"):
        assert part in text


def test_a_python_that_is_none(sam3d, tmp_path: Path) -> None:
    assert "--lifter-python PATH" in message(sam3d, MissingPartError, python=None)
    assert "there is no Python at" in message(sam3d, MissingPartError, python=str(tmp_path / "nowhere"))


def test_a_python_without_numpy(sam3d) -> None:
    bare = sam3d.folder / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    assert "has no NumPy" in message(sam3d, python=str(bare))


def test_a_python_that_is_too_old(sam3d) -> None:
    candidates = [*map(str, Path.home().glob(".pyenv/versions/3.8*/bin/python")), shutil.which("python3.8") or ""]
    old = next((path for path in candidates if path), None)
    if old is None or subprocess.run([old, "-c", ""], capture_output=True).returncode:
        pytest.skip("there is no old Python here")
    text = message(sam3d, python=old)
    assert "Python 3.8 is too old" in text
    assert "needs Python 3.10" in text


def test_what_hangs_is_stopped_with_its_children(sam3d) -> None:
    sam3d.tell(old_bench="hang")
    text = message(sam3d, timeout=1.5)
    for part in ("lifting old bench took more than 1.5 seconds", "(car)", "allows more time", "goes on"):
        assert part in text
    assert_gone(*hanging(sam3d))


def test_chatter_is_no_progress(tmp_path: Path) -> None:
    said = []
    with pytest.raises(HungError):
        stream(["yes", "still here"], on_line=lambda line: bool(said.append(line)), log=tmp_path / "log", timeout=0.5)
    assert set(said) == {"still here"}


def test_a_child_that_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 600 & echo $!; exit 7"]
    said = []
    assert stream(command, on_line=lambda line: bool(said.append(line)), log=tmp_path / "log", timeout=60) == 7
    assert_gone(int(said[0]))


DRIVER = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and some shells leave it ignored
from pathlib import Path
import numpy as np
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.workers.lifter import lift_objects
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.lifting.workers.requests import LiftRequest
from real2sam2real.perceive.view import PhotoView
given = json.loads(sys.argv[1])
arrays = np.load(given["arrays"])
view = PhotoView(intrinsics=Intrinsics(**given["intrinsics"]), points_camera=arrays["points"])
masks = {name: arrays[name] for name in given["names"]}
request = LiftRequest(pixels=arrays["pixels"], masks=masks, view=view, folder=Path(given["folder"]))
lift_objects("sam3d", LifterEnvironment(**given["options"]), request, print)
"""


def driver(standin, **changes: object) -> subprocess.Popen:
    """Another process that asks for the same."""
    view = standin.request.view
    arrays = standin.folder / "arrays.npz"
    np.savez(arrays, pixels=standin.request.pixels, points=view.points_camera, **standin.request.masks)
    given = {
        "arrays": str(arrays),
        "intrinsics": vars(view.intrinsics),
        "names": list(standin.request.masks),
        "folder": str(standin.request.folder),
        "options": vars(standin.options(**changes)),
    }
    return subprocess.Popen([sys.executable, "-c", DRIVER, json.dumps(given)], stderr=subprocess.PIPE, text=True)


def hanging(standin) -> list[int]:
    """Processes of the lifter that hangs, and of its child."""
    path = standin.folder / "hanging.json"
    for _ in range(600):
        if path.exists():
            return json.loads(path.read_text())
        time.sleep(0.05)
    raise AssertionError("the lifter never came to the object at which it is to hang")


def assert_gone(*pids: int) -> None:
    for _ in range(200):
        left = [pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and not is_zombie(pid)]
        if not left:
            return
        time.sleep(0.05)
    raise AssertionError(f"processes {left} are left")


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_nothing_is_left_when_the_caller_goes(sam3d, number: signal.Signals) -> None:
    sam3d.tell(old_bench="hang")
    caller = driver(sam3d)
    pids = hanging(sam3d)
    os.kill(caller.pid, number)
    _, errors = caller.communicate(timeout=30)
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    assert_gone(*pids)
    sam3d.tell(old_bench=None)
    assert len(sam3d.lift().meshes) == 3
    assert sam3d.lifted() == ["car", "old bench", "old bench", "dög"]


@needs_proc
def test_nothing_is_left_on_the_other_machine_either(sam3d, far_home: Path) -> None:
    sam3d.tell(old_bench="hang")
    caller = driver(sam3d, host="me@gpu")
    pids = hanging(sam3d)
    os.kill(caller.pid, signal.SIGINT)
    caller.communicate(timeout=30)
    assert_gone(*pids)
    sam3d.tell(old_bench=None)
    assert len(sam3d.lift(host="me@gpu").meshes) == 3
    assert sam3d.lifted() == ["car", "old bench", "old bench", "dög"]  # the car's result had waited over there


def test_a_damaged_result_says_which_folder_to_delete(sam3d) -> None:
    sam3d.lift()
    mesh = next((sam3d.request.folder / RESULTS).glob("car-*/mesh.npz"))
    mesh.write_bytes(mesh.read_bytes()[:200])
    assert str(mesh.parent) in message(sam3d)


def test_a_probe_tells_versions_and_card_and_loads_nothing(sam3d) -> None:
    line = probe("sam3d", sam3d.options())
    for part in ("SAM 3D Objects is ready", "python 3", "Stand-in, 48 GiB"):
        assert part in line
    assert sam3d.loads() == 0
    (sam3d.folder / "weights" / "generator.ckpt").unlink()
    with pytest.raises(MissingPartError, match=r"generator\.ckpt is missing") as caught:
        probe("sam3d", sam3d.options())
    assert "Log:" not in str(caught.value)
