"""What the whole suite shares: one thread per process, no network, no deadlines on a busy machine."""

import os
from pathlib import Path

# Small tensors gain nothing from threads, and threads that wait for each other starve on a busy machine. Set before
# anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real photos are not beside this checkout")
    return folder
