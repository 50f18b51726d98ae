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
from real2sam2real.lifting.plausible import OUTLYING, implausible_size
from real2sam2real.media import video_info
from real2sam2real.rendering.billboards import billboard_warnings
from real2sam2real.run import scene_view
from real2sam2real.run.directing import SceneReader
from real2sam2real.run.folder import RunFolder
from real2sam2real.run.pictures import FIT_LEGEND, SIDES, entity_colors
from real2sam2real.scene import Scene

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
    warning: str = ""  # plain text that stands out, if something is wrong with it
    legend: Sequence[tuple[str, str]] = ()  # colours as CSS text with what they stand for


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What the page shows."""

    title: str  # the photo's name, mostly
    facts: str  # one line under the title
    command: Sequence[str]  # the arguments of the command that made the run
    videos: Sequence[Figure]  # played together, `frames` long at `fps`; the first is what the page leads with
    pictures: Sequence[Figure]  # shown below them
    frames: int
    fps: float
    timings: Sequence[tuple[str, float]]  # what was done, and seconds
    notes: Sequence[str]  # what was assumed, repaired or chosen
    next_commands: Sequence[tuple[str, Sequence[str]]]  # what to try next: in words, and the command's arguments
    record: dict[str, Any]  # run.json's content
    warnings: Sequence[str] = ()  # what a person should not trust, in red
    scene: Scene | None = None  # the directed scene, for the view in 3D


def write_report(folder: RunFolder, scenes: SceneReader) -> None:
    """Write `index.html` for the stages that this run needed; `scenes` opens its scenes."""
    scene, lifted = (scenes.open(folder.path / name)[0] for name in ("scene", "lifted"))
    videos = _videos(folder)
    shown_as = video_info(folder.path / "preview.mp4")
    pictures = folder.path / "pictures"
    hexes = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in entity_colors(len(lifted.names))]
    legend = list(zip(hexes, lifted.names, strict=True))
    shown = [
        Figure(path=pictures / "photo.jpg", title="Photo"),
        Figure(
            path=pictures / "masks.jpg",
            title="Masks",
            caption="arrows point to where each faces; grey where that is not known",
            legend=legend,
        ),
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
            frames=shown_as.frames or scene.frames,
            fps=shown_as.fps or scene.fps,
            timings=[(_STAGE_TITLES[name], record.seconds) for name, record in records.items()],
            notes=[note for record in records.values() for note in record.notes],
            next_commands=next_commands(folder, lifted.names),
            record=folder.as_json(),
            warnings=[*_doubts(lifted), *billboard_warnings(scene)],
            scene=scene,
        ),
    )


def _doubts(lifted: Scene) -> list[str]:
    """Sizes and distances that a person should not trust, with what mends them."""
    remedy = "bring a mesh, or say what it is by its name"
    sizes = [f"{e.name}: {why}; {remedy}" for e in lifted.entities if (why := implausible_size(e)) is not None]
    return [*sizes, *(f"{e.name}: {e.provenance[OUTLYING]}" for e in lifted.entities if OUTLYING in e.provenance)]


def _videos(folder: RunFolder) -> list[Figure]:
    """The shot's videos, the sharpest picture first."""
    preview = folder.path / "preview.mp4"
    found = [
        Figure(path=preview, title="Preview", caption="textured meshes over the repainted photo"),
        Figure(path=folder.path / "normals.mp4", title="Normals", caption="what steers the video model"),
    ]
    generated = folder.path / "generated.mp4"
    if "generate" in folder.records and generated.is_file():
        made_how = "; ".join(folder.records["generate"].notes)
        stale = "generate" not in folder.done and generated.stat().st_mtime < preview.stat().st_mtime
        warning = "Of an earlier shot: the preview is newer. Run without --preview-only and --draft." if stale else ""
        video = Figure(path=generated, title="Generated video", caption=made_how, warning=warning)
        is_sharper = video_info(generated).width >= video_info(preview).width
        found.insert(len(found) if stale else 0 if is_sharper else 1, video)
    return found


