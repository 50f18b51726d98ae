"""The tables of an evaluation: over videos that could be measured, over all cases, and method against method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.measuring import MeasuredRow
from real2sam2real.lab.evaluate.score_table import Measure, Table, Values, mean_and_half, means_table, paired_table


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Rows of one kind, of any methods and cases."""

    kind: str  # what was measured, in a word
    rows: Sequence[MeasuredRow]
    measures: Sequence[Measure]

    @property
    def used(self) -> tuple[Measure, ...]:
        """The columns of which at least one row has a value, measured or of a photo that stands still."""
        found = {
            name
            for row in self.rows
            for name, value in [*row.measures.items(), *row.standing.items()]
            if value is not None
        }
        return tuple(measure for measure in self.measures if measure.name in found)

    @property
    def methods(self) -> list[str]:
        """In the order in which they come."""
        return list(dict.fromkeys(row.method for row in self.rows))


def report(scores: Sequence[Scores], *, against: str | None = None) -> list[Table]:
    """A row a method, with the columns of all scores side by side.

    A video in which nothing was found counts as the photo repeated in the second and third table, where that is known.

    Args:
        scores: of one kind or of several; a method that one of them lacks gets a dash there.
        against: with which method the others are compared; the first one where None.

    Raises:
        UserError: there is no method of that name.
    """
    methods = list(dict.fromkeys(method for each in scores for method in each.methods))
    if against is not None and against not in methods:
        raise UserError(f"there is no method '{against}'; there are {', '.join(methods)}")
    measures = [m for each in scores for m in _columns(each, several=len(scores) > 1)]
    alone, together = values_of(scores, methods, everything=False), values_of(scores, methods, everything=True)
    also = {title: cells for each in scores for title, cells in _counts(each, several=len(scores) > 1).items()}
    tables = [means_table("Videos that could be measured", measures, alone, also=also)]
    standing = [m for each in scores if _stands(each) for m in _columns(each, several=len(scores) > 1)]
    if standing:
        caption = "All cases; a video that could not be measured counts as the photo standing still"
        tables.append(means_table(caption, standing, together, also={}))
    if len(methods) > 1:
        reference = against or methods[0]
        over = " over all cases" if standing else ""
        caption = f"Difference from {reference}{over}, with the chance of it under no difference (Wilcoxon)"
        tables.append(paired_table(caption, measures, together, reference))
    return tables


def values_of(
    scores: Sequence[Scores], methods: Sequence[str], *, everything: bool
) -> dict[str, dict[str, list[float | None]]]:
    """Values by method, and by kind and measure as "kind.measure", case by case.

    With `everything`, a video that could not be measured counts as the photo repeated, where that is known.
    """
    found: dict[str, dict[str, list[float | None]]] = {method: {} for method in methods}
    for each in scores:
        cases = list(dict.fromkeys(row.case for row in each.rows))
        known = {(row.method, row.case): row for row in each.rows}
        for method in each.methods:
            rows = [known.get((method, case)) for case in cases]
            for m in each.used:
                values = [_value(row, m.name, everything=everything) for row in rows]
                found[method][f"{each.kind}.{m.name}"] = values
    return found


def numbers(scores: Sequence[Scores]) -> list[dict[str, object]]:
    """Every mean as a line of a file for programs: method, kind, measure, over which videos, mean, half interval, n."""
    methods = list(dict.fromkeys(method for each in scores for method in each.methods))
    lines: list[dict[str, object]] = []
    for videos, everything in (("measured", False), ("all", True)):
        values = values_of(scores, methods, everything=everything)
        for method, columns in values.items():
            for name, column in columns.items():
                lines.append(_line(method, name, videos, column))
    return lines


def _line(method: str, name: str, videos: str, column: Values) -> dict[str, object]:
    kind, _, measure = name.partition(".")
    mean, half = mean_and_half(column)
    count = sum(value is not None for value in column)
    about = {"method": method, "kind": kind, "measure": measure, "videos": videos}
    return {**about, "mean": mean, "half_interval_95": half, "n": count, "cases": len(column)}


def _columns(scores: Scores, *, several: bool) -> list[Measure]:
    chosen = [m for m in scores.used if m.headline or not several]
    return [replace(m, name=f"{scores.kind}.{m.name}") for m in chosen]


def _counts(scores: Scores, *, several: bool) -> Mapping[str, dict[str, str]]:
    by_method = {m: [row.status for row in scores.rows if row.method == m] for m in scores.methods}
    found = {m: f"{counts.count('measured')} of {len(counts)}" for m, counts in by_method.items()}
    if several:
        return {f"{scores.kind}: measured": found}
    columns = {"found": found, "no video": {m: str(counts.count("failed")) for m, counts in by_method.items()}}
    still = {m: sum(getattr(row, "turns_only", False) for row in scores.rows if row.method == m) for m in by_method}
    if any(still.values()):  # of cameras alone
        columns["no parallax"] = {m: str(count) for m, count in still.items()}
    return columns


def _stands(scores: Scores) -> bool:
    return any(row.standing for row in scores.rows)


def _value(row: MeasuredRow | None, measure: str, *, everything: bool) -> float | None:
    if row is None:
        return None
    if row.status == "measured":
        return row.measures.get(measure)
    return row.standing.get(measure) if everything else None
