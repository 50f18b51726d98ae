"""What a user may choose about the shot, a batch and a whole run. Light: no array is touched here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.options import OptionalPath, Texts
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions, named_file

DEFAULT_FRAMES = 49
DEFAULT_FPS = 16.0


@dataclass(frozen=True, kw_only=True)
class ShotOptions:
    """What happens: a shot file, or short moves on the command line; both can be combined."""

    shot: Annotated[OptionalPath, arg(metavar="FILE", help_behavior_hint="")] = None
    """A shot file (YAML); docs/shots.md describes it."""
    camera: Annotated[Texts, arg(metavar="MOVES")] = ()
    """Camera moves in words, such as "orbit 30deg around cup; dolly in 0.5"."""
    move: Annotated[Texts, arg(metavar="NAME:MOVES")] = ()
    """An object's moves in words, such as "cup: right 0.5, turn 90deg"."""
    remove: Annotated[Texts, arg(metavar="NAME")] = ()
    """Take an object out of the photo."""
    frames: Annotated[int | None, arg(metavar="T", help_behavior_hint="(default: as the shot file says, else 49)")] = (
        None
    )
    """Number of frames, 4k + 1."""
    fps: Annotated[float | None, arg(metavar="FPS", help_behavior_hint="(default: as the shot file says, else 16)")] = (
        None
    )
    """Frames per second."""
    prompt: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """What the video shows, for checkpoints that read text."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Many shots at once: see docs/batches.md."""

    ray: bool = False
    """Spread the shots over all GPUs by Ray."""
    workers: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one per GPU, else one)")] = None
    """With --ray: processes that each hold the model."""
    ray_address: Annotated[
        str | None, arg(metavar="HOST:PORT", help_behavior_hint="(default: $RAY_ADDRESS, else this machine alone)")
    ] = None
    """The Ray cluster to join; implies --ray."""
    retries: Annotated[int, arg(metavar="N")] = 2
    """How often a shot is tried again after its worker died or failed unexpectedly."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers {self.workers} is too few; at least 1 is needed")
        if self.workers is not None and not self.uses_ray:
            raise UserError(f"--workers {self.workers} needs --ray; without it, shots are made one after another")
        if self.retries < 0:
            raise UserError(f"--retries {self.retries} is negative; 0 tries every shot once")

    @property
    def uses_ray(self) -> bool:
        """True if Ray is asked for, by its switch or by an address."""
        return self.ray or self.ray_address is not None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run makes; it is stored in run.json."""

    photo: Path
    objects: SegmentOptions
    shot: ShotOptions
    generate: GenerateOptions
    view: ViewOptions = field(default_factory=ViewOptions)
    lift: LiftOptions = field(default_factory=LiftOptions)
    size: str | None = None
    inpaint: str = "patches"
    preview_only: bool = False
    draft: bool = False

    @property
    def stops_at_preview(self) -> bool:
        """True if no control is rendered and no video generated."""
        return self.preview_only or self.draft

    @property
    def named_files(self) -> tuple[Path, ...]:
        """Files and folders of masks, meshes and depth that the options name, without the names before them."""
        depth = () if self.view.depth_file is None else (self.view.depth_file,)
        return (*self.objects.files, *(named_file(item)[1] for item in self.lift.mesh), *depth)
