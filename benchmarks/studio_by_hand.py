"""How long a shot made only by hand takes in the studio: a car is boxed, named, lifted and driven round a bend.

    python benchmarks/studio_by_hand.py street.jpg --box 700,350,895,522 --way 765,490 770,540 815,590 -o OUT

It starts `r2s2r studio PHOTO`, opens the page in Chromium and goes the way of "A first shot in three minutes" in
docs/studio.md with real moves of the mouse and real presses of keys, as fast as the Keystroke-Level Model says that a
practised person does each: a key 0.28 s, pointing 1.1 s, pressing or letting go of a button 0.1 s, the hand from mouse
to keyboard or back 0.4 s, making up one's mind 1.35 s; a drag is point, press, point, let go (Card, Moran and Newell,
The Psychology of Human-Computer Interaction, 1983, chapter 8). It waits these times, and waits for the program wherever
a person would have to. For each step it prints the person's seconds by the model and what is beyond them: the wait for
the program; and the processor time of the server and its jobs meanwhile, which other programs on the machine do not
change. In OUT are shot.yaml, the workspace, and a picture of the page after each step.

The model knows a practised hand that makes no mistake, and nothing of reading the page for the first time.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import sync_playwright

KEY, POINT, BUTTON, HOMING, MIND = 0.28, 1.1, 0.1, 0.4, 1.35
STEPS = 12  # moves of the mouse in one pointing
RULER_MARGIN = 14  # pixels before frame 0
LAST = 48  # the last frame of a shot of the usual length
FPS = 16
PER_FRAME = "document.querySelector('.tl-lane-ruler').style.getPropertyValue('--step').replace('px', '')"
CLOSE_DEGREES = 4  # by eye
ORBIT_AT = 0.46  # where the angle's slider is pulled to, of its width
# Where a body is taken, from its middle, in pixels of the page: where no handle lies.
BESIDE = [(x, y) for reach in (0, 12, 24, 36, 50) for x, y in ((-reach, 0), (reach, 0), (0, -reach), (0, reach))]
PATIENCE = 300  # s
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
Xy = tuple[float, float]


class Hand:
    """A practised person's hand on mouse and keyboard, and a clock of what it does."""

    def __init__(self, page: Any, out: Path) -> None:
        self.page, self.out = page, out
        self.at_mouse = True
        self.human = self.aside = 0.0
        self.rows: list[tuple[str, float, float]] = []
        self.server: psutil.Process | None = None

    @contextmanager
    def taking(self, seconds: float) -> Iterator[None]:
        """Something that a person needs so long for; where the page is slower than that, the rest is a wait."""
        begun = time.perf_counter()
        yield
        self.human += seconds
        left = seconds - (time.perf_counter() - begun)
        if left > 0:
            self.page.wait_for_timeout(1000 * left)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """What eyes see at once and this program has to look for: it counts as nobody's time."""
        begun = time.perf_counter()
        yield
        self.aside += time.perf_counter() - begun

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step, with its row and its picture."""
        begun, human, aside, worked = time.perf_counter(), self.human, self.aside, self._worked()
        yield
        human, aside = self.human - human, self.aside - aside
        waited = time.perf_counter() - begun - aside - human
        self.rows.append((name, human, waited))
        print(f"{name:60s} {human:6.1f} {waited:6.1f} {self._worked() - worked:9.1f}", flush=True)
        with self.looking():
            self.page.screenshot(path=self.out / f"{len(self.rows):02d}.png")

    def _worked(self) -> float:
        """Processor seconds of the server so far, its jobs with it."""
        total = 0.0
        if self.server is not None:
            for process in (self.server, *self.server.children(recursive=True)):
                with suppress(psutil.Error):
                    total += sum(process.cpu_times()[:4])
        return total

    def think(self) -> None:
        """Make up one's mind."""
        self.pause(MIND)

    def pause(self, seconds: float) -> None:
        """Do something that the page does not see: look at what plays, for one."""
        with self.taking(seconds):
            pass

    def _to(self, device: str) -> None:
        if self.at_mouse != (device == "mouse"):
            with self.taking(HOMING):
                self.at_mouse = device == "mouse"

    def point(self, at: Xy) -> None:
        """Move the pointer there."""
        self._to("mouse")
        with self.taking(POINT):
            self.page.mouse.move(*at, steps=STEPS)

    def press(self) -> None:
        """Press the button."""
        with self.taking(BUTTON):
            self.page.mouse.down()

    def release(self) -> None:
        """Let go of the button."""
        with self.taking(BUTTON):
            self.page.mouse.up()

    def click(self, what: Any, *, think: bool = True) -> None:
        """Click a point of the page or something that is there."""
        if think:
            self.think()
        with self.looking():
            at = what if isinstance(what, tuple) else middle(what)
        self.point(at)
        self.press()
        self.release()

    def drag(self, start: Xy, end: Xy) -> None:
        """Drag with the left button."""
        self.think()
        self.point(start)
        self.press()
        self.point(end)
        self.release()

    def type(self, *keys: str, think: bool = True) -> None:
        """Press keys, one after the other."""
        if think:
            self.think()
        self._to("keyboard")
        for key in keys:
            with self.taking(KEY):
                self.page.keyboard.press(key)

    def until(self, condition: str) -> None:
        """Wait for the program until a condition in JavaScript holds."""
        deadline = time.monotonic() + PATIENCE
        while not self.page.evaluate(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page never came to: {condition}")
            self.page.wait_for_timeout(30)

    def until_saved(self) -> None:
        """Wait until the page says that all is saved."""
        self.until("document.querySelector('.save-state')?.textContent === 'Saved'")


def middle(element: Any) -> Xy:
    """The middle of something on the page."""
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class Director:
    """The person's way through the page.

    Args:
        hand: of the person.
        photo: which is shown.
        name: what the object is called.
        box: around it, in pixels of the photo: left, top, right, bottom.
        way: where its middle is dragged to at the three keys, in pixels of the photo.
    """

    def __init__(
        self, hand: Hand, photo: Path, name: str, box: tuple[float, ...], way: list[tuple[float, ...]]
    ) -> None:
        self.hand, self.page = hand, hand.page
        self.size = Image.open(photo).size
        self.name, self.box, self.way = name, box, way
        self.places: list[Any] = []  # of the world, at rest and at the keys
        self.looks = 0.0  # degrees about the upright axis where it looks at the newest key, of where it drives

    def mark(self) -> None:
        """Box, name, lift."""
        hand, page = self.hand, self.page
        with hand.step(f"drag a box around the {self.name}"):
            with hand.looking():
                start, end = self._on_stage(*self.box[:2]), self._on_stage(*self.box[2:])
            hand.drag(start, end)
            hand.until("document.querySelector('#object-name') && !document.querySelector('.stage-working')")
        with hand.step(f"name it '{self.name}'"):
            hand.click(page.locator("#object-name"))
            hand.type("Control+a", think=False)
            hand.type(*self.name, "Enter", think=False)
            hand.until_saved()
        with hand.step("Lift; the scene comes by itself"):
            hand.click(page.get_by_role("button", name="Lift 1 object"))
            hand.until("window.studioTest?.names().length > 0")
            page.locator(".shot-frame").wait_for()

    def drive(self) -> None:
        """Three keys."""
        hand, page = self.hand, self.page
        rest = self._in_view(((self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2))
        with hand.step(f"click the {self.name}"):
            hand.click(rest)
            page.get_by_role("treeitem", name=self.name, selected=True).wait_for()
        places = [rest, *map(self._in_view, self.way)]
        for number, frame in enumerate((16, 32, None), start=1):
            with hand.step(
                f"key {number}: go to {f'frame {frame}' if frame else 'the end'}, drag the {self.name} there"
            ):
                self._go_to(frame)
                if number > 1:
                    hand.type("w")
                self._slide(places[number - 1], places[number])
            if number > 1:
                with hand.step(f"key {number}: turn it along the bend"):
                    hand.type("e")
                    self._turn()

    def look(self, name: str) -> None:
        """Play once from the beginning."""
        with self.hand.step(name):
            self.hand.type("Home", "Space")
            self.hand.pause((LAST + 1) / FPS)
            self.hand.type("Space", think=False)

    def ease(self) -> None:
        """All keys linear, so that it drives through."""
        hand, page = self.hand, self.page
        with hand.step("pick all keys, choose 'linear'"):
            with hand.looking():
                first, last = (page.locator(".tl-move .tl-key").nth(k).bounding_box() for k in (0, 3))
            hand.drag((first["x"] - 4, first["y"] - 3), (last["x"] + 16, last["y"] + 18))
            easing = page.get_by_role("combobox", name="Easing of the picked keys")
            self._choose(easing, "linear")

    def orbit(self) -> None:
        """The camera goes round."""
        hand, page = self.hand, self.page
        with hand.step("Camera, Add a move, orbit"):
            hand.click(page.get_by_role("treeitem", name="Camera"))
            hand.click(page.get_by_role("button", name="Add a move"))
            hand.click(page.locator(".mv-choices").get_by_role("button", name="orbit", exact=True))
            page.get_by_role("slider", name="angle").wait_for()
            hand.until_saved()
        with hand.step("pull its angle"):
            with hand.looking():
                box = page.get_by_role("slider", name="angle").bounding_box()
                value = float(page.get_by_role("slider", name="angle").input_value()) / 1000
            y = box["y"] + box["height"] / 2
            hand.drag((box["x"] + box["width"] * value, y), (box["x"] + box["width"] * ORBIT_AT, y))
            hand.until_saved()

    def _choose(self, select: Any, value: str) -> None:
        """Choose from a list, without a real click: a list that is open takes the next one."""
        hand = self.hand
        hand.think()
        with hand.looking():
            at = middle(select)
        hand.point(at)
        hand.pause(2 * BUTTON)
        hand.think()
        with hand.taking(POINT + 2 * BUTTON):
            select.select_option(value)
        hand.until_saved()

    def _on_stage(self, x: float, y: float) -> Xy:
        """A pixel of the photo on the page, while it is marked."""
        stage = self.page.locator(".stage")
        scale, left, top = (float(text) for text in stage.get_attribute("data-frame").split())
        corner = stage.bounding_box()
        return corner["x"] + left + x * scale, corner["y"] + top + y * scale

    def _in_view(self, at: tuple[float, ...]) -> Xy:
        """A pixel of the photo on the page, through the shot's camera at rest."""
        box = self.page.locator(".shot-frame").bounding_box()
        width, height = self.size
        return box["x"] + at[0] * box["width"] / width, box["y"] + at[1] * box["height"] / height

    def _go_to(self, frame: int | None) -> None:
        """To a frame by the ruler, or to the end by a key."""
        if frame is None:
            self.hand.type("End")
            return
        with self.hand.looking():
            lane = self.page.locator(".tl-lane-ruler").bounding_box()
            now = int(self.page.locator(".tl-head").get_attribute("aria-valuenow"))
            per_frame = float(self.page.evaluate(PER_FRAME))
        y = lane["y"] + lane["height"] / 2
        self.hand.drag((lane["x"] + self._across(now, per_frame), y), (lane["x"] + self._across(frame, per_frame), y))
        shown = int(self.page.locator(".tl-head").get_attribute("aria-valuenow"))
        if shown != frame:
            raise ValueError(f"the playhead is at {shown} instead of {frame}")

    def _across(self, frame: int, per_frame: float) -> float:
        return RULER_MARGIN + frame * per_frame

    def _slide(self, start: Xy, end: Xy) -> None:
        """Drag the object by its body, beside its handles."""
        with self.hand.looking():
            beside = next(by for by in BESIDE if self._is_body((start[0] + by[0], start[1] + by[1])))
            if not self.places:
                self.places.append(self._place())
        self.hand.drag(*((at[0] + beside[0], at[1] + beside[1]) for at in (start, end)))
        self.hand.until_saved()
        self.places.append(self._place())

    def _is_body(self, at: Xy) -> bool:
        self.page.mouse.move(*at)
        return self.page.evaluate("studioTest.handle()") is None

    def _turn(self) -> None:
        """Pull the ring until the object looks along its way."""
        hand = self.hand
        with hand.looking():
            ring = self._ring()
        hand.think()
        hand.point(ring)
        hand.press()
        with hand.taking(POINT):
            self._pull(ring, self._bend())
        hand.release()
        hand.until_saved()

    def _bend(self) -> float:
        """How far it has to turn to look along an arc through the last two places, in degrees."""
        before, here, there = self.places[-3:]
        if len(self.places) == 3:
            self.looks = along(here - before)
        to = 2 * along(there - here) - self.looks
        turn = (to - self.looks + 180) % 360 - 180
        self.looks += turn
        return turn

    def _pose(self) -> list[float]:
        found: list[float] = self.page.evaluate("name => studioTest.pose(name)", self.name)
        return found

    def _place(self) -> Any:
        return np.array(self._pose()[12:15])

    def _on_page(self, place: Any) -> Xy:
        x, y = self.page.evaluate("at => studioTest.onPage(...at)", [float(value) for value in place])
        return x, y

    def _ring(self) -> Xy:
        """A place on the ring about the upright axis, on the page."""
        origin = np.array(self._pose()[12:15])
        for reach in np.geomspace(0.02, 20, 120):
            for angle in (np.pi / 4, 3 * np.pi / 4):
                at = self._on_page(origin + reach * np.array([np.cos(angle), 0, np.sin(angle)]))
                self.page.mouse.move(*at)
                if self.page.evaluate("studioTest.handle()") == "Y":
                    return at
        raise LookupError("the ring is nowhere")

    def _pull(self, start: Xy, wanted: float) -> None:
        """Move the pressed mouse sideways until the object has turned so far, in degrees."""
        began, x = heading(self._pose()), start[0]
        sign = None
        for _ in range(200):
            turned = (heading(self._pose()) - began + 180) % 360 - 180
            if abs(turned - wanted) < CLOSE_DEGREES:
                return
            if sign is None and abs(turned) > 1:
                sign = np.sign(turned) * np.sign(x - start[0])
            x += (sign or 1) * np.sign(wanted - turned) * 4
            self.page.mouse.move(x, start[1])
        raise ValueError(f"the ring turned by {turned:.0f}° instead of {wanted:.0f}°")


def along(way: Any) -> float:
    """Where a way leads, in degrees about the upright axis."""
    return float(np.degrees(np.arctan2(-way[2], way[0])))


def heading(pose: list[float]) -> float:
    """Where an object's own x axis points, in degrees about the upright axis."""
    return along(np.array(pose[:3]))


@contextmanager
def studio(photo: Path, workspace: Path, hand: Hand) -> Iterator[str]:
    """The address of the studio's page, as soon as it is told."""
    command = [sys.executable, "-m", "real2sam2real", "studio", str(photo), "-o", str(workspace), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        hand.server = psutil.Process(server.pid)
        try:
            yield next(line.split()[-1] for line in server.stdout if "http://" in line)
        finally:
            server.terminate()


def make_shot(director: Director) -> None:
    """All steps from the photo to the shot."""
    director.mark()
    director.drive()
    director.ease()
    director.look("play it")
    director.orbit()
    director.look("play it again")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--box", type=numbers, required=True, help="around the car, in pixels of the photo")
    parser.add_argument("--way", type=numbers, nargs=3, required=True, help="where the keys put its middle: X,Y")
    parser.add_argument("--name", default="car")
    parser.add_argument("-o", "--out", type=Path, required=True)
    return parser.parse_args()


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def main() -> None:
    given = options()
    given.out.mkdir(parents=True)
    workspace = given.out / "workspace"
    print(f"{'seconds':60s} {'person':>6s} {'wait':>6s} {'processor':>9s}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(1000 * PATIENCE)
        hand = Hand(page, given.out)
        with ExitStack() as stack:
            with hand.step("type 'r2s2r studio street.jpg'; the photo stands in the page"):
                hand.at_mouse = False
                hand.think()
                hand.pause(KEY * len("r2s2r studio street.jpg\n"))
                page.goto(stack.enter_context(studio(given.photo, workspace, hand)))
                hand.until("document.querySelector('.stage')?.dataset.frame !== undefined")
            make_shot(Director(hand, given.photo, given.name, given.box, given.way))
            shutil.copy(workspace / "shot.yaml", given.out)
        browser.close()
    human, waited = sum(row[1] for row in hand.rows), sum(row[2] for row in hand.rows)
    print(f"{f'all: {human + waited:.0f} s':60s} {human:6.1f} {waited:6.1f}")


if __name__ == "__main__":
    main()
