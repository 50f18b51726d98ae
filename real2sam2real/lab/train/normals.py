"""Training of the `mini` normal network on the procedural world: resumable, seeded."""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file, replacing_folder
from real2sam2real.lab.curate.normals.network import NormalNetwork, inputs
from real2sam2real.lab.synth import TRAIN_SEEDS, sample_clip
from real2sam2real.lab.train.optimizers import learning_rate_at

_SEED_OFFSET = 500_000_000  # away from the clips that other networks are trained on
_GRADIENT_CLIP = 1.0
_AVERAGE = 0.998


@dataclass(frozen=True, kw_only=True)
class NormalsConfig:
    """The recipe.

    Attributes:
        width: of the rendered clips in pixels.
        height: likewise.
        rendered: frames rendered of each clip.
        crop_width: of what is trained on: cut out at a random scale.
        crop_height: likewise.
        frames: consecutive frames trained on.
        clips_per_shard: clips rendered at a time.
        shards: all there are.
        window: so many of the latest shards are drawn from.
        batch: clips a step.
        steps: of the optimiser.
        learning_rate: its peak.
        channels: of the network's levels.
        blocks: of each level.
        seed: of weights, clips and order.
    """

    width: int = 256
    height: int = 144
    rendered: int = 9
    crop_width: int = 160
    crop_height: int = 96
    frames: int = 4
    clips_per_shard: int = 48
    shards: int = 40
    window: int = 16
    batch: int = 6
    steps: int = 3000
    learning_rate: float = 1.5e-3
    channels: tuple[int, ...] = (32, 64, 96, 128, 160)
    blocks: int = 1
    seed: int = 0


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
        batch=2,
        steps=4,
        channels=(8, 16),
    )


NORMALS_RECIPES = {"mini": mini, "smoke": smoke}


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalClips:
    """N rendered clips.

    Attributes:
        video: `(N, T, H, W, 3)` uint8.
        normals: `(N, T, H, W, 3)` int8, right/up/towards times 127.
        ids: `(N, T, H, W)` uint8.
    """

    video: UInt8
    normals: NDArray[np.int8]
    ids: UInt8

    def __len__(self) -> int:
        return len(self.ids)


