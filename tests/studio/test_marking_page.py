"""From photo to scene by hand, in real Chromium, on the demo's photo."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from real2sam2real.arrays import Mask
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.segment.detections import mask_iou
from real2sam2real.run.demo import demo_folder
from real2sam2real.studio.objects import LiftChoice
from tests.studio.browser import RunningStudio, Tab
from tests.studio.photo_page import PhotoTab
from tests.studio.test_editing import hover_handle

BOX = (72, 14, 484, 392)
TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


@pytest.fixture(scope="module")
def cup() -> Mask:
    return load_masks([demo_folder() / "cup.png"], 600, 400)["cup"]


def test_a_box_points_a_brush_and_a_name_become_a_scene(photo_tab: PhotoTab, cup: Mask) -> None:
    tab, (left, top, right, bottom) = photo_tab, BOX
    bare = tab.colour(280, 150)
    tab.drag(tab.at(left, top), tab.at(right, bottom))
    tab.page.locator(".cutting-word").wait_for()  # the box stays in sight until its mask is there
    tab.changed(2)
    tab.page.locator(".cutting-word").wait_for(state="detached")
    assert mask_iou(tab.mask("cup"), cup) > 0.9
    tab.page.wait_for_timeout(300)
    assert np.abs(tab.colour(280, 150) - bare).max() > 20  # the mask is drawn

    tab.tool("Points")
    tab.page.mouse.click(*tab.at(150, 340), button="right")
    tab.changed(3)
    assert not tab.mask("cup")[340, 150]
    tab.page.keyboard.press("Control+z")
    tab.changed(4)
    assert tab.mask("cup")[340, 150]

    tab.tool("Brush")
    tab.drag(tab.at(520, 60), tab.at(560, 70))
    tab.changed(5)
    assert tab.mask("cup")[60, 520]
    assert tab.mask("cup")[65, 540]
    tab.page.keyboard.press("Control+z")
    tab.changed(6)
    assert not tab.mask("cup")[65, 540]

    field = tab.page.get_by_label("Name", exact=True)
    field.fill("espresso cup")
    field.press("Enter")
    tab.changed(7)
    assert tab.objects() == ["espresso cup"]

    tab.role("button", "Lift 1 object").click()
    tab.role("img", "Scene").wait_for()
    found = tab.workspace.document.scene()
    assert found is not None
    assert found[0].names == ["espresso cup"]
    tab.role("treeitem", "espresso cup").wait_for()
    tab.page.keyboard.press("Control+z")
    tab.changed(9)
    assert tab.workspace.document.scene() is None
    assert tab.objects() == ["espresso cup"]


def test_a_word_finds_and_an_unknown_one_says_who_knows_it(photo_tab: PhotoTab, cup: Mask) -> None:
    tab = photo_tab
    field = tab.page.get_by_label("Words to look for")
    field.fill("espresso")
    field.press("Enter")
    tab.told("--segmenter sam2 or sam3 knows any word")
    assert tab.objects() == []
    field.fill("mug")
    field.press("Enter")
    tab.changed(2)
    assert max(mask_iou(tab.mask(name), cup) for name in tab.objects()) > 0.7


def test_boxes_are_pulled_objects_are_ordered_and_a_reload_comes_back(photo_tab: PhotoTab) -> None:
    tab, marking = photo_tab, photo_tab.marking
    document = marking.document
    marking.change(1, {"lift": asdict(LiftChoice(segmenter="grabcut"))})  # which is quick
    bar = np.zeros((400, 600), bool)
    bar[10:40, 500:580] = True
    marking.paint(2, None, tab.as_mask(bar))
    tab.page.locator(".marked-name").wait_for()
    tab.drag(tab.at(325, 215), tab.at(410, 330))
    tab.changed(4)
    spoon = marking.marks.objects[1]

    def box() -> Any:
        return marking.marks.objects[1].facts.box

    assert box() == pytest.approx((325, 215, 410, 330), abs=1)
    left, top, right, bottom = box()
    tab.pull(f"Box of {spoon.name}, right edge", 20, 30)
    tab.changed(5)
    assert box() == pytest.approx((left, top, right + 20, bottom), abs=1)
    assert document.history.undo == f"box of {spoon.name}"
    left, top, right, bottom = box()
    tab.pull(f"Box of {spoon.name}, grip that moves it", -10, 10)
    tab.changed(6)
    assert box() == pytest.approx((left - 10, top + 10, right - 10, bottom + 10), abs=1)

    tab.page.locator(".marked li").nth(1).hover()
    assert tab.role("button", f"{spoon.name} later").is_disabled()
    tab.role("button", f"{spoon.name} earlier").click()
    tab.changed(7)
    assert tab.objects() == [spoon.name, "object"]
    tab.page.locator(".marked li").nth(0).drag_to(tab.page.locator(".marked li").nth(1))
    tab.changed(8)
    assert tab.objects() == ["object", spoon.name]

    tab.role("tab", "Takes").click()
    tab.page.reload()
    tab.page.locator(".marked-name").first.wait_for()
    assert tab.role("tab", "Takes").get_attribute("aria-selected") == "true"


def test_bad_files_are_told_and_nothing_is_lost(photo_tab: PhotoTab) -> None:
    tab = photo_tab
    tab.drop("cup.png", (demo_folder() / "cup.png").read_bytes())
    tab.changed(2)
    assert tab.objects() == ["cup"]
    tab.drop("broken.png", b"\x89PNG no picture")
    tab.told("broken.png")
    tab.drop("chair.glb", b"glTF no mesh")
    tab.told("there is no scene for 'chair.glb'")
    tab.page.locator(".marked-name").click()
    tab.drop("chair.glb", b"glTF no mesh")
    tab.told("chair.glb")
    assert tab.objects() == ["cup"]
    assert tab.workspace.document.revision == 2


def test_the_horizon_is_dragged_to_a_pitch(photo_tab: PhotoTab) -> None:
    tab = photo_tab
    tab.tool("Lens")
    tab.page.get_by_label("horizon, end 1").wait_for()
    for end in (1, 2):
        handle = tab.page.get_by_label(f"horizon, end {end}").bounding_box()
        x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
        _, wanted = tab.at(0, 60)
        tab.drag((x, y), (x, wanted))
        tab.changed(1 + end)
    view = tab.marking.marks.view
    focal = tab.marking.estimate()["focal"]
    assert view.focal is None  # the horizon alone does not tell it
    assert view.roll == pytest.approx(0, abs=0.2)
    assert view.pitch == pytest.approx(float(np.degrees(np.arctan(140 / focal))), abs=0.3)
    tab.page.get_by_label("Pitch").wait_for()
    assert float(tab.page.get_by_label("Pitch").input_value()) == pytest.approx(view.pitch, abs=0.01)


def drop_file(tab: Tab, name: str, text: str, at: tuple[float, float]) -> None:
    """Drop a file on the scene."""
    transfer = """([name, text]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], name));
        return transfer;
    }"""
    file = tab.page.evaluate_handle(transfer, [name, text])
    place = {"dataTransfer": file, "clientX": at[0], "clientY": at[1]}
    tab.page.locator(".viewport-picture").dispatch_event("drop", place)


def test_a_mesh_that_is_dropped_on_the_ground_stands_there(tab: Tab) -> None:
    drop_file(tab, "notes.txt", "hello", tab.on_page((0, -1, -5)))
    tab.page.get_by_role("alert").filter(has_text="'notes.txt' is no mesh").wait_for()
    drop_file(tab, "ball.obj", TETRAHEDRON, tab.on_page((0, -1, -5)))
    tab.role("treeitem", "ball").and_(tab.page.locator("[aria-selected=true]")).wait_for()
    tab.saved(2)
    found = tab.workspace.document.scene()
    assert found is not None
    assert found[0].names == ["car", "man", "ball"]
    ball = found[0].entity("ball")
    np.testing.assert_allclose(ball.rest_world_from_object[:3, 3], [0, -1, -5], atol=0.02)
    assert not ball.in_photo
    tab.until("window.studioTest?.names().includes('ball')")
    at = hover_handle(tab, "ball", (1, 0, 0), "X")
    tab.drag(at, (at[0] + 60, at[1]))
    tab.saved(3)
    assert "ball:" in tab.shot_text()
    for _ in range(2):
        tab.page.keyboard.press("Control+z")
    tab.saved(5)
    assert tab.workspace.document.scene()[0].names == ["car", "man"]  # type: ignore[index]


def test_a_mesh_that_is_dropped_on_an_object_is_laid_onto_it_and_a_bad_one_is_told(
    running: RunningStudio, tab: Tab
) -> None:
    drop_file(tab, "wheel.obj", TETRAHEDRON, tab.on_page((-1.0, -0.5, -5.5)))  # on the car
    message = tab.page.get_by_role("status", name="Mesh")
    message.wait_for()
    (job,) = running.studio.activity.runner.of(tab.workspace.id)
    assert (job.options["name"], job.options["ray"]) == ("car", None)
    message.get_by_role("button", name="Cancel").click()  # to align one takes long, and is tested elsewhere
    message.wait_for(state="detached")
    drop_file(tab, "chair.glb", "glTF no mesh", tab.on_page((0.25, 0.5, -6)))
    tab.page.get_by_role("alert").filter(has_text="chair.glb").wait_for()
    assert tab.workspace.document.revision == 1
