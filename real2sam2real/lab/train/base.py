"""Pre-training of a base checkpoint on the procedural world: resumable, checkpointed, seeded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from tqdm import tqdm

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder, fit_autoencoder
from real2sam2real.diffusion.checkpoints import SETTINGS_FILE, CheckpointSettings, find_checkpoint
from real2sam2real.diffusion.pipeline import Real2Sam2RealPipeline
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file, replacing_folder
from real2sam2real.lab.synth import TRAIN_SEEDS
from real2sam2real.lab.train.clips import LatentClips, ShardSource, render_clip, shard_seed
from real2sam2real.lab.train.objective import flow_matching_loss
from real2sam2real.lab.train.optimizers import Optimizers, learning_rate_at
from real2sam2real.lab.train.recipes import BaseConfig, TrainingStage

WINDOW = 6
AUTOENCODER_SEED_OFFSET = 900_000_000
GRADIENT_CLIP = 1.0
RECORD, START_RECORD = "training.json", "start.json"


@dataclass(frozen=True, kw_only=True)
class BaseResult:
    """What a finished run leaves.

    Attributes:
        checkpoint: folder of the pipeline (diffusers layout).
        losses: `losses.jsonl`, one line a step.
        seconds: time spent in optimiser steps, over all restarts.
    """

    checkpoint: Path
    losses: Path
    seconds: float


def build_transformer(config: BaseConfig) -> Real2Sam2RealTransformer3DModel:
    """The transformer with seeded random weights; the normals' embedding and the output start at zero."""
    torch.manual_seed(config.seed)
    size = config.size
    model = Real2Sam2RealTransformer3DModel(
        num_attention_heads=size.heads,
        attention_head_dim=64,
        latent_channels=size.latent_channels,
        text_dim=16,
        freq_dim=128,
        ffn_dim=size.ffn_dim,
        num_layers=size.layers,
        image_dim=None,
        added_kv_proj_dim=None,
        prediction="sample",
    )
    for layer in (model.pose_patch_embedding, model.proj_out):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return model


def fit_world_autoencoder(config: BaseConfig) -> BlockTransformAutoencoder:
    """The autoencoder, fitted to clips of the smallest and the largest stage, their normals included."""

    def clips() -> Iterator[Tensor]:
        for index in range(config.autoencoder_clips):
            stage = config.stages[0] if index % 2 else config.stages[-1]
            video, normals = render_clip(AUTOENCODER_SEED_OFFSET + config.seed + index, stage)
            for frames in (video, normals) if index % 4 == 0 else (video,):
                yield conditioning.to_video_tensor(frames[:17])[0]

    return fit_autoencoder(clips(), config.size.latent_channels)


