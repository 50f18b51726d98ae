"""Generating, the shelf and comparing, in real Chromium with real generations of `mini`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from real2sam2real.studio.takes import read_takes
from tests.studio.browser import RunningStudio, Tab, tabs_of

LONG = 240_000  # ms; a generation on a busy machine
SHOT = "frames: 5\nfps: 8\ncamera:\n- dolly: in 0.2\n"


@pytest.fixture(scope="module")
def made_tab(
    running: RunningStudio, chromium: Any, scene_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tab]:
    """A page on the two boxes with a shot of five frames."""
    workspace = running.workspace(scene_folder, tmp_path_factory.mktemp("made") / "workspace")
    workspace.document.commit("a short shot", shot=SHOT)
    with tabs_of(running, chromium) as opened:
        yield opened(workspace)


def test_a_generation_is_cancelled_gone_on_with_and_becomes_a_take(made_tab: Tab) -> None:
    page = made_tab.page
    made_tab.role("tab", "Generate").click()
    page.get_by_label("Steps", exact=True).fill("many")
    page.keyboard.press("Tab")
    assert page.get_by_label("Steps", exact=True).get_attribute("aria-invalid") == "true"
    page.get_by_label("Steps", exact=True).fill("1")
    page.keyboard.press("Tab")
    page.get_by_label("Upscale", exact=True).select_option("off")
    page.get_by_label("Take's name").fill("Only one")
    made_tab.role("button", "Generate").dblclick()  # one take all the same
    card = page.get_by_role("listitem", name="Generate Only one")
    card.get_by_text("Running").wait_for()
    made_tab.role("button", "Cancel Generate Only one").click()
    card.get_by_text("Cancelled").wait_for()
    assert read_takes(made_tab.workspace.folder) == []
    card.get_by_role("button", name="Resume").click()
    card.get_by_text("Done", exact=True).wait_for(timeout=LONG)
    (take,) = read_takes(made_tab.workspace.folder)
    assert (take.name, take.options["generate"]) == ("Only one", {"steps": 1, "upscale": "off"})
    verdict = page.get_by_role("status", name="Verdict")
    verdict.wait_for(timeout=LONG)
    assert "Fits" in verdict.inner_text()


def test_the_shelf_plays_names_keeps_loads_and_deletes(made_tab: Tab) -> None:
    page, folder = made_tab.page, made_tab.workspace.folder
    made_tab.role("tab", "Takes").click()
    item = page.get_by_role("listitem", name="Only one")
    item.wait_for()
    film = page.get_by_label("Video of Only one")
    film.hover()
    made_tab.until("document.querySelector('.take-film').currentTime > 0")
    item.get_by_label("Name of the take").fill("Best")
    page.keyboard.press("Enter")
    made_tab.role("button", "Keep Best").click()
    made_tab.role("button", "Do not keep Best").wait_for()
    assert made_tab.role("button", "Delete Best").is_disabled()
    assert [(take.name, take.keep) for take in read_takes(folder)] == [("Best", True)]

    made_tab.workspace.document.commit("another shot", shot="frames: 9\nfps: 8\n")
    revision = made_tab.workspace.document.revision
    made_tab.role("button", "Load its shot").click()
    made_tab.saved(revision + 1)
    assert made_tab.shot_text() == SHOT

    with page.expect_download() as download:
        made_tab.role("link", "Download Best").click()
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"
    made_tab.role("button", "Do not keep Best").click()
    made_tab.role("button", "Delete Best").click()
    made_tab.role("button", "No").click()
    assert len(read_takes(folder)) == 1


def test_videos_are_compared_in_step_with_the_timeline(made_tab: Tab) -> None:
    page = made_tab.page
    made_tab.role("radio", "Compare").click()
    left, right = page.get_by_label("Left video", exact=True), page.get_by_label("Right video", exact=True)
    left.select_option("preview")
    right.select_option("generated")
    assert [option.inner_text() for option in left.get_by_role("option").all()][:3] == [
        "Preview",
        "Normals",
        "Generated",
    ]
    made_tab.until("document.querySelectorAll('.compare video').length == 2")
    for frame in (4, 0, 2):
        page.evaluate("frame => studioTest.goTo(frame)", frame)
        at = (frame + 0.5) / 8
        made_tab.until(
            "[...document.querySelectorAll('.compare video')]"
            f".every(video => !video.seeking && Math.abs(video.currentTime - {at}) < 0.01)"
        )
    stage = page.locator(".compare-wipe").bounding_box()
    middle = stage["y"] + stage["height"] / 2
    made_tab.drag((stage["x"] + stage["width"] / 2, middle), (stage["x"] + stage["width"] * 0.25, middle))
    line = page.get_by_role("slider", name="Where the left video ends")
    assert line.get_attribute("aria-valuenow") == "25"
    clip = page.evaluate("getComputedStyle(document.querySelector('.compare-over')).clipPath")
    assert re.search(r"inset\(0(px|%)? 0(px|%)? 0(px|%)? 25(\.\d+)?%\)", clip), clip
    made_tab.role("radio", "Side by side").click()
    page.locator(".compare-beside").wait_for()

    # Of an earlier shot, and said so.
    made_tab.workspace.document.commit("another shot", shot="frames: 9\nfps: 8\n")
    page.locator(".compare-bar .stale").filter(has_text="of an earlier shot").first.wait_for()
    right.get_by_role("option", name="Best (of another shot)").wait_for(state="attached")


def test_the_last_take_is_deleted_when_the_person_agrees(made_tab: Tab) -> None:
    made_tab.role("tab", "Takes").click()
    made_tab.role("button", "Delete Best").click()
    made_tab.role("alertdialog", "Delete Best?").get_by_role("button", name="Delete").click()
    made_tab.page.get_by_text("No takes yet").wait_for()
    assert read_takes(made_tab.workspace.folder) == []
