"""A generated video four times larger, by the small video network of Real-ESRGAN (Wang et al., 2021).

The network is a chain of 3×3 convolutions with learned slopes, made for video: it takes every frame alone, but what
it adds hardly flickers. 1.2 MB, in the package; `assets/realesr_animevideo/LICENSE.md` says where it comes from.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from real2sam2real import media
from real2sam2real.arrays import Bool, UInt8
from real2sam2real.errors import MissingPartError

SCALE = 4
TILE = 32  # pixels along a square that is enlarged or not
REACH = (
    8  # pixels around it that the network sees; what lies farther changes a pixel by a quarter of a level in the mean
)
_WIDTH, _LAYERS = 64, 17
_BROAD_PIXELS = 3.0  # standard deviation of the blur under which colours are compared
_LONGEST = 16  # squares side by side at once, and two rows of them: what the network makes of more leaves the caches


class VideoUpscaler(nn.Module):
    """Frames `(B, 3, H, W)` in 0…1 to `(B, 3, 4H, 4W)`; see the module's text. Get one by `load_upscaler`."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, _WIDTH, 3, padding=1), nn.PReLU(_WIDTH)]
        for _ in range(_LAYERS - 1):
            layers += [nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.PReLU(_WIDTH)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(_WIDTH, 3 * SCALE**2, 3, padding=1))

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        added = functional.pixel_shuffle(self.layers(frames), SCALE)
        return added + functional.interpolate(frames, scale_factor=SCALE, mode="nearest")

    @torch.inference_mode()
    def enlarged(self, frame: UInt8, where: Bool) -> UInt8:
        """`(4H, 4W, 3)` uint8 of a frame `(H, W, 3)`: by the network in squares that hold a pixel of `where` `(H, W)`.

        Elsewhere bicubic: the network takes some 20 µs a pixel, so it is asked where somebody will see it.
        """
        height, width = where.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        needed = np.zeros((rows * TILE, columns * TILE), bool)
        needed[:height, :width] = where
        squares = np.asarray(needed.reshape(rows, TILE, columns, TILE).any(axis=(1, 3)))
        result = np.empty((rows * TILE * SCALE, columns * TILE * SCALE, 3), np.uint8)
        result[: height * SCALE, : width * SCALE] = media.resized(frame, width * SCALE, height * SCALE)
        device = next(self.parameters()).device
        picture = rearrange(torch.tensor(frame, device=device), "h w c -> 1 c h w").float() / 255
        sides = (REACH, REACH + columns * TILE - width, REACH, REACH + rows * TILE - height)
        padded = functional.pad(picture, sides, mode="replicate")
        inner = slice(REACH * SCALE, -REACH * SCALE)
        for top, bottom, left, right in _rectangles(squares):
            given = padded[..., top * TILE : bottom * TILE + 2 * REACH, left * TILE : right * TILE + 2 * REACH]
            large = self(given.contiguous(memory_format=torch.channels_last))[0, :, inner, inner]
            place = (slice(a * TILE * SCALE, b * TILE * SCALE) for a, b in ((top, bottom), (left, right)))
            levels = (large.clamp(0, 1) * 255).round().byte().cpu().numpy()
            result[tuple(place)] = rearrange(levels, "c v u -> v u c")
        return in_the_colors_of(frame, result[: height * SCALE, : width * SCALE])


def _rectangles(squares: Bool) -> list[tuple[int, int, int, int]]:
    """First row, row after the last, first column, column after the last: together the squares `(Y, X)` that are set.

    Neighbours go together because the network computes what is around each rectangle as well.
    """
    found: list[tuple[int, int, int, int]] = []
    for y, row in enumerate(squares):
        ends = np.flatnonzero(np.diff(row, prepend=False, append=False)).reshape(-1, 2).tolist()
        for left, right in ((k, min(k + _LONGEST, b)) for a, b in ends for k in range(a, b, _LONGEST)):
            if (y - 1, y, left, right) in found:
                found.remove((y - 1, y, left, right))
                found.append((y - 1, y + 1, left, right))
            else:
                found.append((y, y + 1, left, right))
    return found


def in_the_colors_of(frame: UInt8, large: UInt8) -> UInt8:
    """The enlarged frame with the broad colours of the frame `(H, W, 3)`, which the network makes a little brighter.

    Otherwise its squares would show in a sky beside those that are enlarged without it.
    """
    height, width = frame.shape[:2]
    off = frame.astype(np.float32) - cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
    off = cv2.GaussianBlur(off, (0, 0), _BROAD_PIXELS, borderType=cv2.BORDER_REFLECT)
    moved = large + cv2.resize(off, large.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.rint(moved).clip(0, 255).astype(np.uint8)


def load_upscaler() -> VideoUpscaler:
    """The network with its published weights, in float32 on the CPU.

    Raises:
        MissingPartError: they are not in this installation.
    """
    path = Path(str(resources.files("real2sam2real"))) / "assets" / "realesr_animevideo" / "x4.safetensors"
    if not path.is_file():
        raise MissingPartError("the weights that enlarge videos are not in this installation; install it again")
    network = VideoUpscaler()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    # On a CPU this order of the numbers takes half the time.
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
