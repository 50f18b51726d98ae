"""A data set encoded once by the frozen encoders, one file per clip.

    CACHE/NAME/index.json               the clips in order; written last, so it tells that the rest is whole
    CACHE/NAME/nothing.safetensors      what stands for no video, no normals and no text
    CACHE/NAME/clips/KEY.safetensors    video, photo, text, image, normals, normals.0 … normals.K-1
    CACHE/NAME/clips/KEY.normals.mkv    with K = 0: the encoded normals, and KEY.ids.mkv, to be distorted in each step

NAME is a hash of everything that decides what is in it. Files are written whole, so an interrupted encoding goes on
with the next clip.

Shape letters: T frames, H × W pixels, z latent channels, F latent frames, h × w latent size.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from real2sam2real import media
from real2sam2real.control.perturbation import PerturbationRanges, perturb
from real2sam2real.diffusion.conditioning import encode_latents
from real2sam2real.errors import UserError
from real2sam2real.files import existing_file, replacing_file
from real2sam2real.lab.curate.dataset import DatasetInfo, Sample, iterate_samples, read_info, shard_paths
from real2sam2real.lab.train.adapter.bases import Encoders, TrainingBase
from real2sam2real.lab.train.adapter.objective import Batch, NullConditions
from real2sam2real.lab.train.adapter.order import generator_for
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record, write_json

VERSION = 1
INDEX, NULL_CONDITIONS, CLIPS = "index.json", "nothing.safetensors", "clips"


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """How the normals of a data set are distorted for training."""

    ranges: PerturbationRanges | None  # of the distortion, or None for none
    variants: int  # K, encoded once; 0 distorts and encodes anew in each step
    seed: int  # of the variants

    @property
    def cached(self) -> int:
        """How many distorted variants are on disk."""
        return 0 if self.ranges is None else self.variants

    @property
    def each_step(self) -> bool:
        """Whether normals are distorted and encoded in each step."""
        return self.ranges is not None and self.variants == 0

    def latents(
        self, encoders: Encoders, info: DatasetInfo, normals: Any, ids: Any, generator: torch.Generator
    ) -> Tensor:
        """`(z, F, h, w)` latents of normals `(T, H, W, 3)` with ids `(T, H, W)` after a distortion."""
        assert self.ranges is not None  # without, nothing is distorted
        given = torch.from_numpy(np.ascontiguousarray(normals)).permute(0, 3, 1, 2).to(encoders.device)
        given_ids = torch.from_numpy(np.ascontiguousarray(ids)).to(encoders.device)
        new, new_ids = perturb(given, given_ids, self.ranges, generator)
        new = new.permute(0, 2, 3, 1)
        return encoders.latents(info.normal_convention.encode(new.cpu().numpy(), new_ids.cpu().numpy()))


@dataclass(frozen=True, kw_only=True)
class ClipCache:
    """An encoded data set."""

    folder: Path  # of the files
    info: DatasetInfo  # of the data set
    keys: tuple[str, ...]  # of the clips, in order
    distortion: Distortion  # of their normals

    def null_conditions(self) -> NullConditions:
        """What stands for nothing."""
        tensors = load_file(self.folder / NULL_CONDITIONS)
        return NullConditions(**{name: value[None] for name, value in tensors.items()})

    def batch(
        self, indices: tuple[int, ...], generator: torch.Generator, encoders: Encoders | None, *, plain: bool = False
    ) -> Batch:
        """Clips on the CPU, of which the generator chooses a variant, or distorts them; neither where they are `plain`.

        The encoders are needed to distort in each step.
        """
        clips = [self._clip(index, generator, encoders, plain=plain) for index in indices]
        return Batch(**{name: torch.stack([clip[name] for clip in clips]) for name in clips[0]})

    def _clip(
        self, index: int, generator: torch.Generator, encoders: Encoders | None, *, plain: bool
    ) -> dict[str, Tensor]:
        key, name = self.keys[index], "normals"
        if self.distortion.cached and not plain:
            name = f"normals.{int(torch.randint(self.distortion.cached, (), generator=generator))}"
        with safe_open(existing_file(_clip_file(self.folder, key)), framework="pt") as file:
            wanted = {"video": "video", "photo": "photo", "text": "text", "normals": name}
            if "image" in file.keys():  # noqa: SIM118  no mapping
                wanted["image"] = "image"
            tensors = {part: file.get_tensor(stored) for part, stored in wanted.items()}
        if self.distortion.each_step and not plain:
            tensors["normals"] = self._distorted(key, generator, encoders)
        return tensors

    def _distorted(self, key: str, generator: torch.Generator, encoders: Encoders | None) -> Tensor:
        if encoders is None:
            raise ValueError("to distort normals in each step, the encoders are needed")
        ids = media.read_video(self.folder / CLIPS / f"{key}.ids.mkv")
        normals = self.info.normal_convention.decode(media.read_video(self.folder / CLIPS / f"{key}.normals.mkv"), ids)
        return self.distortion.latents(encoders, self.info, normals, ids, generator)


def open_cache(
    root: Path,
    dataset: Path,
    base: TrainingBase,
    distortion: Distortion,
    load_encoders: Callable[[], Encoders],
    accelerator: Any,
) -> ClipCache:
    """Encode a data set where that has not been done, clip by clip, and open it.

    Args:
        root: of all caches.
        dataset: that `r2s2r curate` wrote.
        base: whose encoders are used.
        distortion: of the normals.
        load_encoders: called only if something has to be encoded.
        accelerator: accelerate's; each of its processes encodes its share of the clips.

    Raises:
        UserError: there is no data set, it is damaged, or its size does not fit the base.
    """
    info = read_info(dataset)
    folder = root / _name(dataset, info, base, distortion)
    if not (folder / INDEX).is_file():
        accelerator.wait_for_everyone()  # nobody may write the index before all have looked for it
        encoders = load_encoders()
        _check_size(info, encoders)
        if accelerator.is_main_process:
            logging.getLogger(__name__).info("encoding %s into %s", dataset, folder)
        keys = _encode_all(folder, dataset, info, encoders, distortion, accelerator)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            _write_null_conditions(folder, info, encoders)
            write_json(folder / INDEX, {"keys": keys})
        accelerator.wait_for_everyone()
    remedy = f"delete {folder}, and the clips are encoded again"
    keys = read_record(
        folder / INDEX, lambda values: typed(list[str], values["keys"]), what="index of a cache", remedy=remedy
    )
    return ClipCache(folder=folder, info=info, keys=tuple(keys), distortion=distortion)


def _name(dataset: Path, info: DatasetInfo, base: TrainingBase, distortion: Distortion) -> str:
    shards = [(path.name, path.stat().st_size) for path in shard_paths(dataset)]
    decided_by = {
        "version": VERSION,
        "base": base.identity,
        "squash": base.settings.resize_without_crop,
        "dataset": [str(dataset.resolve()), asdict(info), shards],
        "distortion": asdict(distortion),
    }
    return hashlib.sha256(json.dumps(decided_by, sort_keys=True).encode()).hexdigest()[:16]


def _check_size(info: DatasetInfo, encoders: Encoders) -> None:
    grid = 2 * int(encoders.vae.config.scale_factor_spatial)
    if info.width % grid or info.height % grid or info.frames % 4 != 1:
        raise UserError(
            f"clips of {info.width}×{info.height}, {info.frames} frames, do not fit this base: sides must be multiples "
            f"of {grid}, frames 4k + 1; curate them at another size"
        )


def _encode_all(
    folder: Path, dataset: Path, info: DatasetInfo, encoders: Encoders, distortion: Distortion, accelerator: Any
) -> list[str]:
    keys = []
    for index, sample in enumerate(iterate_samples(dataset)):
        keys.append(sample.key)
        path = _clip_file(folder, sample.key)
        if index % accelerator.num_processes != accelerator.process_index or path.is_file():
            continue
        if distortion.each_step:
            encoded = info.normal_convention.encode(sample.normals, sample.ids)
            media.write_lossless_video(folder / CLIPS / f"{sample.key}.normals.mkv", encoded, info.fps)
            media.write_lossless_video(folder / CLIPS / f"{sample.key}.ids.mkv", sample.ids, info.fps)
        _save(path, _encoded(sample, info, encoders, distortion))
    return keys


def _encoded(sample: Sample, info: DatasetInfo, encoders: Encoders, distortion: Distortion) -> dict[str, Tensor]:
    tensors = {
        "video": encoders.latents(sample.video),
        "photo": encoders.latents(sample.video[:1]),
        "normals": encoders.latents(info.normal_convention.encode(sample.normals, sample.ids)),
        "text": encoders.embedded(sample.caption),
    }
    image = encoders.seen(sample.video[0])
    if image is not None:
        tensors["image"] = image
    for variant in range(distortion.cached):
        generator = generator_for(distortion.seed, "variant", sample.key, variant)
        tensors[f"normals.{variant}"] = distortion.latents(encoders, info, sample.normals, sample.ids, generator)
    return tensors


def _write_null_conditions(folder: Path, info: DatasetInfo, encoders: Encoders) -> None:
    frames, height, width = info.shape
    with torch.no_grad():
        gray = torch.zeros(1, 3, frames, height, width, device=encoders.device)
        tensors = {
            "video": encode_latents(encoders.vae, gray)[0].cpu(),
            "normals": encode_latents(encoders.vae, gray - 1)[0].cpu(),
            "text": encoders.embedded(""),
        }
    _save(folder / NULL_CONDITIONS, tensors)


def _clip_file(folder: Path, key: str) -> Path:
    return folder / CLIPS / f"{key}.safetensors"


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing_file(path) as temporary:
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
