"""What all trainings share: the names of their settings, the run folder that they go on in, the loop, and its loss.

FOLDER/config.json     the settings; another run in this folder must have the same
FOLDER/losses.jsonl    one line a step
"""

from __future__ import annotations

import io
import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from real2sam2real.errors import UserError, require
from real2sam2real.files import existing_file, replacing_file, sweep
from real2sam2real.workfolder.records import keep_settings, read_lines, trim_lines

GRADIENT_CLIP = 1.0
_OWN_FOLDERS = ("adapter", "autoencoder", "cache", "checkpoint", "checkpoints", "clips", "network", "samples")
"""Largest norm of all gradients together."""
LOG_SECONDS = 1.0
"""The loss is asked for no more often than this."""
LINE_SECONDS = 10.0
"""Without a terminal, a line about the progress is written no more often than this."""
SMOOTHING = 50
"""Steps of a running mean of the loss."""
RENAMED = {"batch": "batch_size", "warmup": "warmup_steps", "decay": "decay_fraction", "save_every": "checkpoint_every"}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(ABC):
    """The settings that every training has."""

    learning_rate: float  # after the warm-up, and until the decay
    warmup_steps: int = 0  # steps at the start over which it rises linearly
    # share of the run, at the end, over which it falls linearly to zero; 0 leaves it constant
    decay_fraction: float = 0.0
    seed: int = 0  # of all that is random

    @property
    @abstractmethod
    def total_steps(self) -> int | None:
        """Optimiser steps of the whole run; None where a clock ends it."""

    def learning_rate_at(self, step: int, progress: float | None = None) -> float:
        """The rate of a step, counted from 0; `progress` 0…1 is how much of the run is done, if steps do not say it."""
        done = step / self.total_steps if progress is None and self.total_steps else progress or 0.0
        rise = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        fall = min(1.0, max(0.0, 1 - done) / self.decay_fraction) if self.decay_fraction else 1.0
        return self.learning_rate * rise * fall


def with_current_names(values: Any) -> Any:
    """Settings as an earlier version wrote them, under the names that they have now."""
    if isinstance(values, dict):
        if isinstance(recompute := values.get("gradient_checkpointing"), bool):
            rest = {name: value for name, value in values.items() if name != "gradient_checkpointing"}
            values = {**rest, "activations": "recompute" if recompute else "keep"}
        return {RENAMED.get(name, name): with_current_names(value) for name, value in values.items()}
    return [with_current_names(value) for value in values] if isinstance(values, list) else values


def progress_bar(total: int | None, initial: int, *, hidden: bool) -> Any:
    """A bar on a terminal; elsewhere a line now and then, with the time left, for logs and pipes."""
    if hidden or sys.stderr.isatty():
        return tqdm(total=total, initial=initial, desc="training", unit="step", disable=hidden)
    left = "{n_fmt} steps, {elapsed} gone" if total is None else "{n_fmt} of {total_fmt} steps, about {remaining} left"
    return tqdm(
        total=total,
        initial=initial,
        desc="training",
        bar_format="{desc}: " + left + "{postfix}",
        file=_Lines(sys.stderr),
        mininterval=LINE_SECONDS,
        maxinterval=LINE_SECONDS,
    )


