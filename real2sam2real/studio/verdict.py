"""Whether this machine can do a generation, and how long it may take: what `r2s2r doctor` knows, of one choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from real2sam2real.diffusion.checkpoints import SHIPPED, find_checkpoint
from real2sam2real.diffusion.loading import Located, locate, plan_for, sampling_of
from real2sam2real.diffusion.memory.choose import gib
from real2sam2real.diffusion.memory.machine import Machine, inspect_machine
from real2sam2real.diffusion.options import OFFICIAL_ADAPTER, GenerateOptions
from real2sam2real.diffusion.presets import Sampling
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.run.options import DEFAULT_FRAMES
from real2sam2real.studio.generate_options import generate_options
from real2sam2real.studio.takes import read_takes
from real2sam2real.studio.workload import work_of


def verdict(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """`VerdictData` of the page's `types.ts`.

    Args:
        folder: of the workspace, whose takes tell how long a generation took here.
        options: `generate`, see `generate_options`; `size` of the control, or None; `frames` of the shot, or None.
    """
    machine, frames = inspect_machine(), options.get("frames") or DEFAULT_FRAMES
    told: dict[str, Any] = {
        "machine": f"{machine.name}, {gib(machine.free_memory)} of {gib(machine.memory)} free",
        "checkpoints": list(_installed()),
        "fits": False,
        "why": "",
        "plans": [],
        "passes": None,
        "seconds": None,
    }
    try:
        chosen = generate_options(options["generate"])
        located = _here(chosen)
        sampling = sampling_of(chosen, located)
        told["passes"] = sampling.passes(frames)
        told["plans"], told["why"] = _fitting(chosen, located, sampling, machine)
        told["fits"] = True
        told["seconds"] = _seconds(folder, chosen.checkpoint, work_of(chosen, options.get("size"), frames))
    except UserError as error:
        told["why"] = str(error)
    return told


def _here(chosen: GenerateOptions) -> Located:
    """What was chosen, if it is on this machine: a look must not fetch gigabytes.

    Raises:
        UserError: it is not, or cannot be used.
    """
    try:
        return locate(replace(chosen, offline=True))
    except MissingPartError as error:
        raise UserError(f"{error}" if chosen.offline else f"{error} Generating tries to fetch it first.") from error


def _installed() -> Iterator[str]:
    yield next(iter(SHIPPED))
    try:
        find_checkpoint(OFFICIAL_ADAPTER, offline=True)
    except UserError:
        return
    yield OFFICIAL_ADAPTER


def _fitting(
    chosen: GenerateOptions, located: Located, sampling: Sampling, machine: Machine
) -> tuple[list[dict[str, Any]], str]:
    """The memory plans, and why the choice runs.

    Raises:
        UserError: it does not; the message says what would.
    """
    if located.base.own:
        if sampling.guided and located.base.text_encoder is None:
            raise UserError(
                f"the checkpoint '{chosen.checkpoint}' reads no text, so that guidance (scale "
                f"{sampling.guidance_scale:g}) has nothing to go by; set the guidance to 1, or choose no preset"
            )
        return [], f"it is small and runs on the {'GPU' if machine.device == 'cuda' else 'CPU'}"
    reads = [adapter.read() for adapter in located.adapters]
    how = {"memory": chosen.memory, "attention": chosen.attention}
    choice = plan_for(located, reads, sampling, compiled=chosen.compile, machine=machine, **how)
    plans = [{"name": row.plan.name, "purpose": row.plan.purpose, "refusal": row.refusal} for row in choice.rows]
    return plans, f"memory plan {choice.plan.name} ({choice.plan.purpose}): {choice.why}"


def _seconds(folder: Path, checkpoint: str, work: float) -> float | None:
    """How long so much work may take, by the newest take of the same checkpoint."""
    known = [take for take in read_takes(folder) if take.checkpoint == checkpoint and take.work and take.seconds]
    return round(known[-1].seconds * work / known[-1].work) if known else None
