"""The page of an evaluation: the tables, what failed, then every video with what was found in it, worst first."""

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
from real2sam2real.lab.evaluate.score_report import Scores
from real2sam2real.lab.evaluate.score_table import Table

PAGE = "index.html"
_SIDE = 220  # of a plot in pixels
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222;background:#fafafa}
.wide{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}td:first-child,th:first-child{text-align:left}
td{white-space:nowrap}
article{display:grid;grid-template-columns:minmax(16rem,1fr) auto auto minmax(14rem,20rem);gap:1rem;align-items:start;
border-top:1px solid #ccc;padding:1rem 0}
figure{max-width:220px}video,img{width:100%;background:#000}figure{margin:0}figcaption{font-size:.85em;color:#666}
.bad{color:#b00020;font-weight:600}dl{display:grid;grid-template-columns:auto auto;gap:.1rem .8rem;margin:0;
grid-column:-2/-1}
dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}
@media(max-width:60rem){article{grid-template-columns:1fr}dl{grid-column:auto}}
"""


def write_page(path: Path, title: str, parts: Sequence[tuple[Sequence[Table], Sequence[Scores]]]) -> None:
    """Write the page.

    Args:
        path: of the HTML file, in the folder from which the rows name their videos.
        title: its heading.
        parts: tables, and the scores of which they are; by the first measure of the first the worst is found.
    """
    body = "\n".join(_part(tables, scores) for tables, scores in parts)
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>\n<h1>{html.escape(title)}</h1>\n{body}\n</html>\n"
    )
    with replacing_file(path) as fresh:
        fresh.write_text(page, encoding="utf-8")


def _part(tables: Sequence[Table], scores: Sequence[Scores]) -> str:
    found: dict[tuple[str, str], list[tuple[Scores, MeasuredRow]]] = {}
    for each in scores:
        for row in each.rows:
            found.setdefault((row.method, row.case), []).append((each, row))
    worst = sorted(found.values(), key=_badness, reverse=True)
    articles = "\n".join(_article(rows) for rows in worst)
    shown = "\n".join(table.html() for table in tables)
    return f"{shown}\n{_failures(scores)}<h2>Every video, the worst first</h2>\n{articles}"


def _failures(scores: Sequence[Scores]) -> str:
    items = [
        f"<li><b>{html.escape(row.method)}</b> {html.escape(row.case)}, {html.escape(each.kind)}: "
        f"{html.escape(row.problem)}</li>"
        for each in scores
        for row in each.rows
        if row.problem
    ]
    return f"<h2>What could not be measured</h2>\n<ul>{''.join(items)}</ul>\n" if items else ""


def _badness(rows: Sequence[tuple[Scores, MeasuredRow]]) -> tuple[int, float]:
    """The worst status of a video's rows, then its value of the first measure."""
    scores, first = rows[0]
    measure = (scores.used or scores.measures)[0]
    value = first.measures.get(measure.name)
    status = max(("measured", "not found", "failed").index(row.status) for _, row in rows)
    if value is None:
        return status, -np.inf
    return status, value if measure.lower_is_better else -value


def _article(rows: Sequence[tuple[Scores, MeasuredRow]]) -> str:
    row = rows[0][1]
    title = f"<b>{html.escape(row.method)}</b> {html.escape(row.case)}"
    told = dict.fromkeys(each.problem for _, each in rows if each.problem)
    problems = "".join(f'<p class="bad">{html.escape(problem)}</p>' for problem in told)
    figures, values = "", []
    for scores, each in rows:
        values += [
            (m.title, f"{v:.{m.digits}f}") for m in scores.measures if (v := each.measures.get(m.name)) is not None
        ]
        if isinstance(each, CameraRow):
            values += [("frames found", f"{each.registered:.0%}"), ("points", str(each.points))]
            figures += _figures(each)
        if isinstance(each, ObjectRow):
            values += [(str(o["name"]), f"in {o['found']:.0f} of {o['in_view']:.0f} frames") for o in each.objects]
    listed = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in values)
    return f"<article><div><p>{title}</p>{_shown(row.video)}{problems}</div>{figures}<dl>{listed}</dl></article>"


def _shown(video: str | None) -> str:
    source = html.escape(quote(video or ""), quote=True)
    if source.endswith(".mp4"):
        return f'<video src="{source}" controls loop muted preload="metadata"></video>'
    if source.endswith((".png", ".jpg")):
        return f'<img src="{source}" alt="the photo, repeated" loading="lazy">'
    return ""


def _figures(row: CameraRow) -> str:
    above, beside = (_plot(row, axes) for axes in ((0, 2), (0, 1)))
    told = "grey: commanded, orange: recovered; the dots are the first frame"
    return (
        f"<figure>{above}<figcaption>from above; {told}</figcaption></figure>"
        f"<figure>{beside}<figcaption>from the front</figcaption></figure>"
    )


def _plot(row: CameraRow, axes: tuple[int, int]) -> str:
    """Both paths along two axes of the world, as SVG; up and away are up in the picture."""
    flip = np.array([1, 1 if axes[1] == 2 else -1])
    true = [np.array(centre)[list(axes)] * flip for centre in row.commanded]
    found = [None if centre is None else np.array(centre)[list(axes)] * flip for centre in row.path]
    points = np.array([*true, *(point for point in found if point is not None)])
    if not len(points):
        return ""
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