class NormalsTrainer:
    """Trains in a folder; a later call with the same configuration goes on where the last one stopped.

    Args:
        config: the recipe.
        folder: `clips/`, `state.pt`, `losses.jsonl`, and at the end `network/`.
        save_seconds: how often the state is written.

    Raises:
        UserError: the folder belongs to another configuration.
    """

    def __init__(self, config: NormalsConfig, folder: Path, *, save_seconds: float = 120) -> None:
        self.config = config
        self.folder = folder
        self._save_seconds = save_seconds
        _claim(folder, config)
        torch.manual_seed(config.seed)
        self.network = NormalNetwork(config.channels, config.blocks)
        self.average = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.learning_rate, weight_decay=0.01)
        self.step = 0
        self.seconds = 0.0
        self._resume()

    def run(self, stop_after: int | None = None) -> Path:
        """Train to the end, or to step `stop_after`; the network's folder."""
        last = min(self.config.steps, stop_after or self.config.steps)
        saved_at = time.monotonic()
        with (
            _Shards(self.config, self.folder / "clips") as shards,
            (self.folder / "losses.jsonl").open("a") as log,
            tqdm(total=self.config.steps, initial=self.step, desc="normals", unit="step") as bar,
        ):
            while self.step < last:
                error = self._train_step(shards.window(self.step))
                log.write(json.dumps({"step": self.step, "degrees": round(error, 3)}) + "\n")
                log.flush()
                bar.update()
                bar.set_postfix(degrees=f"{error:.1f}")
                if time.monotonic() - saved_at > self._save_seconds:
                    self.save()
                    saved_at = time.monotonic()
        self.save()
        return self.export()

    def save(self) -> None:
        """Write everything needed to go on from here."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with replacing_file(self.folder / "state.pt") as path:
            torch.save(state, path)

    def export(self) -> Path:
        """Write the averaged weights, in float16, with their configuration; whole or not at all."""
        target = self.folder / "network"
        with replacing_folder(target) as folder:
            state = {name: values.to(torch.float16).contiguous() for name, values in self.average.items()}
            save_file(state, folder / "network.safetensors")
            (folder / "config.json").write_text(json.dumps(dict(self.network.config), indent=1) + "\n")
            record = {"config": asdict(self.config), "steps": self.step, "seconds": round(self.seconds)}
            (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n")
        return target

    def _train_step(self, clips: list[NormalClips]) -> float:
        """One step; the mean angle of the estimate in degrees."""
        started = time.monotonic()
        rng = np.random.default_rng((self.config.seed, self.step))
        video, normals, ids, seen = draw_batch(clips, self.config, rng)
        with torch.autocast("cpu", torch.bfloat16):
            estimated = self.network(inputs(video, seen))
        cosine = (estimated * normals).sum(dim=2)[ids > 0].clamp(-1 + 1e-5, 1 - 1e-5)
        loss = (1 - cosine).mean() + 0.2 * torch.arccos(cosine).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_CLIP)
        rate = learning_rate_at(
            self.step, peak=self.config.learning_rate, total=self.config.steps, warmup=50, decay_fraction=0.5
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        decay = min(_AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average[name].lerp_(parameter, 1 - decay)
        self.seconds += time.monotonic() - started
        return float(torch.rad2deg(torch.arccos(cosine.detach())).mean())

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]
        losses = self.folder / "losses.jsonl"
        kept = [line for line in losses.read_text().splitlines() if json.loads(line)["step"] <= self.step]
        with replacing_file(losses) as path:
            path.write_text("".join(line + "\n" for line in kept))


class _Shards:
    """Rendered clips in a fixed order; a second process renders ahead of the training."""

    def __init__(self, config: NormalsConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._pending: dict[int, Future[None]] = {}
        self._loaded: dict[int, NormalClips] = {}

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def window(self, step: int) -> list[NormalClips]:
        """The shards that step `step` draws from; rendered first where they are not there."""
        config = self._config
        newest = min(config.shards - 1, step * config.shards // max(1, int(config.steps * 0.6)))
        numbers = range(max(0, newest - config.window + 1), newest + 1)
        for number in (*numbers, *range(newest + 1, min(newest + 3, config.shards))):
            if number not in self._loaded and number not in self._pending:
                self._pending[number] = self._pool.submit(_render_shard, config, number, self._path(number))
        self._loaded = {number: self._load(number) for number in numbers}
        return list(self._loaded.values())

    def _load(self, number: int) -> NormalClips:
        if number in self._loaded:
            return self._loaded[number]
        self._pending.pop(number).result()
        with np.load(self._path(number)) as arrays:
            return NormalClips(video=arrays["video"], normals=arrays["normals"], ids=arrays["ids"])

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}.npz"


def _render_shard(config: NormalsConfig, number: int, path: Path) -> None:
    if path.exists():
        return
    first = TRAIN_SEEDS.start + _SEED_OFFSET + config.seed * 1_000_000 + number * config.clips_per_shard
    video, normals, ids = [], [], []
    for seed in range(first, first + config.clips_per_shard):
        clip = sample_clip(seed, width=config.width, height=config.height, frames=config.rendered)
        video.append(clip.video)
        normals.append(np.rint(clip.normals * 127).astype(np.int8))
        ids.append(clip.ids)
    with replacing_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, video=np.stack(video), normals=np.stack(normals), ids=np.stack(ids))


def draw_batch(
    shards: list[NormalClips], config: NormalsConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clips of a step, varied in place, size, direction and colour.

    Args:
        shards: to draw from.
        config: the recipe.
        rng: what is drawn depends on it alone.

    Returns:
        Video `(B, T, 3, h, w)` 0…1, true normals `(B, T, 3, h, w)`, true ids `(B, T, h, w)`, and the ids that the
        network is given, whose outlines are off by up to two pixels, as a tracker's are.
    """
    step_noise = [_draw_clip(shards, config, rng) for _ in range(config.batch)]
    video, normals, ids, seen = (torch.from_numpy(np.stack(parts)) for parts in zip(*step_noise, strict=True))
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


def _claim(folder: Path, config: NormalsConfig) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    wanted = json.dumps(asdict(config), indent=1)
    if path.exists() and path.read_text() != wanted:
        raise UserError(f"{folder} holds a run with another configuration; choose another folder")
    with replacing_file(path) as temporary:
        temporary.write_text(wanted)
