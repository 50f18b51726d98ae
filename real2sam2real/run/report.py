"""The page of a run: everything in one HTML file that opens from disk, with no network and nothing beside it.

It is gathered from the run folder alone, so that it tells what is really there.
"""

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
from real2sam2real.run.folder import RunFolder
from real2sam2real.run.pictures import FIT_LEGEND, SIDES, entity_colors
from real2sam2real.scene.folder import load_scene

PAGE = "index.html"
_NAMED_OBJECTS = 4

_STAGE_TITLES = {
    "lift": "lift the objects into 3D",
    "pictures": "picture masks and meshes",
    "direct": "direct the shot",
    "preview": "preview and normals for people",
    "render": "render the control",
    "generate": "generate the video",
}
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4"}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture or a video with its caption."""

    path: Path  # a PNG, JPEG or MP4 file
    title: str  # shown in bold
    caption: str = ""  # plain text after it
    legend: Sequence[tuple[str, str]] = ()  # colours as CSS text with what they stand for


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What the page shows."""

    title: str  # the photo's name, mostly
    facts: str  # one line under the title
    command: Sequence[str]  # the arguments of the command that made the run
    videos: Sequence[Figure]  # played together, `frames` long at `fps`
    pictures: Sequence[Figure]  # shown below them
    frames: int
    fps: float
    timings: Sequence[tuple[str, float]]  # what was done, and seconds
    notes: Sequence[str]  # what was assumed, repaired or chosen
    record: dict[str, Any]  # run.json's content


def write_report(folder: RunFolder) -> None:
    """Write `index.html` for the stages that this run needed."""
    scene = load_scene(folder.path / "scene")
    lifted = load_scene(folder.path / "lifted")
    generated = folder.path / "generated.mp4"
    videos = [
        Figure(path=folder.path / "preview.mp4", title="Preview", caption="textured meshes over the repainted photo"),
        Figure(path=folder.path / "normals.mp4", title="Normals", caption="what steers the video model"),
    ]
    if "generate" in folder.done:
        made_how = "; ".join(folder.records["generate"].notes)
        videos.insert(0, Figure(path=generated, title="Generated video", caption=made_how))
    pictures = folder.path / "pictures"
    hexes = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in entity_colors(len(lifted.names))]
    legend = list(zip(hexes, lifted.names, strict=True))
    shown = [
        Figure(path=pictures / "photo.jpg", title="Photo"),
        Figure(path=pictures / "masks.jpg", title="Masks", legend=legend),
        Figure(path=pictures / "fit.jpg", title="Fit", legend=FIT_LEGEND),
        *(Figure(path=pictures / f"{side}.png", title="Meshes", caption=f"from the {side}") for side in SIDES),
    ]
    records = {name: folder.records[name] for name in folder.done}
    memory = folder.as_json()["peak_memory_mib"]
    objects = ", ".join(lifted.names) if len(lifted.names) <= _NAMED_OBJECTS else f"{len(lifted.names)} objects"
    facts = f"{objects} · {scene.frames} frames at {scene.fps:g} fps" + (f" · {memory} MiB at most" if memory else "")
    write_page(
        folder.path / PAGE,
        PageContent(
            title=folder.path.resolve().name,
            facts=facts,
            command=folder.command,
            videos=videos,
            pictures=[figure for figure in shown if figure.path.is_file()],
            frames=scene.frames,
            fps=scene.fps,
            timings=[(_STAGE_TITLES[name], record.seconds) for name, record in records.items()],
            notes=[note for record in records.values() for note in record.notes],
            record=folder.as_json(),
        ),
    )


def write_page(path: Path, content: PageContent) -> None:
    """Write the page to `path`; pictures and videos are embedded as data URIs."""
    page = Template(_asset("page.html")).substitute(
        title=html.escape(content.title),
        facts=html.escape(content.facts),
        command=html.escape(shlex.join(content.command)),
        css=_asset("page.css"),
        script=_asset("page.js"),
        watch=_watch(content),
        look=(
            "<section>\n<h2>The photo and its objects in 3D</h2>\n"
            f'<div class="grid small">{_figures(content.pictures)}</div>\n</section>'
        ),
        record=_record(content),
        footer=html.escape(f"made by real2sam2real {real2sam2real.__version__}"),
    )
    with replacing_file(path) as file:
        file.write_text(page, encoding="utf-8")


def _asset(name: str) -> str:
    return resources.files("real2sam2real").joinpath("assets", "page", name).read_text(encoding="utf-8")


def _watch(content: PageContent) -> str:
    return f"""<section>
<h2>The shot</h2>
<div class="grid">{_figures(content.videos)}</div>
<div class="player" data-frames="{content.frames}" data-fps="{content.fps:g}">
  <button type="button" id="play">play</button>
  <input id="scrub" type="range" min="0" max="{content.frames - 1}" value="0" aria-label="frame">
  <output id="shown">frame 1 of {content.frames}</output>
</div>
</section>"""


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


def _figures(figures: Sequence[Figure]) -> str:
    return "\n".join(map(_figure, figures))


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.path.read_bytes()).decode("ascii")
    source = f"data:{_TYPES[figure.path.suffix]};base64,{data}"
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
