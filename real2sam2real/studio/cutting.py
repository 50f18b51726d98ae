"""Looks at photos for the studio in a process of its own, which stays warm: `python -m real2sam2real.studio.cutting`.

It reads lines of JSON from standard input, one question each, and answers each with one line on standard output:

    {"photo": path, "kept": folder, "segmenter": name, "ask": kind, …}   a question, see `ANSWERS`
    {"answer": values} or {"error": text}

A photo is opened once, and what boxes and points cut out of it is kept in the folder, as `r2s2r run` does. While no
question waits, it looks at what lifting will want to know and keeps that, too. When standard input ends, so does the
process.
"""

from __future__ import annotations

import base64
import queue
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError, first_line
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.perceive.camera.depth_file import read_depth_file
from real2sam2real.perceive.camera.estimate import estimate_camera
from real2sam2real.perceive.camera.gravity import pitch_roll_of
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.camera.vanishing import StraightEdges, pitch_of_edges
from real2sam2real.perceive.segment.bystanders import foresee_bystanders
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.nanodet import ScoredBox
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.overlaps import MaskRequest, collect_masks
from real2sam2real.perceive.segment.points import obeying
from real2sam2real.perceive.segment.segmenter import OpenedPhoto, Segmenter
from real2sam2real.perceive.segment.things import words_of
from real2sam2real.run.kept_lifting import kept_shapes, kept_things
from real2sam2real.run.kept_masks import KeptMasks
from real2sam2real.run.photo import WorkingPhoto, read_photo
from real2sam2real.studio.asked import Questions
from real2sam2real.workfolder.kept import KeptResults

LIFT = "lift"
"""In the folder of what is kept: what the lift keeps."""
_MOST_OPEN = 2  # photos
_LOOKING = ThreadPoolExecutor(1, "looking")


