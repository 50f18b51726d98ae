"""The page is one file that needs nothing else."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.media import write_png, write_video
from real2sam2real.mesh import Mesh
from real2sam2real.run import scene_view
from real2sam2real.run.folder import RunFolder
from real2sam2real.run.progress import Progress
from real2sam2real.run.report import Figure, PageContent, next_commands, write_page
from real2sam2real.scene import CameraPath, Entity, Motion, Scene


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    write_video(tmp_path / "v.mp4", np.zeros((5, 16, 16, 3), np.uint8), fps=8)
    content = PageContent(
        title="a <b> & c", facts="five frames", command=["r2s2r", "run", "a photo.png", "--camera", "orbit 30deg"],
        videos=[Figure(path=tmp_path / "v.mp4", title="Preview")], frames=5, fps=8,
        pictures=[Figure(path=tmp_path / "a.png", title="Photo", legend=[("#ff0000", "cup")])],
        timings=[("lift", 2.0), ("render", 1.0)], notes=["the lens is a <guess>"],
        warnings=["cup: it is 6.0 times as deep as large"],
        next_commands=[("Look from elsewhere", ["r2s2r", "run", "my lifted"])],
        record={"seed": 7, "text": "</pre><script>alert(1)</script>"},
    )  # fmt: skip
    write_page(tmp_path / "index.html", content)
    return (tmp_path / "index.html").read_text(encoding="utf-8")


class Links(HTMLParser):
    """Everything that a browser would fetch, and the tags in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset")]


def test_nothing_is_fetched(page: str) -> None:
    links = Links(page).links
    assert len(links) == 2
    assert all(link.startswith(("data:image/png;base64,", "data:video/mp4;base64,")) for link in links)
    assert not re.search(r"@import|url\(|https?://", page)


def test_text_is_escaped(page: str) -> None:
    assert Links(page).tags.count("script") == 1
    assert "a &lt;b&gt; &amp; c" in page
    assert "the lens is a &lt;guess&gt;" in page


def test_what_cannot_be_is_told_in_red(page: str) -> None:
    assert re.search(r'<ul class="warnings"><li>cup: it is 6.0 times as deep as large', page)
    assert re.search(r"\.warnings \{[^}]*color: #ff", page)


def test_command_can_be_pasted_into_a_shell(page: str) -> None:
    assert "r2s2r run &#x27;a photo.png&#x27; --camera &#x27;orbit 30deg&#x27;" in page


def test_commands_to_try_next_can_be_pasted_too(page: str) -> None:
    assert "<b>Look from elsewhere</b>" in page
    assert "r2s2r run &#x27;my lifted&#x27;" in page


def test_after_a_draft_the_command_without_it_is_what_to_try(tmp_path: Path) -> None:
    def last(*more: str) -> list[str]:
        command = ["r2s2r", "run", "photo.jpg", *more]
        folder = RunFolder(path=tmp_path, progress=Progress(), command=command, config={})
        return next_commands(folder, ["cup"])[-1][1]

    assert last("--draft", "-o", "out") == ["r2s2r", "run", "photo.jpg", "-o", "out"]
    assert last()[:2] == ["r2s2r", "render"]


def test_one_control_steps_through_all_frames(page: str) -> None:
    assert 'max="4"' in page
    assert 'data-frames="5" data-fps="8"' in page
    assert page.count('type="range"') == 1


