"""Which attention kernel runs: the fastest exact one that is installed and that the device can run.

All kernels go through diffusers' dispatcher. None is required: torch's own always works. SageAttention rounds queries
and keys to 8 bits, so it is never chosen, only named where it is there, and used when asked for. Kernels on the hub are
code from the network; they too are used only when asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from real2sam2real.diffusion.memory.machine import Machine
from real2sam2real.errors import UserError, first_line


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
        hub: its code comes from the hub when it is asked for.
        copies: it takes queries, keys and values in another order in memory, so that diffusers copies them.
    """

    name: str
    title: str
    package: str | None = None
    capability: tuple[int, int] | None = None
    below: tuple[int, int] | None = None
    exact: bool = True
    parallel: bool = True
    hub: bool = False
    copies: bool = False


# Those that may be chosen, fastest first; then what is used when asked for alone.
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
    # Of diffusers' kernels on the hub, those for cards on which one above may be hard to install.
    Backend(
        name="_flash_3_hub",
        title="FlashAttention 3 from the hub",
        package="kernels",
        capability=(9, 0),
        below=(10, 0),
        hub=True,
    ),
    Backend(
        name="flash_4_hub",
        title="FlashAttention 4 from the hub",
        package="kernels",
        capability=(9, 0),
        parallel=False,
        hub=True,
    ),
    Backend(
        name="sage_hub",
        title="SageAttention from the hub (8-bit, rounds)",
        package="kernels",
        capability=(8, 0),
        exact=False,
        hub=True,
    ),
)
_NAMES = ", ".join(backend.name for backend in BACKENDS)


def choose_backend(machine: Machine, wanted: str = "auto", *, parallel: bool = False, offline: bool = False) -> Backend:
    """The kernel that was asked for, or the first one of `BACKENDS` that is exact and installed.

    Args:
        machine: what it runs on.
        wanted: "auto" or the name of one of `BACKENDS`.
        parallel: one video is shared among several GPUs.
        offline: never reach for the network, as kernels on the hub do.

    Raises:
        UserError: the wanted one is unknown or cannot run here.
    """
    if wanted == "auto":
        usable = (b for b in BACKENDS if b.exact and not b.hub and (b.parallel or not parallel))
        return next(backend for backend in usable if refusal(backend, machine) is None)
    backend = _find(wanted)
    obstacle = refusal(backend, machine)
    if parallel and not backend.parallel:
        obstacle = "it cannot share a video among several GPUs"
    if obstacle is None and offline and backend.hub:
        obstacle = (
            "its code comes from the hub, which --offline forbids; where it lies in the hub's cache already, set "
            "HF_HUB_OFFLINE=1 in place of --offline"
        )
    if obstacle is not None:
        raise UserError(f"the attention kernel '{backend.name}' ({backend.title}) cannot run: {obstacle}")
    return backend


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


def use_backend(
    transformer: Any, machine: Machine, wanted: str = "auto", *, parallel: bool = False, offline: bool = False
) -> Backend:
    """Let the transformer attend by the kernel that `choose_backend` gives; returns it.

    Args:
        transformer: a model of diffusers.
        machine: as there.
        wanted: as there.
        parallel: as there.
        offline: as there.

    Raises:
        UserError: the wanted one is unknown or cannot run here, or its code cannot be fetched from the hub.
    """
    backend = choose_backend(machine, wanted, parallel=parallel, offline=offline)
    if wanted == "auto" and backend.name == "native":  # diffusers' default, unless DIFFUSERS_ATTN_BACKEND says another
        return backend
    try:
        transformer.set_attention_backend(backend.name)
    except Exception as error:  # fetching and loading foreign code may fail in any way
        if not backend.hub:
            raise
        raise UserError(
            f"the attention kernel '{backend.name}' ({backend.title}) cannot be had from the hub: "
            f"{first_line(error)[:300]}. Give --attention auto, or another of: {_NAMES}"
        ) from error
    return backend


def _find(name: str) -> Backend:
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    raise UserError(f"there is no attention kernel '{name}'; give auto, or one of: {_NAMES}")
