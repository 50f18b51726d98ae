"""RealEstate10K text files, which CameraCtrl and many others read: intrinsics and a pose in every frame's line."""

from __future__ import annotations

from pathlib import Path

from real2sam2real import media
from real2sam2real.lab.evaluate.case_set import CaseRecord
from real2sam2real.lab.evaluate.peers.interface import PeerCase, PeerFormat
from real2sam2real.scene.paths import save_camera_path


class RealEstate10K(PeerFormat):
    """A file of lines `time fx fy cx cy 0 0 r11 … t3`: camera from world, +Z forward and +Y down, rows of 3×4."""

    name = "realestate10k"
    repository = "https://github.com/hehao13/CameraCtrl"
    camera_only = True

    def __init__(self, frames: int | None = None, size: tuple[int, int] | None = None) -> None:
        self._frames, self._size = frames, size

    def size(self, case: CaseRecord) -> tuple[int, int]:
        """As asked for, else the case's."""
        return self._size or (case.width, case.height)

    def frames(self, case: CaseRecord) -> int:
        """As asked for, else the case's."""
        return self._frames or case.frames

    def video(self, case: CaseRecord) -> str:
        """Nobody says where; by the case's name."""
        return f"{case.name}.mp4"

    def write(self, case: PeerCase, inputs: Path) -> str:
        """See `PeerFormat`: `NAME.txt`, `NAME.png`, and the prompt in `NAME.prompt.txt`."""
        save_camera_path(
            inputs / f"{case.name}.txt", case.directed.camera, format="realestate10k", fps=case.directed.fps
        )
        media.write_png(inputs / f"{case.name}.png", case.photo)
        (inputs / f"{case.name}.prompt.txt").write_text(case.prompt + "\n", encoding="utf-8")
        return ""
