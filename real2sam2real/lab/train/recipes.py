"""Complete configurations of training runs, as functions: a recipe is code that returns a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from real2sam2real.diffusion.options import Init
from real2sam2real.lab.train.objective import PreviewStarts
from real2sam2real.lab.train.training import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Size of the transformer."""

    heads: int = 4  # attention heads of 64 channels each
    layers: int = 7  # number of blocks
    ffn_dim: int = 768  # hidden width of the feed-forward layers
    latent_channels: int = 48  # z of the autoencoder


LARGER = ModelSize(heads=6, layers=10, ffn_dim=1152, latent_channels=64)
"""22.4 M parameters."""


@dataclass(frozen=True, kw_only=True)
class TrainingStage:
    """A stretch of training at one clip size, of so many steps or so many minutes.

    A stage of steps waits for its clips and is the same wherever it runs. One of minutes takes what is rendered by
    then: a faster machine makes more of it. What is compiled and waited for counts.
    """

    width: int  # pixels, a multiple of 16
    height: int  # pixels, a multiple of 16
    frames: int  # T = 4k + 1
    batch_size: int  # clips per step
    steps: int | None = None  # optimiser steps, or None where `minutes` says it
    minutes: float | None = None  # of a clock
    reuse: int = 8  # how often each rendered clip is drawn, on average, in a stage of steps
    clips: int | None = None  # most clips that are rendered; None for what `reuse` asks for
    # timestep shift of the noise levels drawn; more of it trains more at high noise, where layout is decided
    shift: float = 5.0
    # noise levels under it weigh like it, where the sample's error is turned into the velocity's
    level_floor: float = 0.5
    varied: float = 0.0  # share of worlds drawn from `synth.varied_world()`, the others are default ones
    lifted: float = 0.0  # share of clips whose control and preview are made from lifted meshes
    lifted_drawn: float = 0.5  # share of each batch that is drawn from those

    def __post_init__(self) -> None:
        if self.width % 16 or self.height % 16:
            raise ValueError(f"stage size {self.width}×{self.height}: both must be multiples of 16")
        if self.frames % 4 != 1:
            raise ValueError(f"stage of {self.frames} frames: the number of frames must be 4k + 1")
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("a stage is of so many steps or of so many minutes")
        if self.minutes is not None and (self.clips is None or self.minutes <= 0):
            raise ValueError("a stage of minutes needs a number of clips and some time")
        if min(n for n in (self.batch_size, self.steps, self.reuse, self.clips) if n is not None) < 1:
            raise ValueError("a stage needs at least one clip per step, one step, one clip and one use of each")

    @property
    def clip_count(self) -> int:
        """How many clips are rendered, at most."""
        if self.steps is None:
            return self.clips or 1
        return min(self.clips_for(self.steps - 1), self.clips or 2**31)

    def clips_for(self, step: int) -> int:
        """How many clips a stage's step, from 0, draws from: two batches at first, then as many as `reuse` asks for."""
        return 2 * self.batch_size + step * self.batch_size // self.reuse


@dataclass(frozen=True, kw_only=True)
class BaseConfig(TrainingSettings):
    """Pre-training of a base checkpoint on the procedural world; see `TrainingSettings` for what is not listed.

    Attributes:
        seed: also says which of `synth`'s training seeds are drawn.
    """

    size: ModelSize = field(default_factory=ModelSize)  # the transformer
    # pipeline whose autoencoder and weights it goes on from, a shipped one's name or a folder; None starts from nothing
    start: str | None = None
    stages: tuple[TrainingStage, ...]  # run one after the other; sizes usually grow
    autoencoder_clips: int = 96  # clips of the first and the last stage's size that the autoencoder is fitted to
    learning_rate: float = 3e-3  # peak, for matrices (Muon); everything else trains at `adam_ratio` of it (AdamW)
    adam_ratio: float = 0.5  # see `learning_rate`
    warmup_steps: int = 100
    decay_fraction: float = 0.25
    sampling_shift: float = 3.0  # timestep shift that the checkpoint samples with
    # share of clips trained with empty normals, so that the model knows what not being told means
    blank_normals: float = 0.1
    changed_weight: float = 3.0  # extra weight of the loss where the video differs from the photo
    ema: float = 0.998  # decay of the averaged weights that are kept
    starts: PreviewStarts = field(default_factory=PreviewStarts)  # how clips with a preview are trained on
    max_frames: int = 49  # longest clip that the checkpoint may be asked for
    sampling_steps: int = 4  # denoising steps that the checkpoint asks for
    init: Init = "preview"  # what its sampling starts from
    strength: float = 0.3  # noise level of that start, when it is the preview

    def __post_init__(self) -> None:
        if len({stage.steps is None for stage in self.stages}) != 1:
            raise ValueError("all stages of a run are of steps, or all of minutes")

    @property
    def total_steps(self) -> int | None:
        """Optimiser steps of all stages; None where they are of minutes."""
        steps = [stage.steps for stage in self.stages if stage.steps is not None]
        return sum(steps) if steps else None

    @property
    def total_minutes(self) -> float:
        """Of all stages; 0 where they are of steps."""
        return sum(stage.minutes or 0.0 for stage in self.stages)


