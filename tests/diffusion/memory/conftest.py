import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest

from real2sam2real.diffusion.memory.machine import PACKAGES, Machine
from real2sam2real.diffusion.memory.needs import GIB


def gpu(memory: float, ram: float = 256, **changes: object) -> Machine:
    """A GPU of so many GiB in a computer of so many, with everything installed that plans use."""
    machine = Machine(
        device="cuda",
        name="GPU",
        capability=(8, 9),
        memory=round(memory * GIB),
        free_memory=round(memory * GIB),
        ram=round(ram * GIB),
        free_ram=round(ram * GIB),
        packages=dict.fromkeys(set(PACKAGES) - {"flash-attn", "flash-attn-3", "sageattention"}, "1"),
    )
    return dataclasses.replace(machine, **changes)


@pytest.fixture
def make_gpu():
    return gpu


@pytest.fixture
def cpu_machine() -> Machine:
    return gpu(0, device="cpu", name="CPU", capability=None)


@pytest.fixture(scope="session")
def measured():
    """The module that counts by running the networks without data."""
    path = Path(__file__).parents[3] / "benchmarks" / "memory_measured.py"
    spec = importlib.util.spec_from_file_location("memory_measured", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["memory_measured"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
