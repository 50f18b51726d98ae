"""NormalCrafter (Bin et al., 2025): steady normals of whole clips, by its authors' own code in its own environment.

Its code is no package: it is a folder got with git, whose requirements fix other versions than ours. So it runs in a
process of its own Python, which is given a clip as a file and answers with another (`worker.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.curate.normals.axes import size_in_multiples, unit_normals

FOLDER_VARIABLE = "R2S2R_NORMALCRAFTER"
PYTHON_VARIABLE = "R2S2R_NORMALCRAFTER_PYTHON"
DEFAULT_MODEL = "Yanrui95/NormalCrafter"
WORKER = Path(__file__).with_name("worker.py")
LONGEST_SIDE = 1024
_MULTIPLE = 64


class NormalCrafter:
    """Runs NormalCrafter's code, in `folder`, by its own environment's interpreter, one process a clip."""

    def __init__(self, folder: Path, python: Path, *, model: str = DEFAULT_MODEL, offline: bool = False) -> None:
        self._folder, self._python, self._model, self._offline = folder, python, model, offline
        self.name = f"normalcrafter ({model})"

    @classmethod
    def find(cls, model: str | None = None, *, offline: bool = False) -> NormalCrafter:
        """Where `R2S2R_NORMALCRAFTER` says; its `.venv` is its environment, or `R2S2R_NORMALCRAFTER_PYTHON`.

        Raises:
            MissingPartError: its code is not there.
        """
        folder = Path(os.environ.get(FOLDER_VARIABLE, "NormalCrafter")).expanduser()
        if not (folder / "normalcrafter" / "normal_crafter_ppl.py").is_file():
            raise MissingPartError(
                f"NormalCrafter's code is not in '{folder}'. Get it with: git clone "
                f"https://github.com/Binyr/NormalCrafter; install its requirements.txt in NormalCrafter/.venv; then "
                f"set {FOLDER_VARIABLE} to the folder"
            )
        own = folder / ".venv" / "bin" / "python"
        python = Path(os.environ.get(PYTHON_VARIABLE, str(own) if own.exists() else sys.executable))
        return cls(folder, python, model=model or DEFAULT_MODEL, offline=offline)

    def estimate(self, video: UInt8, ids: UInt8) -> Float32:
        """See `NormalEstimator.estimate`.

        Raises:
            UserError: its process failed; the message holds its last words.
        """
        height, width = ids.shape[1:]
        size = size_in_multiples(width, height, min(1.0, LONGEST_SIDE / max(width, height)), _MULTIPLE)
        small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in video])
        with tempfile.TemporaryDirectory() as temporary:
            asked, answered = Path(temporary) / "video.npy", Path(temporary) / "normals.npy"
            np.save(asked, small)
            self._run(asked, answered)
            found = np.load(answered)
        if found.shape != small.shape:
            raise UserError(f"NormalCrafter gave normals of shape {found.shape} for a clip of {small.shape}")
        whole = np.stack([cv2.resize(frame.astype(np.float32), (width, height)) for frame in found])
        return unit_normals(whole, ids, NormalConvention.preset("normalcrafter"))

    def _run(self, asked: Path, answered: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        if self._offline:
            environment |= {"HF_HUB_OFFLINE": "1"}
        command = [str(self._python), str(WORKER), str(asked), str(answered), self._model]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        except OSError as error:
            raise MissingPartError(
                f"NormalCrafter's Python '{self._python}' cannot be run ({error}); set {PYTHON_VARIABLE} to the "
                "interpreter of its environment"
            ) from error
        if done.returncode or not answered.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"NormalCrafter failed (exit status {done.returncode}): {last}")