class _Lines(io.TextIOBase):
    """Each state of a bar as a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        shown = text.strip()
        if shown:
            print(shown, file=self._stream, flush=True)
        return len(text)


class StepLog:
    """One JSON line a step, and the newest beside a progress bar.

    Values that a device still computes are asked for together, once in a while: to wait for each would slow it down.
    """

    def __init__(self, file: TextIO | None, bar: Any) -> None:
        self._file, self._bar = file, bar
        self._waiting: list[dict[str, Any]] = []
        self._written = 0.0
        self._step = bar.n

    def __call__(self, record: dict[str, Any]) -> None:
        """Note the next step's values: JSON's, or tensors of one number."""
        self._step += 1
        self._waiting.append({"step": self._step, **record})
        if time.monotonic() - self._written > LOG_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for record in self._waiting:
            values = {k: round(v.item(), 6) if isinstance(v, Tensor) else v for k, v in record.items()}
            if self._file is not None:
                self._file.write(json.dumps(values) + "\n")
        if self._waiting and self._file is not None:
            self._file.flush()
            self._bar.set_postfix({k: v for k, v in values.items() if k != "step"})
        self._waiting, self._written = [], time.monotonic()


Config = TypeVar("Config", bound=TrainingSettings)


class Trainer(ABC, Generic[Config]):
    """Trains in a folder; a later one with the same settings goes on from the last checkpoint. Making one is cheap."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.step = 0  # steps made so far, by earlier calls too
        self._prepared = False

    @property
    def losses(self) -> Path:
        """One JSON line a step."""
        return self.folder / "losses.jsonl"

    @property
    def is_main(self) -> bool:
        """Whether this process writes: one of those that train together does."""
        return True

    @property
    def progress(self) -> float:
        """How much of the run is done, 0…1."""
        return self.step / self.config.total_steps if self.config.total_steps else 0.0

    @property
    def changeable(self) -> Collection[str]:
        """Settings that a run may go on with changed, as they do not change its steps."""
        return ()

    def prepare(self) -> None:
        """Claim the folder, make what is trained, and go on from the last checkpoint; a second call does nothing.

        Raises:
            MissingPartError: a package or weights are missing.
            UserError: the folder belongs to a run with other settings, or what is given cannot be trained.
        """
        if self._prepared:
            return
        if self.is_main:
            path = self.folder / "config.json"
            keep_settings(path, asdict(self.config), changeable=self.changeable, upgrade=self._upgraded)
            sweep(self.folder)
            for name in _OWN_FOLDERS:
                sweep(self.folder / name, recursive=True)  # elsewhere there may be a person's own hidden files
        self._build()
        self._resume()
        self._prepared = True

    def fit(self, stop_after: int | None = None) -> Path:
        """Train to the end, or to step `stop_after`; then save and export.

        Returns:
            The folder of what was trained.

        Raises:
            MissingPartError: see `prepare`.
            UserError: see `prepare`.
        """
        self.prepare()
        total = self.config.total_steps
        saved = self.step
        try:
            with (
                progress_bar(total, self.step, hidden=not self.is_main) as bar,
                self._log(bar) as log,
            ):
                while self.progress < 1 and (stop_after is None or self.step < stop_after):
                    record = self._train_step()
                    self.step += 1
                    log(record)
                    bar.update()
                    due = self._checkpoint_due()
                    self._after_step()  # before the step is saved: what is not saved yet is made again after a kill
                    if due:
                        log.flush()
                        self.save()
                        saved = self.step
        finally:
            self._close()
        if saved != self.step:
            self.save()
        return self.export()

    @abstractmethod
    def save(self) -> None:
        """Write everything needed to go on exactly from here."""

    @abstractmethod
    def export(self) -> Path:
        """Write what was trained, whole or not at all; its folder."""

    @abstractmethod
    def _build(self) -> None:
        """Make networks and optimisers, and open the data."""

    @abstractmethod
    def _resume(self) -> None:
        """Go on from the last checkpoint, where there is one."""

    @abstractmethod
    def _train_step(self) -> dict[str, Any]:
        """Make the optimiser step after `step` others; what is logged of it."""

    @abstractmethod
    def _checkpoint_due(self) -> bool: ...

    def _after_step(self) -> None:
        """What else is due after a step."""

    def _close(self) -> None:
        """Let go of what was opened for the steps."""

    @contextmanager
    def _log(self, bar: Any) -> Iterator[StepLog]:
        """What writes a step's line; lines of steps that are about to be made again are dropped first."""
        if not self.is_main:
            yield StepLog(None, bar)
            return
        trim_lines(self.losses, self.step)
        with self.losses.open("a", encoding="utf-8") as file:
            log = StepLog(file, bar)
            try:
                yield log
            finally:
                log.flush()

    def _upgraded(self, noted: dict[str, Any]) -> dict[str, Any]:
        """Settings that an earlier version noted, as this one would; what it did not know had today's default."""
        defaults = {f.name: f.default for f in fields(self.config) if f.default is not MISSING}
        return {**defaults, **with_current_names(noted)}


