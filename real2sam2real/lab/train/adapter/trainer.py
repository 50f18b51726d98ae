"""Minimally invasive fine-tuning, on one device or many: `r2s2r train adapter`.

accelerate decides where the model lives: on one device, copied (DDP), sharded (FSDP 2) or by DeepSpeed, as
`accelerate launch` was told. What is computed does not depend on that: an optimiser step is a number of passes, counted
through all processes, and all that is random in a pass follows from the seed and its number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from real2sam2real.diffusion.weights.adapter_file import POSE_MODULE
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import replacing_file
from real2sam2real.lab.train.adapter import checkpoints
from real2sam2real.lab.train.adapter.bases import Encoders, find_training_base
from real2sam2real.lab.train.adapter.cache import ClipCache, Distortion, open_cache
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.adapter.exports import adapter_from, write_exports
from real2sam2real.lab.train.adapter.launching import GRADIENT_CLIP, make_accelerator
from real2sam2real.lab.train.adapter.objective import Batch, NullConditions, draw, fine_tuning_loss
from real2sam2real.lab.train.adapter.order import Order, generator_for
from real2sam2real.lab.train.adapter.samples import sample_latents, write_sample
from real2sam2real.lab.train.adapter.trainable import ParameterCount, attach, input_embedding
from real2sam2real.lab.train.optimizers import learning_rate_at

Encoded = TypeVar("Encoded", Batch, NullConditions)
LOSSES = "losses.jsonl"
CHANGEABLE = {"steps", "save_every", "keep_last", "sample_every", "tensorboard", "cache", "parts"}
"""Settings that a run may go on with changed: they do not change its steps."""


@dataclass(frozen=True, kw_only=True)
class AdapterResult:
    """What a run leaves.

    Attributes:
        adapter: folder under the official names.
        losses: `losses.jsonl`, one line a step.
        count_parameters: of the parameters that were trained.
        step: that was reached.
    """

    adapter: Path
    losses: Path
    count_parameters: ParameterCount
    step: int


class AdapterTrainer:
    """Trains in a folder; a later one with the same configuration goes on from the newest checkpoint.

    Every process of a launch makes one.

    Args:
        config: of the run.
        folder: `config.json`, `cache/`, `checkpoints/`, `losses.jsonl`, `samples/`, `tensorboard/`, `adapter…/`.
        say: told what happens, by the main process.

    Raises:
        MissingPartError: a package or a part of the base is missing.
        UserError: the folder belongs to a run with another configuration, the passes cannot be shared among the
            processes, or data and base do not fit each other.
    """

    def __init__(self, config: AdapterConfig, folder: Path, *, say: Callable[[str], None] = print) -> None:
        self.config, self.folder = config, folder
        self.accelerator = make_accelerator(config)
        self._say = say if self.accelerator.is_main_process else lambda _: None
        self._say(f"{self.accelerator.distributed_type.value}, {self.accelerator.num_processes} processes")
        if self.accelerator.is_main_process:
            _claim(folder, config)
        self.base = find_training_base(config.base, config.parts)
        self._encoders: Encoders | None = None
        self.buckets = self._open_buckets()
        self._release_encoders()
        self._null_conditions = [self._on_device(bucket.null_conditions()) for bucket in self.buckets]
        sizes = tuple(len(bucket.keys) for bucket in self.buckets)
        self.order = Order(sizes=sizes, batch=config.batch, seed=config.seed)
        self._prepare()
        self.step = checkpoints.load_checkpoint(self.accelerator, self.model, self.optimizer, folder)

    def run(self, stop_after: int | None = None) -> AdapterResult:
        """Train to the end, or to step `stop_after`, save and export."""
        last = self.config.steps if stop_after is None else min(stop_after, self.config.steps)
        saved = self.step
        with self._log() as log:
            while self.step < last:
                log(self.step + 1, self._train_step())
                self.step += 1
                if self.step % self.config.save_every == 0:
                    self._save()
                    saved = self.step
                if self.config.sample_every and self.step % self.config.sample_every == 0:
                    self._sample()
        if saved != self.step:
            self._save()
        return self._export()

    def _prepare(self) -> None:
        config = self.config
        dtype = torch.bfloat16 if config.bf16 else torch.float32
        transformer = self.base.load_transformer(dtype)
        self.prediction = str(transformer.config.prediction)
        generator = generator_for(config.seed, "adapter")
        self.count_parameters = attach(
            transformer, config.lora, injection=config.injection, start=config.embedding, generator=generator
        )
        for parameter in transformer.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        self._frozen = input_embedding(transformer)
        bias = transformer.get_submodule(POSE_MODULE).bias
        self._frozen[f"{POSE_MODULE}.bias"] = bias.detach().float().to("cpu", copy=True)
        if config.gradient_checkpointing:
            transformer.enable_gradient_checkpointing()
        self._say(str(self.count_parameters))
        optimizer = _optimizer(config, [p for p in transformer.parameters() if p.requires_grad])
        self.model, self.optimizer = self.accelerator.prepare(transformer, optimizer)

    def _open_buckets(self) -> list[ClipCache]:
        config, accelerator = self.config, self.accelerator
        ranges = config.ranges if config.perturb else None
        root = self.folder / "cache" if config.cache is None else Path(config.cache)
        return [
            open_cache(
                root,
                Path(dataset),
                self.base,
                Distortion(ranges=ranges, variants=config.variants, seed=config.seed),
                self._load_encoders,
                rank=accelerator.process_index,
                world=accelerator.num_processes,
                wait=accelerator.wait_for_everyone,
                say=self._say,
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
            self._encoders = Encoders(
                vae=self.base.load_vae(self.accelerator.device),
                text=None,
                image=None,
                squash_photo=False,
                text_dim=0,
                device=self.accelerator.device,
            )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _train_step(self) -> float:
        """One optimiser step; the mean loss of all its passes in all processes."""
        accelerator, config = self.accelerator, self.config
        passes = config.accumulation // accelerator.num_processes
        total = torch.zeros((), device=accelerator.device)
        self._set_learning_rate()
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
        return float(mean)

    def _set_learning_rate(self) -> None:
        config = self.config
        rate = learning_rate_at(
            self.step,
            peak=config.learning_rate,
            total=config.steps,
            warmup=config.warmup,
            decay_fraction=config.decay,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _loss(self, number: int) -> Tensor:
        bucket, indices = self.order.at(number)
        generator = generator_for(self.config.seed, "pass", number)
        batch = self._on_device(self.buckets[bucket].batch(indices, generator, self._encoders))
        step_noise = draw(batch, shift=self.config.shift, dropout=self.config.dropout, generator=generator)
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

    def _save(self) -> None:
        checkpoints.save_checkpoint(
            self.accelerator, self.model, self.optimizer, self.folder, self.step, self.config.keep_last
        )

    def _export(self) -> AdapterResult:
        trained = checkpoints.trained_tensors(self.accelerator, self.model)
        if self.accelerator.is_main_process:
            adapter = adapter_from(trained, self._frozen, self.config)
            settings = self.base.settings_for(self.buckets[0].info, self.config.shift)
            write_exports(self.folder, adapter, self.config, settings, self.step)
        self.accelerator.wait_for_everyone()
        losses = self.folder / LOSSES
        return AdapterResult(
            adapter=self.folder / "adapter", losses=losses, count_parameters=self.count_parameters, step=self.step
        )

    @contextmanager
    def _log(self) -> Iterator[Callable[[int, float], None]]:
        """What writes a step's loss: the main process into `losses.jsonl` and for TensorBoard, the others nowhere."""
        if not self.accelerator.is_main_process:
            yield lambda step, loss: None
            return
        _trim(self.folder / LOSSES, self.step)
        board = _board(self.folder / "tensorboard", self.step) if self.config.tensorboard else None
        try:
            with (self.folder / LOSSES).open("a", encoding="utf-8") as file:

                def log(step: int, loss: float) -> None:
                    file.write(json.dumps({"step": step, "stage": "adapter", "loss": loss}) + "\n")
                    file.flush()
                    if board is not None:
                        board.add_scalar("loss", loss, step)

                yield log
        finally:
            if board is not None:
                board.close()


