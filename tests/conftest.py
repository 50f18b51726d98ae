"""What the whole suite shares: one thread per process, no network, no deadlines on a busy machine."""

import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import ModuleType

# Small tensors gain nothing from threads, and threads that wait for each other starve on a busy machine. Set before
# anything imports torch or OpenCV.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
gc.set_threshold(50_000)  # as the command line does

TESTS = Path(__file__).parent
# `pytest -m fast`: what answers within a minute on a laptop. Other files are not even imported then.
FAST = (
    "cli/test_main.py", "cli/test_renamed_options.py", "control/test_normal_convention.py", "geometry",
    "mesh/test_mesh.py", "scene/test_camera_moves.py", "scene/test_entity_moves.py", "scene/test_paths.py",
    "scene/test_scene_types.py", "scene/test_shot.py", "test_docs.py", "test_imports.py",
    "workfolder/test_fingerprint.py", "workfolder/test_jobs.py", "workfolder/test_lock.py",
    "workfolder/test_records.py", "workfolder/test_sweep.py",
)  # fmt: skip


# What waits more than it works, for Ray above all: for one process of the tests more than there are cores.
WAITING = (
    "run/batch/test_ray.py", "workfolder/test_ray_pool.py", "lab/curate/test_pipeline.py", "diffusion/test_parallel.py",
)  # fmt: skip
WAITING_WORKER = "gw0"  # as pytest-xdist calls its first process
RAY = ExitStack()  # of the one that `cluster` has started
# Begun first, so that no core waits for one of them at the end.
LONG = (
    *WAITING, "test_static.py", "diffusion/memory/test_costs.py", "perceive/segment/test_embedded.py",
    "cli/test_run_command.py", "lifting/align/test_align.py", "run/test_examples.py", "run/test_real_meshes.py",
    "lifting/test_real_photos.py", "lab/curate/test_curation_benchmark.py",
)  # fmt: skip


def rank(path: Path) -> int:
    """Where a file stands in `LONG`, or after it."""
    return next((number for number, name in enumerate(LONG) if path == TESTS / name), len(LONG))


def is_fast(path: Path) -> bool:
    return any(path.is_relative_to(TESTS / name) for name in FAST)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    given = config.getoption("markexpr") == "fast" and collection_path.name.startswith("test_")
    return True if given and collection_path.is_file() and not is_fast(collection_path) else None


def is_named(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether an argument of the command is this very test, with or without its parameters."""
    own = item.nodeid.partition("::")[2]
    for argument in config.args:
        path, _, name = argument.partition("::")
        if name and (own == name or own.startswith((f"{name}[", f"{name}::"))):
            return (config.invocation_params.dir / path).resolve() == item.path
    return False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.path))
    for item in items:
        if is_fast(item.path):
            item.add_marker(pytest.mark.fast)
    if not config.getoption("markexpr") and not config.getoption("keyword"):  # who chooses gets what is chosen
        left_out = [item for item in items if item.get_closest_marker("slow") and not is_named(item, config)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Before the first test: what has been imported is no garbage, and serves the processes that tests start."""
    gc.freeze()
    with pytest.MonkeyPatch.context() as session_patch:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(TESTS))
            importlib.import_module("compiled_once").share_kernels(session_patch)
            if any("processes" in getattr(item, "fixturenames", ()) for item in session.items):
                importlib.import_module("processes").fork_server()
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Who works lets those through that wait: Ray gives up on processes of its own that start too slowly."""
    name = getattr(config, "workerinput", {}).get("workerid", WAITING_WORKER)
    if name != WAITING_WORKER and hasattr(os, "nice"):
        os.nice(5)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores, as one of them waits for Ray half of the time."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A file's tests go to one process: many share fixtures that take half a minute."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        """What waits goes to the first process, as long as there is some, and to no other."""

        def _assign_work_unit(self, node: object) -> None:
            waiting = {f"tests/{name}" for name in WAITING} & self.workqueue.keys()
            if len(self.workqueue) > len(waiting) > 0:
                own = [scope for scope in self.workqueue if (scope in waiting) == (node.gateway.id == WAITING_WORKER)]
                self.workqueue.move_to_end(own[0], last=False)
            super()._assign_work_unit(node)

    config.option.loadscopereorder = False  # the order is ours, the long ones first
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real photos are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def processes() -> Iterator[ModuleType]:
    """The module `processes`, importable here and, by the same search path, in the processes that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TESTS))
        yield importlib.import_module("processes")


@pytest.fixture(scope="session")
def load_benchmark() -> Callable[[str], ModuleType]:
    """Load `benchmarks/NAME.py`, anew at each call."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"{name}_benchmark", TESTS.parent / "benchmarks" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # its dataclasses look themselves up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def kills(processes: ModuleType) -> ModuleType:
    """The module `kills`."""
    return importlib.import_module("kills")


@pytest.fixture
def cluster() -> None:
    """One Ray for all tests in a row that need it, with two places for workers, started and ended as ours is."""
    from real2sam2real.workfolder import ray_pool

    ray_pool._keep_to_itself()
    import ray

    if not ray.is_initialized():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ray, "init", partial(ray.init, num_cpus=2))
            RAY.enter_context(ray_pool._connected("local", option="--ray", extra="batch"))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End Ray after the last of its tests: what it keeps running takes a fortieth of a core all the time."""
    if nextitem is None or rank(nextitem.path) >= len(WAITING):
        RAY.close()
