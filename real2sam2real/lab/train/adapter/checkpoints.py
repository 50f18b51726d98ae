"""Checkpoints of a fine-tuning run: what is trained and its optimiser, written whole, the last few kept.

A checkpoint holds whole tensors by name, so that a run may go on with another number of processes, sharded or not. Only
DeepSpeed's holds each process's share in DeepSpeed's own form, for as many processes and the same stage of ZeRO.
"""

from __future__ import annotations

import json
import re
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from real2sam2real.errors import UserError
from real2sam2real.files import existing_file, put_in_place, replacing_folder
from real2sam2real.workfolder.json_values import read_json

FOLDER, STATE = "checkpoints", "state.pt"
TAG, WRITTEN_BY = "deepspeed", "deepspeed.json"
_NAME = re.compile(r"step-(\d{6,})")


def list_checkpoints(run: Path) -> list[tuple[int, Path]]:
    """Steps and folders of a run's checkpoints, oldest first; what an interrupted write left is none."""
    found = [(match, path) for path in (run / FOLDER).glob("step-*") if (match := _NAME.fullmatch(path.name))]
    return sorted((int(match[1]), path) for match, path in found)


def trained_tensors(accelerator: Any, model: nn.Module) -> dict[str, Tensor]:
    """What is trained, whole and on the CPU, by the transformer's own names.

    Every process must call this; of a sharded model, others than the main one may be given nothing.
    """
    if _is_deepspeed(accelerator):
        return _gathered(model)
    names = {name.removeprefix("module.") for name, p in model.named_parameters() if p.requires_grad}
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    state: dict[str, Any] = get_model_state_dict(model, options=options)
    return {name: value for name, value in state.items() if name in names}


def save_checkpoint(accelerator: Any, model: nn.Module, optimizer: Any, run: Path, step: int, keep: int) -> None:
    """Write a checkpoint and remove the oldest beyond `keep`; every process must call this."""
    if _is_deepspeed(accelerator):
        _save_deepspeed(accelerator, model, run, step)
    else:
        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
        state = {
            "step": step,
            "trained": trained_tensors(accelerator, model),
            "optimizer": get_optimizer_state_dict(model, _bare(optimizer), options=options),
        }
        if accelerator.is_main_process:
            with replacing_folder(_folder(run, step)) as temporary:
                torch.save(state, temporary / STATE)
    if accelerator.is_main_process:
        for _, path in list_checkpoints(run)[:-keep]:
            shutil.rmtree(path)
    accelerator.wait_for_everyone()


def load_checkpoint(accelerator: Any, model: nn.Module, optimizer: Any, run: Path) -> int:
    """Go on from the newest checkpoint of a run; the step it was written after, 0 without any.

    Raises:
        UserError: it cannot be read.
    """
    found = list_checkpoints(run)
    if not found:
        return 0
    step, path = found[-1]
    try:
        if _is_deepspeed(accelerator):
            _load_deepspeed(accelerator, model, path)
            return step
        if (path / WRITTEN_BY).is_file():
            raise ValueError("it was written with DeepSpeed")
        state = torch.load(existing_file(path / STATE), weights_only=True, map_location="cpu")
        options = StateDictOptions(full_state_dict=True, ignore_frozen_params=True, strict=False)
        set_model_state_dict(model, state["trained"], options=options)
        set_optimizer_state_dict(model, _bare(optimizer), state["optimizer"], options=options)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(f"the checkpoint {path} cannot be used: {error}; remove it to go on from the one before") from (
            error
        )
    return step


def _gathered(engine: nn.Module) -> dict[str, Tensor]:
    """`trained_tensors` of DeepSpeed's engine, which may hold shards of them: from its optimiser, in float32."""
    whole: Any = import_module("deepspeed.utils").safe_get_full_fp32_param
    return {name.removeprefix("module."): whole(p).cpu() for name, p in engine.named_parameters() if p.requires_grad}


def _save_deepspeed(accelerator: Any, engine: Any, run: Path, step: int) -> None:
    temporary = run / FOLDER / f".writing-{step:06d}"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
    accelerator.wait_for_everyone()
    engine.save_checkpoint(str(temporary), TAG, exclude_frozen_parameters=True)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (temporary / WRITTEN_BY).write_text(json.dumps(_shards(accelerator, engine)) + "\n", encoding="utf-8")
        put_in_place(temporary, _folder(run, step))


def _load_deepspeed(accelerator: Any, engine: Any, path: Path) -> None:
    """Read what `_save_deepspeed` wrote.

    Raises:
        ValueError: it was written otherwise, or by a launch of another kind.
    """
    if not (path / WRITTEN_BY).is_file():
        raise ValueError("it was written without DeepSpeed")
    there, here = read_json(path / WRITTEN_BY), _shards(accelerator, engine)
    if there != here:
        raise ValueError(f"DeepSpeed wrote it with {there}, and can read it only so, not with {here}")
    found, _ = engine.load_checkpoint(str(path), TAG, load_module_strict=False)
    if found is None:
        raise ValueError("DeepSpeed finds nothing in it")


def _shards(accelerator: Any, engine: Any) -> dict[str, int]:
    return {"processes": accelerator.num_processes, "stage": engine.zero_optimization_stage()}


def _folder(run: Path, step: int) -> Path:
    return run / FOLDER / f"step-{step:06d}"


def _is_deepspeed(accelerator: Any) -> bool:
    return accelerator.distributed_type.value == "DEEPSPEED"


def _bare(optimizer: Any) -> Any:
    """The optimiser inside accelerate's."""
    return getattr(optimizer, "optimizer", optimizer)
