"""What a format of another method is: how long and large its videos are, and how a case is written for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float, UInt8
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.geometry.transforms import OPENCV_FROM_OPENGL
from real2sam2real.lab.evaluate.case_set import CaseRecord
from real2sam2real.lab.evaluate.peers.record import WHOLE, PeerClip, Window
from real2sam2real.scene import Scene


class CannotTellError(UserError):
    """A format has no words for a case; the message says why."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PeerCase:
    """A case as a peer is to show it.

    Attributes:
        name: of the case.
        clip: which times and which part of the picture these are.
        directed: the scene at the times of the peer's frames; its camera has the peer's size and sees what is left of
            the picture.
        photo: `(H, W, 3)` uint8 sRGB, of the peer's size.
        prompt: may be empty.
        whole: gives `directed` with everything that the photo shows: what stands behind the entities comes as a last
            entity (see `surroundings`). Made when it is asked for.
    """

    name: str
    clip: PeerClip
    directed: Scene
    photo: UInt8
    prompt: str
    whole: Callable[[], Scene]

    @property
    def lens(self) -> Intrinsics:
        """Of the first frame, at the peer's size."""
        return self.directed.camera.intrinsics_at(0)

    def opencv_poses(self) -> Float:
        """`(T, 4, 4)` float64 first-camera-from-camera poses, of cameras that look along +Z with +Y down."""
        poses = self.directed.camera.world_from_camera
        return OPENCV_FROM_OPENGL @ np.linalg.inv(poses[0]) @ poses @ OPENCV_FROM_OPENGL


class PeerFormat(ABC):
    """One peer's inputs, and where its videos are."""

    name: str
    repository: str
    camera_only: bool = False  # it cannot be told how objects move

    @abstractmethod
    def size(self, case: CaseRecord) -> tuple[int, int]:
        """Width and height that the case is written in."""

    @abstractmethod
    def frames(self, case: CaseRecord) -> int:
        """How many frames the peer makes of the case."""

    @abstractmethod
    def video(self, case: CaseRecord) -> str:
        """Where it leaves the case's video, below the folder of its videos."""

    @abstractmethod
    def write(self, case: PeerCase, inputs: Path) -> str:
        """Write a case below a folder of inputs.

        Returns:
            What a person should know of it; mostly nothing.

        Raises:
            CannotTellError: the format has no words for it.
        """

    def command(self, case: PeerCase) -> str:
        """A line for a shell in the peer's checkout that makes the video, `$here` being the export's folder.

        Empty where `run` says it all, or where there is no single program.
        """
        return ""

    def run(self) -> str:
        """The line that makes all videos, where the peer has one for that."""
        return ""

    def clip(self, case: CaseRecord) -> PeerClip:
        """What the peer's video shows: the whole case, evenly; the middle of its picture, uncut along one side."""
        width, height = self.size(case)
        times = np.linspace(0, case.frames - 1, self.frames(case))
        window = middle_window(case.width, case.height, width / height)
        return PeerClip(times=tuple(float(round(t, 9)) for t in times), window=window)


class FixedFormat(PeerFormat):
    """A peer whose videos have one size and one length."""

    fixed_size: tuple[int, int]
    fixed_frames: int

    def size(self, case: CaseRecord) -> tuple[int, int]:
        """The same for all."""
        del case
        return self.fixed_size

    def frames(self, case: CaseRecord) -> int:
        """The same for all."""
        del case
        return self.fixed_frames


def middle_window(width: int, height: int, aspect: float) -> Window:
    """The largest part of a picture of `width × height` that has an aspect, around its middle; whole pixels."""
    if width > height * aspect:
        side = (width - round(height * aspect)) // 2 / width
        return (side, 0.0, 1 - side, 1.0)
    side = (height - round(width / aspect)) // 2 / height
    return (0.0, side, 1.0, 1 - side) if side else WHOLE