def moving_scene(frames: int = 5) -> Scene:
    """A closed box that moves and deforms, and a copy of a still one."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
    faces = [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6]]
    faces += [[0, 6, 4], [1, 5, 7], [1, 7, 3]]
    mesh = Mesh(vertices=corners, faces=np.array(faces), vertex_colors=np.full((8, 3), 200, np.uint8))
    rest = np.eye(4)
    rest[:3, 3] = 0, -1, -5
    still = Motion.still(frames, rest)
    swelling = corners * np.linspace(1, 2, frames)[:, None, None]
    soft = replace(still, vertices_object=swelling.astype(np.float32))
    lens = Intrinsics.from_fov(64, 48, horizontal_degrees=60)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    return Scene(
        entities=(
            Entity(name="soft", mesh=mesh, rest_world_from_object=rest, motion=soft),
            Entity(name="box", mesh=mesh, rest_world_from_object=rest, motion=still),
            Entity(name="twin", mesh=mesh, rest_world_from_object=rest, motion=still, provenance={"copy_of": "box"}),
        ),
        camera=CameraPath(world_from_camera=poses, intrinsics=lens, zoom=np.ones(frames)),
        photo=np.zeros((48, 64, 3), np.uint8),
        ground_y=-1.0,
    )


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    shares = np.frombuffer(base64.b64decode(packed["data"]), "<u2").reshape(-1, len(packed["low"]))
    return packed["low"] + shares / 65535 * packed["span"]


def test_the_view_packs_shapes_small_and_draws_copies_once() -> None:
    scene = moving_scene()
    view = scene_view.scene_view(scene)
    assert [*view["shapes"]] == ["soft", "box"]
    assert [entity["name"] for entity in view["motion"]["entities"]] == ["soft", "box", "twin"]
    box, soft = view["shapes"]["box"], view["shapes"]["soft"]
    mesh = scene.entities[1].mesh
    assert np.abs(unpacked(box["positions"]) - mesh.vertices).max() < 1e-4
    assert np.frombuffer(base64.b64decode(box["index"]), "<u2").reshape(-1, 3).tolist() == mesh.faces.tolist()
    assert box["moved"] is None
    moved = scene.entities[0].motion.vertices_object
    assert moved is not None
    assert soft["moved"]["step"] == 1
    assert np.abs(unpacked(soft["moved"]["frames"]).reshape(moved.shape) - moved).max() < 1e-4


def test_a_heavy_scene_is_made_lighter_and_deforms_in_fewer_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_view, "MOST_FACES", 2000)
    monkeypatch.setattr(scene_view, "_LEAST_FACES", 100)
    monkeypatch.setattr(scene_view, "MOST_MOVED_BYTES", 5000)
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 48, endpoint=False), np.linspace(0, 2 * np.pi, 48, endpoint=False))
    ring = np.stack([(2 + np.cos(v)) * np.cos(u), np.sin(v), (2 + np.cos(v)) * np.sin(u)], -1).reshape(-1, 3)
    at = np.arange(48 * 48).reshape(48, 48)
    right, down = np.roll(at, -1, 1), np.roll(at, -1, 0)
    both = np.roll(down, -1, 1)
    faces = np.concatenate([np.stack(c, -1).reshape(-1, 3) for c in ((at, down, right), (right, down, both))])
    mesh = Mesh(vertices=ring, faces=faces, vertex_colors=np.full((len(ring), 3), 90, np.uint8))
    scene = moving_scene()
    soft = replace(scene.entities[0].motion, vertices_object=np.tile(ring * 1.5, (5, 1, 1)).astype(np.float32))
    heavy = replace(scene.entities[0], name="ring", mesh=mesh, motion=soft)
    shape = scene_view.scene_view(replace(scene, entities=(heavy,)))["shapes"]["ring"]
    count = len(base64.b64decode(shape["index"])) // 6
    assert 500 < count <= 2000
    positions, moved = unpacked(shape["positions"]), unpacked(shape["moved"]["frames"])
    assert shape["moved"]["step"] > 1
    assert len(moved) == len(positions) * -(-5 // shape["moved"]["step"])
    # What is lighter still deforms as its nearest vertices do: to one and a half of its size.
    assert np.abs(moved[: len(positions)] - 1.5 * positions).max() < 0.15


def test_what_the_view_needs_is_in_the_page_and_ends_no_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_view, "script", lambda: "console.log('</script>')")
    scene = moving_scene()
    content = PageContent(
        title="a", facts="", command=["r2s2r"], videos=[], pictures=[], frames=5, fps=8, timings=[], notes=[],
        next_commands=[], record={}, scene=scene,
    )  # fmt: skip
    write_page(tmp_path / "index.html", content)
    text = (tmp_path / "index.html").read_text()
    assert Links(text).tags.count("script") == 3
    data = re.search(r'<script type="application/json" id="view3d-data">(.*?)</script>', text, re.DOTALL)
    assert data is not None
    assert json.loads(data[1]) == json.loads(json.dumps(scene_view.scene_view(scene)))
    assert "<script>console.log('<\\/script>')</script>" in text
    monkeypatch.setattr(scene_view, "script", lambda: None)
    write_page(tmp_path / "index.html", content)
    assert "npm run build" in (tmp_path / "index.html").read_text()
