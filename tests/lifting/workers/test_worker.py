"""The worker is a program of its own: it imports nothing of ours and runs where we are not installed."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from real2sam2real.lifting.workers import lifting_worker
from real2sam2real.lifting.workers.catalogue import LIFTERS, facts_of
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.lifting.workers.lifting_worker.inputs import Request
from real2sam2real.lifting.workers.lifting_worker.main import adapter_for
from real2sam2real.lifting.workers.lifting_worker.protocol import REQUEST, RESULTS
from real2sam2real.lifting.workers.requests import tasks_of, write_probe, write_request
from real2sam2real.workers import there
from real2sam2real.workers.sending import OLDEST_PYTHON
from real2sam2real.workers.there.serving import EVENT, FAILED

SOURCES = sorted(path for package in (there, lifting_worker) for path in Path(package.__file__).parent.glob("*.py"))
OF_THE_LIFTERS = {"PIL", "huggingface_hub", "sam_3d_body", "torch"}
APART = """
import runpy, sys
sys.argv = [sys.argv[1], *sys.argv[2:]]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    ours = [m.__file__ for n, m in sys.modules.items() if n.startswith("real2sam2real")]
    assert ours and all(path.startswith(sys.argv[0]) for path in ours), ours
"""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_worker_imports_nothing_of_ours(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST_PYTHON)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            tops = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "its own folder and what workers share travel with it"
            shared = node.level or node.module.startswith(f"{there.__name__}.")
            tops = set() if shared else {node.module.split(".")[0]}
        else:
            continue
        assert tops <= {*sys.stdlib_module_names, "numpy", *OF_THE_LIFTERS}


def test_what_is_written_beside_a_request_is_all_it_needs(request_of_three) -> None:
    facts, options = facts_of("sam3d"), LifterEnvironment(python=sys.executable)
    write_request(request_of_three, facts, options, tasks_of(request_of_three, facts, options))
    worker = request_of_three.folder / "worker"
    assert not list(worker.rglob("__pycache__"))
    command = [sys.executable, "-I", "-c", APART, str(worker), str(request_of_three.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == FAILED, done.stderr
    event = json.loads(done.stdout.splitlines()[-1].removeprefix(EVENT))
    assert (event["event"], event["kind"], event["missing"]) == ("failed", "import", "sam3d_objects")


def test_a_request_of_another_protocol_is_refused(tmp_path: Path) -> None:
    write_probe(tmp_path, facts_of("triposg"), LifterEnvironment())
    path = tmp_path / REQUEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "protocol": 99}))
    done = subprocess.run([sys.executable, tmp_path / "worker", tmp_path], capture_output=True, text=True)
    assert done.returncode == FAILED
    assert "protocol 99" in done.stdout


def test_digests_tell_what_a_result_depends_on(request_of_three) -> None:
    def digests(lifter: str = "sam3d", **changes: object) -> list[str]:
        return [task.digest for task in tasks_of(request_of_three, facts_of(lifter), LifterEnvironment(**changes))]

    base = digests()
    assert len(set(base)) == 3
    assert digests(python="elsewhere", host="me@gpu", timeout=5.0, offline=True) == base
    view = replace(request_of_three.view, points_camera=request_of_three.view.points_camera * 2)
    deeper = replace(request_of_three, view=view)
    tasks = tasks_of(deeper, facts_of("sam3d"), LifterEnvironment())
    assert not {task.digest for task in tasks} & set(base)
    shallow = tasks_of(deeper, facts_of("triposg"), LifterEnvironment())  # which is not shown any depth
    assert [task.digest for task in shallow] == digests("triposg")
    for changed in (digests(seed=1), digests(weights="w"), digests(code="c"), digests("triposg")):
        assert not set(changed) & set(base)


def test_result_folders_are_safe_and_distinct(request_of_three) -> None:
    masks = dict.fromkeys(("a/../b", "a b", "a\nb", "日本"), request_of_three.masks["car"])
    request = type(request_of_three)(**{**vars(request_of_three), "masks": masks})
    folders = [task.folder for task in tasks_of(request, facts_of("sam3d"), LifterEnvironment())]
    assert len(set(folders)) == len(masks)
    assert all(folder.parent == request.folder / RESULTS for folder in folders)
    assert all(folder.name.isascii() and folder.name.isprintable() for folder in folders)


@pytest.mark.parametrize("name", LIFTERS)
def test_every_lifter_has_an_adapter_and_a_place_in_the_docs(name: str) -> None:
    request = Request(folder=Path(), lifter=name, seed=0, settings={}, intrinsics={}, entities=())
    assert adapter_for(request)
    page = (Path(__file__).parents[3] / "docs" / "lifters.md").read_text(encoding="utf-8")
    facts = facts_of(name)
    for part in (f"`{name}`", facts.title, facts.licence, facts.page):
        assert part in page
