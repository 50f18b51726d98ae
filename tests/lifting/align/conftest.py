import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "align.py"


@pytest.fixture(scope="session")
def known_truth() -> ModuleType:
    """Random meshes at known poses, as the benchmark makes them."""
    spec = importlib.util.spec_from_file_location("align_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module