def mini() -> BaseConfig:
    """A small base on two CPU cores, first shipped: small clips first, where motion is learned, then the full size."""
    return BaseConfig(
        stages=(
            TrainingStage(width=96, height=64, frames=33, batch_size=32, steps=800, shift=3.0, level_floor=0.25),
            TrainingStage(width=160, height=96, frames=33, batch_size=16, steps=330),
            TrainingStage(width=256, height=144, frames=49, batch_size=6, steps=300),
        )
    )


def refine() -> BaseConfig:
    """Goes on from the shipped base in more varied worlds, and with more weight on low noise.

    Starting from the preview leaves most of the picture to the low noise levels, which `mini` hardly looks at.
    """
    stage = partial(TrainingStage, shift=2.0, level_floor=0.25, varied=1.0)
    return BaseConfig(
        size=LARGER,
        start="mini-base",
        stages=(
            stage(width=160, height=96, frames=33, batch_size=16, steps=300),
            stage(width=256, height=144, frames=33, batch_size=8, steps=160),
            stage(width=256, height=144, frames=49, batch_size=4, steps=40),
        ),
        learning_rate=1e-3,
        warmup_steps=20,
        decay_fraction=0.6,
        seed=1,
    )


def mini_gpu() -> BaseConfig:
    """The shipped base of 22 M, from nothing, in six minutes of one large GPU with some fourteen cores beside it."""
    stage = partial(TrainingStage, level_floor=0.25, varied=0.4)
    return BaseConfig(
        size=LARGER,
        stages=(
            stage(width=160, height=96, frames=33, batch_size=128, minutes=1.35, clips=5000, shift=3.0),
            stage(width=256, height=144, frames=49, batch_size=48, minutes=2.0, clips=3000, shift=3.0),
            stage(width=384, height=208, frames=49, batch_size=16, minutes=2.5, clips=1600, shift=2.0),
        ),
        learning_rate=2e-3,
        decay_fraction=0.45,
        ema=0.999,
        seed=5,
    )


def mini_gpu_previews() -> BaseConfig:
    """Goes on from a 22 M base for eight minutes of one GPU, with half of the clips from previews of lifted meshes."""
    stage = partial(TrainingStage, level_floor=0.25, varied=0.4, lifted=0.3)
    return BaseConfig(
        size=LARGER,
        start="mini-base",
        stages=(
            stage(width=256, height=144, frames=49, batch_size=48, minutes=2.5, clips=1200, shift=3.0),
            stage(width=384, height=208, frames=49, batch_size=16, minutes=5.3, clips=1500, shift=2.5),
        ),
        learning_rate=1.5e-3,
        warmup_steps=50,
        decay_fraction=0.7,
        ema=0.998,
        seed=7,
    )


def smoke() -> BaseConfig:
    """A run of seconds that exercises every part; its checkpoint knows nothing."""
    return BaseConfig(
        size=ModelSize(heads=1, layers=2, ffn_dim=64, latent_channels=8),
        stages=(TrainingStage(width=48, height=32, frames=5, batch_size=4, steps=6, reuse=2),),
        autoencoder_clips=2,
        warmup_steps=2,
    )


RECIPES = {
    "mini": mini,
    "refine": refine,
    "mini-gpu": mini_gpu,
    "mini-gpu-previews": mini_gpu_previews,
    "smoke": smoke,
}
