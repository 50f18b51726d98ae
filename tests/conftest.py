"""What the whole suite shares: one thread per process, no network, no deadlines on a busy machine."""

import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType

# Small tensors gain nothing from threads, and threads that wait for each other starve on a busy machine. Set before
# anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
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


# Begun first, so that no core waits for one of them at the end.
LONG = (
    "test_static.py", "run/batch/test_ray.py", "workfolder/test_ray_pool.py", "lab/curate/test_pipeline.py",
    "lab/curate/test_curation_benchmark.py", "run/test_real_meshes.py", "run/test_real_photos.py",
    "diffusion/test_parallel.py",
)  # fmt: skip


def is_long(path: Path) -> bool:
    return any(path == TESTS / name for name in LONG)


def is_fast(path: Path) -> bool:
    return any(path.is_relative_to(TESTS / name) for name in FAST)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    given = config.getoption("markexpr") == "fast" and collection_path.name.startswith("test_")
    return True if given and collection_path.is_file() and not is_fast(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not is_long(item.path))
    for item in items:
        if is_fast(item.path):
            item.add_marker(pytest.mark.fast)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Before the first test: what has been imported is no garbage, and serves the processes that tests start."""
    gc.freeze()
    if any("processes" in getattr(item, "fixturenames", ()) for item in session.items):
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(TESTS))
            importlib.import_module("processes").fork_server()
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A file's tests go to one process: many share fixtures that take half a minute."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # the order is ours, the long ones first
    return LoadFileScheduling(config, log)


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


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One Ray for the tests of a module, as a program that has its own gives it to us."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False)
    yield
    ray.shutdown()
