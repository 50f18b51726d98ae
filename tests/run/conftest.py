"""A tiny model, and a harness that kills batches; the harness is the benchmark's own."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "batch.py"


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
