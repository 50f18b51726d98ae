"""Make the pictures of docs/studio.md and studio-videos.md: the studio on the demo's photo, driven as a person does.

python docs/make_studio_pictures.py [SCENE]    # a lifted demo, if there is one already: it takes a minute to lift
"""

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from real2sam2real.run.demo import PITCH_DEGREES, demo_folder

OUT = Path(__file__).parent / "images" / "studio"
SIZE = {"width": 1280, "height": 800}
MAX_BYTES = 200_000
PATIENCE = 600_000  # ms: a generation, on a busy machine
CUP = (72, 14, 484, 392)  # a box around it, in pixels of the photo
COMMAND = [sys.executable, "-m", "real2sam2real"]
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def main(scene: Path | None) -> None:
    """Write all pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        found = scene or lifted(Path(folder) / "demo")
        with (
            studio(demo_folder() / "photo.jpg", Path(folder) / "marking") as address,
            page_at(address, ".stage[data-frame]") as page,
        ):
            mark(page)
        with studio(found, Path(folder) / "workspace") as address, page_at(address, ".shot-frame") as page:
            drive(page)
            make_video(page)


def lifted(folder: Path) -> Path:
    """The demo's scene."""
    assets = demo_folder()
    options = ["--mask", str(assets / "cup.png"), "--pitch", str(PITCH_DEGREES), "-o", str(folder)]
    subprocess.run([*COMMAND, "lift", str(assets / "photo.jpg"), *options], check=True)
    return folder


@contextmanager
def studio(scene: Path, workspace: Path) -> Iterator[str]:
    """The address of a running studio's page."""
    command = [*COMMAND, "studio", str(scene), "-o", str(workspace), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield next(line.split()[-1] for line in server.stdout if "http://" in line)
        finally:
            server.terminate()


@contextmanager
def page_at(address: str, shown: str) -> Iterator[Any]:
    """The page in Chromium, once an element is shown."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator(shown).wait_for()
        yield page
        browser.close()


def mark(page: Any) -> None:
    """The cup in a box, and its mask; then the lines that tell the lens."""
    stage = page.locator(".stage")
    corner = stage.bounding_box()
    scale, left, top = (float(text) for text in stage.get_attribute("data-frame").split())
    ends = [(corner["x"] + left + x * scale, corner["y"] + top + y * scale) for x, y in (CUP[:2], CUP[2:])]
    page.mouse.move(*ends[0])
    page.mouse.down()
    page.mouse.move(*ends[1], steps=8)
    page.mouse.up()
    page.get_by_role("button", name="Lift 1 object").wait_for()
    saved(page)
    take(page, "objects")
    page.get_by_role("radio", name="Lens").click()
    page.get_by_role("button", name="Along the ground").click()
    page.locator(".pairs [aria-pressed=true]").wait_for()
    take(page, "lens")


def drive(page: Any) -> None:
    """The walk-through of the page, with a picture of each part."""
    until(page, "window.studioTest?.names().length > 0")
    page.get_by_role("treeitem", name="cup").click()
    for frame, (right, away), turn in ((16, (0.1, 0.02), -8), (32, (0.06, 0.05), -20), (48, (0.03, 0.08), -35)):
        page.evaluate("frame => studioTest.goTo(frame)", frame)
        drag_on_ground(page, right, away)
        turned = page.get_by_role("textbox", name="Turn")
        turned.fill(str(turn))
        turned.press("Enter")
        page.wait_for_timeout(400)
    saved(page)
    page.evaluate("studioTest.goTo(32)")
    take(page, "scene")
    page.keyboard.press("c")
    page.locator(".tl-move .tl-key[data-frame='32']").click()
    page.get_by_role("button", name="slow", exact=True).click()
    saved(page)
    take(page, "keys")
    page.get_by_role("treeitem", name="Camera").click()
    page.get_by_role("button", name="Add a move").click()
    page.locator(".mv-choices").get_by_role("button", name="orbit", exact=True).click()
    angle = page.get_by_role("spinbutton", name="angle, number")
    angle.fill("-20")
    angle.press("Enter")
    saved(page)
    page.locator(".tl-bar-span").click()
    page.get_by_role("radio", name="turn", exact=True).click()
    take(page, "camera")


def make_video(page: Any) -> None:
    """A generation, its verdict and its progress; then two takes, side by side."""
    page.get_by_role("tab", name="Generate").click()
    page.get_by_role("status", name="Verdict").wait_for()
    page.get_by_label("Take's name").fill("quiet table")
    page.get_by_label("Steps", exact=True).fill("4")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Generate", exact=True).click()
    page.locator(".job-picture").wait_for()
    page.get_by_text("left").wait_for()
    page.locator(".tab-panel").evaluate("panel => panel.scrollTop = 0")
    take(page, "generate")
    done(page)
    page.get_by_label("Take's name").fill("another seed")
    page.get_by_label("Seed", exact=True).fill("3")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Generate", exact=True).click()
    done(page)
    page.get_by_role("tab", name="Takes").click()
    for name in ("quiet table", "another seed"):
        page.get_by_role("listitem", name=name).get_by_label("compare").check()
    page.get_by_role("button", name="Compare the two marked").click()
    until(page, "document.querySelectorAll('.compare video').length == 2")
    page.evaluate("studioTest.goTo(30)")
    until(
        page, "[...document.querySelectorAll('.compare video')].every(video => !video.seeking && video.readyState > 1)"
    )
    take(page, "takes")


def done(page: Any) -> None:
    """Wait until no generation is under way."""
    page.wait_for_timeout(1000)
    page.get_by_label("Generations").get_by_text("Running").wait_for(state="detached")
    page.get_by_label("Generations").get_by_text("Done", exact=True).last.wait_for()


def drag_on_ground(page: Any, right: float, away: float) -> None:
    """Slide the cup from where it is drawn, in shares of the picture's width."""
    pose = page.evaluate("studioTest.pose('cup')")
    x, y = page.evaluate("at => studioTest.onPage(...at)", pose[12:15])
    width = page.locator("canvas").first.bounding_box()["width"]
    x, y = x - 70, y + 50  # beside the handles
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right * width, y - away * width, steps=8)
    page.mouse.up()


def saved(page: Any) -> None:
    """Wait until nothing is under way."""
    page.get_by_role("status", name="Save state").filter(has_text="Saved").wait_for()
    page.wait_for_timeout(800)


def until(page: Any, condition: str) -> None:
    """Wait for a condition in JavaScript."""
    while not page.evaluate(condition):
        page.wait_for_timeout(50)


def take(page: Any, name: str) -> None:
    """A picture of the page."""
    page.mouse.move(640, 2)
    page.wait_for_timeout(600)
    path = OUT / f"{name}.png"
    shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert shot is not None
    path.write_bytes(small_png(Image.fromarray(cv2.cvtColor(shot, cv2.COLOR_BGR2RGB))))
    print(path, path.stat().st_size)


def small_png(picture: Image.Image) -> bytes:
    """A PNG of at most `MAX_BYTES`, with as many colours as that leaves room for."""
    for colours in (256, 192, 128, 96, 64, 48):
        written = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if len(written.getvalue()) <= MAX_BYTES:
            return written.getvalue()
    raise ValueError(f"the picture takes more than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
