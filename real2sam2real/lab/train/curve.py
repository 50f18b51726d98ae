"""The loss of a run as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import replacing_file

SMOOTHING = 50


def draw_loss_curve(losses: Path, picture: Path) -> None:
    """Draw `losses.jsonl` (one step a line: step, stage, loss) as a PNG, with a running mean per stage.

    Raises:
        MissingPartError: matplotlib is not installed.
        UserError: the run has made no step yet.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPartError(
            'the loss curve needs matplotlib; install it with: pip install "real2sam2real[train]"'
        ) from error
    records = [json.loads(line) for line in losses.read_text().splitlines()]
    if not records:
        raise UserError(f"{losses} is empty: the run has made no step yet")
    figure = Figure(figsize=(9, 4.5), layout="constrained")
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
