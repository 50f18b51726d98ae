"""A control folder to the generated video, with a model that is loaded once."""

from __future__ import annotations

from pathlib import Path

from diffusers.utils import logging

from real2sam2real import media
from real2sam2real.control.folder import DESCRIPTION, read_control
from real2sam2real.diffusion.checkpoints import CheckpointSettings, find_checkpoint, load_pipeline, load_settings
from real2sam2real.diffusion.generate import check_length, generate_frames
from real2sam2real.diffusion.pipeline import Real2Sam2RealPipeline
from real2sam2real.errors import UserError
from real2sam2real.run.config import GenerateOptions
from real2sam2real.run.progress import Progress
from real2sam2real.run.rendering import CONTROL_PREVIEW


class Generator:
    """A loaded checkpoint that makes the videos of any number of control folders; use `load` to get one."""

    def __init__(self, options: GenerateOptions, settings: CheckpointSettings, pipeline: Real2Sam2RealPipeline) -> None:
        self.options, self.settings, self._pipeline = options, settings, pipeline

    @classmethod
    def load(cls, options: GenerateOptions, progress: Progress) -> Generator:
        """Load the checkpoint that the options name.

        Raises:
            UserError: it is missing or cannot be used.
        """
        logging.disable_progress_bar()  # diffusers would draw its own beside ours
        folder = find_checkpoint(options.checkpoint)
        return cls(options, load_settings(folder), load_pipeline(folder))

    def to_file(self, control_folder: Path, path: Path, progress: Progress, seed: int | None = None) -> list[str]:
        """Generate the video of a control folder and write it, whole or not at all; returns notes.

        Args:
            control_folder: as `r2s2r render` makes it, or with the three official files alone.
            path: the video to write, for people to look at.
            progress: where it says what it does.
            seed: of the noise; None takes the options' own.

        Raises:
            UserError: the control cannot be used, or there is no preview to start from.
        """
        seed = self.options.seed if seed is None else seed
        control = read_control(control_folder, from_official=not (control_folder / DESCRIPTION).is_file())
        check_length(control, self.settings, self.options.checkpoint)
        init = self.options.init or self.settings.init
        strength = self.settings.strength if self.options.strength is None else self.options.strength
        preview = None
        if init == "preview":
            if not (control_folder / CONTROL_PREVIEW).is_file():
                raise UserError(
                    f"{control_folder} has no {CONTROL_PREVIEW} to start from (a motion transfer and the official "
                    "input have none); use --init noise, or render the scene again"
                )
            preview = media.read_video(control_folder / CONTROL_PREVIEW)
        with progress.bar("denoising") as advance:
            frames = generate_frames(
                self._pipeline,
                self.settings,
                control,
                preview=preview,
                init=init,
                strength=strength,
                steps=self.options.steps,
                seed=seed,
                progress=advance,
            )
        media.write_video(path, frames, control.fps)
        start = f"from the preview's latents at strength {strength:g}" if preview is not None else "from noise"
        height, width = frames.shape[1:3]
        made = f"checkpoint '{self.options.checkpoint}', {width}×{height}, started {start}, seed {seed}"
        return [*control.notes, made]


def generate_to_file(control_folder: Path, options: GenerateOptions, path: Path, progress: Progress) -> list[str]:
    """Load the checkpoint and write one control folder's video; see `Generator`."""
    return Generator.load(options, progress).to_file(control_folder, path, progress)


def checkpoint_inputs(checkpoint: str) -> tuple[Path, ...]:
    """The checkpoint's folder, so that other weights mean another video."""
    return (find_checkpoint(checkpoint),)


def longest_clip(checkpoint: str) -> int:
    """The most frames that the checkpoint generates in one pass."""
    return load_settings(find_checkpoint(checkpoint)).max_frames
