"""Tables of measures in the paper's form: a row a method, means with 95 % intervals, and paired differences."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

Values = Sequence[float | None]
"""One measure of a method, case by case in the same order for all methods; None where there is none."""

SIGNIFICANT = 0.05
"""The best mean of a column stands out where the chance of its difference from every other is below this."""

_ABSENT = "–"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "±": r"$\pm$",
    "–": "--", "…": r"\ldots{}", "°": r"$^\circ$",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A column."""

    name: str  # key of the values
    title: str  # for people, with its unit
    digits: int = 4
    lower_is_better: bool = True
    headline: bool = True  # whether it is in tables of several kinds of measures


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells of text."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()  # cells, by row and column, that stand out

    def _cells(self, plain: Callable[[str], str], bold: Callable[[str], str]) -> list[list[str]]:
        rows = [[plain(cell) for cell in row] for row in self.rows]
        for row, column in self.bold:
            rows[row][column] = bold(rows[row][column])
        return rows

    def markdown(self) -> str:
        """The caption and the table."""
        rows = [list(self.head), ["---"] * len(self.head), *self._cells(str, lambda cell: f"**{cell}**")]
        lines = ["|" + "---|" * len(row) if row[0] == "---" else "| " + " | ".join(row) + " |" for row in rows]
        return f"{self.caption}:\n\n" + "\n".join(lines) + "\n"

    def html(self) -> str:
        """The caption as a paragraph, and the table."""
        lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in self.head)]
        for row in self._cells(html.escape, lambda cell: f"<b>{cell}</b>"):
            lines.append("".join(f"<td>{cell}</td>" for cell in row))
        table = "".join(f"<tr>{line}</tr>" for line in lines)
        return f'<p>{html.escape(self.caption)}:</p>\n<div class="wide"><table>{table}</table></div>'

    def latex(self) -> str:
        r"""A `table` environment with one `tabular`; it needs no package."""
        head = " & ".join(_latex(cell) for cell in self.head)
        rows = [" & ".join(row) for row in self._cells(_latex, lambda cell: rf"\textbf{{{cell}}}")]
        lines = [
            r"\begin{table}",
            rf"\caption{{{_latex(self.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(self.head) - 1)}}}",
            r"\hline",
            rf"{head} \\",
            r"\hline",
            *(rf"{row} \\" for row in rows),
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"


def means_table(
    caption: str,
    measures: Sequence[Measure],
    rows: Mapping[str, Mapping[str, Values]],
    *,
    also: Mapping[str, Mapping[str, str]],
) -> Table:
    """A row a method: `also` holds further cells by column and method, which come first.

    The best mean of a column is bold where it differs significantly from that of every other method that has values.
    """
    cells, bold = [], set()
    for number, (method, values) in enumerate(rows.items()):
        row = [method, *(column.get(method, _ABSENT) for column in also.values())]
        for measure in measures:
            if method == best_of(measure, rows):
                bold.add((number, len(row)))
            row.append(interval(values.get(measure.name, ()), measure.digits))
        cells.append(tuple(row))
    head = ("method", *also, *(f"{m.title} {'↓' if m.lower_is_better else '↑'}" for m in measures))
    return Table(caption=caption, head=head, rows=tuple(cells), bold=frozenset(bold))


def paired_table(
    caption: str, measures: Sequence[Measure], rows: Mapping[str, Mapping[str, Values]], reference: str
) -> Table:
    """By how much each other method differs from `reference` on the cases that both have, and how likely by chance.

    The chance is that of Wilcoxon's signed-rank test, two-sided.
    """
    cells = []
    for method, values in rows.items():
        if method == reference:
            continue
        row = [method]
        for measure in measures:
            apart = _apart(values.get(measure.name, ()), rows[reference].get(measure.name, ()))
            cell = interval(apart, measure.digits, sign="+")
            row.append(cell if len(apart) < 2 else f"{cell} (p = {_chance(apart):.2g})")
        cells.append(tuple(row))
    return Table(caption=caption, head=(f"minus {reference}", *(m.title for m in measures)), rows=tuple(cells))


def mean_and_half(values: Values) -> tuple[float | None, float | None]:
    """Mean, and half of its 95 % interval by Student's t, of what is there; None where there is too little."""
    known = np.array([v for v in values if v is not None], np.float64)
    if not len(known):
        return None, None
    if len(known) < 2:
        return float(known.mean()), None
    return float(known.mean()), float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))


def interval(values: Values, digits: int, *, sign: str = "") -> str:
    """Mean and 95 % interval of what is there, as text; with the number where some are missing."""
    mean, half = mean_and_half(values)
    if mean is None:
        return _ABSENT
    known = sum(v is not None for v in values)
    missing = f" ({known} of {len(values)})" if known < len(values) else ""
    spread = "" if half is None else f" ± {half:.{digits}f}"
    return f"{mean:{sign}.{digits}f}{spread}{missing}"


def best_of(measure: Measure, rows: Mapping[str, Mapping[str, Values]]) -> str | None:
    """The method with the best mean, where it differs significantly from every other that has values; else None."""
    means = {}
    for method, values in rows.items():
        mean, _ = mean_and_half(values.get(measure.name, ()))
        if mean is not None:
            means[method] = mean
    if len(means) < 2:
        return None
    best = (min if measure.lower_is_better else max)(means, key=means.__getitem__)
    others = [_apart(rows[best][measure.name], rows[other][measure.name]) for other in means if other != best]
    return best if all(len(apart) > 1 and _chance(apart) < SIGNIFICANT for apart in others) else None


def _apart(values: Values, reference: Values) -> list[float]:
    pairs = zip(values, reference, strict=False)
    return [a - b for a, b in pairs if a is not None and b is not None]


def _chance(apart: Sequence[float]) -> float:
    if not np.any(apart):
        return 1.0
    return float(stats.wilcoxon(apart).pvalue)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