def _optimizer(config: AdapterConfig, parameters: list[Any]) -> torch.optim.Optimizer:
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.01)
    try:
        from bitsandbytes import optim
    except ImportError as error:
        raise MissingPartError("optimizer adamw8bit needs bitsandbytes: pip install bitsandbytes") from error
    kind: Any = optim
    optimizer: torch.optim.Optimizer = kind.AdamW8bit(parameters, lr=config.learning_rate, weight_decay=0.01)
    return optimizer


def _claim(folder: Path, config: AdapterConfig) -> None:
    """Make the folder this run's own.

    Raises:
        UserError: it is another's.
    """
    path = folder / "config.json"
    wanted = json.loads(json.dumps(config.to_dict()))
    if path.is_file():
        there = json.loads(path.read_text(encoding="utf-8"))
        names = there.keys() | wanted.keys()
        free = CHANGEABLE - {"steps"} if config.decay else CHANGEABLE  # the decay is a share of the steps
        other = sorted(name for name in names - free if there.get(name) != wanted.get(name))
        if other:
            raise UserError(
                f"{folder} holds a run with another {', '.join(other)}; choose another folder, or undo the change"
            )
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")


def _trim(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`, which are about to be made again, and a line that was cut short."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    with replacing_file(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPartError(
            'logging needs TensorBoard: pip install "real2sam2real[train]", or set tensorboard: false'
        ) from error
    return SummaryWriter(str(folder), purge_step=step + 1)
