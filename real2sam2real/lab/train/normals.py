"""Training of the `mini` normal network on the procedural world: resumable, seeded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.files import replacing_file, replacing_folder
from real2sam2real.lab.curate.normals.network import NormalNetwork, inputs
from real2sam2real.lab.synth import TRAIN_SEEDS, sample_clip
from real2sam2real.lab.train.shards import ShardSource
from real2sam2real.lab.train.training import NetworkTrainer, TrainingSettings, bfloat16_where_fast, step_at

_SEED_OFFSET = 500_000_000  # away from the clips that other networks are trained on


@dataclass(frozen=True, kw_only=True)
class NormalsConfig(TrainingSettings):
    """The recipe; see `TrainingSettings` for what is not listed."""

    width: int = 256  # of the rendered clips in pixels
    height: int = 144  # likewise
    rendered: int = 9  # frames rendered of each clip
    crop_width: int = 160  # of what is trained on: cut out at a random scale
    crop_height: int = 96  # likewise
    frames: int = 4  # consecutive frames trained on
    clips_per_shard: int = 48  # clips rendered at a time
    shards: int = 40  # all there are
    window: int = 16  # so many of the latest shards are drawn from
    batch_size: int = 6  # clips a step
    steps: int = 3000  # of the optimiser
    learning_rate: float = 1.5e-3
    channels: tuple[int, ...] = (32, 64, 96, 128, 160)  # of the network's levels
    blocks: int = 1  # of each level
    warmup_steps: int = 50
    decay_fraction: float = 0.5

    @property
    def total_steps(self) -> int:
        """See `TrainingSettings`."""
        return self.steps


def mini() -> NormalsConfig:
    """The shipped network."""
    return NormalsConfig()


def smoke() -> NormalsConfig:
    """A run of seconds; the network knows nothing."""
    return NormalsConfig(
        width=64,
        height=48,
        rendered=5,
        crop_width=32,
        crop_height=32,
        frames=3,
        clips_per_shard=2,
        shards=2,
        window=2,
        batch_size=2,
        steps=4,
        channels=(8, 16),
    )


NORMALS_RECIPES = {"mini": mini, "smoke": smoke}


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalClips:
    """N rendered clips."""

    video: UInt8  # `(N, T, H, W, 3)` uint8
    normals: NDArray[np.int8]  # `(N, T, H, W, 3)` int8, right/up/towards times 127
    ids: UInt8  # `(N, T, H, W)` uint8

    def __len__(self) -> int:
        return len(self.ids)


class NormalsTrainer(NetworkTrainer[NormalsConfig]):
    """Trains the network in a folder: rendered `clips/`, and at the end `network/`; see `NetworkTrainer`."""

    network: NormalNetwork

    def export(self) -> Path:
        """Write the averaged weights, in float16, with their configuration; whole or not at all."""
        target = self.folder / "network"
        with replacing_folder(target) as folder:
            state = {name: values.to(torch.float16).contiguous() for name, values in self.average.items()}
            save_file(state, folder / "network.safetensors")
            (folder / "config.json").write_text(json.dumps(dict(self.network.config), indent=1) + "\n")
            (folder / "training.json").write_text(json.dumps(self._record(), indent=1) + "\n")
        return target

    def _build(self) -> None:
        config = self.config
        torch.manual_seed(config.seed)
        self.network = NormalNetwork(config.channels, config.blocks)
        self._optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.learning_rate, weight_decay=0.01)
        self._shards: ShardSource[NormalClips] | None = None

    def _state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _next_batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        config = self.config
        if self._shards is None:
            paths = [self.folder / "clips" / f"{number:04d}.npz" for number in range(config.shards)]
            self._shards = ShardSource(paths, partial(_shard_writer, config), _read_shard)
        # New clips come in the first part of the run; the rest of it goes over the last of them.
        newest = min(config.shards - 1, self.step * config.shards // max(1, int(config.steps * 0.6)))
        rng = np.random.default_rng((config.seed, self.step))
        return draw_batch(self._shards.window(newest, config.window), config, rng)

    def _loss(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, dict[str, Any]]:
        """The loss, and the mean angle of the estimate in degrees."""
        video, normals, ids, seen = batch
        with bfloat16_where_fast(video.device):
            estimated = self.network(inputs(video, seen))
        cosine = (estimated * normals).sum(dim=2)[ids > 0].clamp(-1 + 1e-5, 1 - 1e-5)
        angles = torch.arccos(cosine)
        degrees = float(torch.rad2deg(angles.detach()).mean())
        return (1 - cosine).mean() + 0.2 * angles.mean(), {"degrees": round(degrees, 3)}

    def _update(self, learning_rate: float) -> None:
        step_at(self._optimizer, learning_rate)

    def _close(self) -> None:
        if self._shards is not None:
            self._shards.close()
            self._shards = None


def _shard_writer(config: NormalsConfig) -> Callable[[Path, int], None]:
    def write(path: Path, number: int) -> None:
        first = TRAIN_SEEDS.start + _SEED_OFFSET + config.seed * 1_000_000 + number * config.clips_per_shard
        video, normals, ids = [], [], []
        for seed in range(first, first + config.clips_per_shard):
            clip = sample_clip(seed, width=config.width, height=config.height, frames=config.rendered)
            video.append(clip.video)
            normals.append(np.rint(clip.normals * 127).astype(np.int8))
            ids.append(clip.ids)
        with replacing_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, video=np.stack(video), normals=np.stack(normals), ids=np.stack(ids))

    return write


def _read_shard(path: Path) -> NormalClips:
    with np.load(path) as arrays:
        return NormalClips(video=arrays["video"], normals=arrays["normals"], ids=arrays["ids"])


def draw_batch(
    shards: list[NormalClips], config: NormalsConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clips of a step, varied in place, size, direction and colour.

    Returns:
        Video `(B, T, 3, h, w)` 0…1, true normals `(B, T, 3, h, w)`, true ids `(B, T, h, w)`, and the ids that the
        network is given, whose outlines are off by up to two pixels, as a tracker's are.
    """
    clips = [_draw_clip(shards, config, rng) for _ in range(config.batch_size)]
    video, normals, ids, seen = (torch.from_numpy(np.stack(parts)) for parts in zip(*clips, strict=True))
    return video.permute(0, 1, 4, 2, 3), normals.permute(0, 1, 4, 2, 3), ids, seen


