"""The page of a run: everything in one HTML file that opens from disk, with no network and nothing beside it."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import real2sam2real
from real2sam2real.files import replacing_file

_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4"}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture or a video with its caption.

    Attributes:
        path: a PNG, JPEG or MP4 file.
        title: shown in bold.
        caption: plain text after it.
        legend: colours as CSS text with what they stand for.
    """

    path: Path
    title: str
    caption: str = ""
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What the page shows.

    Attributes:
        title: the photo's name, mostly.
        facts: one line under the title.
        command: the arguments of the command that made the run.
        videos: played together, `frames` long at `fps`.
        pictures: shown below them.
        timings: what was done, and seconds.
        notes: what was assumed, mended or chosen.
        record: run.json's content.
    """

    title: str
    facts: str
    command: Sequence[str]
    videos: Sequence[Figure]
    pictures: Sequence[Figure]
    frames: int
    fps: float
    timings: Sequence[tuple[str, float]]
    notes: Sequence[str]
    record: dict[str, Any]


def write_page(path: Path, content: PageContent) -> None:
    """Write the page to `path`; pictures and videos are embedded as data URIs."""
    page = Template(_asset("page.html")).substitute(
        title=html.escape(content.title),
        facts=html.escape(content.facts),
        command=html.escape(shlex.join(content.command)),
        css=_asset("page.css"),
        script=_asset("page.js"),
        watch=_watch(content),
        look=_look(content),
        record=_record(content),
        footer=html.escape(f"made by real2sam2real {real2sam2real.__version__}"),
    )
    with replacing_file(path) as file:
        file.write_text(page, encoding="utf-8")


def _asset(name: str) -> str:
    return resources.files("real2sam2real").joinpath("assets", "page", name).read_text(encoding="utf-8")


def _watch(content: PageContent) -> str:
    figures = "\n".join(_figure(figure) for figure in content.videos)
    return f"""<section>
<h2>The shot</h2>
<div class="grid">{figures}</div>
<div class="player" data-frames="{content.frames}" data-fps="{content.fps:g}">
  <button type="button" id="play">play</button>
  <input id="scrub" type="range" min="0" max="{content.frames - 1}" value="0" aria-label="frame">
  <output id="shown">frame 1 of {content.frames}</output>
</div>
</section>"""


def _look(content: PageContent) -> str:
    figures = "\n".join(_figure(figure) for figure in content.pictures)
    return f'<section>\n<h2>The photo and its objects in 3D</h2>\n<div class="grid small">{figures}</div>\n</section>'


def _record(content: PageContent) -> str:
    longest = max((seconds for _, seconds in content.timings), default=1.0) or 1.0
    rows = "\n".join(
        f'<tr><td>{html.escape(title)}<span class="bar" style="width:{100 * seconds / longest:.1f}%"></span></td>'
        f'<td class="number">{seconds:.1f} s</td></tr>'
        for title, seconds in content.timings
    )
    total = sum(seconds for _, seconds in content.timings)
    notes = "\n".join(f"<li>{html.escape(note)}</li>" for note in content.notes) or "<li>Nothing to note.</li>"
    record = html.escape(json.dumps(content.record, indent=2, ensure_ascii=False))
    return f"""<div class="columns">
<section><h2>Time</h2><table>{rows}
<tr><td><b>in all</b></td><td class="number"><b>{total:.1f} s</b></td></tr></table></section>
<section><h2>Notes</h2><ul class="notes">{notes}</ul>
<details><summary>run.json: settings, seeds, versions</summary><pre>{record}</pre></details></section>
</div>"""


def _figure(figure: Figure) -> str:
    source = _data_uri(figure.path)
    label = html.escape(figure.title, quote=True)
    if figure.path.suffix == ".mp4":
        media = f'<video muted loop playsinline preload="auto" aria-label="{label}" src="{source}"></video>'
    else:
        media = f'<img alt="{label}" src="{source}">'
    legend = "".join(
        f'<span><i style="background:{html.escape(color, quote=True)}"></i>{html.escape(name)}</span>'
        for color, name in figure.legend
    )
    legend = f' <span class="legend">{legend}</span>' if legend else ""
    caption = f"<b>{label}</b> {html.escape(figure.caption)}{legend}"
    return f"<figure>{media}<figcaption>{caption}</figcaption></figure>"


def _data_uri(path: Path) -> str:
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
