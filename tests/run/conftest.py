"""A tiny model, and a harness that kills batches; the harness is the benchmark's own."""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def harness(processes: ModuleType, load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    module = load_benchmark("batch")
    module.PRELOADED[:] = processes.PRELOADED  # one server for all tests
    os.environ.update(module.ONE_THREAD)  # for the processes that it starts
    return module


@pytest.fixture(scope="session")
def checkpoint(harness: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return harness.tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")
