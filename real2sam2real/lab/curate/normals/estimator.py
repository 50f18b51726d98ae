"""What an estimator of normals is, and how one is had by name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.errors import UserError

ESTIMATORS = ("mini", "marigold", "moge", "normalcrafter")


class NormalEstimator(Protocol):
    """Estimates the normals of a clip's instances."""

    name: str  # with its version, for the record

    def estimate(self, video: UInt8, ids: UInt8) -> Float32:
        """Normals of a clip.

        Args:
            video: `(T, H, W, 3)` sRGB.
            ids: `(T, H, W)` instance ids, 0 = none. An estimator that looks at whole pictures may ignore them.

        Returns:
            `(T, H, W, 3)` float32 in the camera's right/up/towards: unit length where `ids` is not 0, zero elsewhere.
        """
        ...


def load_estimator(name: str, *, model: str | None = None, offline: bool = False) -> NormalEstimator:
    """The estimator called `name`, loaded.

    Args:
        name: one of `ESTIMATORS`.
        model: its weights, where they are not the published ones: an id on the hub, a file or a folder.
        offline: use the hub's cache alone.

    Raises:
        MissingPartError: its package or its weights are not there.
        UserError: there is none of that name.
    """
    if name == "mini":
        from real2sam2real.lab.curate.normals.mini import SHIPPED, MiniEstimator

        return MiniEstimator(SHIPPED if model is None else Path(model))
    if name == "marigold":
        from real2sam2real.lab.curate.normals.per_frame import Marigold

        return Marigold.load(model, offline=offline)
    if name == "moge":
        from real2sam2real.lab.curate.normals.per_frame import MoGeNormals
        from real2sam2real.perceive.camera.moge import MoGe

        return MoGeNormals(MoGe.load(model, offline=offline))
    if name == "normalcrafter":
        from real2sam2real.lab.curate.normals.normalcrafter.estimator import NormalCrafter

        return NormalCrafter.find(model, offline=offline)
    raise UserError(f"there is no normal estimator '{name}'; choose one of {', '.join(ESTIMATORS)}")
