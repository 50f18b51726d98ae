"""The page of an evaluation: the tables, then every video with what was found in it, worst cases first."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.files import replacing_file
from real2sam2real.lab.evaluate.camera_scores import CameraRow
from real2sam2real.lab.evaluate.measuring import MeasuredRow
from real2sam2real.lab.evaluate.object_scores import ObjectRow
from real2sam2real.lab.evaluate.score_table import Measure

PAGE = "index.html"
_SIDE = 220  # of a plot in pixels
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222;background:#fafafa}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}td:first-child,th:first-child{text-align:left}
article{display:grid;grid-template-columns:minmax(16rem,1fr) auto auto minmax(14rem,20rem);gap:1rem;align-items:start;
border-top:1px solid #ccc;padding:1rem 0}
figure{max-width:220px}video{width:100%;background:#000}figure{margin:0}figcaption{font-size:.85em;color:#666}
.bad{color:#b00020;font-weight:600}dl{display:grid;grid-template-columns:auto auto;gap:.1rem .8rem;margin:0}
dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}
@media(max-width:60rem){article{grid-template-columns:1fr}}
"""


def write_page(
    path: Path,
    title: str,
    tables: str,
    rows: Sequence[MeasuredRow],
    measures: Sequence[Measure],
) -> None:
    """Write the page.

    Args:
        path: of the HTML file, in the folder from which the rows name their videos.
        title: its heading.
        tables: Markdown, from `score_report.report`.
        rows: all of the tables.
        measures: their columns; by the first one the worst is found.
    """
    worst = sorted(rows, key=lambda row: _badness(row, measures[0]), reverse=True)
    articles = "\n".join(_article(row, measures) for row in worst)
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>\n<h1>{html.escape(title)}</h1>\n{_tables(tables)}\n"
        f"<h2>Every video, the worst first</h2>\n{articles}\n</html>\n"
    )
    with replacing_file(path) as fresh:
        fresh.write_text(page, encoding="utf-8")


def _badness(row: MeasuredRow, first: Measure) -> tuple[int, float]:
    value = row.measures.get(first.name)
    return ("measured", "not found", "failed").index(row.status), -1.0 if value is None else value


def _article(row: MeasuredRow, measures: Sequence[Measure]) -> str:
    title = f"<b>{html.escape(row.method)}</b> {html.escape(row.case)}"
    shown = ""
    if row.video is not None and row.video.endswith(".mp4"):
        source = html.escape(quote(row.video), quote=True)
        shown = f'<video src="{source}" controls loop muted preload="none"></video>'
    problem = f'<p class="bad">{html.escape(row.problem)}</p>' if row.problem else ""
    values = [(m.title, f"{v:.{m.digits}f}") for m in measures if (v := row.measures.get(m.name)) is not None]
    figures = ""
    if isinstance(row, CameraRow):
        values += [("frames found", f"{row.registered:.0%}"), ("points", str(row.points))]
        above, beside = (_plot(row, axes) for axes in ((0, 2), (0, 1)))
        told = "grey: commanded, orange: recovered; the dots are the first frame"
        figures = (
            f"<figure>{above}<figcaption>from above; {told}</figcaption></figure>"
            f"<figure>{beside}<figcaption>from the front</figcaption></figure>"
        )
    if isinstance(row, ObjectRow):
        values += [(str(o["name"]), f"in {o['found']} of {o['in_view']} frames") for o in row.objects]
    listed = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in values)
    return f"<article><div><p>{title}</p>{shown}{problem}</div>{figures}<dl>{listed}</dl></article>"


def _plot(row: CameraRow, axes: tuple[int, int]) -> str:
    """Both paths along two axes of the world, as SVG; up and away are up in the picture."""
    flip = np.array([1, 1 if axes[1] == 2 else -1])
    true = [np.array(centre)[list(axes)] * flip for centre in row.commanded]
    found = [None if centre is None else np.array(centre)[list(axes)] * flip for centre in row.path]
    points = np.array([*true, *(point for point in found if point is not None)])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 0.9 * _SIDE / max(float((high - low).max()), 1e-9)
    middle = (low + high) / 2

    def line(path: Sequence[Float | None], color: str) -> str:
        placed = [(np.asarray(p) - middle) * scale + _SIDE / 2 for p in path if p is not None]
        if not placed:
            return ""
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        x, y = placed[0]
        return (
            f'<polyline points="{text}" fill="none" stroke="{color}" stroke-width="2"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>'
        )

    return (
        f'<svg width="{_SIDE}" height="{_SIDE}" viewBox="0 0 {_SIDE} {_SIDE}" role="img" '
        f'aria-label="camera path">{line(true, "#999")}{line(found, "#e8710a")}</svg>'
    )


def _tables(markdown: str) -> str:
    """Tables and paragraphs of Markdown as HTML."""
    parts: list[str] = []
    rows: list[list[str]] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            parts.append(_table(rows))
            rows = []
        if line:
            parts.append(f"<p>{html.escape(line)}</p>")
    return "\n".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, _, *body = rows
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    for row in body:
        cells = (f"<b>{html.escape(c.strip('*'))}</b>" if c.startswith("**") else html.escape(c) for c in row)
        lines.append("".join(f"<td>{cell}</td>" for cell in cells))
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
