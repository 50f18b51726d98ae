"""How a fine-tuning is spread over devices: by accelerate as it was launched, but for what the trainer decides."""

from __future__ import annotations

import os
from datetime import timedelta
from importlib import import_module
from typing import Any

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.training import GRADIENT_CLIP


def make_accelerator(config: AdapterConfig) -> Any:
    """accelerate's, as the launch was configured.

    Raises:
        MissingPartError: the launch asks for DeepSpeed, which is not installed.
        UserError: FSDP of the first version, passes that cannot be shared evenly, or a launch that accelerate does not
            take up.
    """
    from accelerate import Accelerator, InitProcessGroupKwargs
    from accelerate.utils import GradientAccumulationPlugin

    world = int(os.environ.get("WORLD_SIZE", "1"))
    if config.accumulation % world:
        raise UserError(
            f"accumulation is {config.accumulation}, which {world} processes cannot share evenly; it counts the passes "
            "of all processes together, so make it a multiple"
        )
    if _asked("ACCELERATE_USE_FSDP") and os.environ.get("FSDP_VERSION", "1") != "2":
        raise UserError("FSDP 1 cannot keep frozen and trained weights apart; set fsdp_version: 2 for accelerate")
    passes = config.accumulation // world
    accelerator = Accelerator(
        mixed_precision="no",  # autocast is the trainer's own
        deepspeed_plugin=deepspeed_plugin(config, passes) if _asked("ACCELERATE_USE_DEEPSPEED") else None,
        # Given as a number, it would yield to the one that `accelerate launch` sets for DeepSpeed.
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=passes),
        # Encoding a data set may keep one process busy for long after the others.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(days=2))],
    )
    if accelerator.num_processes != world:
        raise UserError(
            f"accelerate works with {accelerator.num_processes} of {world} processes, which it does where DeepSpeed "
            "is asked for without an accelerator"
        )
    if accelerator.distributed_type.value == "DEEPSPEED":
        _load_whole()
    return accelerator


def deepspeed_plugin(config: AdapterConfig, passes: int) -> Any:
    """The settings of DeepSpeed, as the launch was configured, but for what the trainer decides.

    Raises:
        MissingPartError: a package is missing.
        UserError: it is to do without ZeRO, or to make an optimiser or a schedule of its own.
    """
    from accelerate import DeepSpeedPlugin
    from accelerate.utils import is_deepspeed_available, is_transformers_available

    if not (is_deepspeed_available() and is_transformers_available()):
        raise MissingPartError("to train with DeepSpeed: pip install deepspeed transformers")
    plugin = DeepSpeedPlugin()
    settings = plugin.deepspeed_config
    if plugin.get_value("zero_optimization.stage") == 0:
        raise UserError("DeepSpeed without ZeRO (stage 0) is not supported; choose stage 1, 2 or 3, or no DeepSpeed")
    own = sorted({"optimizer", "scheduler"} & settings.keys())
    if own:
        raise UserError(f"DeepSpeed's configuration has {' and '.join(own)}, which the trainer decides; remove that")
    settings.update(
        # DeepSpeed's engine does these, and what the trainer asks accelerate for does nothing then.
        gradient_clipping=GRADIENT_CLIP,
        gradient_accumulation_steps=passes,
        train_micro_batch_size_per_gpu=config.batch_size,
        train_batch_size=config.batch_size * config.accumulation,
        # It ends an autocast around it. Its bf16 would round what is trained, and what the base keeps in float32.
        torch_autocast={"enabled": config.bf16, "dtype": "bfloat16", "lower_precision_safe_modules": []},
        bf16={"enabled": False},
        fp16={"enabled": False},
    )
    return plugin


def _load_whole() -> None:
    """Keep transformers from sharding the base's encoders, which ZeRO 3 would make it do; no engine gathers them."""
    integrations: Any = import_module("transformers.integrations")
    integrations.unset_hf_deepspeed_config()


def _asked(name: str) -> bool:
    return os.environ.get(name, "false").lower() == "true"
