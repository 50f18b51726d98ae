"""The stages of curation. Each is made once in a worker and then called with one source after the other."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Int, UInt8
from real2sam2real.errors import MissingPartError, NoRoomError, UserError
from real2sam2real.lab.curate.captions import load_captioner
from real2sam2real.lab.curate.clip_format import ClipFormat, clip_frames, fitted_frame
from real2sam2real.lab.curate.instances.embedded import EmbeddedTracker
from real2sam2real.lab.curate.instances.interface import InstancePrompt, Instances
from real2sam2real.lab.curate.instances.loading import load_tracker
from real2sam2real.lab.curate.instances.quality import InstanceQuality
from real2sam2real.lab.curate.normals.estimator import load_estimator
from real2sam2real.lab.curate.pipeline.job import Clip, CurationJob
from real2sam2real.lab.curate.pipeline.settings import CurationSettings
from real2sam2real.lab.curate.prompts import SourcePrompt, fitted_mask
from real2sam2real.lab.curate.quality import measure
from real2sam2real.lab.curate.shots import colored_frames, find_shots


class CurationStage(ABC):
    """One stage.

    Raises:
        MissingPartError: what it needs is not installed.
    """

    name: str  # as in the timings

    def __init__(self, settings: CurationSettings) -> None:
        self._settings = settings

    def __call__(self, job: CurationJob) -> None:
        """Do it, unless the source has failed already; a failure of this source is written into it.

        Raises:
            MissingPartError: a part is missing, which fails every source alike.
            NoRoomError: no source more can be written.
        """
        started = time.perf_counter()
        if job.failure is None:
            try:
                self._do(job)
            except (MissingPartError, NoRoomError):
                raise
            except UserError as error:
                job.failure = str(error)
            except Exception as error:  # whatever a codec or a network throws at one source leaves the others alone
                job.failure = f"{self.name}: unexpected {type(error).__name__}: {error}"
        job.seconds[self.name] = time.perf_counter() - started

    @abstractmethod
    def _do(self, job: CurationJob) -> None:
        """Fill in what this stage finds."""


class Cutting(CurationStage):
    """Decode, find the shots, cut clips from them, and drop those of no use."""

    name = "cutting"

    def _do(self, job: CurationJob) -> None:
        settings, source = self._settings, job.source
        if source.problem is not None:
            raise UserError(source.problem)
        path = Path(source.path)
        info = media.video_info(path)
        job.size, job.fps, job.notes = (info.width, info.height), info.fps, info.notes
        if info.fps <= 0:
            raise UserError(f"{path} does not say how many frames it has a second; write it again with a rate")
        shots = find_shots(path) if settings.shots == "detect" else [range(info.frames)]
        plan = self._plan(job, shots, media.video_timeline(path).shown)
        wanted = {int(n) for _, numbers in plan for n in numbers}
        boxed = {prompt.frame for prompt in source.prompts if prompt.box is not None}
        frames: dict[int, UInt8] = {}
        for n, frame in enumerate(colored_frames(path)):
            if n in wanted:
                frames[n] = fitted_frame(frame, settings.clip_format)
            if n in boxed:
                job.marked[n] = frame
        for index, (number, numbers) in enumerate(plan):
            video = np.stack([frames[int(n)] for n in numbers])
            clip = Clip(key=f"{source.key}-{index:03d}", shot=number, numbers=numbers, video=video)
            quality = measure(video)
            clip.quality = asdict(quality)
            clip.drop(*quality.reasons(settings.quality_filter))
            job.clips.append(clip)

    def _plan(self, job: CurationJob, shots: Sequence[range], shown: Int) -> list[tuple[int, Int]]:
        """Number of shot and `(T,)` frames of each clip; `shown` `(frames,)` is the stored frame behind each frame."""
        clip_format, plan = self._settings.clip_format, []
        for number, shot in enumerate(shots):
            inside = [prompt.frame for prompt in job.source.prompts if prompt.frame in shot]
            cut = clip_frames(shot, job.fps, clip_format, anchor=min(inside, default=None))
            if not cut:
                job.reasons.append(_why_no_clip(number, shot, job.fps, clip_format))
            filmed = [numbers for numbers in cut if clip_format.are_enough(len(np.unique(shown[numbers])))]
            if len(filmed) < len(cut):
                held = f"{len(cut) - len(filmed)} of {len(cut)} clips hold frames for want of filmed ones"
                job.reasons.append(f"shot {number + 1}: {held}")
            plan += [(number, numbers) for numbers in filmed]
        return plan


class Masking(CurationStage):
    """Follow the instances through the clips."""

    name = "masks"

    def __init__(self, settings: CurationSettings) -> None:
        super().__init__(settings)
        self._tracker = load_tracker(settings.masks, settings.text)

    def _do(self, job: CurationJob) -> None:
        for _, shot in groupby(job.clips, key=lambda clip: clip.shot):
            self._follow(list(shot), job)
        job.marked.clear()
        for clip in job.kept:
            if clip.ids is None:
                clip.drop("nothing is marked in this shot; mark an instance on one of its frames")
            else:
                clip.drop(*without_useless(clip, self._settings))

    def _follow(self, shot: list[Clip], job: CurationJob) -> None:
        """Track from the clip that is marked, and hand the masks on to the clips of the shot before and after it."""
        marked = [(index, self._prompts_on(clip, job)) for index, clip in enumerate(shot) if clip.kept]
        if self._settings.text and not job.source.prompts:
            for index, _ in marked:
                self._fill(shot[index], ())
            return
        first = next(((index, prompts) for index, prompts in marked if prompts), None)
        if first is None:
            return
        self._fill(shot[first[0]], [self._cut_out(source, prompt, job) for source, prompt in first[1]])
        shot[first[0]].boxes = {n: prompt.box for n, (_, prompt) in enumerate(first[1], 1) if prompt.box is not None}
        for step in (1, -1):
            index = first[0] + step
            while 0 <= index < len(shot) and shot[index].kept:
                prompts = _handed_on(shot[index - step], forward=step > 0, frames=len(shot[index].video))
                if not prompts:
                    break
                self._fill(shot[index], prompts)
                index += step

    def _prompts_on(self, clip: Clip, job: CurationJob) -> list[tuple[SourcePrompt, InstancePrompt]]:
        """What is shown on the clip: as on the source, and as on the clip."""
        clip_format, found = self._settings.clip_format, []
        for prompt in job.source.prompts:
            distance = np.abs(clip.numbers - prompt.frame)
            nearest = int(distance.argmin())
            # The frame itself may have been left out by the change of rate; its neighbour shows nearly the same.
            if distance[nearest] <= max(1.0, job.fps / clip_format.fps / 2):
                found.append((prompt, prompt.on_clip(nearest, job.size, clip_format)))
        return found

    def _cut_out(self, source: SourcePrompt, prompt: InstancePrompt, job: CurationJob) -> InstancePrompt:
        """A box as a mask, where the tracker takes masks alone: out of the frame as filmed, which is often larger."""
        if source.box is None or not isinstance(self._tracker, EmbeddedTracker):
            return prompt
        mask = fitted_mask(self._tracker.cut_out(job.marked[source.frame], source.box), self._settings.clip_format)
        return replace(prompt, box=None, mask=mask) if mask.any() else prompt

    def _fill(self, clip: Clip, prompts: Sequence[InstancePrompt]) -> None:
        found: Instances = self._tracker.track(clip.video, list(prompts))
        clip.ids, clip.labels = found.ids, dict(found.labels)
        clip.shown_on = {number: prompt.frame for number, prompt in enumerate(prompts, 1)}


class NormalEstimation(CurationStage):
    """Estimate normals, and keep those of the instances."""

    name = "normals"

    def __init__(self, settings: CurationSettings) -> None:
        super().__init__(settings)
        self._estimator = load_estimator(settings.normals)

    def _do(self, job: CurationJob) -> None:
        for clip in job.kept:
            assert clip.ids is not None
            normals = self._estimator.estimate(clip.video, clip.ids)
            clip.normals = np.asarray(normals * (clip.ids > 0)[..., None], np.float32)


class Captioning(CurationStage):
    """Say what the clips show."""

    name = "captions"

    def __init__(self, settings: CurationSettings) -> None:
        super().__init__(settings)
        self._captioner = load_captioner(settings.captions)

    def _do(self, job: CurationJob) -> None:
        for clip in job.kept:
            clip.caption = job.source.caption or self._captioner.caption(clip.video, clip.labels)


STAGES: tuple[type[CurationStage], ...] = (Cutting, Masking, NormalEstimation, Captioning)


def without_useless(clip: Clip, settings: CurationSettings) -> list[str]:
    """Take instances out of a clip that were not followed well; why the clip is left without any."""
    assert clip.ids is not None
    reasons, kept = [], {}
    for number, label in clip.labels.items():
        quality = InstanceQuality.measure(
            clip.ids, number, frame=clip.shown_on.get(number, 0), box=clip.boxes.get(number)
        )
        against = quality.reasons(label, settings.limits)
        measured = {name: None if value is None else round(value, 4) for name, value in asdict(quality).items()}
        clip.instances.append({"label": label, **measured, "dropped": against})
        reasons += against
        if not against:
            kept[number] = label
    clip.ids = np.where(np.isin(clip.ids, [*kept]), clip.ids, 0).astype(np.uint8)
    clip.labels = kept
    clip.quality["instances"] = float(len(kept))
    return [] if kept else reasons or ["no instance was found"]


def _why_no_clip(number: int, shot: range, fps: float, clip_format: ClipFormat) -> str:
    if fps < clip_format.fps and not clip_frames(range(10**6), fps, clip_format):
        return f"shot {number + 1}: {fps:g} frames per second are too few for {clip_format.fps:g}"
    needed = clip_format.frames / clip_format.fps
    return f"shot {number + 1}: too short, {len(shot) / fps:.1f} s of {needed:.1f} s"


def _handed_on(neighbour: Clip, *, forward: bool, frames: int) -> list[InstancePrompt]:
    """Marks for the next clip of a shot: the masks that its neighbour ends or begins with."""
    if neighbour.ids is None:
        return []
    masks, at = (neighbour.ids[-1], 0) if forward else (neighbour.ids[0], frames - 1)
    return [
        InstancePrompt(label=label, frame=at, mask=masks == number)
        for number, label in neighbour.labels.items()
        if (masks == number).any()
    ]
