"""Pre-training of a base checkpoint on the procedural world: resumable, checkpointed, seeded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder, fit_autoencoder
from real2sam2real.diffusion.checkpoints import SETTINGS_FILE, CheckpointSettings, find_checkpoint
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file, replacing_folder
from real2sam2real.lab.synth import TRAIN_SEEDS
from real2sam2real.lab.train.clips import LatentClips, LatentShard, latent_shards, render_clip, shard_seed
from real2sam2real.lab.train.objective import flow_matching_loss
from real2sam2real.lab.train.recipes import BaseConfig
from real2sam2real.lab.train.training import NetworkTrainer, step_at

WINDOW = 6
AUTOENCODER_SEED_OFFSET = 900_000_000
RECORD, START_RECORD = "training.json", "start.json"


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


def is_hidden_matrix(name: str, parameter: nn.Parameter) -> bool:
    """True for the weights of self-attention and feed-forward layers.

    Cross-attention's queries and keys get no gradient while the context is a single token (a softmax over one value
    is constant), and Muon would scale their zero update up to rounding noise.
    """
    return parameter.ndim == 2 and name.startswith("blocks.") and (".attn1." in name or ".ffn." in name)


class Optimizers:
    """Muon for the blocks' matrices and AdamW for the rest (Jordan et al., 2024; Liu et al., 2025), stepping as one.

    Muon's updates are orthogonalised, which learns markedly faster per clip than Adam at this size; it is made for
    matrices inside the network, so embeddings, norms, biases and the output layer stay with AdamW.
    """

    def __init__(self, model: nn.Module, learning_rate: float, adam_ratio: float) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        hidden = [p for name, p in named if is_hidden_matrix(name, p)]
        other = [p for name, p in named if not is_hidden_matrix(name, p)]
        self.adam_ratio = adam_ratio
        self.muon = torch.optim.Muon(hidden, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        self.adam = torch.optim.AdamW(other, lr=learning_rate * adam_ratio, betas=(0.9, 0.98), weight_decay=0.01)

    def step(self, learning_rate: float) -> None:
        """One update at this learning rate; gradients are cleared."""
        step_at(self.muon, learning_rate)
        step_at(self.adam, learning_rate * self.adam_ratio)

    def state_dict(self) -> dict[str, Any]:
        """Of both."""
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of both."""
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


class BaseTrainer(NetworkTrainer[BaseConfig]):
    """Trains a base checkpoint: leaves `checkpoint/`, a pipeline's folder; see `NetworkTrainer`.

    The folder also holds `autoencoder/`, `shards/`, and of a start `start.json`. With `compile_model` the network is
    compiled by torch.compile, which needs a C++ compiler on the CPU.
    """

    network: Real2Sam2RealTransformer3DModel

    def __init__(
        self, config: BaseConfig, folder: Path, *, compile_model: bool = False, checkpoint_seconds: float = 300
    ) -> None:
        super().__init__(config, folder, checkpoint_seconds=checkpoint_seconds)
        self.average_decay = config.ema
        self._compile = compile_model
        self._clips: _WorldClips | None = None

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
        record = super()._record()
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

    def _build(self) -> None:
        self.autoencoder = self._load_or_fit_autoencoder()
        self.network = build_transformer(self.config)
        if self.config.start is not None and not self._state_file.exists():
            self._begin_with(self.config.start)
        self._forward: Any = torch.compile(self.network, dynamic=False) if self._compile else self.network
        self._optimizers = Optimizers(self.network, self.config.learning_rate, self.config.adam_ratio)
        self._generator = torch.Generator().manual_seed(self.config.seed)

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.network.state_dict(),
            "optimizers": self._optimizers.state_dict(),
            "generator": self._generator.get_state(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["model"])
        self._optimizers.load_state_dict(state["optimizers"])
        self._generator.set_state(state["generator"])

    def _next_batch(self) -> LatentClips:
        if self._clips is None:
            self._clips = _WorldClips(self.config, self.step, self.folder, self.autoencoder)
        return self._clips.draw(self.step, self._generator)

    def _loss(self, batch: LatentClips) -> tuple[Tensor, dict[str, Any]]:
        assert self._clips is not None  # the batch is of it
        stage = self._clips.stage.settings
        blank = torch.rand(len(batch.video), generator=self._generator) < self.config.blank_normals
        loss = flow_matching_loss(
            self._forward,
            batch,
            self._clips.empty,
            shift=stage.shift,
            level_floor=stage.level_floor,
            changed_weight=self.config.changed_weight,
            blank=blank,
            blank_normals=self._clips.black,
            generator=self._generator,
        )
        return loss, {"stage": self._clips.stage.name, "loss": round(loss.item(), 6)}

    def _update(self, learning_rate: float) -> None:
        self._optimizers.step(learning_rate)

    def _close(self) -> None:
        if self._clips is not None:
            self._clips.source.close()
            self._clips = None

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
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"the transformer of {start} does not fit this recipe's size: {error}") from error


