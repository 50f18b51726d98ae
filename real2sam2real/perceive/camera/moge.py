"""MoGe-2, by its own package `moge`: metric depth, the intrinsics, a mask of what has a surface, and normals.

Facts from its public source: `MoGeModel.from_pretrained(id or file, **hub options)`; `infer(image, fov_x=…)` takes
`(3, H, W)` floats in 0…1 and the horizontal field of view in degrees, and returns `points`, `depth`, `mask`,
`intrinsics` and, with the weights for it, `normal`. Frames are OpenCV's (+X right, +Y down, +Z forward), normals face
the camera, intrinsics are in widths and heights of the picture with the principal point at (0.5, 0.5). Outside of the
mask depth is infinite. Points are the rays of those intrinsics times the depth, so depth and focal length say it all.
With a known field of view the network's shift of depth is solved for it anew. Depth is in metres where the weights have
a head for scale.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.errors import MissingPartError, UserError, first_line
from real2sam2real.files import refuse_if_system
from real2sam2real.perceive.camera.depth import DepthEstimate, chosen_focal, with_unknown
from real2sam2real.pretrained.hub import download_command, find_file
from real2sam2real.pretrained.models import choose_device

DEFAULT_MODEL = "Ruicheng/moge-2-vitl-normal"
HINT = f"The published weights, 1.3 GB, come with: {download_command(DEFAULT_MODEL, ['model.pt'])}"
INSTALL = "pip install git+https://github.com/microsoft/MoGe.git"
OURS_FROM_OPENCV = np.array([1.0, -1.0, -1.0], np.float32)


class MoGe:
    """A loaded MoGe-2."""

    name = "MoGe-2"
    licence = "MIT"

    def __init__(self, network: Any, model: str) -> None:
        self._network = network
        self.model = model

    @classmethod
    def load(cls, model: str | None = None, *, offline: bool = False) -> MoGe:
        """Read the weights, on the GPU where there is one.

        Args:
            model: id on the hub, a `.pt` file, or a folder that holds `model.pt`; None is `DEFAULT_MODEL`.
            offline: use the hub's cache alone.

        Raises:
            MissingPartError: the package `moge` or the weights are not there.
            UserError: the installed `moge` is too old, or the file holds other weights.
        """
        model = model or DEFAULT_MODEL
        network_class = _network_class()
        weights = find_file(model, "model.pt", offline=offline, hint=HINT)
        try:
            network = network_class.from_pretrained(str(weights))
        except Exception as error:  # torch and pickle raise what they like at a file that holds something else
            refuse_if_system(error, Path(weights))
            raise UserError(
                f"'{model}' holds no weights for MoGe-2 ({first_line(error)}); leave it out for {DEFAULT_MODEL}"
            ) from error
        return cls(network.to(choose_device("auto")).eval(), model)

    def estimate(self, pixels: UInt8, *, known_focal: float | None, assumed_focal: float) -> DepthEstimate:
        """See `DepthEstimator.estimate`. A pixel outside of its mask, such as sky, or beyond 250 m has no depth.

        Raises:
            UserError: what the installed `moge` returns is not what MoGe-2 returns.
        """
        import torch

        height, width = pixels.shape[:2]
        image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).float() / 255
        fov = None if known_focal is None else float(np.degrees(2 * np.arctan(width / (2 * known_focal))))
        device = next(self._network.parameters()).device
        output = self._network.infer(image.to(device), fov_x=fov, use_fp16=device.type == "cuda")
        arrays = {key: value.float().cpu().numpy() for key, value in output.items()}
        _check(arrays, height, width)
        metric = hasattr(self._network, "scale_head")
        seen = arrays["mask"] > 0.5 if "mask" in arrays else np.ones((height, width), bool)
        depth = with_unknown(np.where(seen, arrays["depth"], np.float32(np.nan)), metric=metric)
        own = float(arrays["intrinsics"][0, 0]) * width if known_focal is None else None
        focal, source, own = chosen_focal(width, known=known_focal, model=own, assumed=assumed_focal)
        return DepthEstimate(
            depth=depth,
            focal_px=focal,
            focal_source=source,
            model_focal_px=own,
            normals_camera=_normals(arrays.get("normal"), seen),
            metric=metric,
        )


def _network_class() -> Any:
    try:
        module = importlib.import_module("moge.model.v2")
    except ModuleNotFoundError as error:
        if error.name == "moge":
            raise MissingPartError(f"MoGe-2 is its own package and is not installed; get it with: {INSTALL}") from error
        if error.name and error.name.startswith("moge."):
            raise UserError(f"the installed package moge has no MoGe-2; renew it with: {INSTALL}") from error
        raise MissingPartError(f"MoGe-2 misses the package '{error.name}'; get it with: {INSTALL}") from error
    known = inspect.signature(module.MoGeModel.infer).parameters
    if lacking := {"fov_x", "use_fp16"} - set(known):
        raise UserError(f"the installed moge's infer() has no {min(lacking)}; renew it with: {INSTALL}")
    return module.MoGeModel


def _check(arrays: dict[str, Any], height: int, width: int) -> None:
    wanted = {"depth": (height, width), "intrinsics": (3, 3)}
    for key, shape in wanted.items():
        found = arrays[key].shape if key in arrays else None
        if found != shape:
            raise UserError(f"the installed moge returned '{key}' of shape {found}, not {shape}; renew it: {INSTALL}")


def _normals(normals_opencv: Float32 | None, seen: Bool) -> Float32 | None:
    """Unit normals in our camera frame, NaN where there is no surface."""
    if normals_opencv is None:
        return None
    known = seen & (np.linalg.norm(normals_opencv, axis=-1) > 0.5)
    return np.where(known[..., None], normals_opencv * OURS_FROM_OPENCV, np.float32(np.nan)).astype(np.float32)
