"""The stages of curation. Each is made once in a worker and then called with one source after the other."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.curate.captions import load_captioner
from real2sam2real.lab.curate.fitting import fitted_frame, pieces
from real2sam2real.lab.curate.gate import measure
from real2sam2real.lab.curate.instances import Instances, Mark, load_tracker
from real2sam2real.lab.curate.normals import load_estimator
from real2sam2real.lab.curate.pipeline.settings import CurationSettings, Shots
from real2sam2real.lab.curate.pipeline.work import Piece, Work
from real2sam2real.lab.curate.shots import Shot, find_shots


class Stage(ABC):
    """One stage.

    Attributes:
        name: as in the timings.
        uses_gpu: whether it is faster with one.

    Raises:
        MissingPartError: what it needs is not installed.
    """

    name: str
    uses_gpu = False

    def __init__(self, settings: CurationSettings) -> None:
        self._settings = settings

    def __call__(self, work: Work) -> Work:
        """Do it, unless the source has failed already; a failure of this source is written into it.

        Raises:
            MissingPartError: a part is missing, which fails every source alike.
        """
        started = time.perf_counter()
        if work.failure is None:
            try:
                self.do(work)
            except MissingPartError:
                raise
            except UserError as error:
                work.failure = str(error)
            except Exception as error:  # whatever a codec or a network throws at one source leaves the others alone
                work.failure = f"{self.name}: unexpected {type(error).__name__}: {error}"
        work.seconds[self.name] = time.perf_counter() - started
        return work

    @abstractmethod
    def do(self, work: Work) -> None:
        """Fill in what this stage finds."""


class Cutting(Stage):
    """Decode, find the shots, cut clips from them, and drop those of no use."""

    name = "cutting"

    def do(self, work: Work) -> None:
        """See `Stage.do`."""
        settings, source = self._settings, work.source
        if source.problem is not None:
            raise UserError(source.problem)
        path = Path(source.path)
        info = media.video_info(path)
        work.size, work.fps = (info.width, info.height), info.fps
        if info.fps <= 0:
            raise UserError(f"{path} does not say how many frames it has a second; write it again with a rate")
        plan = []
        for number, shot in enumerate(_shots(path, settings.shots)):
            inside = [m.frame for m in source.marks if shot.first <= m.frame < shot.first + shot.count]
            cut = pieces(shot.first, shot.count, info.fps, settings.fit, anchor=min(inside, default=None))
            plan += [(number, numbers) for numbers in cut]
            if not cut:
                work.reasons.append(_why_no_clip(number, shot, info.fps, settings))
        frames = _wanted_frames(path, {int(n) for _, numbers in plan for n in numbers}, settings)
        for index, (number, numbers) in enumerate(plan):
            video = np.stack([frames[int(n)] for n in numbers])
            piece = Piece(key=f"{source.key}-{index:03d}", shot=number, numbers=numbers, video=video)
            quality = measure(video)
            piece.quality = asdict(quality)
            piece.drop(*quality.reasons(settings.gate))
            work.pieces.append(piece)


class Masking(Stage):
    """Follow the instances through the clips."""

    name = "masks"
    uses_gpu = True

    def __init__(self, settings: CurationSettings) -> None:
        super().__init__(settings)
        tracker = partial(load_tracker, settings.masks)
        self._tracker = tracker(text=settings.text) if settings.text else tracker()

    def do(self, work: Work) -> None:
        """See `Stage.do`."""
        for _, shot in groupby(work.pieces, key=lambda piece: piece.shot):
            self._follow(list(shot), work)
        for piece in work.kept:
            if piece.ids is None:
                piece.drop("nothing is marked in this shot; mark an instance on one of its frames")
            else:
                piece.drop(*without_useless(piece, self._settings))

    def _follow(self, shot: list[Piece], work: Work) -> None:
        """Track from the clip that is marked, and hand the masks on to the clips of the shot before and after it."""
        marked = [(index, self._marks_on(piece, work)) for index, piece in enumerate(shot) if piece.kept]
        if self._settings.text and not work.source.marks:
            for index, _ in marked:
                self._fill(shot[index], ())
            return
        first = next(((index, marks) for index, marks in marked if marks), None)
        if first is None:
            return
        self._fill(shot[first[0]], first[1])
        for step in (1, -1):
            index = first[0] + step
            while 0 <= index < len(shot) and shot[index].kept:
                marks = _handed_on(shot[index - step], forward=step > 0, frames=len(shot[index].video))
                if not marks:
                    break
                self._fill(shot[index], marks)
                index += step

    def _marks_on(self, piece: Piece, work: Work) -> list[Mark]:
        fit, found = self._settings.fit, []
        for mark in work.source.marks:
            distance = np.abs(piece.numbers - mark.frame)
            nearest = int(distance.argmin())
            # The frame itself may have been left out by the change of rate; its neighbour shows nearly the same.
            if distance[nearest] <= max(1.0, work.fps / fit.fps / 2):
                found.append(mark.on_clip(nearest, work.size, fit))
        return found

    def _fill(self, piece: Piece, marks: Sequence[Mark]) -> None:
        found: Instances = self._tracker.track(piece.video, list(marks))
        piece.ids, piece.labels = found.ids, dict(found.labels)


class Normals(Stage):
    """Estimate normals, and keep those of the instances."""

    name = "normals"
    uses_gpu = True

    def __init__(self, settings: CurationSettings) -> None:
        super().__init__(settings)
        self._estimator = load_estimator(settings.normals)

    def do(self, work: Work) -> None:
        """See `Stage.do`."""
        for piece in work.kept:
            assert piece.ids is not None
            normals = self._estimator.estimate(piece.video, piece.ids)
            piece.normals = np.asarray(normals * (piece.ids > 0)[..., None], np.float32)


class Captions(Stage):
    """Say what the clips show."""

    name = "captions"
    uses_gpu = True

    def __init__(self, settings: CurationSettings) -> None:
        super().__init__(settings)
        self._captioner = load_captioner(settings.captions)

    def do(self, work: Work) -> None:
        """See `Stage.do`."""
        for piece in work.kept:
            piece.caption = work.source.caption or self._captioner.caption(piece.video, piece.labels)


STAGES: tuple[type[Stage], ...] = (Cutting, Masking, Normals, Captions)


def without_useless(piece: Piece, settings: CurationSettings) -> list[str]:
    """Take instances out of a clip that are too small, too large or hardly there; why the clip is left without any."""
    assert piece.ids is not None
    limits, reasons, kept = settings.limits, [], {}
    for number, label in piece.labels.items():
        areas = (piece.ids == number).mean(axis=(1, 2))
        seen = areas > 0
        area = float(np.median(areas[seen])) if seen.any() else 0.0
        if seen.mean() < limits.min_seen:
            reasons.append(f"'{label}' is seen in {seen.mean():.0%} of the frames, less than {limits.min_seen:.0%}")
        elif not limits.min_area <= area <= limits.max_area:
            allowed = f"{limits.min_area:.1%} to {limits.max_area:.0%} are allowed"
            reasons.append(f"'{label}' takes {area:.1%} of the picture; {allowed}")
        else:
            kept[number] = label
    piece.ids = np.where(np.isin(piece.ids, [*kept]), piece.ids, 0).astype(np.uint8)
    piece.labels = kept
    piece.quality["instances"] = float(len(kept))
    return [] if kept else reasons or ["no instance was found"]


def _shots(path: Path, how: Shots) -> list[Shot]:
    if how == "detect":
        return find_shots(path)
    return [Shot(first=0, count=len(media.VideoFrames(path)))]


def _wanted_frames(path: Path, wanted: set[int], settings: CurationSettings) -> dict[int, UInt8]:
    """Fitted frames of a video by number."""
    frames = {}
    for number, frame in enumerate(_colored(path)):
        if number in wanted:
            frames[number] = fitted_frame(frame, settings.fit)
    return frames


def _colored(path: Path) -> Iterator[UInt8]:
    for frame in media.iterate_video(path):
        yield frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)


def _why_no_clip(number: int, shot: Shot, fps: float, settings: CurationSettings) -> str:
    fit = settings.fit
    if fps < fit.fps and not pieces(0, 10**6, fps, fit):
        return f"shot {number + 1}: {fps:g} frames per second are too few for {fit.fps:g}"
    needed = fit.frames / fit.fps
    return f"shot {number + 1}: too short, {shot.count / fps:.1f} s of {needed:.1f} s"


def _handed_on(neighbour: Piece, *, forward: bool, frames: int) -> list[Mark]:
    """Marks for the next clip of a shot: the masks that its neighbour ends or begins with."""
    if neighbour.ids is None:
        return []
    masks, at = (neighbour.ids[-1], 0) if forward else (neighbour.ids[0], frames - 1)
    return [
        Mark(label=label, frame=at, mask=masks == number)
        for number, label in neighbour.labels.items()
        if (masks == number).any()
    ]
