"""Which attention kernel runs: the fastest exact one that is installed and that the device can run.

All kernels go through diffusers' dispatcher. None is required: torch's own always works. SageAttention rounds queries
and keys to 8 bits, so it is never chosen, only named where it is there, and used when asked for. Kernels on the hub are
code from the network; they too are used only when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from real2sam2real.diffusion.memory.machine import Machine
from real2sam2real.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Backend:
    """An attention kernel.

    Attributes:
        name: as diffusers' dispatcher knows it.
        title: for people.
        package: what must be installed, or None for torch's own.
        capability: least CUDA compute capability, or None for any device.
        below: least capability that is too new for it, or None.
        exact: False where it rounds its inputs.
        parallel: works when one video is shared among several GPUs.
        copies: it takes queries, keys and values in another order in memory, so that diffusers copies them.
    """

    name: str
    title: str
    package: str | None = None
    capability: tuple[int, int] | None = None
    below: tuple[int, int] | None = None
    exact: bool = True
    parallel: bool = True
    copies: bool = False


# Fastest first.
BACKENDS: tuple[Backend, ...] = (
    Backend(
        name="sage", title="SageAttention (8-bit, rounds)", package="sageattention", capability=(8, 0), exact=False
    ),
    Backend(
        name="_flash_3",
        title="FlashAttention 3",
        package="flash-attn-3",
        capability=(9, 0),
        below=(10, 0),
        parallel=False,
    ),
    Backend(name="_native_cudnn", title="cuDNN, through torch", capability=(9, 0), below=(12, 0), copies=True),
    Backend(name="flash", title="FlashAttention 2", package="flash-attn", capability=(8, 0), below=(10, 0)),
    Backend(name="native", title="torch's own"),
)


def choose_backend(machine: Machine, *, parallel: bool = False) -> Backend:
    """The first exact one of `BACKENDS` that the machine has.

    Args:
        machine: what it runs on.
        parallel: one video is shared among several GPUs.
    """
    usable = (b for b in BACKENDS if b.exact and refusal(b, machine) is None and (b.parallel or not parallel))
    return next(usable)


def refusal(backend: Backend, machine: Machine) -> str | None:
    """Why a kernel cannot run on a machine, or None where it can."""
    if backend.capability is not None:
        if machine.capability is None:
            return "there is no GPU"
        if machine.capability < backend.capability:
            return "the GPU is too old for it"
        if backend.below is not None and machine.capability >= backend.below:
            return "the GPU is too new for it"
    if backend.package is not None and backend.package not in machine.packages:
        return f"pip install {backend.package}"
    return None


def use_backend(transformer: Any, machine: Machine, wanted: str = "auto", *, parallel: bool = False) -> Backend:
    """Let the transformer attend by the chosen kernel; returns it.

    Args:
        transformer: a model of diffusers.
        machine: what it runs on.
        wanted: "auto" or the name of one of `BACKENDS`.
        parallel: one video is shared among several GPUs.

    Raises:
        UserError: the wanted one is unknown or cannot run here.
    """
    backend = choose_backend(machine, parallel=parallel) if wanted == "auto" else _find(wanted)
    obstacle = refusal(backend, machine)
    if parallel and not backend.parallel:
        obstacle = "it cannot share a video among several GPUs"
    if obstacle is not None:
        raise UserError(f"the attention kernel '{backend.name}' ({backend.title}) cannot run: {obstacle}")
    if backend.name != "native":  # which is diffusers' own default, unless DIFFUSERS_ATTN_BACKEND names another
        transformer.set_attention_backend(backend.name)
    return backend


def _find(name: str) -> Backend:
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    raise UserError(
        f"there is no attention kernel '{name}'; give auto, or one of: {', '.join(b.name for b in BACKENDS)}"
    )