@dataclass(eq=False)
class CutPhoto:
    """A photo that questions are asked about. Points and boxes are in pixels of its file."""

    path: Path
    kept: Path  # folder of masks that were cut out before
    segmenter: Segmenter

    @cached_property
    def working(self) -> WorkingPhoto:
        """The photo as all stages use it."""
        return read_photo(self.path)

    @cached_property
    def opened(self) -> OpenedPhoto:
        """Ready to be asked."""
        pixels = self.working.photo.pixels
        options = self.segmenter.options
        return KeptMasks(self.segmenter.open(pixels), pixels, options, KeptResults(self.kept / "masks"))

    @cached_property
    def _things(self) -> Future[list[ScoredBox]]:
        """What things there are, looked for in a thread of its own: masks need not wait for their words."""
        return _LOOKING.submit(kept_things, self.working.photo.pixels, kept_shapes(self.kept / LIFT))

    def _words_of(self, masks: Mapping[str, Mask]) -> dict[str, str]:
        return words_of(masks, self._things.result())

    def warm(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Open the photo, begin to look at all of it, and load what masks need; its size, and its pixels per file's."""
        _ = self._things
        self.segmenter.warm_up()
        photo, shrink = self.working.photo, self.working.shrink
        return {"size": [photo.width, photo.height], "shrink": shrink}

    def foresee(self) -> Iterator[None]:
        """Look at what lifting will want to know, a part of a second's work at each step."""
        pixels, kept = self.working.photo.pixels, kept_shapes(self.kept / LIFT)
        yield from foresee_bystanders(pixels, self._things.result(), kept)

    def rest(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Foresee nothing more until the next question: the lift itself has begun."""
        return {}

    def cut(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The object in a box, or at points, or both: `mask`; and what it is, or "" (`word`)."""
        shrink, _ = self.working.shrink, self._things
        box = None if question["box"] is None else [round(value) * shrink for value in question["box"]]
        inside, outside = (np.reshape(question[name], (-1, 2)) * shrink for name in ("inside", "outside"))
        if len(inside) or len(outside):
            mask = self.opened.from_points(inside, outside, box)
        elif box is not None:
            mask = self.opened.from_box(box)
        else:
            raise UserError("neither a box nor a point is given; draw one")
        return {"mask": packed(mask), "word": self._words_of({"it": mask}).get("it", "")}

    def adjust(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """A mask that no box gave, changed as far as it takes to obey points: `mask`."""
        shrink, photo = self.working.shrink, self.working.photo
        mask = unpacked(question["mask"], (photo.width, photo.height))
        inside, outside = (np.reshape(question[name], (-1, 2)) * shrink for name in ("inside", "outside"))
        return {"mask": packed(obeying(photo.pixels, mask, mask.astype(np.float32), inside, outside))}

    def find(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """What words name, or what stands out, beside the `masks` that are marked: `found`, and `notes`."""
        photo, words = self.working.photo, [word for word in question["words"] if word.strip()]
        known = {name: unpacked(mask, (photo.width, photo.height)) for name, mask in question["masks"].items()}
        found = self.opened.from_text(words) if words else self.opened.propose()
        masks = collect_masks(
            _Found(self.opened, found), MaskRequest(masks=known, words=dict.fromkeys(words, ""), propose=not words)
        )
        new = {name: mask for name, mask in masks.items() if name not in known}
        return {
            "found": [_told(name, mask, found) for name, mask in new.items()],
            "notes": [note for note in masks.notes if "pixels" not in note],
        }

    def view(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The camera as the photo tells it: `focal` in pixels of its file, `pitch` and `roll` in degrees, or None."""
        photo, shrink = self.working.photo, self.working.shrink
        masks = {name: unpacked(mask, (photo.width, photo.height)) for name, mask in question["masks"].items()}
        seen = estimate_camera(photo, masks, ViewOptions(offline=True))
        pitch, roll = (None, None) if seen.up_camera is None else pitch_roll_of(seen.up_camera)
        if pitch is None:
            pitch = _pitch_of_edges(photo.pixels, masks.values(), seen.intrinsics)
        return {"focal": seen.intrinsics.fx / shrink, "pitch": pitch, "roll": roll, "notes": list(seen.notes)}

    def mesh(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """See that a mesh file can be read: how many `faces` it has, and `notes`."""
        lens = Intrinsics.from_fov(640, 480, horizontal_degrees=55)
        lifted = read_mesh_file(Path(question["file"]), name="mesh", intrinsics=lens)
        return {"faces": len(lifted.mesh.faces), "notes": list(lifted.notes)}

    def depth(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """See that a depth map can be read for this photo."""
        photo = self.working.photo
        size = (photo.width, photo.height)
        read_depth_file(Path(question["file"]), question["depth_kind"], size=size, masks=(), horizon=None)
        return {}


class _Found:
    """An opened photo that answers with what was found in it already; see `OpenedPhoto`."""

    def __init__(self, opened: OpenedPhoto, found: list[Detection]) -> None:
        self.from_points, self.from_box = opened.from_points, opened.from_box
        self._found = found

    def from_text(self, words: Iterable[str]) -> list[Detection]:
        """What was found."""
        return self._found

    def propose(self) -> list[Detection]:
        """What was found."""
        return self._found


def _told(name: str, mask: Mask, found: Iterable[Detection]) -> dict[str, Any]:
    """A new object with all of its mask, also what lies behind others."""
    whole = min((each for each in found), key=lambda each: int((each.mask ^ mask).sum()))
    return {"name": name, "word": whole.word, "score": whole.score, "mask": packed(whole.mask)}


def _pitch_of_edges(pixels: np.ndarray, masks: Iterable[Mask], lens: Intrinsics) -> float | None:
    taken = np.any([np.zeros(pixels.shape[:2], bool), *masks], axis=0)
    pitch = pitch_of_edges(StraightEdges.of_photo(pixels, taken, lens)[0])
    return None if pitch is None else float(np.degrees(pitch))


ANSWERS: dict[str, Callable[[CutPhoto, Mapping[str, Any]], dict[str, Any]]] = {
    "warm": CutPhoto.warm,
    "cut": CutPhoto.cut,
    "adjust": CutPhoto.adjust,
    "find": CutPhoto.find,
    "view": CutPhoto.view,
    "mesh": CutPhoto.mesh,
    "depth": CutPhoto.depth,
    "rest": CutPhoto.rest,
}
"""What can be asked, by its kind; what each needs and gives is in its docstring."""


def packed(mask: Mask) -> str:
    """A mask `(H, W)` bool as base64 of its bits."""
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def unpacked(text: str, size: tuple[int, int]) -> Mask:
    """Inverse of `packed`, for a mask of a width and a height."""
    width, height = size
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=width * height)
    return bits.reshape(height, width).astype(bool)


class CuttingProcess:
    """What the process does: answers questions, and keeps the photos that it was asked about last."""

    def __init__(self) -> None:
        self._segmenters: dict[str, Segmenter] = {}
        self._photos: dict[tuple[str, ...], CutPhoto] = {}
        self._foreseeing: Iterator[None] | None = None

    @property
    def foresees(self) -> bool:
        """Whether there is something left to look at while nobody asks."""
        return self._foreseeing is not None

    def foresee(self) -> None:
        """Look at a part of it."""
        try:
            next(self._foreseeing or iter(()))
        except StopIteration:
            self._foreseeing = None
        except Exception:  # who needs it looks again, and says what is wrong
            traceback.print_exc()
            self._foreseeing = None

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """What standard output is told."""
        try:
            photo = self._photo(question)
            answer = ANSWERS[question["ask"]](photo, question)
            self._foreseeing = None if question["ask"] == "rest" else photo.foresee()
        except UserError as error:
            return {"error": str(error)}
        except Exception as error:
            traceback.print_exc()
            return {
                "error": f"the photo could not be looked at: {type(error).__name__} ({first_line(error)}); try again"
            }
        return {"answer": answer}

    def _photo(self, question: Mapping[str, Any]) -> CutPhoto:
        key = (question["photo"], question["kept"], question["segmenter"])
        if key not in self._photos:
            name = question["segmenter"]
            if name not in self._segmenters:
                self._segmenters[name] = Segmenter(SegmentOptions(segmenter=name, offline=True))
            while len(self._photos) >= _MOST_OPEN:
                del self._photos[next(iter(self._photos))]
            path, kept = Path(question["photo"]), Path(question["kept"])
            self._photos[key] = CutPhoto(path=path, kept=kept, segmenter=self._segmenters[name])
        return self._photos[key]


def main() -> None:
    """Answer the questions of standard input until it ends."""
    questions, process = Questions(), CuttingProcess()
    while (question := _next(questions, process)) is not None:
        questions.answer(process.answer(question))


def _next(questions: Questions, process: CuttingProcess) -> dict[str, Any] | None:
    """The next question, None at the end; until it comes, something is foreseen."""
    while True:
        try:
            return questions.next(block=not process.foresees)
        except queue.Empty:
            process.foresee()


if __name__ == "__main__":
    main()
