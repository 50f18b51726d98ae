"""Estimators that see one frame at a time: Marigold (Ke et al., 2025), by diffusers' pipeline for it, and MoGe-2.

The same noise starts every frame of Marigold, which steadies what knows no time; NormalCrafter is steadier.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import MissingPartError, UserError, first_line, require
from real2sam2real.lab.curate.normals.axes import unit_normals
from real2sam2real.perceive.camera import moge
from real2sam2real.pretrained.hub import download_command, find_folder

DEFAULT_MODEL = "prs-eth/marigold-normals-v1-1"
HINT = f"The published weights come with: {download_command(DEFAULT_MODEL)}"


class Marigold:
    """A loaded `MarigoldNormalsPipeline` of diffusers; `model` is its name, for the record."""

    def __init__(self, pipeline: Any, model: str) -> None:
        self._pipeline = pipeline
        self.name = f"marigold ({model})"

    @classmethod
    def load(cls, model: str | None = None, *, offline: bool = False) -> Marigold:
        """Read the weights, on the GPU where there is one; see `load_estimator`.

        Raises:
            MissingPartError: the weights or transformers are not there.
        """
        import torch

        model = model or DEFAULT_MODEL
        require("transformers", "Marigold reads its empty prompt with transformers: pip install transformers")
        folder = find_folder(model, ignore=("*.fp16.*",), offline=offline, hint=HINT)
        on_gpu = torch.cuda.is_available()
        dtype = torch.float16 if on_gpu else torch.float32
        try:
            from diffusers import MarigoldNormalsPipeline

            pipeline: Any = MarigoldNormalsPipeline.from_pretrained(folder, dtype=dtype, local_files_only=True)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            raise MissingPartError(
                f"Marigold's weights '{model}' cannot be loaded ({first_line(error)}). {HINT}"
            ) from error
        pipeline.set_progress_bar_config(disable=True)
        return cls(pipeline.to("cuda" if on_gpu else "cpu"), model)

    def estimate(self, video: UInt8, ids: UInt8) -> Float32:
        """See `NormalEstimator.estimate`."""
        import torch

        normals = np.empty((*ids.shape, 3), np.float32)
        for index, frame in enumerate(video):
            generator = torch.Generator().manual_seed(0)
            picture = frame.astype(np.float32) / 255
            normals[index] = self._pipeline(picture, generator=generator, output_type="np").prediction[0]
        return unit_normals(normals, ids, NormalConvention.preset("marigold"))


class MoGeNormals:
    """Normals of a loaded MoGe-2; its package and weights are those of `perceive.camera.moge`."""

    def __init__(self, network: moge.MoGe) -> None:
        self._network = network
        self.name = f"moge ({network.model})"

    def estimate(self, video: UInt8, ids: UInt8) -> Float32:
        """See `NormalEstimator.estimate`.

        Raises:
            UserError: these weights have no normals.
        """
        normals = np.empty((*ids.shape, 3), np.float32)
        width = float(video.shape[2])
        for index, frame in enumerate(video):
            found = self._network.estimate(frame, known_focal=None, assumed_focal=width).normals_camera
            if found is None:
                raise UserError(f"'{self._network.model}' gives no normals; use weights that do: {moge.DEFAULT_MODEL}")
            normals[index] = found
        return unit_normals(normals, ids, NormalConvention.preset("opengl"))  # `MoGe` has turned them to our axes
