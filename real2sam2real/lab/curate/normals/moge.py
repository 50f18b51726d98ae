"""MoGe-2's normals, frame by frame; its package and weights are those of `perceive.camera.moge`."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.normals.axes import unit_normals
from real2sam2real.perceive.camera.moge import DEFAULT_MODEL, MoGe


class MoGeNormals:
    """Normals of a loaded MoGe-2.

    Args:
        network: as `MoGe.load` gives it.
    """

    def __init__(self, network: MoGe) -> None:
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
                raise UserError(f"'{self._network.model}' gives no normals; use weights that do: {DEFAULT_MODEL}")
            normals[index] = found
        return unit_normals(normals, ids, NormalConvention.preset("opengl"))  # `MoGe` has turned them to our axes