class BaseTrainer:
    """Trains in a folder; a later call with the same configuration goes on where the last one stopped.

    Args:
        config: the recipe.
        folder: `autoencoder/`, `shards/`, `state.pt`, `losses.jsonl`, `checkpoint/`, and of a start `start.json`.
        compile_model: compile the network with torch.compile (needs a C++ compiler on the CPU).
        checkpoint_seconds: how often the state is written.

    Raises:
        UserError: the folder belongs to a run with another configuration.
    """

    def __init__(
        self, config: BaseConfig, folder: Path, *, compile_model: bool = False, checkpoint_seconds: float = 300
    ) -> None:
        self.config = config
        self.folder = folder
        self.checkpoint_seconds = checkpoint_seconds
        self._claim_folder()
        self.autoencoder = self._load_or_fit_autoencoder()
        self.model = build_transformer(config)
        if config.start is not None and not self._state_file.exists():
            self._begin_with(config.start)
        self.forward: Any = torch.compile(self.model, dynamic=False) if compile_model else self.model
        self.optimizers = Optimizers.build(self.model, config.learning_rate, config.adam_ratio)
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.seconds = 0.0
        self._resume()

    def run(self, stop_after: int | None = None) -> BaseResult:
        """Train to the end (or to step `stop_after`), then write the checkpoint."""
        first = 0
        for index, stage in enumerate(self.config.stages):
            if self.step < first + stage.steps and (stop_after is None or self.step < stop_after):
                self._run_stage(index, stage, first, stop_after)
            first += stage.steps
        self.save()
        return BaseResult(checkpoint=self.export(), losses=self.folder / "losses.jsonl", seconds=self.seconds)

    def export(self) -> Path:
        """Write the averaged weights as a pipeline folder, whole or not at all."""
        transformer = build_transformer(self.config)
        transformer.load_state_dict(self.average)
        _halve_matrices(transformer)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=self.config.sampling_shift)
        pipeline = Real2Sam2RealPipeline(vae=self.autoencoder, transformer=transformer, scheduler=scheduler)
        target = self.folder / "checkpoint"
        with replacing_folder(target) as temporary:
            pipeline.save_pretrained(temporary)
            (temporary / RECORD).write_text(json.dumps(self._record(), indent=2))
            (temporary / SETTINGS_FILE).write_text(self._settings().to_json())
        return target

    def _record(self) -> dict[str, Any]:
        """How the weights came to be, and before that those that they began with."""
        record = {"config": asdict(self.config), "steps": self.step, "seconds": round(self.seconds)}
        if self.config.start is not None:
            record["start"] = json.loads((self.folder / START_RECORD).read_text())
        return record

    def _settings(self) -> CheckpointSettings:
        config, last = self.config, self.config.stages[-1]
        return CheckpointSettings(
            area=last.width * last.height,
            max_frames=config.max_frames,
            steps=config.sampling_steps,
            init=config.init,
            strength=config.strength,
        )

    def save(self) -> None:
        """Write everything needed to go on exactly from here."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizers": self.optimizers.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with replacing_file(self._state_file) as temporary:
            torch.save(state, temporary)

    def _run_stage(self, index: int, stage: TrainingStage, first: int, stop_after: int | None) -> None:
        per_shard = self.config.clips_per_shard
        steps_per_shard = max(1, per_shard * stage.reuse // stage.batch)
        shards = -(-stage.steps // steps_per_shard)
        seeds = [shard_seed(index, k, per_shard, TRAIN_SEEDS.start, self.config.seed) for k in range(shards)]
        name = f"{index}-{stage.width}x{stage.height}x{stage.frames}"
        source = ShardSource(self.folder / "shards" / name, self.folder / "autoencoder", stage, seeds, per_shard)
        size = (stage.frames, stage.height, stage.width)
        empty = conditioning.empty_latents(self.autoencoder, *size)
        black = conditioning.encode_latents(self.autoencoder, torch.full((1, 3, *size), -1.0))
        last = first + stage.steps if stop_after is None else min(first + stage.steps, stop_after)
        loaded: dict[int, LatentClips] = {}
        saved_at = time.monotonic()
        try:
            with (
                (self.folder / "losses.jsonl").open("a") as log,
                tqdm(total=stage.steps, initial=self.step - first, desc=name, unit="step") as bar,
            ):
                while self.step < last:
                    newest = (self.step - first) // steps_per_shard
                    window = range(max(0, newest - WINDOW + 1), newest + 1)
                    loaded = {k: loaded[k] if k in loaded else source.get(k) for k in window}
                    loss = self._train_step(stage, self._draw(list(loaded.values()), stage.batch), empty, black)
                    log.write(json.dumps({"step": self.step, "stage": name, "loss": round(loss, 6)}) + "\n")
                    log.flush()
                    bar.update()
                    bar.set_postfix(loss=f"{loss:.4f}")
                    if time.monotonic() - saved_at > self.checkpoint_seconds:
                        self.save()
                        saved_at = time.monotonic()
        finally:
            source.close()

    def _draw(self, shards: list[LatentClips], batch: int) -> LatentClips:
        """`batch` clips, drawn evenly from the shards in the window."""
        sizes = [len(shard.video) for shard in shards]
        picks = torch.randint(sum(sizes), (batch,), generator=self.generator).tolist()
        rows = [(k, pick) for pick in picks for k, pick in [_locate(pick, sizes)]]
        return LatentClips(
            **{
                name: torch.stack([getattr(shards[k], name)[row] for k, row in rows])
                for name in ("video", "normals", "photo")
            }
        )

    def _train_step(self, stage: TrainingStage, clips: LatentClips, empty: Tensor, black: Tensor) -> float:
        started = time.monotonic()
        config = self.config
        rate = learning_rate_at(
            self.step,
            peak=config.learning_rate,
            total=config.total_steps,
            warmup=config.warmup_steps,
            decay_fraction=config.decay_fraction,
        )
        blank = torch.rand(len(clips.video), generator=self.generator) < config.blank_normals
        loss = flow_matching_loss(
            self.forward,
            clips,
            empty,
            shift=stage.shift,
            level_floor=stage.level_floor,
            changed_weight=config.changed_weight,
            blank=blank,
            blank_normals=black,
            generator=self.generator,
        )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), GRADIENT_CLIP)
        self.optimizers.step(rate)
        self.step += 1
        self._update_average()
        self.seconds += time.monotonic() - started
        return loss.item()

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential average of the weights; young averages forget faster, so that early weights do not linger."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, parameter in self.model.named_parameters():
            self.average[name].lerp_(parameter, 1 - decay)

    def _claim_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "config.json"
        wanted = json.dumps(asdict(self.config), indent=2)
        if path.exists() and json.loads(path.read_text()) != json.loads(wanted):
            raise UserError(f"{self.folder} holds a run with another configuration; choose another folder")
        with replacing_file(path) as temporary:
            temporary.write_text(wanted)

    def _load_or_fit_autoencoder(self) -> BlockTransformAutoencoder:
        path = self.folder / "autoencoder"
        if not path.exists():
            with replacing_folder(path) as temporary:
                self._first_autoencoder().save_pretrained(temporary)
        return _load_autoencoder(path)

    def _first_autoencoder(self) -> BlockTransformAutoencoder:
        if self.config.start is None:
            return fit_world_autoencoder(self.config)
        return _load_autoencoder(find_checkpoint(self.config.start) / "vae")

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.pt"

    def _begin_with(self, start: str) -> None:
        """Take the weights of a finished pipeline, and note how they came to be: it may be another by the end.

        Raises:
            UserError: it has another size.
        """
        folder = find_checkpoint(start)
        before = folder / RECORD
        with replacing_file(self.folder / START_RECORD) as temporary:
            temporary.write_text(before.read_text() if before.is_file() else "null")
        weights = Real2Sam2RealTransformer3DModel.from_pretrained(folder / "transformer").state_dict()
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"the transformer of {start} does not fit this recipe's size: {error}") from error

    def _resume(self) -> None:
        if not self._state_file.exists():
            return
        state = torch.load(self._state_file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.optimizers.load_state_dict(state["optimizers"])
        self.generator.set_state(state["generator"])
        self.step = state["step"]
        self.seconds = state["seconds"]
        self._trim_losses()

    def _trim_losses(self) -> None:
        """Drop the lines of steps that the state does not know: they are about to be made again."""
        path = self.folder / "losses.jsonl"
        if not path.exists():
            return
        kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= self.step]
        with replacing_file(path) as temporary:
            temporary.write_text("".join(line + "\n" for line in kept))


def _load_autoencoder(folder: Path) -> BlockTransformAutoencoder:
    autoencoder = BlockTransformAutoencoder.from_pretrained(folder)
    autoencoder.register_to_config(_name_or_path="")  # where it lay on this machine is nobody's business
    return autoencoder


def _halve_matrices(transformer: Real2Sam2RealTransformer3DModel) -> None:
    """Store matrices and kernels as bfloat16; norms, biases, tables and the time embedding stay float32."""
    for name, parameter in transformer.named_parameters():
        if parameter.ndim >= 2 and "table" not in name and "time_embedder" not in name:
            parameter.data = parameter.data.to(torch.bfloat16)


def _locate(pick: int, sizes: list[int]) -> tuple[int, int]:
    """Which shard, and which row of it, holds the `pick`-th clip of all."""
    for index, size in enumerate(sizes):
        if pick < size:
            return index, pick
        pick -= size
    raise IndexError(pick)
