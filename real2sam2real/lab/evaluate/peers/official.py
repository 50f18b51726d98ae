"""Folders for the authors' own script of Real2SAM2Real: the photo, a video of normals and a caption each."""

from __future__ import annotations

from pathlib import Path

from real2sam2real.control.folder import CAPTION, OFFICIAL_NORMALS, PHOTO, write_control
from real2sam2real.lab.evaluate.case_set import CaseRecord
from real2sam2real.lab.evaluate.peers.interface import PeerCase, PeerFormat
from real2sam2real.lab.evaluate.peers.record import PeerClip
from real2sam2real.rendering import render_frames

FPS = 16.0  # the script leaves out frames of a video that is faster
MOST_FRAMES = 81
AREA = 1280 * 720
_STEP = 16
_SET = "cases"  # the script looks for its folders two levels down: a scene's, and in it a camera's


class Official(PeerFormat):
    """`cases/NAME/` with the three files; normals are drawn at the size that the model works at."""

    name = "official"
    repository = "https://github.com/jiayi-wu-umd/Real2SAM2Real"

    def size(self, case: CaseRecord) -> tuple[int, int]:
        """Of about 1280×720 pixels at the case's aspect; the script then takes the nearest multiples of 32."""
        scale = (AREA / (case.width * case.height)) ** 0.5
        return round(case.width * scale / _STEP) * _STEP, round(case.height * scale / _STEP) * _STEP

    def frames(self, case: CaseRecord) -> int:
        """The case's, but 81 at most."""
        return min(case.frames, MOST_FRAMES)

    def video(self, case: CaseRecord) -> str:
        """Below `checkpoint-NAME/cases/`."""
        return f"{case.name}/generated.mp4"

    def clip(self, case: CaseRecord) -> PeerClip:
        """All of the picture: the script itself stretches it to its multiples of 32."""
        return PeerClip(times=super().clip(case).times)

    def write(self, case: PeerCase, inputs: Path) -> str:
        """See `PeerFormat`."""
        folder = inputs / _SET / case.name
        width, height = case.photo.shape[1], case.photo.shape[0]
        frames = render_frames(case.directed, width=width, height=height)
        write_control(folder, frames, photo=case.photo, prompt=case.prompt, fps=FPS, names=case.directed.names)
        for path in folder.iterdir():
            if path.name not in (PHOTO, OFFICIAL_NORMALS, CAPTION):
                path.unlink()
        return ""

    def run(self) -> str:
        """The script's own launcher, told where the folders are; it leaves out videos that are there."""
        return 'DATA_ROOT="$here/inputs" OUTPUT_ROOT="$here/videos" bash demo.sh'
