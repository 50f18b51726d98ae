"""A control folder to the generated video, with a model that is loaded once."""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import sys
from collections import abc, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging
from torch import Tensor

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.control.reading import open_control
from real2sam2real.diffusion.conditioning import to_frames
from real2sam2real.diffusion.finishing import Finish, enlarged_size
from real2sam2real.diffusion.fitting import FittedControl, fit_control
from real2sam2real.diffusion.generate import stream_chunks
from real2sam2real.diffusion.latent_preview import LatentPreview, find_preview, write_preview_image
from real2sam2real.diffusion.loading import LoadedModel, load_model, locate, sampling_of
from real2sam2real.diffusion.options import GenerateOptions, ModelOptions
from real2sam2real.diffusion.pipeline import Finished, SegmentChunk, StepCallback, whole_segments
from real2sam2real.diffusion.presets import Preset, Sampling
from real2sam2real.diffusion.ranks import (
    from_main_rank,
    is_main_rank,
    launched_world,
    run_on_ranks,
    start_parallel,
    stop_parallel,
    tell_starter,
)
from real2sam2real.diffusion.sampling import schedule, scheduler_shift
from real2sam2real.diffusion.upscaling import load_upscaler
from real2sam2real.errors import UserError
from real2sam2real.run.progress import Advance, Progress, Relay, pass_on
from real2sam2real.run.rendering import CONTROL_PREVIEW
from real2sam2real.run.segments import SegmentStore, segments_folder
from real2sam2real.workfolder.fingerprint import fingerprint

_WAITING_FRAMES = 16
"""Decoded frames that may wait for the video's encoder: 44 MB at 1280×720."""
_CODE = ("control", "diffusion", "run/generating.py")


