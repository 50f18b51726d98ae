"""How much a generation computes, so that a finished one tells how long another may take."""

from __future__ import annotations

from real2sam2real.diffusion.loading import locate, sampling_of
from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.options import parse_size


def work_of(chosen: GenerateOptions, size: str | None, frames: int) -> float:
    """How much a generation computes, to compare with another of the same checkpoint: passes by frames by pixels.

    Raises:
        UserError: the checkpoint or the size cannot be used.
    """
    located = locate(chosen)
    starts_from_noise = (chosen.init or located.settings.init) == "noise"
    strength = located.settings.strength if chosen.strength is None else chosen.strength
    width, height = (0, 0) if size in (None, "", "full") else parse_size(str(size))
    pixels = width * height or located.settings.area
    return sampling_of(chosen, located).passes(frames) * (1.0 if starts_from_noise else strength) * frames * pixels
