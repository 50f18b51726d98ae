"""How fast the studio's page is: `python benchmarks/studio_page.py` (the page built, Playwright and Chromium there).

Five spheres of 20,480 triangles each, textured, all moving, with the camera on an orbit. Prints the files' sizes, the
time from the server's first answer to the drawn scene, and for each view, while the frame is scrubbed, the pictures a
second by the page's own counter, the resolution that the page fell back to, and the processor time of one, which
other programs on the machine do not change. Chromium draws by SwiftShader, without a graphics card; `--gpu` lets it use
one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import trimesh
from playwright.sync_api import sync_playwright

from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.folder import save_scene

SOFTWARE = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SHOT = """
frames: 49
camera:
- orbit: 20 deg
entities:
""" + "".join(f"  ball {k}:\n  - move: right {k + 1}\n  - turn: 90 deg\n" for k in range(5))
SCRUB = """seconds => new Promise(done => {
  const end = performance.now() + 1000 * seconds;
  let drawn = 0;
  const step = now => {
    studioTest.goTo(drawn++ % 49);
    if (now < end) requestAnimationFrame(step);
    else done([document.querySelector('[aria-label=Speed]').textContent, drawn]);
  };
  requestAnimationFrame(step);
})"""


def make_scene() -> Scene:
    """Five balls in a row on the ground, in a photo of 1280×720."""
    made = trimesh.creation.icosphere(subdivisions=5)
    rng = np.random.default_rng(0)
    uvs = made.vertices[made.faces][:, :, :2] / 4 + 0.25
    entities = []
    for number in range(5):
        rest = np.eye(4)
        rest[:3, 3] = 2.4 * (number - 2), -1.0, -9.0
        texture = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
        mesh = Mesh(
            vertices=made.vertices + np.array([0.0, 1.0, 0.0]), faces=made.faces, corner_uvs=uvs, texture=texture
        )
        motion = Motion.still(1, rest)
        entities.append(Entity(name=f"ball {number}", mesh=mesh, rest_world_from_object=rest, motion=motion))
    lens = Intrinsics.from_fov(1280, 720, horizontal_degrees=60)
    photo = np.repeat(np.linspace(40, 200, 720).astype(np.uint8)[:, None, None], 1280, axis=1).repeat(3, axis=2)
    return Scene(entities=tuple(entities), camera=CameraPath.still(1, lens), photo=photo, ground_y=-1.0)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a studio of the scene, in a process of its own."""
    save_scene(make_scene(), folder / "scene")
    work = folder / "work"
    command = [sys.executable, "-m", "real2sam2real", "studio", str(folder / "scene"), "-o", str(work), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if "http://" in line)
        (work / "shot.yaml").write_text(SHOT, encoding="utf-8")
        try:
            yield line.split()[-1]
        finally:
            server.terminate()


def loaded(page: Any, address: str) -> tuple[float, float]:
    """Seconds from the server's answer until the page stands, and until the scene is drawn."""
    page.goto(address, wait_until="commit")
    begun = time.perf_counter()
    page.get_by_role("tree", name="Scene").wait_for(timeout=60_000)
    stands = time.perf_counter() - begun
    while not page.evaluate("window.studioTest?.names().length === 5"):
        page.wait_for_timeout(10)
    return stands, time.perf_counter() - begun


def processor_seconds() -> float:
    """What the browser has taken so far, all of its processes together."""
    found = 0.0
    for process in psutil.Process().children(recursive=True):
        if "chrom" in process.name():
            found += sum(process.cpu_times()[:2])
    return found


def main() -> None:
    for file in (resources.files("real2sam2real") / "assets" / "studio").iterdir():
        print(f"{file.name}: {len(file.read_bytes()) / 1e6:.2f} MB")
    flags = ["--no-sandbox", *([] if "--gpu" in sys.argv else SOFTWARE)]
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        loaded(page, address)  # the server writes the scene's GLB for the first time
        page.close()
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        print("loaded: page after {:.2f} s, scene drawn after {:.2f} s".format(*loaded(page, address)))
        for view in ("Textured", "Shaded", "Normals", "Ids"):
            page.get_by_role("radio", name=view).click()
            page.evaluate(SCRUB, 3)  # the resolution settles
            before = processor_seconds()
            told, drawn = page.evaluate(SCRUB, 5)
            each = 1000 * (processor_seconds() - before) / drawn
            print(f"{view}: the page says '{told}'; {each:.0f} ms of processor time a picture")
        browser.close()


if __name__ == "__main__":
    main()
