from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def known_truth(load_benchmark: Callable[[str], ModuleType]) -> ModuleType:
    """Random meshes at known poses, as the benchmark makes them."""
    return load_benchmark("align")
