"""Minimally invasive fine-tuning, on one device or many: `r2s2r train adapter`.

accelerate decides where the model lives: on one device, copied (DDP), sharded (FSDP 2) or by DeepSpeed, as
`accelerate launch` was told. What is computed does not depend on that: an optimiser step is a number of passes, counted
through all processes, and all that is random in a pass follows from the seed and its number.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from real2sam2real.diffusion.loading import architecture_of
from real2sam2real.diffusion.memory.costs import ClipSize
from real2sam2real.diffusion.weights.adapter_file import POSE_MODULE
from real2sam2real.diffusion.weights.load import load_transformer, load_vae
from real2sam2real.errors import require
from real2sam2real.lab.curate.dataset import read_info
from real2sam2real.lab.train.adapter import checkpoints
from real2sam2real.lab.train.adapter.bases import Encoders, find_training_base
from real2sam2real.lab.train.adapter.cache import ClipCache, Distortion, open_cache
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.adapter.exports import adapter_from, write_exports
from real2sam2real.lab.train.adapter.footprint import check_choices, check_room_for_activations, lighten
from real2sam2real.lab.train.adapter.launching import make_accelerator
from real2sam2real.lab.train.adapter.objective import Batch, NullConditions, draw_step_noise, fine_tuning_loss
from real2sam2real.lab.train.adapter.order import Order, generator_for
from real2sam2real.lab.train.adapter.samples import sample_latents, write_sample
from real2sam2real.lab.train.adapter.trainable import attach, input_embedding
from real2sam2real.lab.train.training import GRADIENT_CLIP, Trainer, set_learning_rate

Encoded = TypeVar("Encoded", Batch, NullConditions)
CHANGEABLE = {"steps", "checkpoint_every", "keep_last", "sample_every", "tensorboard", "cache", "parts", "activations"}
"""Settings that a run may go on with changed: they do not change its steps, but for rounding."""


class AdapterTrainer(Trainer[AdapterConfig]):
    """Trains an adapter: leaves `adapter/` under the official names, and other forms beside it; see `Trainer`.

    Every process of a launch makes one. The folder also holds `cache/`, `checkpoints/`, `samples/`, `tensorboard/`.
    """

    def __init__(self, config: AdapterConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self._encoders: Encoders | None = None
        self._board: Any = None

    @cached_property
    def accelerator(self) -> Any:
        """accelerate's, as the launch was configured."""
        return make_accelerator(self.config)

    @property
    def is_main(self) -> bool:
        """See `Trainer`."""
        return bool(self.accelerator.is_main_process)

    @property
    def changeable(self) -> Collection[str]:
        """See `Trainer`."""
        # The decay is a share of the steps.
        return CHANGEABLE - {"steps"} if self.config.decay_fraction else CHANGEABLE

    def save(self) -> None:
        """See `Trainer`."""
        keep = self.config.keep_last
        checkpoints.save_checkpoint(self.accelerator, self.model, self.optimizer, self.folder, self.step, keep)

    def export(self) -> Path:
        """Write every form of the adapter; the folder of the official one."""
        trained = checkpoints.trained_tensors(self.accelerator, self.model)
        if self.is_main:
            adapter = adapter_from(trained, self._frozen, self.config)
            settings = self.base.settings_for(self.buckets[0].info, self.config.shift)
            write_exports(self.folder, adapter, self.config, settings, self.step)
        self.accelerator.wait_for_everyone()
        return self.folder / "adapter"

    def _build(self) -> None:
        accelerator, config = self.accelerator, self.config
        self._say(f"{accelerator.distributed_type.value}, {accelerator.num_processes} processes")
        check_choices(config, accelerator)
        self.base = find_training_base(config.base, config.parts)
        infos = [read_info(Path(dataset)) for dataset in config.datasets]
        clips = [ClipSize(frames=info.frames, width=info.width, height=info.height) for info in infos]
        here = int(os.environ.get("LOCAL_WORLD_SIZE", accelerator.num_processes))  # as torchrun and accelerate set it
        check_room_for_activations(config, architecture_of(self.base.source), clips, here)
        self.buckets = self._open_buckets()
        self._release_encoders()
        self._null_conditions = [self._on_device(bucket.null_conditions()) for bucket in self.buckets]
        sizes = tuple(len(bucket.keys) for bucket in self.buckets)
        self.order = Order(sizes=sizes, batch_size=config.batch_size, seed=config.seed)
        dtype = torch.bfloat16 if config.bf16 else torch.float32
        transformer = load_transformer(self.base.source, dtype)
        self.prediction = str(transformer.config.prediction)
        generator = generator_for(config.seed, "adapter")
        self.parameters = attach(
            transformer,
            rank=config.rank,
            alpha=config.alpha,
            injection=config.injection,
            start=config.embedding,
            generator=generator,
        )
        for parameter in transformer.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        self._frozen = input_embedding(transformer)
        bias = transformer.get_submodule(POSE_MODULE).bias
        self._frozen[f"{POSE_MODULE}.bias"] = bias.detach().float().to("cpu", copy=True)
        lighten(transformer, config, [empty.video for empty in self._null_conditions], accelerator.device)
        self._say(str(self.parameters))
        optimizer = _optimizer(config, [p for p in transformer.parameters() if p.requires_grad])
        self.model, self.optimizer = accelerator.prepare(transformer, optimizer)

    def _open_buckets(self) -> list[ClipCache]:
        config = self.config
        ranges = config.ranges if config.perturb else None
        root = self.folder / "cache" if config.cache is None else Path(config.cache)
        return [
            open_cache(
                root,
                Path(dataset),
                self.base,
                Distortion(ranges=ranges, variants=config.variants, seed=config.seed),
                self._load_encoders,
                self.accelerator,
            )
            for dataset in config.datasets
        ]

    def _load_encoders(self) -> Encoders:
        if self._encoders is None:
            self._encoders = self.base.load_encoders(self.accelerator.device)
        return self._encoders

    def _release_encoders(self) -> None:
        """Leave the device to the transformer; distorting in each step, and samples, need the autoencoder alone."""
        each_step = any(bucket.distortion.each_step for bucket in self.buckets)
        self._encoders = None
        if each_step or self.config.sample_every:
            device = self.accelerator.device
            self._encoders = Encoders(vae=load_vae(self.base.source).to(device), device=device)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _resume(self) -> None:
        self.step = checkpoints.load_checkpoint(self.accelerator, self.model, self.optimizer, self.folder)

    def _checkpoint_due(self) -> bool:
        return self.step % self.config.checkpoint_every == 0

    def _train_step(self) -> dict[str, Any]:
        """One optimiser step; the mean loss of all its passes in all processes."""
        accelerator, config = self.accelerator, self.config
        passes = config.accumulation // accelerator.num_processes
        total = torch.zeros((), device=accelerator.device)
        set_learning_rate(self.optimizer, config.learning_rate_at(self.step))
        for own in range(passes):
            number = self.step * config.accumulation + own * accelerator.num_processes + accelerator.process_index
            with accelerator.accumulate(self.model):
                loss = self._loss(number)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    trained = [p for p in self.model.parameters() if p.requires_grad]
                    accelerator.clip_grad_norm_(trained, GRADIENT_CLIP)
                self.optimizer.step()
                self.optimizer.zero_grad()
            total += loss.detach() / passes
        mean: Tensor = accelerator.reduce(total, reduction="mean")
        loss_value = float(mean)
        if config.tensorboard and self.is_main:
            self._board = self._board or _board(self.folder / "tensorboard", self.step)
            self._board.add_scalar("loss", loss_value, self.step + 1)
        return {"stage": "adapter", "loss": loss_value}

    def _after_step(self) -> None:
        if self.config.sample_every and self.step % self.config.sample_every == 0:
            self._sample()

    def _close(self) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None

    def _loss(self, number: int) -> Tensor:
        bucket, indices = self.order.at(number)
        generator = generator_for(self.config.seed, "pass", number)
        batch = self._on_device(self.buckets[bucket].batch(indices, generator, self._encoders))
        config = self.config
        step_noise = draw_step_noise(
            batch,
            shift=config.shift,
            generator=generator,
            drop_text=config.drop_text,
            drop_image=config.drop_image,
            drop_normals=config.drop_normals,
        )
        with self._autocast():
            return fine_tuning_loss(
                self.model,
                batch,
                step_noise,
                self._null_conditions[bucket],
                level_floor=self.config.level_floor,
                prediction=self.prediction,
            )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.config.bf16)

    def _on_device(self, values: Encoded) -> Encoded:
        given = {f.name: getattr(values, f.name) for f in fields(values)}
        device = self.accelerator.device
        moved: dict[str, Any] = {
            name: None if value is None else value.to(device, torch.float32) for name, value in given.items()
        }
        return type(values)(**moved)

    def _sample(self) -> None:
        """Every process takes part, because a sharded model needs all of them; the main one writes."""
        bucket, config = self.buckets[0], self.config
        generator = generator_for(config.seed, "sample")
        batch = self._on_device(bucket.batch((0,), generator, None, plain=True))
        settings = self.base.settings_for(bucket.info, config.shift)
        with self._autocast():
            made = sample_latents(
                self.model,
                batch,
                self._null_conditions[0],
                settings,
                prediction=self.prediction,
                shift=config.shift,
                generator=generator,
            )
        if self.accelerator.is_main_process and self._encoders is not None:
            path = self.folder / "samples" / f"step-{self.step:06d}.mp4"
            write_sample(path, self._encoders.vae, batch, made, bucket.info.fps)
        self.accelerator.wait_for_everyone()

    def _say(self, text: str) -> None:
        if self.is_main:
            logging.getLogger(__name__).info(text)


def _optimizer(config: AdapterConfig, parameters: list[Any]) -> torch.optim.Optimizer:
    kind: Any = torch.optim.AdamW
    if config.optimizer == "adamw8bit":
        needed = "optimizer adamw8bit needs bitsandbytes: pip install bitsandbytes"
        kind = require("bitsandbytes.optim", needed).AdamW8bit
    return kind(parameters, lr=config.learning_rate, weight_decay=0.01)


def _board(folder: Path, step: int) -> Any:
    needed = 'logging needs TensorBoard: pip install "real2sam2real[train]", or set tensorboard: false'
    return require("torch.utils.tensorboard", needed).SummaryWriter(str(folder), purge_step=step + 1)
