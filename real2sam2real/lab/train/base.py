"""Pre-training of a base checkpoint on the procedural world: resumable, checkpointed, seeded."""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import copy
import json
import os
from collections.abc import Iterator
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
from real2sam2real.errors import UserError, first_line
from real2sam2real.files import replacing_file, replacing_folder
from real2sam2real.lab.synth import TRAIN_SEEDS
from real2sam2real.lab.train.clips import LatentClips, encode, vary
from real2sam2real.lab.train.objective import flow_matching_loss
from real2sam2real.lab.train.pool import ClipPool
from real2sam2real.lab.train.recipes import BaseConfig
from real2sam2real.lab.train.renderers import ClipOrder, Renderers, render_clip
from real2sam2real.lab.train.training import NetworkTrainer, step_at
from real2sam2real.workfolder.records import read_record

SPARE_CORES = 2
"""Cores beside a GPU that no renderer takes: for the trainer, and what fills its pool."""
SEEDS_PER_STAGE, STAGES_PER_RUN = 1_000_000, 8
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
            size = {"width": stage.width, "height": stage.height, "frames": stage.frames}
            seed = AUTOENCODER_SEED_OFFSET + config.seed + index
            order = ClipOrder(**size, first_seed=seed, count=1, varied=float(stage.varied == 1))
            video, normals = render_clip(order, 0)
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
    """Trains a base checkpoint: leaves `checkpoint/`, a pipeline's folder, after each stage; see `NetworkTrainer`.

    The folder also holds `autoencoder/`, `clips/` on their way to the device, and of a start `start.json`.

    Args:
        config: the recipe.
        folder: of the run.
        device: that the network trains on, a name of torch's; None for a GPU where there is one.
        renderers: processes that render clips; None for one, and beside a GPU for all cores but two.
        compile_model: compile the network's blocks first, which needs a C++ compiler.
        checkpoint_seconds: between saves of the state.
    """

    network: Real2Sam2RealTransformer3DModel

    def __init__(
        self,
        config: BaseConfig,
        folder: Path,
        *,
        device: str | None = None,
        renderers: int | None = None,
        compile_model: bool = False,
        checkpoint_seconds: float = 300,
    ) -> None:
        super().__init__(config, folder, checkpoint_seconds=checkpoint_seconds)
        self.average_decay = config.ema
        self.device = find_device(device)
        beside_gpu = max(1, (os.cpu_count() or 1) - SPARE_CORES)
        self._renderer_count = renderers or (1 if self.device.type == "cpu" else beside_gpu)
        self._compile = compile_model
        self._renderers: Renderers | None = None
        self._at: _StageAtWork | None = None

    @property
    def progress(self) -> float:
        """See `Trainer.progress`."""
        minutes = self.config.total_minutes
        return self.seconds / (60 * minutes) if minutes else super().progress

    def export(self) -> Path:
        """Write the averaged weights as a pipeline folder, whole or not at all."""
        transformer = build_transformer(self.config)
        transformer.load_state_dict({name: values.cpu() for name, values in self.average.items()})
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
            record["config"]["start"] = Path(self.config.start).name
            record["start"] = read_record(
                self.folder / START_RECORD, lambda values: values, what="record of a start", remedy="start the run anew"
            )
        return record

    def _settings(self) -> CheckpointSettings:
        config, last = self.config, self.config.stages[-1]
        return CheckpointSettings(
            area=last.width * last.height,
            max_frames=config.max_frames,
            steps=config.sampling_steps,
            init=config.init,
            strength=config.strength,
            upscale=True,
        )

    def _build(self) -> None:
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # of the autoencoder and the optimiser
        self.autoencoder = self._load_or_fit_autoencoder()
        self.network = build_transformer(self.config)
        if self.config.start is not None and not self._state_file.exists():
            self._begin_with(self.config.start)
        self.network.to(self.device)
        self._encoder = copy.deepcopy(self.autoencoder).to(self.device)
        if self._compile:
            self.network.compile_repeated_blocks(dynamic=False)
        self._optimizers = Optimizers(self.network, self.config.learning_rate, self.config.adam_ratio)
        self._generator = torch.Generator(self.device).manual_seed(self.config.seed)

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
        at = self._stage_at_work()
        settings, step = at.settings, self.step - at.first_step
        count = at.settings.clip_count
        if settings.steps is not None:
            count = min(count, settings.clips_for(step))
            at.pool.wait(count)
        else:
            at.pool.wait(min(count, 2 * settings.batch_size))
            count = len(at.pool)
        clips = at.pool.draw(settings.batch_size, count, settings.lifted_drawn, self._generator)
        return encode(self._encoder, vary(clips, self._generator), clips.lifted)

    def _stage_at_work(self) -> _StageAtWork:
        """The stage of the next step; entering it lets the one before go, and compiles while clips are rendered."""
        number = self._stage_number()
        if self._at is None or self._at.number != number:
            if self._renderers is None:
                orders = [self._order(k) for k in range(len(self.config.stages))]
                self._renderers = Renderers(orders, self.folder / "clips", self._renderer_count)
            if self._at is not None:
                self._at.pool.close()
            self._at = _StageAtWork(self.config, number, self.step, self._encoder)
            self._at.pool = ClipPool(self._order(number), number, self._renderers, self.device)
            if self._compile:
                self._rehearse(self._at)
        return self._at

    def _stage_number(self) -> int:
        """Of the next step, from the steps or the minutes that are over."""
        stages = self.config.stages
        ends = accumulate(s.steps if s.steps is not None else 60 * (s.minutes or 0.0) for s in stages)
        over = self.step if self.config.total_steps is not None else self.seconds
        return next((k for k, end in enumerate(ends) if over < end), len(stages) - 1)

    def _order(self, number: int) -> ClipOrder:
        """The clips of a stage; stages, and runs of other seeds, draw from blocks of seeds of their own."""
        stage = self.config.stages[number]
        return ClipOrder(
            width=stage.width,
            height=stage.height,
            frames=stage.frames,
            first_seed=first_seed(self.config.seed, number),
            count=stage.clip_count,
            varied=stage.varied,
            lifted=stage.lifted,
        )

    def _rehearse(self, at: _StageAtWork) -> None:
        """Compile for a stage's size: one pass of empty clips, whose gradients are dropped."""
        size = at.settings.batch_size
        video = at.empty.expand(size, -1, -1, -1, -1)
        clips = LatentClips(video=video, normals=video, photo=video[:, :, :1])
        self._flow_loss(clips, at, torch.Generator(self.device).manual_seed(0)).backward()  # type: ignore[no-untyped-call]
        self.network.zero_grad(set_to_none=True)

    def _flow_loss(self, clips: LatentClips, at: _StageAtWork, generator: torch.Generator) -> Tensor:
        chance = torch.rand(len(clips.video), generator=generator, device=self.device)
        return flow_matching_loss(
            self.network,
            clips,
            at.empty,
            shift=at.settings.shift,
            level_floor=at.settings.level_floor,
            changed_weight=self.config.changed_weight,
            blank=chance < self.config.blank_normals,
            blank_normals=at.black,
            generator=generator,
            starts=self.config.starts,
        )

    def _loss(self, batch: LatentClips) -> tuple[Tensor, dict[str, Any]]:
        at = self._stage_at_work()
        loss = self._flow_loss(batch, at, self._generator)
        return loss, {"stage": at.name, "loss": loss.detach(), "clips": len(at.pool), "seconds": round(self.seconds, 2)}

    def _update(self, learning_rate: float) -> None:
        self._optimizers.step(learning_rate)

    def _checkpoint_due(self) -> bool:
        return super()._checkpoint_due() or self._stage_is_over()

    def _after_step(self) -> None:
        if self._stage_is_over():
            self.export()

    def _stage_is_over(self) -> bool:
        return self._at is not None and self.progress < 1 and self._stage_number() != self._at.number

    def _close(self) -> None:
        if self._at is not None:
            self._at.pool.close()
            self._at = None
        if self._renderers is not None:
            self._renderers.close()
            self._renderers = None

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


