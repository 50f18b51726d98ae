"""Tables of measures in the paper's form: a row a method, means with 95 % intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Values = Sequence[float | None]
"""One measure of a method, case by case in the same order for all methods; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A column."""

    name: str  # key of the values
    title: str  # for people, with its unit
    digits: int = 4
    lower_is_better: bool = True


def markdown(
    measures: Sequence[Measure], rows: Mapping[str, Mapping[str, Values]], *, also: Mapping[str, Mapping[str, str]]
) -> str:
    """A row a method: `also` holds further cells by column and method, which come first.

    The best mean of a column is bold, unless all are equal.
    """
    best = {m.name: _best(m, rows) for m in measures}
    head = ["method", *also, *(f"{m.title} {'↓' if m.lower_is_better else '↑'}" for m in measures)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for method, values in rows.items():
        cells = [method, *(column.get(method, "–") for column in also.values())]
        for measure in measures:
            cell = interval(values.get(measure.name, ()), measure.digits)
            cells.append(f"**{cell}**" if method == best[measure.name] else cell)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def paired(measures: Sequence[Measure], rows: Mapping[str, Mapping[str, Values]], reference: str) -> str:
    """By how much each other method differs from `reference` on the cases that both have, and how likely by chance.

    The chance is that of Wilcoxon's signed-rank test, two-sided.
    """
    head = [f"minus {reference}", *(m.title for m in measures)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for method, values in rows.items():
        if method == reference:
            continue
        cells = [method]
        for measure in measures:
            pairs = zip(values.get(measure.name, ()), rows[reference].get(measure.name, ()), strict=False)
            apart = [a - b for a, b in pairs if a is not None and b is not None]
            cell = interval(apart, measure.digits, sign="+")
            cells.append(cell if len(apart) < 2 else f"{cell} (p = {_chance(apart):.2g})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def interval(values: Values, digits: int, *, sign: str = "") -> str:
    """Mean and 95 % interval by Student's t of what is there, as text; with the number where some are missing."""
    known = np.array([v for v in values if v is not None], np.float64)
    if not len(known):
        return "–"
    missing = f" ({len(known)} of {len(values)})" if len(known) < len(values) else ""
    mean = f"{known.mean():{sign}.{digits}f}"
    if len(known) < 2:
        return mean + missing
    half = float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return f"{mean} ± {half:.{digits}f}{missing}"


def _best(measure: Measure, rows: Mapping[str, Mapping[str, Values]]) -> str | None:
    means = {}
    for method, values in rows.items():
        known = [v for v in values.get(measure.name, ()) if v is not None]
        if known:
            means[method] = round(float(np.mean(known)), measure.digits)
    if len(set(means.values())) < 2:
        return None
    return (min if measure.lower_is_better else max)(means, key=means.__getitem__)


def _chance(apart: Sequence[float]) -> float:
    if not np.any(apart):
        return 1.0
    return float(stats.wilcoxon(apart).pvalue)
