"""The 3D view in the page of a run: drawn as our renderer draws, in step with the video, from a file, offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from real2sam2real.arrays import Bool
from real2sam2real.media import write_png, write_video
from real2sam2real.rendering.renderer import render_frames
from real2sam2real.run import scene_view
from real2sam2real.run.report import Figure, PageContent, write_page
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import parse_shot
from tests.studio.browser import PATIENCE
from tests.studio.pages import two_boxes

SHOT = "frames: 9\nfps: 8\ncamera:\n- dolly: in 1\nentities:\n  car:\n  - right: 1.5\n"


@pytest.fixture(scope="module")
def directed() -> Scene:
    return parse_shot(SHOT).apply(two_boxes())


@pytest.fixture(scope="module")
def run_page(directed: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if scene_view.script() is None:
        pytest.skip("the view is not built; run 'npm install' and 'npm run build' in the folder studio")
    folder = tmp_path_factory.mktemp("page")
    write_video(folder / "v.mp4", np.zeros((9, 48, 64, 3), np.uint8), fps=8)
    assert directed.photo is not None
    write_png(folder / "photo.png", directed.photo)
    content = PageContent(
        title="boxes", facts="", command=["r2s2r"], videos=[Figure(path=folder / "v.mp4", title="Preview")],
        pictures=[Figure(path=folder / "photo.png", title="Photo")], frames=9, fps=8, timings=[], notes=[],
        next_commands=[], record={}, scene=directed,
    )  # fmt: skip
    write_page(folder / "index.html", content)
    return folder / "index.html"


@pytest.fixture
def shown(chromium: Any, run_page: Path) -> Iterator[Any]:
    """The page in a browser without a network; it asks for nothing but itself and meets no error."""
    context = chromium.new_context(viewport={"width": 900, "height": 1000}, offline=True)
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()
    assert [url for url in asked if not url.startswith(("data:", "file:", "blob:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1
    assert errors == []


def foreground(page: Any) -> Bool:
    """Where the canvas shows an object in the view of normals, at its own pixels."""
    picture = cv2.imdecode(np.frombuffer(page.locator("#view3d canvas").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    found: Bool = picture.astype(int).max(axis=-1) > 60
    return found


def overlap(drawn: Bool, directed: Scene, frame: int) -> float:
    """How far what the canvas shows and what the renderer draws are the same, over all that either has."""
    height, width = drawn.shape
    scale = min(width / 64, height / 48)  # the photo's frame in the canvas
    size = round(64 * scale), round(48 * scale)
    ids = next(iter(render_frames(directed, width=size[0], height=size[1], frames=[frame]))).ids
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    mine, theirs = drawn[top : top + size[1], left : left + size[0]], ids > 0
    return float((mine & theirs).sum() / (mine | theirs).sum())


def test_it_plays_in_step_and_draws_what_the_renderer_draws(shown: Any, run_page: Path, directed: Scene) -> None:
    shown.goto(run_page.as_uri())
    shown.locator("#view3d[data-frame]").wait_for()
    shown.get_by_role("button", name="pause").click()
    shown.locator("#view3d select").select_option("normals")
    # What would lie over the canvas.
    shown.add_style_tag(content=".player { position: static !important }")
    for frame in (8, 4, 0):
        shown.locator("#scrub").fill(str(frame))
        shown.locator(f"#view3d[data-frame='{frame}']").wait_for()
        shown.wait_for_timeout(300)
        assert overlap(foreground(shown), directed, frame) > 0.96, frame


def test_a_browser_without_webgl_says_so(chromium: Any, run_page: Path) -> None:
    page = chromium.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(run_page.as_uri())
    page.get_by_text("This browser shows no 3D").wait_for()
    assert page.locator("#view3d canvas").count() == 0
    page.close()
