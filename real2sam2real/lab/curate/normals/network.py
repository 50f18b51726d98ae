"""The network behind `mini`: a small U-Net over frames whose features are shifted in time.

It sees the instances alone: colours outside the masks are blanked, so that no background has to be learned, and the
outlines, which say much about a solid body, are given as channels. Part of every block's channels comes from the frame
before and the frame after (temporal shift, Lin et al., 2019), which steadies the estimate at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

INPUTS = 5
"""Three of colour, one of the mask, one of the outlines."""
_SHIFTED = 8  # one in so many channels comes from the frame before, and as many from the frame after


class NormalNetwork(nn.Module):
    """Frames to normals, with the channels of each level k, which has 1 / 2^(k + 1) of the size.

    Each has so many residual blocks on the way down, and as many on the way up.
    """

    def __init__(self, channels: tuple[int, ...] = (32, 64, 96, 128, 160), blocks: int = 1) -> None:
        super().__init__()
        self.config: Mapping[str, Any] = {"channels": list(channels), "blocks": blocks}
        before = (INPUTS, *channels[:-1])
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(before, channels, strict=True))
        self.encode = nn.ModuleList(nn.ModuleList(_Block(c) for _ in range(blocks)) for c in channels)
        pairs = list(zip(channels[1:], channels[:-1], strict=True))
        self.up = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairs)
        self.decode = nn.ModuleList(nn.ModuleList(_Block(c) for _ in range(blocks)) for _, c in pairs)
        self.head = nn.Conv2d(channels[0], 12, 3, padding=1)

    @property
    def multiple(self) -> int:
        """Heights and widths must be a multiple of this."""
        return 2 ** len(self.down)

    def forward(self, frames: Tensor) -> Tensor:
        """Unit normals `(B, T, 3, H, W)`, right/up/towards, of inputs `(B, T, 5, H, W)` made by `inputs`."""
        batch, time = frames.shape[:2]
        x = frames.flatten(0, 1)
        kept = []
        for down, blocks in zip(self.down, self.encode, strict=True):
            x = down(x)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, time)
            kept.append(x)
        for level in reversed(range(len(kept) - 1)):
            x = kept[level] + nn.functional.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest")
            for block in self.decode[level]:  # type: ignore[attr-defined]
                x = block(x, time)
        vectors = nn.functional.pixel_shuffle(self.head(x), 2).float()
        return nn.functional.normalize(vectors, dim=1, eps=1e-6).view(batch, time, *vectors.shape[1:])


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, time: int) -> Tensor:
        hidden = self.conv1(nn.functional.silu(self.norm1(shifted(x, time))))
        return x + self.conv2(nn.functional.silu(self.norm2(hidden)))


def shifted(x: Tensor, time: int) -> Tensor:
    """`(B·T, C, H, W)` with an eighth of the channels from the frame before and an eighth from the one after.

    At the ends of the clip the frame stands in for its missing neighbour.
    """
    frames = x.reshape(-1, time, *x.shape[1:])
    part = x.shape[1] // _SHIFTED
    earlier = torch.cat([frames[:, :1, :part], frames[:, :-1, :part]], dim=1)
    later = torch.cat([frames[:, 1:, part : 2 * part], frames[:, -1:, part : 2 * part]], dim=1)
    return torch.cat([earlier, later, frames[:, :, 2 * part :]], dim=2).flatten(0, 1)


def inputs(video: Tensor, ids: Tensor) -> Tensor:
    """What the network sees of a video `(B, T, 3, H, W)`, 0…1, and its instance ids `(B, T, H, W)`, 0 = none.

    Returns:
        `(B, T, 5, H, W)` float32: the instances' colours at mean 0 and deviation 1, their mask and outlines.
    """
    mask = (ids > 0).unsqueeze(2)
    count = mask.sum(dim=(1, 2, 3, 4), keepdim=True).clamp(min=1) * 3
    seen = video * mask
    mean = seen.sum(dim=(1, 2, 3, 4), keepdim=True) / count
    centred = (video - mean) * mask
    deviation = (centred.square().sum(dim=(1, 2, 3, 4), keepdim=True) / count).sqrt().clamp(min=0.02)
    outline = torch.zeros_like(ids, dtype=torch.bool)
    across, along = ids[..., 1:] != ids[..., :-1], ids[..., 1:, :] != ids[..., :-1, :]
    outline[..., 1:] |= across
    outline[..., :-1] |= across
    outline[..., 1:, :] |= along
    outline[..., :-1, :] |= along
    return torch.cat([centred / deviation, mask.to(video.dtype), outline.unsqueeze(2).to(video.dtype)], dim=2)
