"""What the machine has: devices, memory, installed packages."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

# What generating can use, by the name that pip knows.
PACKAGES = (
    "torch", "diffusers", "transformers", "accelerate", "peft", "torchao", "bitsandbytes", "gguf", "flash-attn",
    "flash-attn-3", "sageattention", "kernels", "ray",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One device and the computer it is in.

    Attributes:
        device: "cuda" or "cpu".
        name: of the device, for people.
        capability: CUDA compute capability, or None for a CPU.
        memory: bytes of the device.
        free_memory: those not taken, by this process or another.
        ram: bytes of CPU memory that this process may use.
        free_ram: those not taken.
        native_bfloat16: the device multiplies bfloat16 in hardware.
        packages: versions of those of `PACKAGES` that are installed.
    """

    device: Literal["cuda", "cpu"]
    name: str
    capability: tuple[int, int] | None = None
    memory: int
    free_memory: int
    ram: int
    free_ram: int
    native_bfloat16: bool = True
    packages: dict[str, str]


def inspect_machine(device: str | None = None) -> Machine:
    """The given device, or the first GPU, or the CPU where there is none.

    Args:
        device: such as "cuda:1" or "cpu".
    """
    total, free = _ram()
    packages = installed_packages()
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if chosen.type == "cpu":
        return Machine(
            device="cpu",
            name="CPU",
            memory=total,
            free_memory=free,
            ram=total,
            free_ram=free,
            native_bfloat16=torch.cpu._is_avx512_bf16_supported(),
            packages=packages,
        )
    free_memory, memory = torch.cuda.mem_get_info(chosen)
    return Machine(
        device="cuda",
        name=torch.cuda.get_device_name(chosen),
        capability=torch.cuda.get_device_capability(chosen),
        memory=memory,
        free_memory=free_memory,
        ram=total,
        free_ram=free,
        packages=packages,
    )


def installed_packages() -> dict[str, str]:
    """Name and version of those of `PACKAGES` that are installed; nothing is imported."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def free_ram() -> int:
    """Bytes of CPU memory that this process may still take."""
    return _ram()[1]


def _ram() -> tuple[int, int]:
    """Bytes of CPU memory, all and free, for this process."""
    import psutil  # type: ignore[import-untyped]

    memory = psutil.virtual_memory()
    limit, used = _container_limit()
    return min(memory.total, limit), min(memory.available, limit - used)


def _container_limit(group: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """Bytes that a container may use and uses, files it only reads left out; a huge limit where there is none."""
    unlimited = 1 << 62
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        details = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no cgroup of version 2, so no limit that we could know
        return unlimited, 0
    return (unlimited, 0) if limit == "max" else (int(limit), used - int(details.get("inactive_file", 0)))
