"""From what the user names (checkpoint, base, LoRAs) to a pipeline that is ready to generate.

A checkpoint is a pipeline's folder, an adapter that knows the pipeline it belongs on (as `mini`), or an adapter for the
published base, whose parts are loaded one by one, so that the text encoder never shares memory with the transformer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from real2sam2real.diffusion.checkpoints import (
    OFFICIAL_SETTINGS,
    SETTINGS_FILE,
    CheckpointSettings,
    find_checkpoint,
    is_adapter,
    load_pipeline,
    load_settings,
)
from real2sam2real.diffusion.generate import Prompts
from real2sam2real.diffusion.memory.apply import apply_plan, place_encoder
from real2sam2real.diffusion.memory.architecture import CLIP_VIT_H, UMT5_XXL, Architecture
from real2sam2real.diffusion.memory.attention import use_backend
from real2sam2real.diffusion.memory.choose import Choice, choose_plan, out_of_memory_remedy
from real2sam2real.diffusion.memory.cost import Clip
from real2sam2real.diffusion.memory.machine import Machine, inspect_machine
from real2sam2real.diffusion.memory.needs import autoencoder_dtype
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.diffusion.parallel import enable_context_parallel
from real2sam2real.diffusion.pipeline import NEGATIVE_PROMPT, Real2Sam2RealPipeline, embed_text
from real2sam2real.diffusion.presets import Sampling
from real2sam2real.diffusion.prompts import PromptCache, encoder_identity
from real2sam2real.diffusion.sampling import make_scheduler, scheduler_shift
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.diffusion.weights.adapter_file import Adapter, read_adapter
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.base import BaseSource, find_adapter, find_base
from real2sam2real.diffusion.weights.load import (
    load_image_encoder,
    load_scheduler,
    load_text_encoder,
    load_transformer,
    load_vae,
    transformer_config,
)
from real2sam2real.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where everything that was named is; nothing of it is loaded yet.

    Attributes:
        name: of the checkpoint, as the user gave it.
        folder: of the checkpoint.
        settings: of the checkpoint.
        base: the published one under an adapter, or None for a pipeline and for an adapter that knows its own.
        loras: files or folders, with weights.
    """

    name: str
    folder: Path
    settings: CheckpointSettings
    base: BaseSource | None
    loras: tuple[tuple[Path, float], ...]

    @property
    def uses_presets(self) -> bool:
        """Whether it says nothing of how it samples best, as the published adapters, so that a preset must."""
        return self.base is not None and not (self.folder / SETTINGS_FILE).is_file()

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders that decide what comes out."""
        published = () if self.base is None else (*self.base.transformer, *_present(self.base))
        known = () if self.settings.base is None else (find_checkpoint(self.settings.base),)
        return (self.folder, *(path for path, _ in self.loras), *published, *known)


def locate(options: ModelOptions) -> Located:
    """Find what was named.

    Raises:
        MissingPartError: something is not on this machine and cannot be fetched.
        UserError: a name leads nowhere, or to something else.
    """
    folder = find_checkpoint(options.checkpoint, offline=options.offline)
    settings = load_settings(folder)
    on_published = is_adapter(folder) and settings.base is None
    return Located(
        name=options.checkpoint,
        folder=folder,
        settings=settings,
        base=find_base(options.base, offline=options.offline, parts=options.components) if on_published else None,
        loras=tuple(_lora(text, offline=options.offline) for text in options.lora),
    )


def _lora(text: str, *, offline: bool) -> tuple[Path, float]:
    name, equals, weight = text.rpartition("=")
    if not equals:
        return find_adapter(text, offline=offline), 1.0
    try:
        return find_adapter(name, offline=offline), float(weight)
    except ValueError:
        raise UserError(f"--lora {text}: the weight '{weight}' is no number; write FILE=0.8, or FILE alone") from None


def _present(base: BaseSource) -> tuple[Path, ...]:
    parts = (base.vae, base.text_encoder, base.image_encoder)
    return tuple(path for path in parts if path is not None)


def read_adapters(located: Located) -> list[tuple[Adapter, float]]:
    """What is put on the base, or on the pipeline: an adapter for the published base, and the further ones.

    Raises:
        UserError: a file is damaged or not understood.
    """
    # A distillation LoRA for Wan-Animate may hold keys of the face branch; the rest of it is what is wanted here.
    further = [(read_adapter(path, leave_out_face=True), weight) for path, weight in located.loras]
    own = [] if located.base is None else [(read_adapter(located.folder), 1.0)]
    return [*own, *further]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model that is ready to generate.

    Attributes:
        located: what it was loaded from.
        pipeline: on its device, without a text encoder where `prompt_cache` is there.
        choice: the memory plan and why, or None for a checkpoint that is whole and small.
        prompt_cache: makes text embeddings, or None where the pipeline does it by itself.
        notes: what a person should know.
    """

    located: Located
    pipeline: Real2Sam2RealPipeline
    choice: Choice | None = None
    prompt_cache: PromptCache | None = None
    notes: tuple[str, ...] = ()

    @property
    def settings(self) -> CheckpointSettings:
        """Of the checkpoint."""
        return self.located.settings

    @property
    def reads_text(self) -> bool:
        """Whether prompts, and so guidance, mean anything to it."""
        return self.prompt_cache is not None or self.pipeline.text_encoder is not None

    def prompts(self, prompt: str, *, guided: bool) -> Prompts | None:
        """Text embeddings of a prompt, and of the negative prompt where there is guidance."""
        if self.prompt_cache is None:
            return None
        negative = self.prompt_cache(NEGATIVE_PROMPT) if guided else None
        return Prompts(prompt=self.prompt_cache(prompt), negative=negative)

    @contextmanager
    def memory_advice(self) -> Iterator[None]:
        """Turn running out of device memory into a message that names the next plan down."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            if self.choice is None:
                raise
            raise UserError(out_of_memory_remedy(self.choice)) from error


def load_model(located: Located, *, plan: str, sampling: Sampling, say: Callable[[str], None]) -> LoadedModel:
    """Load what was located, in a way that fits into this machine's memory.

    Args:
        located: from `locate`.
        plan: a memory plan's name, or "auto"; without effect on a checkpoint that is whole.
        sampling: tells how long a segment is and whether there is guidance.
        say: told what is loaded and how.

    Raises:
        MissingPartError: a package that the plan needs is not installed.
        UserError: no plan fits, or a file is damaged or foreign.
    """
    if located.base is None:
        pipeline = load_pipeline(located.folder)
        if located.loras:
            apply_adapters(pipeline.transformer, read_adapters(located), merge=True)
        return share_among_ranks(LoadedModel(located=located, pipeline=pipeline))
    choice = plan_memory(located, plan=plan, sampling=sampling, machine=inspect_machine())
    say(f"memory plan {choice.plan.name} ({choice.plan.purpose}): {choice.why}")
    adapters = read_adapters(located)
    pipeline = _assemble(located.base, located.settings, adapters, choice, say)
    apply_plan(pipeline, choice.plan)
    backend = use_backend(pipeline.transformer, choice.machine, parallel=_ranks() > 1)
    say(f"attention: {backend.name}")
    notes = (f"base '{located.base.name}' ({located.base.layout}), memory plan {choice.plan.name}",)
    return share_among_ranks(
        LoadedModel(
            located=located,
            pipeline=pipeline,
            choice=choice,
            prompt_cache=_prompt_cache(located.base, pipeline, choice, say),
            notes=(*notes, *(_adapter_note(adapter, weight) for adapter, weight in adapters)),
        )
    )


def assemble_base(
    name: str | Path,
    *,
    adapters: Sequence[str | Path],
    parts: str | Path | None,
    offline: bool,
    dtype: torch.dtype,
) -> Real2Sam2RealPipeline:
    """A pipeline with all parts of a base and adapters on it, on the CPU; see `Real2Sam2RealPipeline.from_pretrained`.

    Raises:
        MissingPartError: something is not on this machine.
        UserError: a file is damaged or foreign.
    """
    base = find_base(name, offline=offline, parts=parts)
    located = [_lora(str(adapter), offline=offline) for adapter in adapters]
    read = [(read_adapter(path, leave_out_face=True), weight) for path, weight in located]
    transformer = load_transformer(base, dtype)
    apply_adapters(transformer, read, merge=base.layout != "gguf")
    tokenizer, text_encoder = load_text_encoder(base, dtype)
    image_processor, image_encoder = _load_image_encoder(base, transformer)
    pipeline = Real2Sam2RealPipeline(
        vae=load_vae(base, dtype),
        transformer=transformer,
        scheduler=load_scheduler(base),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        image_encoder=image_encoder,
        image_processor=image_processor,
    )
    pipeline.squash_photo = OFFICIAL_SETTINGS.squash_photo
    return pipeline


def _load_image_encoder(base: BaseSource, transformer: Real2Sam2RealTransformer3DModel) -> tuple[Any, Any]:
    return (None, None) if transformer.config.image_dim is None else load_image_encoder(base)


def plan_memory(located: Located, *, plan: str, sampling: Sampling, machine: Machine) -> Choice:
    """The memory plan for a base model on a machine; see `choose_plan`."""
    base = located.base
    if base is None:
        raise ValueError(f"the checkpoint {located.name} is whole; memory plans are for base models")
    width, height = located.settings.fit(16, 9)
    return choose_plan(
        machine,
        architecture_of(base),
        Clip(frames=sampling.segment_frames, width=width, height=height),
        wanted=plan,
        guided=sampling.guided,
        base_layout=base.layout,
    )


def architecture_of(base: BaseSource) -> Architecture:
    """The networks of a base, for measuring; the published ones where a part does not say."""

    def config(part: Path | None) -> dict[str, Any] | None:
        file = None if part is None else part / "config.json"
        return json.loads(file.read_text(encoding="utf-8")) if file is not None and file.is_file() else None

    return Architecture(
        transformer=transformer_config(base),
        autoencoder=config(base.vae) or {},
        text_encoder=config(base.text_encoder) or UMT5_XXL,
        image_encoder=config(base.image_encoder) or CLIP_VIT_H,
    )


def _assemble(
    base: BaseSource,
    settings: CheckpointSettings,
    adapters: list[tuple[Adapter, float]],
    choice: Choice,
    say: Callable[[str], None],
) -> Real2Sam2RealPipeline:
    """The pipeline with its adapters, on the CPU but for weights that stay on the device as they are."""
    device, plan = choice.machine.device, choice.plan
    dtype = torch.bfloat16 if choice.machine.native_bfloat16 else torch.float32
    say(f"loading the transformer from {base.name}")
    stays = plan.weights in ("bfloat16", "gguf") and not plan.blocks_streamed
    transformer = load_transformer(base, dtype, device=device if stays else "cpu")
    apply_adapters(transformer, adapters, merge=base.layout != "gguf")
    say("loading the autoencoder and the image encoder")
    image_processor, image_encoder = _load_image_encoder(base, transformer)
    shift = settings.shift or scheduler_shift(load_scheduler(base))
    return Real2Sam2RealPipeline(
        vae=load_vae(base, autoencoder_dtype(plan)),
        transformer=transformer,
        scheduler=make_scheduler("euler", shift),
        image_encoder=image_encoder,
        image_processor=image_processor,
    )


def _prompt_cache(
    base: BaseSource, pipeline: Real2Sam2RealPipeline, choice: Choice, say: Callable[[str], None]
) -> PromptCache:
    """Text embeddings from disk; the text encoder is loaded when a prompt is new, and let go again."""
    if base.text_encoder is None:  # `find_base` has made sure that it is there
        raise ValueError(f"the base {base.name} has no text encoder")

    def embed(prompt: str) -> Tensor:
        say("reading a new prompt: loading the text encoder")
        dtype = torch.bfloat16 if choice.machine.native_bfloat16 else torch.float32
        tokenizer, encoder = load_text_encoder(base, dtype)
        place_encoder(encoder, choice.plan)
        return embed_text(encoder, tokenizer, prompt, pipeline._execution_device, release=False)

    return PromptCache(encoder_identity(base.text_encoder), embed)


def _adapter_note(adapter: Adapter, weight: float) -> str:
    parts = f"{len(adapter.low_rank)} low-rank pairs" if adapter.low_rank else "no low-rank pairs"
    scales = {pair.scale for pair in adapter.low_rank.values()}
    scale = f" at scale {scales.pop():g}" if len(scales) == 1 else ""
    face = f", {len(adapter.face_keys)} keys of the face branch left out" if adapter.face_keys else ""
    origin = f" (alpha from {adapter.alpha_from})" if scale else ""
    return f"adapter {adapter.name}, weight {weight:g}: {parts}{scale}{origin}{face}"


def share_among_ranks(model: LoadedModel) -> LoadedModel:
    """Share each pass among the processes that were started for one shot; nothing happens where there is only one."""
    if _ranks() > 1:
        enable_context_parallel(model.pipeline.transformer)
    return model


def _ranks() -> int:
    connected = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if connected else 1
