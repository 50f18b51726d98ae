"""The tables of an evaluation: over videos that could be measured, over all cases, and method against method."""

from __future__ import annotations

from collections.abc import Sequence

from real2sam2real.lab.evaluate.measuring import MeasuredRow
from real2sam2real.lab.evaluate.score_table import Measure, markdown, paired


def report(rows: Sequence[MeasuredRow], measures: Sequence[Measure]) -> str:
    """Markdown: a video in which nothing was found counts as the photo repeated in the second and third table."""
    methods = list(dict.fromkeys(row.method for row in rows))
    cases = list(dict.fromkeys(row.case for row in rows))
    known = {(row.method, row.case): row for row in rows}

    def values(method: str, *, everything: bool) -> dict[str, list[float | None]]:
        of_method = [known.get((method, case)) for case in cases]
        return {m.name: [_value(row, m.name, everything=everything) for row in of_method] for m in measures}

    counts = {m: [known[m, c].status for c in cases if (m, c) in known] for m in methods}
    also = {
        "found": {m: f"{counts[m].count('measured')} of {len(counts[m])}" for m in methods},
        "no video": {m: str(counts[m].count("failed")) for m in methods},
    }
    alone = {m: values(m, everything=False) for m in methods}
    together = {m: values(m, everything=True) for m in methods}
    parts = [
        "Videos that could be measured:\n\n" + markdown(measures, alone, also=also),
        "All cases; a video that could not be measured counts as the photo standing still:\n\n"
        + markdown(measures, together, also=also),
    ]
    if len(methods) > 1:
        parts.append(
            f"Difference from {methods[0]} over all cases, with the chance of it under no difference (Wilcoxon):\n\n"
            + paired(measures, together, methods[0])
        )
    return "\n".join(parts)


def _value(row: MeasuredRow | None, measure: str, *, everything: bool) -> float | None:
    if row is None:
        return None
    if row.status == "measured":
        return row.measures.get(measure)
    return row.standing.get(measure) if everything else None
