"""What the whole suite shares: one thread per process, no network, no deadlines on a busy machine."""

import os

# Small tensors gain nothing from threads, and threads that wait for each other starve on a busy machine. Set before
# anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

from hypothesis import settings

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
