"""Exact frames: what `r2s2r render` and `r2s2r preview` draw of the shot that holds, one at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Literal, get_args

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.control.normal_convention import OPENGL
from real2sam2real.errors import UserError
from real2sam2real.options import parse_size
from real2sam2real.rendering import Light, render_frames
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run.rendering import control_size, preview_size
from real2sam2real.scene.scene import Scene
from real2sam2real.studio.document import StudioDocument
from real2sam2real.studio.errors import RefusedError
from real2sam2real.studio.history import Contents
from real2sam2real.studio.photo import as_png

View = Literal["normals", "ids", "preview", "shaded"]
_MOST_BYTES = 100_000_000


class ExactFrames:
    """The frames of one document, drawn one after another and kept."""

    def __init__(self, document: StudioDocument) -> None:
        self.document = document
        self._turn = threading.Lock()  # the renderer uses all cores for one frame's inpainting already
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    def png(self, revision: int, number: int, view: str, size: str) -> bytes:
        """A frame as a PNG file; normals and colours are RGB, ids grey.

        Args:
            revision: that the document must still be at.
            number: of the frame.
            view: see `View`.
            size: "preview" or "control" for what these are drawn at, or "WIDTHxHEIGHT".

        Raises:
            RefusedError: the document went on, also while this waited for its turn.
            UserError: there is no scene, no such frame, view or size.
        """
        if view not in get_args(View):
            raise UserError(f"There is no view '{view[:40]}'; there are {', '.join(get_args(View))}.")
        scene, contents = self._scene(revision)
        if not 0 <= number < scene.frames:
            raise UserError(f"Frame {number} is outside the shot's frames 0…{scene.frames - 1}.")
        width, height = frame_size(scene, size)
        key = contents, number, view, width, height
        if (found := self._found(key)) is not None:
            return found
        with self._turn:
            self._scene(revision)  # it may have gone on meanwhile, and nobody looks at this any more
            if (found := self._found(key)) is None:
                for each, pixels in drawn(scene, number, view, width, height).items():
                    self._keep((contents, number, each, width, height), as_png(pixels))
                found = self._found(key)
        assert found is not None
        return found

    def _scene(self, revision: int) -> tuple[Scene, Contents]:
        with self.document.lock:
            if revision != self.document.revision:
                raise RefusedError(404, f"Revision {revision} is past; the document is at {self.document.revision}.")
            scene, problem = self.document.directed()
            if scene is None:
                raise UserError(problem or "There is no scene yet; lift the photo first.")
            return scene, Contents.of(self.document.state)

    def _found(self, key: Hashable) -> bytes | None:
        with self.document.lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Hashable, data: bytes) -> None:
        with self.document.lock:
            self._kept[key] = data
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _MOST_BYTES:
                self._kept.popitem(last=False)


def frame_size(scene: Scene, size: str) -> tuple[int, int]:
    """Width and height of a frame: "preview", "control", or "WIDTHxHEIGHT".

    Raises:
        UserError: it is none of these, or out of range.
    """
    if size == "preview":
        return preview_size(scene)
    if size == "control":
        return control_size(scene, None)
    return parse_size(size)


def drawn(scene: Scene, number: int, view: str, width: int, height: int) -> dict[str, UInt8]:
    """A frame's pictures by their views: the one that is asked for, and what comes along with it."""
    if view == "preview":
        (picture,) = preview_frames(scene, width=width, height=height, frames=[number])
        return {view: picture}
    if view == "shaded":
        (frame,) = render_frames(
            scene, width=width, height=height, frames=[number], color=True, antialias=True, light=Light()
        )
        assert frame.color is not None
        assert frame.coverage is not None
        return {view: np.round(frame.color * frame.coverage[..., None]).astype(np.uint8)}
    (frame,) = render_frames(scene, width=width, height=height, frames=[number])
    return {"normals": OPENGL.encode(frame.normals, frame.ids), "ids": frame.ids}
