"""What the page of a run shows: gathered from the run folder alone, so that it tells what is really there."""

from __future__ import annotations

from real2sam2real.run.folder import RunFolder
from real2sam2real.run.page import Figure, PageContent, write_page
from real2sam2real.run.picturing import FIT_LEGEND, SIDES, entity_colors
from real2sam2real.scene.folder import load_scene

PAGE = "index.html"
_NAMED_OBJECTS = 4

_TITLES = {
    "lift": "lift the objects into 3D",
    "pictures": "picture masks and meshes",
    "direct": "direct the shot",
    "preview": "preview and normals for people",
    "render": "render the control",
    "generate": "generate the video",
}


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
            timings=[(_TITLES[name], record.seconds) for name, record in records.items()],
            notes=[note for record in records.values() for note in record.notes],
            record=folder.as_json(),
        ),
    )
