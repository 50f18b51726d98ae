"""LPIPS, the learned perceptual distance of Zhang et al. (2018), version 0.1 on AlexNet.

The five layers and their order are AlexNet's (Krizhevsky, 2014) as torchvision numbers them. Weights are not ours to
ship: the backbone's are PyTorch's published file, the five heads' are in the package `lpips`, which is read but not
imported, because it would import torchvision.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from real2sam2real.arrays import UInt8
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import existing_file, refuse_if_system
from real2sam2real.pretrained.hub import file_from_environment

BACKBONE = "R2S2R_ALEXNET"
"""Environment variable: AlexNet's weights, in place of the file in torch hub's cache."""
_FILE = "alexnet-owt-7be5be79.pth"
_URL = f"https://download.pytorch.org/models/{_FILE}"
_CHANNELS = (64, 192, 384, 256, 256)
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of ImageNet, for pictures in −1…1
_BATCH = 16


class Lpips(nn.Module):
    """How different two pictures look; 0 where they are the same."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
        )
        self.heads = nn.ParameterList(torch.zeros(1, channels, 1, 1) for channels in _CHANNELS)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances `(B,)` of pictures `(B, 3, H, W)` float32 in −1…1."""
        distance = first.new_zeros(len(first))
        a, b = ((x - self.shift) / self.scale for x in (first, second))
        heads = iter(self.heads)
        for layer in self.features:
            a, b = layer(a), layer(b)
            if isinstance(layer, nn.ReLU):
                difference = (_unit(a) - _unit(b)).square()
                distance = distance + (difference * next(heads)).sum(dim=1).mean(dim=(1, 2))
        return distance

    @torch.inference_mode()
    def of_videos(self, video: UInt8, truth: UInt8) -> float:
        """Mean distance of the frames of two videos `(T, H, W, 3)` uint8 sRGB."""
        parts = [slice(k, k + _BATCH) for k in range(0, len(video), _BATCH)]
        device = self.shift.device
        found = [self(_picture(video[part]).to(device), _picture(truth[part]).to(device)) for part in parts]
        return float(torch.cat(found).mean())


def load_lpips() -> Lpips:
    """The metric with its published weights.

    AlexNet's are read from the file that R2S2R_ALEXNET names, or from torch hub's cache, into which they are fetched
    (244 MB) where there is a network.

    Raises:
        MissingPartError: the heads or AlexNet's weights are missing; the message says how to get them.
        UserError: a file holds something else.
    """
    metric = Lpips()
    backbone = _read(_backbone_file())
    heads = _read(_heads_file())
    wanted = {name: backbone.get(name) for name in metric.state_dict() if name.startswith("features.")}
    wanted |= {f"heads.{k}": heads.get(f"lin{k}.model.1.weight") for k in range(len(_CHANNELS))}
    missing = [name for name, value in wanted.items() if value is None]
    if missing:
        raise UserError(f"LPIPS' weights lack {missing[0]}; the file is another model's, or damaged")
    metric.load_state_dict(wanted)
    return metric.eval().requires_grad_(False)


def _heads_file() -> Path:
    spec = importlib.util.find_spec("lpips")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise MissingPartError(
            "LPIPS needs its heads: pip install --no-deps lpips; or measure without it, with --no-lpips"
        )
    return Path(folders[0]) / "weights" / "v0.1" / "alex.pth"


def _backbone_file() -> Path:
    named = file_from_environment(BACKBONE, [_FILE])
    if named is not None:
        return named
    cached = Path(torch.hub.get_dir()) / "checkpoints" / _FILE
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(_URL, str(cached), hash_prefix="7be5be79", progress=True)
        except (OSError, RuntimeError) as error:
            raise MissingPartError(
                f"LPIPS needs AlexNet's weights, and {_URL} cannot be fetched ({error}); fetch it elsewhere and set "
                f"{BACKBONE} to the file, or measure without it, with --no-lpips"
            ) from error
    return cached


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(existing_file(path), map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle throw what they like at a file that holds something else
        refuse_if_system(error, path)
        raise UserError(f"{path} cannot be read as weights ({type(error).__name__}); fetch it again") from error
    return dict(state)


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


def _picture(frames: UInt8) -> Tensor:
    return torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1