def next_commands(folder: RunFolder, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Three things to try with what is there: in words, and as the arguments of a command."""
    lifted, name = str(folder.path / "lifted"), names[0] if names else "NAME"
    command = [argument for argument in folder.command if argument not in ("--draft", "--preview-only")]
    other = ["r2s2r", "run", lifted, "--draft"]
    orbit = ("Look from elsewhere", [*other, "--camera", f"orbit -20deg around {name}", "-o", f"{folder.path}-orbit"])
    moved = ("Move an object", [*other, "--move", f"{name}: right 0.5, turn 30deg", "-o", f"{folder.path}-moved"])
    if command != folder.command:
        last = ("Make the video of this shot", command)
    else:
        directed, control = str(folder.path / "scene"), str(folder.path / "control-full")
        last = (
            "Render the normals at the full model's size",
            ["r2s2r", "render", directed, "--size", "full", "-o", control],
        )
    return [orbit, moved, last]


def write_page(path: Path, content: PageContent) -> None:
    """Write the page to `path`; pictures and videos are embedded as data URIs."""
    page = Template(_asset("page.html")).substitute(
        title=html.escape(content.title),
        facts=html.escape(content.facts),
        command=_command(shlex.join(content.command)),
        css=_asset("page.css"),
        script=_asset("page.js"),
        watch=_watch(content),
        view="" if content.scene is None else _view_scripts(content.scene),
        look=(
            f"<section>\n<h2>The photo and its objects in 3D</h2>\n{_warnings(content.warnings)}"
            f'<div class="grid small">{_figures(content.pictures)}</div>\n</section>'
        ),
        record=_record(content),
        following=_following(content.next_commands),
        footer=html.escape(f"made by real2sam2real {real2sam2real.__version__}"),
    )
    with replacing_file(path) as file:
        file.write_text(page, encoding="utf-8")


def _asset(name: str) -> str:
    return resources.files("real2sam2real").joinpath("assets", "page", name).read_text(encoding="utf-8")


def _watch(content: PageContent) -> str:
    layers = "\n".join(
        f'<option value="{number}">{html.escape(video.title)}</option>' for number, video in enumerate(content.videos)
    )
    wipe = f"""<div class="wipe-bar">
  <label>left <select id="left">{layers}</select></label>
  <label>right <select id="right">{layers}</select></label>
  <label><input type="checkbox" id="beside"> side by side</label>
</div>"""
    return f"""<section>
<h2>The shot</h2>
{wipe if len(content.videos) > 1 else ""}
<div class="viewer" id="viewer">{_figures(content.videos)}<div class="handle" id="handle"></div></div>
{"" if content.scene is None else _view(content.scene)}
<div class="player" data-frames="{content.frames}" data-fps="{content.fps:g}">
  <button type="button" id="play">play</button>
  <input id="scrub" type="range" min="0" max="{content.frames - 1}" value="0" aria-label="frame">
  <output id="shown">frame 1 of {content.frames}</output>
</div>
</section>"""


def _view(scene: Scene) -> str:
    """Where the scene is shown in 3D, in step with the videos."""
    lens = scene.camera.intrinsics
    if scene_view.script() is None:
        return (
            '<p class="view3d-missing">The view in 3D is not built: run <code>npm install</code> and '
            "<code>npm run build</code> in the folder studio of the source, and this command again.</p>"
        )
    return f"""<figure class="view3d" id="view3d">
<figcaption><b>The scene in 3D</b> the meshes before the dimmed photo, in step with the videos
<span class="view3d-bar"><label>view <select><option value="textured">textured</option>
<option value="shaded">shaded</option><option value="normals">normals</option></select></label>
<label><input type="checkbox"> look around freely</label></span></figcaption>
<canvas style="aspect-ratio: {lens.width} / {lens.height}" aria-label="The scene in 3D"></canvas>
<p class="view3d-missing" hidden>This browser shows no 3D (WebGL), so the scene is only in the videos above.</p>
</figure>"""


def _view_scripts(scene: Scene) -> str:
    """What the view in 3D needs: what to draw, and how."""
    script = scene_view.script()
    if script is None:
        return ""
    data = json.dumps(scene_view.scene_view(scene)).replace("<", "\\u003c")
    script = script.replace("</script", "<\\/script")  # which would end it
    return f'<script type="application/json" id="view3d-data">{data}</script>\n<script>{script}</script>'


def _following(commands: Sequence[tuple[str, Sequence[str]]]) -> str:
    if not commands:
        return ""
    rows = "\n".join(
        f"<li><b>{html.escape(title)}</b>{_command(shlex.join(arguments))}</li>" for title, arguments in commands
    )
    return f'<section><h2>What to try next</h2><ul class="following">{rows}</ul></section>'


def _command(text: str) -> str:
    return (
        f'<div class="command"><code>{html.escape(text)}</code><button type="button" class="copy">copy</button></div>'
    )


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


def _warnings(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(warning)}</li>" for warning in warnings)
    return f'<ul class="warnings">{items}</ul>\n' if items else ""


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
    warning = f' <strong class="warning">{html.escape(figure.warning)}</strong>' if figure.warning else ""
    caption = f"<b>{label}</b> {html.escape(figure.caption)}{warning}{legend}"
    return f"<figure>{media}<figcaption>{caption}</figcaption></figure>"
