"""A control folder to the generated video."""

from __future__ import annotations

from pathlib import Path

from diffusers.utils import logging

from real2sam2real import media
from real2sam2real.control.folder import read_control
from real2sam2real.diffusion.checkpoints import find_checkpoint, load_settings
from real2sam2real.diffusion.generate import generate_video
from real2sam2real.errors import UserError
from real2sam2real.run.config import GenerateOptions
from real2sam2real.run.progress import Progress
from real2sam2real.run.rendering import CONTROL_PREVIEW


def generate_to_file(control_folder: Path, options: GenerateOptions, path: Path, progress: Progress) -> list[str]:
    """Generate the video of a control folder and write it for people to look at; returns notes.

    Raises:
        UserError: the control or the checkpoint cannot be used, or there is no preview to start from.
    """
    logging.disable_progress_bar()  # diffusers would draw its own beside ours
    control = read_control(control_folder)
    settings = load_settings(find_checkpoint(options.checkpoint))
    init = options.init or settings.init
    strength = settings.strength if options.strength is None else options.strength
    preview = None
    if init == "preview":
        if not (control_folder / CONTROL_PREVIEW).is_file():
            raise UserError(
                f"{control_folder} has no {CONTROL_PREVIEW} to start from (a motion transfer has none); "
                "use --init noise, or render the scene again"
            )
        preview = media.read_video(control_folder / CONTROL_PREVIEW)
    with progress.bar("denoising") as advance:
        frames = generate_video(
            control,
            checkpoint=options.checkpoint,
            preview=preview,
            init=init,
            strength=strength,
            steps=options.steps,
            seed=options.seed,
            progress=advance,
        )
    media.write_video(path, frames, control.fps)
    start = f"from the preview's latents at strength {strength:g}" if preview is not None else "from noise"
    height, width = frames.shape[1:3]
    return [f"checkpoint '{options.checkpoint}', {width}×{height}, started {start}, seed {options.seed}"]


def checkpoint_inputs(checkpoint: str) -> tuple[Path, ...]:
    """The checkpoint's folder, so that other weights mean another video."""
    return (find_checkpoint(checkpoint),)


def longest_clip(checkpoint: str) -> int:
    """The most frames that the checkpoint generates in one pass."""
    return load_settings(find_checkpoint(checkpoint)).max_frames
