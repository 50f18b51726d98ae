"""A tiny model, tiny shots, and a harness that kills batches; the harness is the benchmark's own."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.run.batch.running import BatchReport, run_batch
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.progress import Progress

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "batch.py"


@pytest.fixture(scope="session")
def harness(processes: ModuleType) -> ModuleType:
    spec = importlib.util.spec_from_file_location("batch_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PRELOADED[:] = processes.PRELOADED  # one server for all tests
    os.environ.update(module.ONE_THREAD)  # for the processes that it starts
    return module


@pytest.fixture(scope="session")
def checkpoint(harness: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return harness.tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def shots(harness: ModuleType, tmp_path: Path) -> Path:
    """Three shots: two cameras of one scene, and one of another."""
    return harness.tiny_shots(tmp_path / "in", 3)


@pytest.fixture
def run(checkpoint: Path, shots: Path, tmp_path: Path):
    """Run the batch of `shots` into `tmp_path / "out"`."""

    def run_it(*given: Path, retries: int = 2, progress: Progress | None = None, **options: object) -> BatchReport:
        return run_batch(
            given or [shots],
            tmp_path / "out",
            options=GenerateOptions(**{"checkpoint": str(checkpoint), "init": "noise", **options}),
            batch=BatchOptions(retries=retries),
            progress=progress,
        )

    return run_it