class Generator:
    """A loaded checkpoint that makes the videos of any number of control folders; use `load` to get one."""

    def __init__(self, options: GenerateOptions, model: LoadedModel, sampling: Sampling) -> None:
        self.options, self.model, self.sampling = options, model, sampling
        self._strength = model.settings.strength if options.strength is None else options.strength
        self._upscales = model.settings.upscale if options.upscale is None else options.upscale == "on"
        self._latent_preview: LatentPreview | None = None

    @classmethod
    def load(cls, options: GenerateOptions, progress: Progress) -> Generator:
        """Load the model that the options name.

        Raises:
            MissingPartError: something is not on this machine.
            UserError: a part cannot be used, or does not fit into memory.
        """
        logging.disable_progress_bar()  # diffusers would draw its own beside ours
        located = locate(options)
        if options.normal_convention is not None:
            convention = NormalConvention.preset(options.normal_convention)
            located = replace(located, settings=replace(located.settings, normal_convention=convention))
        sampling = sampling_of(options, located)
        model = load_model(
            located,
            memory=options.memory,
            attention=options.attention,
            offline=options.offline,
            sampling=sampling,
            compiled=options.compile,
            log=progress.info,
        )
        if sampling.guided and not model.reads_text:
            raise UserError(
                f"the checkpoint '{options.checkpoint}' reads no text, so that guidance (scale "
                f"{sampling.guidance_scale:g}) has nothing to go by; add --guidance 1, or choose no preset"
            )
        return cls(options, model, sampling)

    def to_file(
        self, control_folder: Path, path: Path, progress: Progress, *, segments: Path | None = None
    ) -> list[str]:
        """Generate the video of a control folder and write it to `path`, whole or not at all; returns notes.

        Of a long shot, finished segments are kept beside `path` until it is whole; the same call goes on after them.
        Where a folder for the `segments` is given, they are in that, and stay.

        Raises:
            UserError: the control cannot be used, or there is no preview to start from.
        """
        given = open_control(control_folder, from_official=self.sampling.as_script)
        control = fit_control(given, self.model.settings, self.sampling)
        preview, finish = self._preview(control_folder), None
        if self._upscales and is_main_rank():
            width, height = control.size
            if preview is None:
                width, height = enlarged_size(width, height)
            elif preview.info.width > width:
                width, height = preview.info.width, preview.info.height
            finish = Finish(width=width, height=height, upscaler=load_upscaler())
        with progress.bar("denoising") as advance:
            if len(self.sampling.plan(control.frames)) == 1:
                frames = self._frames(control, preview, advance)
                first = next(frames)  # before the file is begun, all has been denoised
                if is_main_rank():
                    self._write(path, chain([first], frames), control, preview, finish)
                else:
                    deque(frames, maxlen=0)
            else:
                inputs = (control_folder, *self.model.located.files)
                # With what "auto" came to: segments of two roundings must not meet in one video.
                settings = {**self.options.decisive(), "resolved": dict(self.model.resolved)}
                identity = fingerprint(code=_CODE, settings=settings, inputs=inputs)
                place = segments or segments_folder(path)
                store = SegmentStore(place, identity=identity, fps=control.fps) if is_main_rank() else None
                finished = self._agreed(Finished() if store is None else store.finished(), control)
                for segment in whole_segments(self._chunks(control, preview, finished, advance)):
                    if store is not None:
                        store.add(segment)
                if store is not None:
                    made = store.frames(len(self.sampling.plan(control.frames)))
                    self._write(path, made, control, preview, finish)
                    if segments is None:
                        store.remove()
        if self.options.preview_image is not None and is_main_rank():
            self.options.preview_image.unlink(missing_ok=True)
        return [
            *given.notes,
            *control.notes,
            *self.model.notes,
            self._made_how(control, preview),
            *(finish.notes() if finish else ()),
        ]

    def _write(
        self,
        path: Path,
        made: Iterable[UInt8],
        control: FittedControl,
        preview: media.VideoFrames | None,
        finish: Finish | None,
    ) -> None:
        """Write the generated frames, finished if they are to be."""
        if finish is not None:
            plan = self.sampling.plan(control.frames)
            segments = [(s, min(self.sampling.added(plan, k)[1], control.frames)) for k, s in enumerate(plan)]
            vae = self.model.pipeline.vae
            made = finish.frames(made, preview=preview, autoencoder=vae, segments=segments)
        media.write_video(path, made, control.fps, ahead=_WAITING_FRAMES)

    def _frames(self, control: FittedControl, preview: media.VideoFrames | None, advance: Advance) -> Iterator[UInt8]:
        """A video of one segment `(height, width, 3)` uint8, frame by frame as it is decoded."""
        for chunk in self._chunks(control, preview, Finished(), advance):
            yield from to_frames(chunk.video)

    def _chunks(
        self, control: FittedControl, preview: media.VideoFrames | None, finished: Finished, advance: Advance
    ) -> abc.Generator[SegmentChunk]:
        """The video's segments after the finished ones, in chunks; all frames follow on one another."""
        with self.model.memory_advice():
            yield from stream_chunks(
                self.model.pipeline,
                control,
                sampling=self.sampling,
                preview=preview,
                strength=self._strength,
                seed=self.options.seed,
                callback_on_step_end=self._observer(advance),
                callback_on_step_end_tensor_inputs=("estimate",),
                finished=finished,
                **self.model.prompts(control.prompt, guided=self.sampling.guided),
            )

    def _agreed(self, finished: Finished, control: FittedControl) -> Finished:
        """What rank 0 found finished, on every rank."""
        count = int(from_main_rank(torch.tensor(finished.segments)))
        if not count:
            return Finished()
        width, height = control.size
        nothing = torch.zeros(1, 3, self.sampling.overlap, height, width)
        return Finished(segments=count, tail=from_main_rank(nothing if finished.tail is None else finished.tail))

    def _observer(self, advance: Advance) -> StepCallback:
        def observe(pipeline: Any, step: int, timestep: Tensor, tensors: dict[str, Tensor]) -> None:
            steps = pipeline.num_timesteps
            if self.options.preview_image is not None and is_main_rank():
                self._latent_preview = self._latent_preview or find_preview(pipeline.vae)
                write_preview_image(self.options.preview_image, self._latent_preview, tensors["estimate"])
            advance(pipeline.segment * steps + step + 1, pipeline.num_segments * steps)

        return observe

    def _preview(self, control_folder: Path) -> media.VideoFrames | None:
        """What the video starts from, or None for noise."""
        if (self.options.init or ("noise" if self.sampling.as_script else self.model.settings.init)) == "noise":
            return None
        if self.sampling.as_script:
            raise UserError("the preset official starts from noise, as the official script does; leave --init out")
        path = control_folder / CONTROL_PREVIEW
        if path.is_file():
            return media.VideoFrames(path)
        if self.options.init is None:
            return None
        raise UserError(
            f"{control_folder} has no {CONTROL_PREVIEW} to start from; leave --init out, or render the scene"
        )

    def _made_how(self, control: FittedControl, preview: media.VideoFrames | None) -> str:
        width, height = control.size
        start = "from noise" if preview is None else f"from the preview's latents at strength {self._strength:g}"
        meant = preview is not None or self.sampling.as_script or self.options.init is not None
        if not meant and self.model.settings.init == "preview":
            start += f", because the control has no {CONTROL_PREVIEW}: expect far less"
        segments = len(self.sampling.plan(control.frames))
        preset = f"preset {self.sampling.name}, " if isinstance(self.sampling, Preset) else ""
        pieces = f"in {segments} segments, " if segments > 1 else ""
        passes = self.sampling.passes(control.frames)
        if preview is not None:  # from a partial start, the same stride takes fewer steps
            shift = scheduler_shift(self.model.pipeline.scheduler)
            steps = len(schedule(self.sampling.steps, shift, self._strength)) if self._strength < 1 else None
            passes = self.sampling.changed(steps, None).passes(control.frames)
        return (
            f"checkpoint '{self.options.checkpoint}', {width}×{height}, started {start}, {preset}{pieces}"
            f"{passes} passes, seed {self.options.seed}"
        )