class _WorldClips:
    """The clips of a run's stages from that of a step on, rendered by one process, as its start takes seconds."""

    def __init__(self, config: BaseConfig, step: int, folder: Path, autoencoder: BlockTransformAutoencoder) -> None:
        self._autoencoder = autoencoder
        self._stages: list[_Stage] = []
        shards: list[LatentShard] = []
        for index, last in enumerate(accumulate(stage.steps for stage in config.stages)):
            if step < last:
                self._stages.append(_Stage(config, index, last, first_shard=len(shards)))
                shards += self._stages[-1].shards(folder / "shards")
        self.source = latent_shards(shards, folder / "autoencoder", config.clips_per_shard)
        self._enter(self._stages[0])

    def _enter(self, stage: _Stage) -> None:
        """Note what stands for no video and no normals at a stage's size."""
        self.stage = stage
        size = (stage.settings.frames, stage.settings.height, stage.settings.width)
        self.empty = conditioning.empty_latents(self._autoencoder, *size)
        self.black = conditioning.encode_latents(self._autoencoder, torch.full((1, 3, *size), -1.0))

    def draw(self, step: int, generator: torch.Generator) -> LatentClips:
        """A batch, drawn evenly from the shards in the window."""
        if step >= self.stage.last:
            self._enter(next(stage for stage in self._stages if step < stage.last))
        stage = self.stage
        newest = (step - stage.first) // stage.steps_per_shard
        shards = self.source.window(stage.first_shard + newest, min(WINDOW, newest + 1))
        most = sum(len(shard.video) for shard in shards)
        picks = torch.randint(most, (stage.settings.batch_size,), generator=generator).tolist()
        rows = [(shards[pick // stage.per_shard], pick % stage.per_shard) for pick in picks]
        names = ("video", "normals", "photo")
        return LatentClips(**{name: torch.stack([getattr(shard, name)[row] for shard, row in rows]) for name in names})


class _Stage:
    """A stage of a run: its steps, and its shards among those of the run."""

    def __init__(self, config: BaseConfig, index: int, last: int, *, first_shard: int) -> None:
        self.settings, self.last, self.first_shard = config.stages[index], last, first_shard
        self.first = last - self.settings.steps
        self.per_shard = config.clips_per_shard
        self.steps_per_shard = max(1, self.per_shard * self.settings.reuse // self.settings.batch_size)
        self.name = f"{index}-{self.settings.width}x{self.settings.height}x{self.settings.frames}"
        self._seed_of = partial(
            shard_seed, index, clips_per_shard=self.per_shard, first_seed=TRAIN_SEEDS.start, run_seed=config.seed
        )

    def shards(self, folder: Path) -> list[LatentShard]:
        """All of them, in the run's folder of shards."""
        return [
            LatentShard(
                path=folder / self.name / f"shard-{k:04d}.safetensors", stage=self.settings, first_seed=self._seed_of(k)
            )
            for k in range(-(-self.settings.steps // self.steps_per_shard))
        ]


def _load_autoencoder(folder: Path) -> BlockTransformAutoencoder:
    autoencoder = BlockTransformAutoencoder.from_pretrained(folder)
    autoencoder.register_to_config(_name_or_path="")  # where it lay on this machine is nobody's business
    return autoencoder


def _halve_matrices(transformer: Real2Sam2RealTransformer3DModel) -> None:
    """Store matrices and kernels as bfloat16; norms, biases, tables and the time embedding stay float32."""
    for name, parameter in transformer.named_parameters():
        if parameter.ndim >= 2 and "table" not in name and "time_embedder" not in name:
            parameter.data = parameter.data.to(torch.bfloat16)