class _StageAtWork:
    """A stage of a run, with what stands for no video and no normals at its size."""

    pool: ClipPool

    def __init__(self, config: BaseConfig, number: int, step: int, encoder: BlockTransformAutoencoder) -> None:
        self.number, self.settings = number, config.stages[number]
        before = [stage.steps for stage in config.stages[:number] if stage.steps is not None]
        self.first_step = sum(before) if self.settings.steps is not None else step
        size = (self.settings.frames, self.settings.height, self.settings.width)
        self.name = f"{number}-{self.settings.width}x{self.settings.height}x{self.settings.frames}"
        self.empty = conditioning.empty_latents(encoder, *size)
        device = self.empty.device
        self.black = conditioning.encode_latents(encoder, torch.full((1, 3, *size), -1.0, device=device))


def first_seed(run_seed: int, stage: int) -> int:
    """Of the training clips of a stage."""
    return TRAIN_SEEDS.start + (run_seed * STAGES_PER_RUN + stage) * SEEDS_PER_STAGE


def find_device(name: str | None) -> torch.device:
    """The device of a name of torch's; the GPU, or else the CPU, for None.

    Raises:
        UserError: there is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: torch cannot use it ({first_line(error)}); try cpu or cuda") from error


def _load_autoencoder(folder: Path) -> BlockTransformAutoencoder:
    autoencoder = BlockTransformAutoencoder.from_pretrained(folder)
    autoencoder.register_to_config(_name_or_path="")  # where it lay on this machine is nobody's business
    return autoencoder


def _halve_matrices(transformer: Real2Sam2RealTransformer3DModel) -> None:
    """Store matrices and kernels as bfloat16; norms, biases, tables and the time embedding stay float32."""
    for name, parameter in transformer.named_parameters():
        if parameter.ndim >= 2 and "table" not in name and "time_embedder" not in name:
            parameter.data = parameter.data.to(torch.bfloat16)
