"""The page of a workspace with a photo, in real Chromium."""

import io
from typing import Any

import numpy as np
from PIL import Image

from real2sam2real.arrays import Mask
from real2sam2real.studio.marking import Marking, marking_of
from real2sam2real.studio.photo import as_png
from tests.studio.browser import Tab

PATIENCE = 240_000  # ms: several networks look at the photo, on a machine that may be busy


class PhotoTab(Tab):
    """The page of a workspace with a photo, which is marked by mouse in pixels of the photo."""

    def open(self, address: str) -> None:
        """Go to the photo."""
        self.page.set_default_timeout(PATIENCE)
        self.page.goto(f"{address}#w={self.workspace.id}")
        self.stage = self.page.locator(".stage")
        self.stage.wait_for()
        self.until("document.querySelector('.stage')?.dataset.frame !== undefined")

    @property
    def marking(self) -> Marking:
        found = marking_of(self.workspace)
        assert found is not None
        return found

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the photo is on the page."""
        scale, left, top = (float(text) for text in self.stage.get_attribute("data-frame").split())
        corner = self.stage.bounding_box()
        return corner["x"] + left + x * scale, corner["y"] + top + y * scale

    def tool(self, name: str) -> None:
        self.role("radio", name).click()

    def pull(self, handle: str, right: float, down: float) -> None:
        """Drag a handle on the photo by photo pixels."""
        box = self.page.get_by_label(handle, exact=True).bounding_box()
        at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        scale = float(self.stage.get_attribute("data-frame").split()[0])
        self.drag(at, (at[0] + right * scale, at[1] + down * scale))

    @staticmethod
    def as_mask(mask: Mask) -> bytes:
        """A PNG file of a mask `(H, W)` bool, as the page paints one."""
        return as_png(mask.astype(np.uint8) * 255)

    def objects(self) -> list[str]:
        return [each.name for each in self.marking.marks.objects]

    def mask(self, name: str) -> Mask:
        marks = self.marking.marks
        return marks.shown_mask(next(each for each in marks.objects if each.name == name))

    def changed(self, revision: int) -> None:
        """Wait for a change to be done."""
        self.page.wait_for_timeout(50)
        for _ in range(PATIENCE // 100):
            if self.workspace.document.revision >= revision:
                break
            self.page.wait_for_timeout(100)
        assert self.workspace.document.revision == revision
        self.page.locator(".stage-working").wait_for(state="detached")

    def told(self, words: str) -> None:
        """Wait for a message, and close it."""
        alert = self.page.get_by_role("alert").filter(has_text=words)
        alert.wait_for()
        alert.get_by_role("button").click()
        alert.wait_for(state="detached")

    def drop(self, name: str, content: bytes) -> None:
        """Drop a file on the photo."""
        transfer = self.page.evaluate_handle(
            """([name, bytes]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(bytes)], name));
                return transfer;
            }""",
            [name, list(content)],
        )
        self.stage.dispatch_event("drop", {"dataTransfer": transfer})

    def colour(self, x: float, y: float) -> Any:
        """What the page shows at a pixel of the photo, sRGB."""
        across, down = self.at(x, y)
        shot = Image.open(io.BytesIO(self.page.screenshot()))
        return np.asarray(shot.convert("RGB"))[round(down), round(across)].astype(int)