def _draw_clip(
    shards: list[NormalClips], config: NormalsConfig, rng: np.random.Generator
) -> tuple[Float32, Float32, UInt8, UInt8]:
    while True:  # a crop without any instance teaches nothing
        shard = shards[rng.integers(len(shards))]
        clip = rng.integers(len(shard))
        start = rng.integers(config.rendered - config.frames + 1)
        times = slice(start, start + config.frames)
        video, normals, ids = _crop(
            shard.video[clip, times], shard.normals[clip, times], shard.ids[clip, times], config, rng
        )
        if np.count_nonzero(ids) > ids.size // 50:
            break
    if rng.random() < 0.5:
        video, normals, ids = video[:, :, ::-1], normals[:, :, ::-1] * np.array([-1, 1, 1], np.float32), ids[:, :, ::-1]
    if rng.random() < 0.5:
        video, normals, ids = video[::-1], normals[::-1], ids[::-1]
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    ids = np.ascontiguousarray(ids)
    return _recoloured(video, rng), normals / np.maximum(length, 1e-6), ids, _roughened(ids, rng)


def _crop(
    video: UInt8, normals: NDArray[np.int8], ids: UInt8, config: NormalsConfig, rng: np.random.Generator
) -> tuple[UInt8, Float32, UInt8]:
    """The same cut of every frame, at a scale of 1 down to what shows the whole frame."""
    size = (config.crop_width, config.crop_height)
    least = min(1.0, max(size[0] / config.width, size[1] / config.height))
    scale = rng.uniform(least, 1.0)
    width, height = min(config.width, round(size[0] / scale)), min(config.height, round(size[1] / scale))
    left, top = rng.integers(config.width - width + 1), rng.integers(config.height - height + 1)
    cut = (slice(None), slice(top, top + height), slice(left, left + width))
    colors = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in video[cut]])
    nearest = [cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST) for frame in normals[cut]]
    masks = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST) for frame in ids[cut]])
    return colors, np.stack(nearest).astype(np.float32), masks


def _recoloured(video: UInt8, rng: np.random.Generator) -> Float32:
    """Another exposure, tint, saturation, sharpness and noise, alike in all frames but for the noise."""
    colors = video[..., rng.permutation(3)].astype(np.float32) / 255
    gray = colors.mean(axis=-1, keepdims=True)
    colors = gray + rng.uniform(0.0, 1.2) * (colors - gray)
    colors = np.clip(colors * rng.uniform(0.8, 1.2, 3).astype(np.float32), 0, 1) ** rng.uniform(0.6, 1.7)
    if rng.random() < 0.3:
        width = rng.uniform(0.4, 1.2)
        colors = np.stack([cv2.GaussianBlur(frame, (0, 0), width) for frame in colors])
    noise = rng.standard_normal(colors.shape, dtype=np.float32) * rng.uniform(0, 0.04)
    return np.clip(colors + noise, 0, 1).astype(np.float32)


def _roughened(ids: UInt8, rng: np.random.Generator) -> UInt8:
    """Ids with outlines grown or shrunk by up to two pixels."""
    radius = int(rng.integers(0, 3))
    if not radius:
        return ids
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    return np.stack([change(frame, kernel) for frame in ids])