def generate_to_file(
    control_folder: Path, options: GenerateOptions, path: Path, progress: Progress, *, segments: Path | None = None
) -> list[str]:
    """Load the model and write one control folder's video, on one GPU or several; see `Generator`.

    Several GPUs work on it where the options say so, or where torchrun has started this program on each of them.

    Raises:
        UserError: as `Generator`, or there are fewer GPUs than asked for.
    """
    open_control(control_folder)  # what is wrong with it is told before gigabytes are fetched and loaded
    if launched_world() > 1:
        start_parallel(options.gpus if options.gpus > 1 else None)
        try:
            return _on_this_rank(control_folder, options, path, progress.is_silent, False, segments)
        finally:
            stop_parallel()
    if options.gpus > 1:
        listener = progress.listener
        hear = None if listener is None else partial(pass_on, listener)
        work = (control_folder, options, path, progress.is_silent, listener is not None, segments)
        return run_on_ranks(options.gpus, _on_this_rank, work, hear=hear)
    return Generator.load(options, progress).to_file(control_folder, path, progress, segments=segments)


def _on_this_rank(
    control_folder: Path, options: GenerateOptions, path: Path, silent: bool, heard: bool, segments: Path | None = None
) -> list[str]:
    """One rank's part; rank 0 alone tells how far it is, to the process that started it where that has a listener."""
    stream = sys.stderr if is_main_rank() and not silent else None
    progress = Progress(stream, Relay(tell_starter) if is_main_rank() and heard else None)
    return Generator.load(options, progress).to_file(control_folder, path, progress, segments=segments)


def model_inputs(options: ModelOptions) -> tuple[Path, ...]:
    """Files and folders of the model, so that other weights mean another video."""
    return locate(options).files
