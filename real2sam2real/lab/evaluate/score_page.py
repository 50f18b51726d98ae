"""The page of an evaluation: the tables, then every video with its path over the commanded one, worst cases first."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.files import replacing_file
from real2sam2real.lab.evaluate.camera_scores import MEASURES, CameraRow

PAGE = "index.html"
_SIDE = 220  # of a plot in pixels
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222;background:#fafafa}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}td:first-child,th:first-child{text-align:left}
article{display:grid;grid-template-columns:minmax(16rem,1fr) auto auto minmax(14rem,20rem);gap:1rem;align-items:start;
border-top:1px solid #ccc;padding:1rem 0}
video{width:100%;background:#000}figure{margin:0}figcaption{font-size:.85em;color:#666}
.bad{color:#b00020;font-weight:600}dl{display:grid;grid-template-columns:auto auto;gap:.1rem .8rem;margin:0}
dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}
@media(max-width:60rem){article{grid-template-columns:1fr}}
"""


def write_camera_page(
    path: Path,
    tables: str,
    rows: Sequence[CameraRow],
    commanded: Mapping[str, Float],
    videos: Mapping[tuple[str, str], Path],
) -> None:
    """Write the page.

    Args:
        path: of the HTML file; videos are linked relative to it.
        tables: Markdown, from `camera_table`.
        rows: all of the tables.
        commanded: `(T, 4, 4)` world-from-camera poses of each case, by its name.
        videos: of methods and cases, those that there are.
    """
    worst = sorted(rows, key=_badness, reverse=True)
    articles = "\n".join(_article(path, row, commanded[row.case], videos.get((row.method, row.case))) for row in worst)
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Camera control</title><style>{_STYLE}</style>\n'
        f"<h1>Camera control</h1>\n{_tables(tables)}\n<h2>Every video, the worst first</h2>\n"
        "<p>Grey: the commanded path. Orange: the recovered one, aligned. Dots: the first frame.</p>\n"
        f"{articles}\n</html>\n"
    )
    with replacing_file(path) as fresh:
        fresh.write_text(page, encoding="utf-8")


def _badness(row: CameraRow) -> tuple[int, float]:
    share = row.measures.get("ate_share")
    return ("recovered", "not recovered", "failed").index(row.status), -1.0 if share is None else share


def _article(page: Path, row: CameraRow, commanded: Float, video: Path | None) -> str:
    title = f"<b>{html.escape(row.method)}</b> {html.escape(row.case)}"
    shown = ""
    if video is not None and video.suffix == ".mp4":
        source = html.escape(Path(os.path.relpath(video, page.parent)).as_posix(), quote=True)
        shown = f'<video src="{source}" controls loop muted preload="none"></video>'
    problem = f'<p class="bad">{html.escape(row.problem)}</p>' if row.problem else ""
    values = "".join(
        f"<dt>{html.escape(m.title)}</dt><dd>{value:.{m.digits}f}</dd>"
        for m in MEASURES
        if (value := row.measures.get(m.name)) is not None
    )
    values += f"<dt>frames found</dt><dd>{row.registered:.0%}</dd><dt>points</dt><dd>{row.points}</dd>"
    above, beside = (_plot(row, commanded, axes) for axes in ((0, 2), (0, 1)))
    return (
        f"<article><div><p>{title}</p>{shown}{problem}</div>"
        f"<figure>{above}<figcaption>from above</figcaption></figure>"
        f"<figure>{beside}<figcaption>from the front</figcaption></figure><dl>{values}</dl></article>"
    )


def _plot(row: CameraRow, commanded: Float, axes: tuple[int, int]) -> str:
    """Both paths along two axes of the world, as SVG; up and away are up in the picture."""
    flip = np.array([1, 1 if axes[1] == 2 else -1])
    true = [centre[list(axes)] * flip for centre in commanded[:, :3, 3]]
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
