"""Depth Pro, by its class in transformers: metric depth and the focal length.

Facts from its public source: the network gives the inverse of the depth that a picture of its field of view would have
if its focal length equalled its width, and (with its head for that) the horizontal field of view in degrees. So
`depth = focal / (width · output)`: a known focal length enters there, and points keep their sideways distance from the
optical axis whatever it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.perceive.camera.depth import DepthEstimate, chosen_focal, with_unknown
from real2sam2real.pretrained.hub import download_command, find_folder
from real2sam2real.pretrained.models import choose_device, load_pretrained

if TYPE_CHECKING:
    import torch

DEFAULT_MODEL = "apple/DepthPro-hf"
HINT = f"The published weights, 2 GB, come with: {download_command(DEFAULT_MODEL)}"
MEAN, SPREAD = 0.5, 0.5  # of colours in 0…1, as the network was trained


class DepthPro:
    """A loaded Depth Pro."""

    name = "Depth Pro"
    licence = "Apple Machine Learning Research Model licence: research only, not for commercial use"

    def __init__(self, network: Any, model: str) -> None:
        self._network = network
        self.model = model

    @classmethod
    def load(cls, model: str | None = None, *, offline: bool = False) -> DepthPro:
        """Read the weights, on the GPU where there is one.

        Args:
            model: id on the hub, or a folder written by `save_pretrained`; None is `DEFAULT_MODEL`.
            offline: use the hub's cache alone.

        Raises:
            MissingPartError: transformers or the weights are not there.
            UserError: the weights are of another architecture, or incomplete.
        """
        model = model or DEFAULT_MODEL
        folder = find_folder(model, offline=offline, hint=HINT)
        network = load_pretrained(
            "DepthProForDepthEstimation", folder, kinds=("depth_pro",), device=choose_device("auto")
        )
        return cls(network, model)

    def estimate(self, pixels: UInt8, *, known_focal: float | None, assumed_focal: float) -> DepthEstimate:
        """See `DepthEstimator.estimate`. A pixel beyond 250 m, such as sky, has no depth."""
        import torch

        height, width = pixels.shape[:2]
        with torch.inference_mode():
            output = self._network(pixel_values=self._pixel_values(pixels))
            canonical = torch.nn.functional.interpolate(
                output.predicted_depth[None].float(), size=(height, width), mode="bilinear", align_corners=False
            )[0, 0]
        fov = output.field_of_view
        degrees = 0.0 if fov is None else float(fov.item())
        own = width / (2 * np.tan(np.radians(degrees) / 2)) if 0 < degrees < 180 else None
        focal, source, own = chosen_focal(width, known=known_focal, model=own, assumed=assumed_focal)
        with np.errstate(divide="ignore"):
            depth = (focal / width) / canonical.cpu().numpy().astype(np.float64)
        return DepthEstimate(
            depth=with_unknown(depth.astype(np.float32), metric=True),
            focal_px=focal,
            focal_source=source,
            model_focal_px=own,
            normals_camera=None,
            metric=True,
        )

    def _pixel_values(self, pixels: UInt8) -> torch.Tensor:
        """`(1, 3, S, S)` float32: the picture pressed into the network's square, whatever its aspect."""
        import torch

        config = self._network.config
        side = round(config.patch_size / min(config.scaled_images_ratios))
        image = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._network.device).permute(2, 0, 1)[None]
        normalized = (image.float() / 255 - MEAN) / SPREAD
        return torch.nn.functional.interpolate(normalized, size=(side, side), mode="bilinear", align_corners=False)
