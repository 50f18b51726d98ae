"""Complete configurations of training runs, as functions: a recipe is code that returns a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from real2sam2real.diffusion.options import Init
from real2sam2real.lab.train.training import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Size of the transformer."""

    heads: int = 4  # attention heads of 64 channels each
    layers: int = 7  # number of blocks
    ffn_dim: int = 768  # hidden width of the feed-forward layers
    latent_channels: int = 48  # z of the autoencoder


@dataclass(frozen=True, kw_only=True)
class TrainingStage:
    """A stretch of training at one clip size."""

    width: int  # pixels, a multiple of 16
    height: int  # pixels, a multiple of 16
    frames: int  # T = 4k + 1
    batch_size: int  # clips per step
    steps: int  # optimiser steps
    reuse: int = 2  # how often each clip is drawn, on average
    # timestep shift of the noise levels drawn; more of it trains more at high noise, where layout is decided
    shift: float = 5.0
    # noise levels under it weigh like it, where the sample's error is turned into the velocity's
    level_floor: float = 0.5
    varied: bool = False  # draw worlds from `synth.varied_world()` in place of the default ones

    def __post_init__(self) -> None:
        if self.width % 16 or self.height % 16:
            raise ValueError(f"stage size {self.width}×{self.height}: both must be multiples of 16")
        if self.frames % 4 != 1:
            raise ValueError(f"stage of {self.frames} frames: the number of frames must be 4k + 1")
        if min(self.batch_size, self.steps, self.reuse) < 1:
            raise ValueError("a stage needs at least one clip per step, one step and one use of each clip")


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
    clips_per_shard: int = 96  # clips rendered and encoded at a time
    max_frames: int = 49  # longest clip that the checkpoint may be asked for
    sampling_steps: int = 4  # denoising steps that the checkpoint asks for
    init: Init = "preview"  # what its sampling starts from
    strength: float = 0.3  # noise level of that start, when it is the preview

    @property
    def total_steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)


def mini() -> BaseConfig:
    """The shipped checkpoint: small clips first, where most of the motion is learned, then the full size."""
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
    stage = partial(TrainingStage, shift=2.0, level_floor=0.25, varied=True)
    return BaseConfig(
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


def smoke() -> BaseConfig:
    """A run of seconds that exercises every part; its checkpoint knows nothing."""
    return BaseConfig(
        size=ModelSize(heads=1, layers=2, ffn_dim=64, latent_channels=8),
        stages=(TrainingStage(width=48, height=32, frames=5, batch_size=4, steps=6, reuse=2),),
        autoencoder_clips=2,
        warmup_steps=2,
        clips_per_shard=4,
    )


RECIPES = {"mini": mini, "refine": refine, "smoke": smoke}