class NetworkTrainer(Trainer[Config]):
    """Trains a network as a whole on one device, keeps an average of its weights, and saves every few minutes.

    FOLDER/state.pt is its checkpoint.
    """

    average_decay = 0.998
    network: nn.Module  # that is trained

    def __init__(self, config: Config, folder: Path, *, checkpoint_seconds: float = 300) -> None:
        super().__init__(config, folder)
        self._checkpoint_seconds = checkpoint_seconds
        self._saved_at = time.monotonic()
        self.average: dict[str, Tensor] = {}  # exponential average of its weights, by name
        self.seconds = 0.0  # spent in steps, what they waited for included, over all restarts

    @abstractmethod
    def _next_batch(self) -> Any:
        """The clips of the next step."""

    @abstractmethod
    def _loss(self, batch: Any) -> tuple[Tensor, dict[str, Any]]:
        """The loss, and what is logged of it."""

    @abstractmethod
    def _update(self, learning_rate: float) -> None:
        """Step the optimisers and clear the gradients."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """What a checkpoint holds besides average, step and seconds."""

    @abstractmethod
    def _restore(self, state: dict[str, Any]) -> None:
        """Take up what `_state` gave."""

    def save(self) -> None:
        """See `Trainer.save`."""
        state = {**self._state(), "average": self.average, "step": self.step, "seconds": self.seconds}
        with replacing_file(self._state_file) as temporary:
            torch.save(state, temporary)
        self._saved_at = time.monotonic()

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.pt"

    def _resume(self) -> None:
        self.average = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        if self._state_file.exists():
            state = torch.load(existing_file(self._state_file), map_location="cpu", weights_only=True)
            self._restore(state)
            self.step, self.seconds = state["step"], state["seconds"]
            for name, value in self.average.items():
                value.copy_(state["average"][name])

    def _checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved_at > self._checkpoint_seconds

    def _train_step(self) -> dict[str, Any]:
        started = time.monotonic()
        loss, record = self._loss(self._next_batch())
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self._update(self.config.learning_rate_at(self.step, self.progress))
        # Young averages forget faster, so that early weights do not linger.
        decay = min(self.average_decay, (2 + self.step) / (11 + self.step))
        named = dict(self.network.named_parameters())
        weights = [named[name].detach() for name in self.average]
        get_ema_multi_avg_fn(decay)(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            list(self.average.values()), weights, 0
        )
        self.seconds += time.monotonic() - started
        return record

    def _record(self) -> dict[str, Any]:
        """How the weights came to be."""
        return {"config": asdict(self.config), "steps": self.step, "seconds": round(self.seconds)}


def bfloat16_where_fast(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where hardware multiplies it; a processor that has to emulate it takes 20 times longer."""
    fast = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def step_at(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """One update at this learning rate; gradients are cleared."""
    set_learning_rate(optimizer, learning_rate)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def draw_loss_curve(losses: Path, picture: Path) -> None:
    """Draw `losses.jsonl` (one step a line: step, stage, loss) as a PNG, with a running mean per stage.

    Raises:
        MissingPartError: matplotlib is not installed.
        UserError: the run has made no step yet.
    """
    needed = 'the loss curve needs matplotlib; install it with: pip install "real2sam2real[train]"'
    figures = require("matplotlib.figure", needed)
    records = read_lines(losses)
    if not records:
        raise UserError(f"{losses} is empty: the run has made no step yet")
    figure = figures.Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for stage in dict.fromkeys(record["stage"] for record in records):
        steps = np.array([record["step"] for record in records if record["stage"] == stage])
        values = np.array([record["loss"] for record in records if record["stage"] == stage])
        line = axes.plot(steps, values, linewidth=0.5, alpha=0.3)[0]
        window = min(SMOOTHING, len(values))
        mean = np.convolve(values, np.full(window, 1 / window), mode="valid")
        axes.plot(steps[window - 1 :], mean, color=line.get_color(), label=stage)
    axes.set(xlabel="step", ylabel="weighted flow-matching loss", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(title="stage (width×height×frames)")
    with replacing_file(picture) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
