"""The latents of a mid-grey clip, which stand where nothing is known of a video; encoded once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.prompts import cache_folder, kept_tensor


class EmptyClip:
    """They follow from the autoencoder and the size alone, and take as long to make as those of the normals.

    Args:
        identity: of the autoencoder's files, see `encoder_identity`: latents are kept on disk for later runs, by it,
            the device and the library that made them. None keeps them in memory alone.
    """

    def __init__(self, identity: str | None = None) -> None:
        self._identity = identity
        self._last: tuple[Any, Tensor] | None = None

    def __call__(self, autoencoder: Any, frames: int, height: int, width: int) -> Tensor:
        """`(1, z, F, h, w)`; see `conditioning.empty_latents`."""
        parameter = next(autoencoder.parameters())
        device = parameter.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        tiled = getattr(autoencoder, "use_tiling", False)
        laid = [one for one in autoencoder.parameters() if not one.is_contiguous()]  # see `lay_out_channels_last`
        layout = ("channels last",) if laid else ()
        key = (frames, height, width, str(parameter.dtype), name, tiled, torch.__version__, *layout)
        if self._last is None or self._last[0] != (id(autoencoder), key):
            size = frames, height, width
            self._last = (id(autoencoder), key), self._kept(key, lambda: conditioning.empty_latents(autoencoder, *size))
        return self._last[1].to(device)

    def _kept(self, key: tuple[Any, ...], make: Callable[[], Tensor]) -> Tensor:
        if self._identity is None:
            return make()
        name = hashlib.sha256(repr((self._identity, key)).encode()).hexdigest()
        return kept_tensor(cache_folder() / "empty" / f"{name}.safetensors", make)
