"""From what the user names (checkpoint, base, adapters) to a pipeline that is ready to generate.

A checkpoint is a pipeline's folder, an adapter that knows the pipeline it belongs on, or an adapter for the
published base. Python enters by `Real2Sam2RealPipeline.from_pretrained`, the command line by `locate` and `load_model`;
both load by the same code, so that the same names give the same video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion.causal_chunks import lay_out_channels_last
from real2sam2real.diffusion.checkpoints import (
    OFFICIAL_SETTINGS,
    UNTOLD_SETTINGS,
    CheckpointSettings,
    find_checkpoint,
    is_adapter,
    is_checkpoint_name,
    load_settings,
    told_settings,
)
from real2sam2real.diffusion.compiling import compile_blocks
from real2sam2real.diffusion.empty_clip import EmptyClip
from real2sam2real.diffusion.memory.apply import Storing, apply_plan, storing
from real2sam2real.diffusion.memory.attention import choose_backend, use_backend
from real2sam2real.diffusion.memory.choose import Choice, choose_plan, out_of_memory_remedy
from real2sam2real.diffusion.memory.costs import CLIP_VIT_H, UMT5_XXL, Architecture, ClipSize
from real2sam2real.diffusion.memory.machine import Machine, inspect_machine
from real2sam2real.diffusion.memory.needs import autoencoder_dtype
from real2sam2real.diffusion.memory.plans import Plan
from real2sam2real.diffusion.options import DEFAULT_BASE, Compile, GenerateOptions, ModelOptions, PresetName
from real2sam2real.diffusion.parallel import enable_context_parallel
from real2sam2real.diffusion.pipeline import DenoisingPipeline
from real2sam2real.diffusion.presets import Sampling, choose_sampling
from real2sam2real.diffusion.prompts import NEGATIVE_PROMPT, PromptCache, embed_text, encoder_identity
from real2sam2real.diffusion.ranks import ranks_joined
from real2sam2real.diffusion.sampling import make_scheduler, scheduler_shift
from real2sam2real.diffusion.weights.adapter_file import Adapter, read_adapter
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.base import BaseSource, find_adapter, find_base
from real2sam2real.diffusion.weights.config import read_json
from real2sam2real.diffusion.weights.load import (
    load_image_encoder,
    load_scheduler,
    load_text_encoder,
    load_transformer,
    load_vae,
    packed_weight_size,
    transformer_config,
)
from real2sam2real.errors import UserError

DEFAULT_PRESET: PresetName = "quality"


@dataclass(frozen=True, kw_only=True)
class LocatedAdapter:
    """Where an adapter is, and how much of it counts."""

    path: Path  # its file or folder
    weight: float = 1.0  # 1 is as trained
    # it comes on top of a checkpoint, so keys of the face branch, as distillation LoRAs for Wan-Animate may hold, are
    # passed over
    further: bool = True

    def read(self) -> tuple[Adapter, float]:
        """It and its weight.

        Raises:
            UserError: a file is damaged or not understood.
        """
        return read_adapter(self.path, leave_out_face=self.further), self.weight


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where everything that was named is; nothing of it is loaded yet."""

    name: str  # of the checkpoint, as the user gave it
    folder: Path | None  # of the checkpoint; None for a base alone
    settings: CheckpointSettings  # of the checkpoint
    base: BaseSource  # what its adapters are put on
    adapters: tuple[LocatedAdapter, ...]  # in the order in which they are put on
    uses_presets: bool  # nothing says how it samples best, so that a preset must

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders that decide what comes out."""
        named = (self.folder, *(adapter.path for adapter in self.adapters))
        base = (Path(self.base.name),) if self.base.own else self.base.files
        return tuple(dict.fromkeys(path for path in (*named, *base) if path is not None))

    def sampling(self, preset: PresetName | None = None, **changes: Any) -> Sampling:
        """How to denoise: as the preset says, or else as the checkpoint does; see `choose_sampling`."""
        preset = preset or (DEFAULT_PRESET if self.uses_presets else None)
        return choose_sampling(self.settings, preset, **changes)


def locate(options: ModelOptions, *, base_alone: bool = False, untold: CheckpointSettings | None = None) -> Located:
    """Find what was named.

    Args:
        options: the names.
        base_alone: there is no checkpoint, only a base and further adapters.
        untold: settings of a pipeline's folder that has none; without these that is an error.

    Raises:
        MissingPartError: something is not on this machine and cannot be fetched.
        UserError: a name leads nowhere, or to something else.
    """
    adapters = [_further(text, offline=options.offline) for text in options.lora]
    folder = None if base_alone else find_checkpoint(options.checkpoint, offline=options.offline)
    told = folder or next((one.path for one in adapters if told_settings(one.path) is not None), None)
    settings = OFFICIAL_SETTINGS if told is None else load_settings(told, untold)
    if folder is not None and is_adapter(folder):
        adapters.insert(0, LocatedAdapter(path=folder, further=False))
    if folder is not None and not is_adapter(folder):
        base = find_base(folder)
    elif folder is not None and settings.base is not None:
        base = find_base(find_checkpoint(settings.base))
    else:
        base = find_base(options.base, offline=options.offline, components=options.components)
    return Located(
        name=options.base if base_alone else options.checkpoint,
        folder=folder,
        settings=settings,
        base=base,
        adapters=tuple(adapters),
        uses_presets=not base.own and (told is None or told_settings(told) is None),
    )


def sampling_of(options: GenerateOptions, located: Located) -> Sampling:
    """How to denoise; an adapter without settings of its own is run with the preset `quality`."""
    names = ("steps", "guidance", "guided_steps", "guidance_interval")
    return located.sampling(options.preset, **{name: getattr(options, name) for name in names})


def _further(text: str, *, offline: bool) -> LocatedAdapter:
    name, equals, weight = text.rpartition("=")
    if not equals:
        return LocatedAdapter(path=find_adapter(text, offline=offline))
    try:
        return LocatedAdapter(path=find_adapter(name, offline=offline), weight=float(weight))
    except ValueError:
        raise UserError(f"--lora {text}: the weight '{weight}' is no number; write FILE=0.8, or FILE alone") from None


class Real2Sam2RealPipeline(DenoisingPipeline):
    """Photo + rendered normals (+ prompt) → video; see `DenoisingPipeline` for everything but loading."""

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "mini",
        *,
        base: str | Path | None = None,
        adapters: Sequence[str | Path] = (),
        components: str | Path | None = None,
        offline: bool = False,
        dtype: torch.dtype | None = None,
    ) -> Real2Sam2RealPipeline:
        """Load a checkpoint, or a base model in any of its layouts with adapters on it, on the CPU.

        Args:
            name: a checkpoint (`mini`, a pipeline's folder, an adapter's folder, `JiayiWuLeo/Real2SAM2Real`), or a
                base: a folder in diffusers' or the original layout, a safetensors or GGUF file, or a name on the hub.
                Of any other adapter on the hub, say the base too.
            base: what `name` is put on if it is an adapter; without it, the pipeline that the adapter knows, or the
                published base.
            adapters: further adapter folders or files, or names on the hub, merged into the weights (kept apart where
                the base is packed); `FILE=WEIGHT` for one that is not to count in full.
            components: where VAE and encoders are, for a base that is a transformer alone.
            offline: never reach for the network.
            dtype: of the weights; None for what the command line would take.

        Raises:
            MissingPartError: something is not on this machine.
            UserError: a file is damaged or foreign.
        """
        is_checkpoint = base is not None or is_checkpoint_name(name)
        options = ModelOptions(
            checkpoint=str(name),
            base=str(base or (DEFAULT_BASE if is_checkpoint else name)),
            components=None if components is None else str(components),
            lora=tuple(str(adapter) for adapter in adapters),
            offline=offline,
        )
        located = locate(options, base_alone=not is_checkpoint, untold=UNTOLD_SETTINGS)
        on_gpu = torch.cuda.is_available() and not located.base.own
        vae_dtype = dtype or (torch.bfloat16 if on_gpu else torch.float32)
        read = [adapter.read() for adapter in located.adapters]
        return _load(located, read, dtype=dtype or best_dtype(), vae_dtype=vae_dtype)


def best_dtype() -> torch.dtype:
    """bfloat16 where the machine multiplies it natively, else float32."""
    if torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def _load(
    located: Located,
    adapters: Sequence[tuple[Adapter, float]],
    *,
    dtype: torch.dtype,
    vae_dtype: torch.dtype,
    plan: Plan | None = None,
) -> Real2Sam2RealPipeline:
    """The pipeline with its adapters: whole and on the CPU, or by a plan, without the text encoder."""
    base, settings, sampling = located.base, located.settings, located.sampling()
    packed = base.layout == "gguf"
    device = "cpu" if plan is None else plan.device
    how: Storing | dict[str, Any] = {} if plan is None else storing(plan)
    transformer = load_transformer(base, dtype, adapters=() if packed else adapters, **how)
    if packed:
        apply_adapters(transformer, adapters, merge=False)
    scheduler = load_scheduler(base)
    if settings is not UNTOLD_SETTINGS:
        scheduler = make_scheduler(sampling.solver, settings.shift or scheduler_shift(scheduler))
    encoders: dict[str, Any] = {}
    if plan is None and base.text_encoder is not None:
        encoders["tokenizer"], encoders["text_encoder"] = load_text_encoder(base, dtype)
    if base.image_encoder is not None and transformer.config.image_dim is not None:
        encoders["image_processor"], encoders["image_encoder"] = load_image_encoder(
            base, device=device, on_call=plan is not None and not plan.image_encoder_stays
        )
    vae = load_vae(base, vae_dtype, device=device)
    pipeline = Real2Sam2RealPipeline(vae, transformer, scheduler, **encoders)
    pipeline.sampling = sampling
    pipeline.resize_without_crop = settings.resize_without_crop
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model that is ready to generate."""

    located: Located  # what it was loaded from
    pipeline: Real2Sam2RealPipeline  # on its device, without a text encoder where `prompt_cache` is there
    choice: Choice | None = None  # the memory plan and why, or None for a checkpoint that is whole and small
    prompt_cache: PromptCache | None = None  # makes text embeddings, or None where the pipeline does it by itself
    # what "auto" came to on this machine, by the option's name: with other values, the same seed rounds otherwise
    resolved: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what a person should know

    @property
    def settings(self) -> CheckpointSettings:
        """Of the checkpoint."""
        return self.located.settings

    @property
    def reads_text(self) -> bool:
        """Whether prompts, and so guidance, mean anything to it."""
        return self.prompt_cache is not None or self.pipeline.text_encoder is not None

    def prompts(self, prompt: str, *, guided: bool) -> dict[str, Any]:
        """The options of the pipeline that say what the video should show."""
        if self.prompt_cache is None:
            return {"prompt": prompt}
        negative = self.prompt_cache(NEGATIVE_PROMPT) if guided else None
        return {"prompt_embeds": self.prompt_cache(prompt), "negative_prompt_embeds": negative}

    @contextmanager
    def memory_advice(self) -> Iterator[None]:
        """Turn running out of device memory into a message that names the next plan down."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            if self.choice is None:
                raise
            raise UserError(out_of_memory_remedy(self.choice)) from error


def load_model(
    located: Located,
    *,
    memory: str = "auto",
    attention: str = "auto",
    offline: bool = False,
    sampling: Sampling | None = None,
    compiled: Compile = "auto",
    log: Callable[[str], None] = print,
) -> LoadedModel:
    """Load what was located, in a way that fits into this machine's memory, on the GPU where there is one.

    Several connected processes share each pass.

    Args:
        located: from `locate`.
        memory: a memory plan's name, or "auto"; without effect on one of our pipelines, which is small.
        attention: an attention kernel's name, or "auto".
        offline: never reach for the network, as kernels on the hub do.
        sampling: tells how long a segment is and whether there is guidance; None for the checkpoint's own.
        compiled: whether the blocks are to be compiled; like `memory` without effect on one of our pipelines.
        log: called with lines on what is loaded and how.

    Raises:
        MissingPartError: a package that the plan needs is not installed.
        UserError: no plan fits, the kernel cannot run here, blocks cannot be compiled though that is asked for, or a
            file is damaged or foreign.
    """
    adapters = [adapter.read() for adapter in located.adapters]
    wanted: dict[str, Any] = {"wanted": attention, "parallel": ranks_joined() > 1, "offline": offline}
    if attention != "auto":  # say that it cannot run before anything is loaded
        choose_backend(inspect_machine(), **wanted)
    if located.base.own:
        pipeline = _load(located, adapters, dtype=best_dtype(), vae_dtype=torch.float32)
        pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
        model = LoadedModel(located=located, pipeline=pipeline)
    else:
        how = {"memory": memory, "attention": attention}
        model = _load_by_plan(located, adapters, sampling or located.sampling(), log, compiled=compiled, **how)
    if attention != "auto" or model.choice is not None:
        kernel = use_backend(model.pipeline.transformer, inspect_machine(), **wanted).name
        log(f"attention: {kernel}")
        model = replace(model, resolved={**model.resolved, "attention": kernel})
    if ranks_joined() > 1:
        enable_context_parallel(model.pipeline.transformer)
    return model


def _load_by_plan(
    located: Located,
    adapters: Sequence[tuple[Adapter, float]],
    sampling: Sampling,
    log: Callable[[str], None],
    *,
    memory: str,
    attention: str,
    compiled: Compile,
) -> LoadedModel:
    base = located.base
    choice = plan_for(located, adapters, sampling, memory=memory, attention=attention, compiled=compiled)
    log(f"memory plan {choice.plan.name} ({choice.plan.purpose}): {choice.why}")
    log(f"loading the transformer, the autoencoder and the image encoder from {base.name}")
    pipeline = _load(
        located,
        adapters,
        dtype=best_dtype(),
        vae_dtype=autoencoder_dtype(choice.plan),
        plan=choice.plan,
    )
    pipeline.empty_clip = EmptyClip(None if base.vae is None else encoder_identity(base.vae))
    apply_plan(pipeline, choice.plan)
    if choice.plan.device == "cuda" and not sampling.as_script:  # whose rounding is to be the script's
        lay_out_channels_last(pipeline.vae)
    placed = (choice.machine, choice.plan, sampling)
    compiling = compile_blocks(pipeline.transformer, *placed, compiled, ranks=ranks_joined())
    log(compiling.words)
    return LoadedModel(
        located=located,
        pipeline=pipeline,
        choice=choice,
        prompt_cache=_prompt_cache(base, choice, log),
        resolved={"memory": choice.plan.name, "compile": "on" if compiling.done else "off"},
        notes=(
            f"base '{base.name}' ({base.layout}), memory plan {choice.plan.name}",
            *(_adapter_note(adapter, weight) for adapter, weight in adapters),
        ),
    )


def plan_for(
    located: Located,
    adapters: Sequence[tuple[Adapter, float]],
    sampling: Sampling,
    *,
    memory: str = "auto",
    attention: str = "auto",
    compiled: Compile = "auto",
    machine: Machine | None = None,
) -> Choice:
    """The memory plan of a base with adapters; see `choose_plan`.

    Args:
        located: what would be loaded.
        adapters: of it, read.
        sampling: tells how long a segment is, whether there is guidance, and which plan it prefers.
        memory: a memory plan's name, or "auto".
        attention: an attention kernel's name, or "auto".
        compiled: whether the blocks are to be compiled, which has been tried with plain ones alone.
        machine: what it runs on; None for this one.

    Raises:
        UserError: as `choose_plan`.
    """
    width, height = located.settings.fit(16, 9)
    return choose_plan(
        machine or inspect_machine(),
        architecture_of(located.base, adapters),
        ClipSize(frames=sampling.segment_frames, width=width, height=height),
        wanted=memory,
        guided=sampling.guided,
        attention=attention,
        preferred=None if compiled == "on" else sampling.plan_on_gpu,
    )


def architecture_of(base: BaseSource, adapters: Sequence[tuple[Adapter, float]] = ()) -> Architecture:
    """The networks of a base with adapters, for reckoning; the published ones where a component does not say."""

    def config(component: Path | None) -> dict[str, Any] | None:
        file = None if component is None else component / "config.json"
        return read_json(file) if file is not None and file.is_file() else None

    packed = packed_weight_size(base)
    numbers = sum(pair.up.numel() + pair.down.numel() for adapter, _ in adapters for pair in adapter.low_rank.values())
    return Architecture(
        packed=packed,
        apart=0 if packed is None else numbers * best_dtype().itemsize,
        transformer=transformer_config(base),
        autoencoder=config(base.vae) or {},
        text_encoder=config(base.text_encoder) or UMT5_XXL,
        image_encoder=config(base.image_encoder) or CLIP_VIT_H,
    )


def _prompt_cache(base: BaseSource, choice: Choice, log: Callable[[str], None]) -> PromptCache:
    """Text embeddings from disk; the text encoder is loaded when a prompt is new, and let go again."""
    if base.text_encoder is None:  # `find_base` has made sure that it is there
        raise ValueError(f"the base {base.name} has no text encoder")

    def embed(prompt: str) -> Tensor:
        log("reading a new prompt: loading the text encoder")
        device = torch.device(choice.plan.device)
        tokenizer, encoder = load_text_encoder(base, best_dtype(), device=device, on_call=True)
        return embed_text(encoder, tokenizer, prompt, device)

    return PromptCache(encoder_identity(base.text_encoder), embed)


def _adapter_note(adapter: Adapter, weight: float) -> str:
    parts = f"{len(adapter.low_rank)} low-rank pairs" if adapter.low_rank else "no low-rank pairs"
    scales = {pair.scale for pair in adapter.low_rank.values()}
    scale = f" at scale {scales.pop():g}" if len(scales) == 1 else ""
    face = f", {len(adapter.face_keys)} keys of the face branch left out" if adapter.face_keys else ""
    origin = f" (alpha from {adapter.alpha_from})" if scale else ""
    return f"adapter {adapter.name}, weight {weight:g}: {parts}{scale}{origin}{face}"
