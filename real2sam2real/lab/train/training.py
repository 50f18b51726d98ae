"""What all trainings share: the names of their settings, the run folder that they go on in, the loop, and its loss.

FOLDER/config.json     the settings; another run in this folder must have the same
FOLDER/losses.jsonl    one line a step
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from real2sam2real.errors import UserError, require
from real2sam2real.files import replacing_file
from real2sam2real.workfolder.records import keep_settings, read_lines, trim_lines

GRADIENT_CLIP = 1.0
"""Largest norm of all gradients together."""
SMOOTHING = 50
"""Steps of a running mean of the loss."""
RENAMED = {"batch": "batch_size", "warmup": "warmup_steps", "decay": "decay_fraction", "save_every": "checkpoint_every"}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(ABC):
    """The settings that every training has."""

    learning_rate: float  # after the warm-up, and until the decay
    warmup_steps: int = 0  # steps at the start over which it rises linearly
    # share of all steps, at the end, over which it falls linearly to zero; 0 leaves it constant
    decay_fraction: float = 0.0
    seed: int = 0  # of all that is random

    @property
    @abstractmethod
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""

    def learning_rate_at(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        decay_steps = max(1.0, self.total_steps * self.decay_fraction)
        return self.learning_rate * rise * min(1.0, max(0.0, (self.total_steps - step) / decay_steps))


def with_current_names(values: Any) -> Any:
    """Settings as an earlier version wrote them, under the names that they have now."""
    if isinstance(values, dict):
        return {RENAMED.get(name, name): with_current_names(value) for name, value in values.items()}
    return [with_current_names(value) for value in values] if isinstance(values, list) else values


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
        last = total if stop_after is None else min(stop_after, total)
        saved = self.step
        try:
            with (
                self._log() as log,
                tqdm(total=total, initial=self.step, desc="training", unit="step", disable=not self.is_main) as bar,
            ):
                while self.step < last:
                    record = self._train_step()
                    self.step += 1
                    log(record)
                    bar.update()
                    bar.set_postfix(record)
                    if self._checkpoint_due():
                        self.save()
                        saved = self.step
                    self._after_step()
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
    def _log(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """What writes a step's line; lines of steps that are about to be made again are dropped first."""
        if not self.is_main:
            yield lambda record: None
            return
        trim_lines(self.losses, self.step)
        with self.losses.open("a", encoding="utf-8") as file:

            def log(record: dict[str, Any]) -> None:
                file.write(json.dumps({"step": self.step, **record}) + "\n")
                file.flush()

            yield log

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
        self.seconds = 0.0  # spent in optimiser steps, over all restarts

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
            state = torch.load(self._state_file, weights_only=True)
            self._restore(state)
            self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]

    def _checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved_at > self._checkpoint_seconds

    def _train_step(self) -> dict[str, Any]:
        batch = self._next_batch()
        started = time.monotonic()
        loss, record = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_CLIP)
        self._update(self.config.learning_rate_at(self.step))
        # Young averages forget faster, so that early weights do not linger.
        decay = min(self.average_decay, (2 + self.step) / (11 + self.step))
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                self.average[name].lerp_(parameter, 1 - decay)
        self.seconds += time.monotonic() - started
        return record

    def _record(self) -> dict[str, Any]:
        """How the weights came to be."""
        return {"config": asdict(self.config), "steps": self.step, "seconds": round(self.seconds)}


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
