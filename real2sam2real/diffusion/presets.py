"""How many transformer passes a shot gets, and what for: the presets.

A pass is one run of the whole transformer over one segment. `docs/generate.md` lists what each preset costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from real2sam2real.diffusion.caches import StepCache, TaylorSeer, computed_steps
from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.diffusion.memory.plans import PlanName
from real2sam2real.diffusion.options import PresetName
from real2sam2real.diffusion.sampling import Solver, Spacing
from real2sam2real.diffusion.segments import Segment, plan_segments
from real2sam2real.errors import UserError

FADE = 9
"""Frames over which segments that are made on their own fade into one another."""
SCRIPT_FRAMES = 81
"""The published script makes a control's first frames, so many at most."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a shot is denoised."""

    steps: int = 25  # denoising steps per segment
    guidance_scale: float = 1.0  # classifier-free guidance; 1 is none and halves the passes
    # steps, from the first on, whose pass with the negative prompt is computed; None computes all
    guided_steps: int | None = None
    # after these it is computed in one of so many steps, and the others keep the last difference; 0 computes none
    guidance_interval: int = 0
    solver: Solver = "euler"  # of the flow's differential equation
    spacing: Spacing = "scheduler"  # of the noise levels
    cache: StepCache | None = None  # steps that are extrapolated in place of computed, or None to compute all
    segment_frames: int = 81  # most frames per segment, 4k + 1
    overlap: int = 5  # frames that neighbouring segments share, 4k + 1
    fixed_segments: bool = False  # pad to whole segments as the official script does
    as_script: bool = False  # fit the inputs and draw the noise as the official script does; see `fitting`, `pipeline`
    match_colors: bool = True  # take out the shift of colours between segments
    # a segment goes on from the last frames of the one before, given to the model; otherwise each is made on its own
    # and they fade into one another where they overlap
    continues: bool = True
    plan_on_gpu: PlanName | None = None  # the memory plan that it takes where it fits and no other is asked for

    def __post_init__(self) -> None:
        if not self.guidance_interval or not self.guided:
            return
        if self.guided_steps is None:
            raise UserError(
                f"--guidance-interval {self.guidance_interval} counts from the last of --guided-steps on: give both"
            )
        if self.cache is not None:
            raise UserError(
                "--guidance-interval does not go with the step cache of this preset, which counts every pass of "
                "either prompt: leave it out, or take the preset quality"
            )

    @property
    def guided(self) -> bool:
        """Whether a step takes two passes, one with the prompt and one with the negative prompt."""
        return self.guidance_scale > 1

    def changed(
        self,
        steps: int | None,
        guidance_scale: float | None,
        guided_steps: int | None = None,
        guidance_interval: int | None = None,
    ) -> Self:
        """With other steps or another guidance, where one is given.

        With other steps, the share of them that is guided stays.
        """
        if steps is not None and guided_steps is None and self.guided_steps is not None:
            guided_steps = math.ceil(self.guided_steps * steps / self.steps)
        given = {
            "steps": steps,
            "guidance_scale": guidance_scale,
            "guided_steps": guided_steps,
            "guidance_interval": guidance_interval,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(self, **changes)

    def guides(self, step: int) -> bool:
        """Whether the pass with the negative prompt is computed in a step, counted from 0, that is computed at all."""
        if self.guided_steps is None or step < self.guided_steps:
            return self.guided
        late = step - self.guided_steps + 1
        return self.guided and self.guidance_interval > 0 and late % self.guidance_interval == 0

    def plan(self, frames: int) -> tuple[Segment, ...]:
        """The segments of a shot of `frames` frames."""
        return plan_segments(frames, longest=self.segment_frames, overlap=self.overlap, fixed=self.fixed_segments)

    def added(self, segments: Sequence[Segment], index: int) -> tuple[int, int]:
        """First frame and the frame after the last, counted over the shot, that a segment adds to those before it.

        A segment that the next one fades from leaves the overlap to it.
        """
        segment, last = segments[index], index == len(segments) - 1
        if self.continues:
            return segment.start + segment.overlap, segment.stop
        return segment.start, segment.stop if last else segment.stop - self.overlap

    def passes(self, frames: int) -> int:
        """Transformer passes of a shot of `frames` frames; extrapolated steps count as none."""
        frames = min(frames, SCRIPT_FRAMES) if self.as_script else frames
        computed = computed_steps(self.steps, self.cache)
        guided = sum(one and self.guides(step) for step, one in enumerate(computed))
        return len(self.plan(frames)) * (sum(computed) + guided)


@dataclass(frozen=True, kw_only=True)
class Preset(Sampling):
    """A way to spend passes that has a name."""

    name: PresetName  # as on the command line
    purpose: str  # for people, one line
    needs_distillation: bool = False  # whether it takes a base or a LoRA that was distilled to few steps


PRESETS: dict[PresetName, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="official",
            purpose="the official script's settings, to compare with it",
            steps=25,
            guidance_scale=4.5,
            segment_frames=77,
            overlap=1,
            fixed_segments=True,
            as_script=True,
            match_colors=False,
        ),
        Preset(
            name="quality",
            purpose="the official steps and guidance, 81 frames as one segment",
            steps=25,
            guidance_scale=4.5,
        ),
        Preset(
            name="balanced",
            purpose="a second-order solver, every other step extrapolated after the first four",
            steps=20,
            guidance_scale=4.5,
            solver="unipc",
            cache=TaylorSeer(warmup=4, interval=2),
        ),
        Preset(
            name="fast",
            purpose="four steps with a distillation LoRA, no guidance; products in float8 on cards that have them",
            steps=4,
            guidance_scale=1.0,
            spacing="even",
            plan_on_gpu="fp8-dynamic",
            needs_distillation=True,
        ),
    )
}


def choose_sampling(
    settings: CheckpointSettings,
    preset: PresetName | None,
    *,
    steps: int | None = None,
    guidance: float | None = None,
    guided_steps: int | None = None,
    guidance_interval: int | None = None,
) -> Sampling:
    """How a checkpoint denoises: as a preset says, or as the checkpoint itself does, with what the user changed.

    Args:
        settings: of the checkpoint.
        preset: a name, or None for the checkpoint's own way.
        steps: in place of the preset's.
        guidance: guidance scale in place of the preset's.
        guided_steps: see `Sampling`.
        guidance_interval: see `Sampling`.

    Raises:
        UserError: the interval is given beside a step cache.
    """
    if preset is None:
        sampling = Sampling(
            steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            solver=settings.solver,
            spacing=settings.spacing,
            segment_frames=settings.max_frames,
        )
    else:
        sampling = PRESETS[preset]
        if sampling.segment_frames > settings.max_frames:
            sampling = replace(sampling, segment_frames=settings.max_frames)
    if not settings.continues:
        sampling = replace(sampling, continues=False, overlap=FADE)
    if sampling.overlap >= sampling.segment_frames:
        sampling = replace(sampling, overlap=1)
    return sampling.changed(steps, guidance, guided_steps, guidance_interval)
