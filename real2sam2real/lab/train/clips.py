"""Procedural clips as latents: rendered, varied and encoded by a worker, read by the trainer in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from real2sam2real.arrays import UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder
from real2sam2real.diffusion.conditioning import encode_latents, to_video_tensor
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file
from real2sam2real.lab.train.recipes import TrainingStage
from real2sam2real.lab.train.shards import ShardSource

VARIANTS = 4
SEED_BLOCK = 1_000_000
BLOCKS_PER_RUN = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentClips:
    """N encoded clips; F latent frames of h × w."""

    video: Tensor  # `(N, z, F, h, w)` float16, standardised
    normals: Tensor  # the same shape, of the encoded normals
    photo: Tensor  # `(N, z, 1, h, w)` float16, of frame 0 alone


def vary(video: UInt8, normals: UInt8, variant: int) -> tuple[UInt8, UInt8]:
    """One of four cheap variants of a clip: as it is, mirrored, backwards in time, or both; with colours permuted.

    Args:
        video: `(T, H, W, 3)`.
        normals: `(T, H, W, 3)` encoded right/up/towards on black.
        variant: 0…3; bit 0 mirrors, bit 1 reverses time. Any but 0 also permutes the video's colour channels.
    """
    if variant & 1:
        video = video[:, :, ::-1]
        mirrored = normals[:, :, ::-1].copy()
        foreground = np.any(mirrored != 0, axis=-1)
        mirrored[..., 0] = np.where(foreground, 255 - mirrored[..., 0], 0)
        normals = mirrored
    if variant & 2:
        video, normals = video[::-1], normals[::-1]
    if variant:
        video = video[..., np.roll(np.arange(3), variant)]
    return video, normals


def render_clip(seed: int, stage: TrainingStage) -> tuple[UInt8, UInt8]:
    """Video and encoded normals, both `(T, H, W, 3)` uint8, of one seed of the procedural world."""
    from real2sam2real.lab.synth import sample_clip, varied_world

    world = varied_world() if stage.varied else None
    clip = sample_clip(seed, width=stage.width, height=stage.height, frames=stage.frames, config=world)
    return clip.video, NormalConvention().encode(clip.normals, clip.ids)


def write_shard(
    path: Path, autoencoder: BlockTransformAutoencoder, stage: TrainingStage, first_seed: int, clips: int
) -> None:
    """Render `clips` clips (variants of every seed, from `first_seed` on), encode them, and write them to `path`."""
    parts: dict[str, list[Tensor]] = {"video": [], "normals": [], "photo": []}
    for start in range(0, clips, VARIANTS):
        rendered = render_clip(first_seed + start // VARIANTS, stage)
        for variant in range(min(VARIANTS, clips - start)):
            video, normals = (to_video_tensor(frames) for frames in vary(*rendered, variant))
            parts["video"].append(encode_latents(autoencoder, video).half())
            parts["normals"].append(encode_latents(autoencoder, normals).half())
            parts["photo"].append(encode_latents(autoencoder, video[:, :, :1]).half())
    with replacing_file(path) as temporary:
        save_file({name: torch.cat(tensors).contiguous() for name, tensors in parts.items()}, temporary)


def read_shard(path: Path) -> LatentClips:
    """The clips of one shard.

    Raises:
        UserError: the file is damaged; it names the file, which can be deleted and is then made again.
    """
    try:
        return LatentClips(**load_file(path))
    except Exception as error:
        raise UserError(
            f"{path} cannot be read ({error}); delete it and start again, it will be rendered anew"
        ) from error


def shard_seed(stage_index: int, shard: int, clips_per_shard: int, first_seed: int, run_seed: int = 0) -> int:
    """First seed of a shard; stages, and runs of other seeds, draw from blocks of seeds of their own."""
    block = run_seed * BLOCKS_PER_RUN + stage_index
    return first_seed + block * SEED_BLOCK + shard * (clips_per_shard // VARIANTS)


@dataclass(frozen=True, kw_only=True)
class LatentShard:
    """A file of encoded clips and what it is made from."""

    path: Path
    stage: TrainingStage
    first_seed: int


def latent_shards(shards: Sequence[LatentShard], autoencoder_folder: Path, clips: int) -> ShardSource[LatentClips]:
    """Shards of so many clips each, in the order in which they are made."""
    writer = partial(_latent_writer, shards, autoencoder_folder, clips)
    return ShardSource([shard.path for shard in shards], writer, read_shard)


def _latent_writer(shards: Sequence[LatentShard], autoencoder_folder: Path, clips: int) -> Callable[[Path, int], None]:
    autoencoder = BlockTransformAutoencoder.from_pretrained(autoencoder_folder)
    return lambda path, index: write_shard(path, autoencoder, shards[index].stage, shards[index].first_seed, clips)
