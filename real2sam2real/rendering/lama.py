"""LaMa as an inpainter: large holes filled by a network with global (Fourier) convolutions (Suvorov et al., 2022).

The published weights "big-lama" (Apache-2.0) are at hand as a TorchScript file, which holds network and weights. Its
convention: an image `(1, 3, H, W)` in 0…1 and a mask `(1, 1, H, W)` of 1 where pixels are to be made up, both of sides
that are multiples of 8; it answers with the completed image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from real2sam2real.arrays import Bool, UInt8
from real2sam2real.errors import UserError, first_line
from real2sam2real.files import refuse_if_system
from real2sam2real.pretrained.hub import download_command, find_file
from real2sam2real.pretrained.models import choose_device

DEFAULT_MODEL = "JosephCatrambone/big-lama-torchscript"
FILE = "lama.pt"
HINT = (
    f"The published weights, 200 MB, come with: {download_command(DEFAULT_MODEL, [FILE])}. A big-lama.pt of another "
    "origin, such as that of IOPaint or simple-lama-inpainting, is named by its path"
)
_MULTIPLE = 8


class Lama:
    """A loaded LaMa; called as `rendering.inpaint.inpaint` is."""

    def __init__(self, network: Any, device: Any) -> None:
        self._network, self._device = network, device

    @classmethod
    def load(cls, model: str | None = None, *, offline: bool = False) -> Lama:
        """Read the weights, onto the GPU where there is one.

        Args:
            model: a TorchScript file, a folder that holds `lama.pt`, or an id on the hub; None is `DEFAULT_MODEL`.
            offline: use the hub's cache alone.

        Raises:
            MissingPartError: the weights are not there; the message says how to get them.
            UserError: the file is no TorchScript file.
        """
        import torch

        weights = find_file(model or DEFAULT_MODEL, FILE, offline=offline, hint=HINT)
        device = choose_device("auto")
        try:
            network = torch.jit.load(str(weights), map_location=device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            refuse_if_system(error, weights)
            raise UserError(
                f"'{weights}' is no TorchScript file ({first_line(error)}); LaMa's checkpoints of other kinds are not "
                f"read. {HINT}"
            ) from error
        return cls(network.eval(), device)

    def __call__(self, image: UInt8, hole: Bool, *, avoid: Bool | None = None, draft: bool = False) -> UInt8:
        """See `rendering.inpaint.inpaint`; a draft is made as anything else.

        Raises:
            UserError: the network is not LaMa.
        """
        import torch

        if not hole.any():
            return image.copy()
        if hole.all():
            return np.full_like(image, 128)
        height, width = hole.shape
        unknown = hole if avoid is None else hole | avoid
        sides = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE))
        padded = np.pad(image, (*sides, (0, 0)), mode="symmetric")
        mask = np.pad(unknown, sides, mode="symmetric")
        picture = torch.from_numpy(padded).to(self._device).permute(2, 0, 1)[None].float() / 255
        missing = torch.from_numpy(mask).to(self._device)[None, None].float()
        try:
            with torch.inference_mode():
                answer = self._network(picture, missing)
        except (RuntimeError, TypeError) as error:
            raise UserError(
                f"the network given for LaMa cannot complete a picture ({first_line(error)}). {HINT}"
            ) from error
        if not isinstance(answer, torch.Tensor) or answer.shape != picture.shape or not answer.isfinite().all():
            raise UserError(f"the network given for LaMa answers with no completed picture. {HINT}")
        made = (answer[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return np.where(hole[..., None], made[:height, :width], image)
