"""As much of torch as the worker and the stand-in lifters touch; it loads at once. One test takes the real one."""

import os

import numpy as np

__version__ = "2.5.1+standin"
float16, float32 = np.float16, np.float32


class OutOfMemoryError(RuntimeError):
    """As torch has it."""


class Tensor:
    """An array that must be brought to the CPU before it is one."""

    def __init__(self, array, device="cpu"):
        self.array = array
        self.device = device
        self.shape = array.shape
        self.dtype = array.dtype

    def to(self, target):
        return Tensor(self.array, target if isinstance(target, str) else self.device)

    def cuda(self):
        return self.to("cuda")

    def cpu(self):
        return self.to("cpu")

    def detach(self):
        return self

    def numpy(self):
        assert self.device == "cpu", "can't convert cuda:0 device type tensor to numpy"
        return self.array


def from_numpy(array):
    """A tensor on the CPU."""
    return Tensor(array)


def tensor(values, dtype=float32):
    """A tensor on the CPU."""
    return Tensor(np.array(values, dtype))


class Generator:
    """Random numbers of a device."""

    def __init__(self, device="cpu"):
        self.device = device

    def manual_seed(self, seed):
        self.seed = seed
        return self

    def initial_seed(self):
        return self.seed


class _Card:
    name = "Stand-in"
    total_memory = 48 * 2**30


class cuda:  # noqa: N801
    """One card, unless the environment says that there is none."""

    @staticmethod
    def is_available():
        return "NO_CARD" not in os.environ

    @staticmethod
    def empty_cache():
        return None

    @staticmethod
    def mem_get_info():
        return 2**30, 48 * 2**30

    @staticmethod
    def get_device_properties(device):
        return _Card
