"""What the page draws is what the renderer draws: normals and ids of the demo's scene, by real Chromium."""

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import real2sam2real
from real2sam2real.control.normal_convention import OPENGL
from real2sam2real.geometry.transforms import about_x
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.rendering.renderer import render_frames
from real2sam2real.run.demo import PITCH_DEGREES, demo_folder
from real2sam2real.run.pictures import entity_colors
from real2sam2real.scene.folder import save_scene
from real2sam2real.studio.lifting import HorizonGuess, horizon_guess
from real2sam2real.studio.marking import marking_of
from real2sam2real.studio.workspaces import Workspace
from real2sam2real.workfolder.records import write_json
from tests.studio.browser import RunningStudio, Tab, tabs_of
from tests.studio.pages import Page, two_boxes

WIDTH, HEIGHT = 300, 200


@pytest.fixture(scope="module")
def demo(running: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of the demo's photo, lifted, with the demo's shot."""
    folder, assets = tmp_path_factory.mktemp("demo"), demo_folder()
    scene = real2sam2real.lift(
        assets / "photo.jpg", {"cup": assets / "cup.png"}, view=ViewOptions(pitch=PITCH_DEGREES), offline=True
    )
    save_scene(scene, folder / "scene")
    workspace = running.workspace(folder / "scene", folder / "workspace")
    workspace.document.commit("the demo's shot", shot=(assets / "shot.yaml").read_text(encoding="utf-8"))
    return workspace


@pytest.fixture(scope="module")
def demo_tab(running: RunningStudio, chromium: object, demo: Workspace) -> Iterator[Tab]:
    with tabs_of(running, chromium) as open_tab:
        yield open_tab(demo)


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_views_are_the_renderers(demo: Workspace, demo_tab: Tab, place: float) -> None:
    directed, _ = demo.document.directed()
    assert directed is not None
    frame = round(place * (directed.frames - 1))
    exact = next(iter(render_frames(directed, width=WIDTH, height=HEIGHT, frames=[frame])))
    colors = demo_tab.view("normals", frame, WIDTH, HEIGHT)
    both = OPENGL.foreground(colors) & (exact.ids > 0)
    cosines = np.sum(OPENGL.decode(colors) * exact.normals, axis=-1)[both]
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean() < 2
    drawn = demo_tab.view("ids", frame, WIDTH, HEIGHT)
    mine, theirs = (drawn == entity_colors(1)[0]).all(axis=-1), exact.ids == 1
    assert (drawn[~mine] == 0).all()
    assert (mine & theirs).sum() / (mine | theirs).sum() >= 0.99


def test_a_lens_off_the_middle_is_drawn_as_it_is(
    running: RunningStudio, open_tab: Callable[[Workspace], Tab], tmp_path: Path
) -> None:
    scene = two_boxes()
    lens = replace(scene.camera.intrinsics, cx=22.0, cy=30.0, fy=scene.camera.intrinsics.fy * 1.1)
    save_scene(replace(scene, camera=replace(scene.camera, intrinsics=lens)), tmp_path / "scene")
    workspace = running.workspace(tmp_path / "scene", tmp_path / "workspace")
    drawn = open_tab(workspace).view("ids", 0, 320, 240)
    directed, _ = workspace.document.directed()
    assert directed is not None
    exact = next(iter(render_frames(directed, width=320, height=240, frames=[0])))
    for number, color in enumerate(entity_colors(2), start=1):
        mine, theirs = (drawn == color).all(axis=-1), exact.ids == number
        assert (mine & theirs).sum() / (mine | theirs).sum() >= 0.99


def test_shading_is_lit_and_textures_are_the_photos(demo_tab: Tab) -> None:
    photo = demo_tab.view("textured", 0, WIDTH, HEIGHT)
    shaded = demo_tab.view("shaded", 0, WIDTH, HEIGHT)
    assert (photo.any(axis=-1) == shaded.any(axis=-1)).mean() > 0.99
    assert np.abs(photo.astype(int) - shaded).mean() > 5


def test_behind_what_moves_stands_the_photo_without_its_objects(page: Page) -> None:
    scene = page.document()["scene"]["id"]
    answer = page.raw("GET", f"api/w/{page.id}/scene/{scene}/emptied.png")
    emptied, photo = np.asarray(Image.open(io.BytesIO(answer.content))), two_boxes().photo
    assert photo is not None
    masks = [entity.mask for entity in two_boxes().entities if entity.mask is not None]
    objects = np.logical_or.reduce(masks)
    assert (emptied[objects] != photo[objects]).any(axis=-1).mean() > 0.9
    np.testing.assert_array_equal(emptied[40:, :5], photo[40:, :5])


def test_a_guessed_horizon_is_said_and_a_reload_comes_back_to_the_same_place(tab: Tab) -> None:
    lift = ["camera is assumed to look down by 6°"]
    workspace, page = tab.workspace, tab.page
    scene = workspace.document.scene()
    assert scene is not None
    guess = HorizonGuess(note=lift[0], up=(0.0, 1.0, 0.0))
    write_json(workspace.folder / ".kept" / "horizon.json", asdict(guess))
    tab.role("treeitem", "man").click()
    tab.page.evaluate("studioTest.goTo(12)")
    page.reload()
    tab.until("window.studioTest?.names().length > 0")
    assert tab.role("treeitem", "man").get_attribute("aria-selected") == "true"
    assert page.get_by_role("slider", name="Playhead").get_attribute("aria-valuenow") == "12"
    note = page.get_by_role("status", name="Horizon")
    note.filter(has_text="assumed to look down by 6°").wait_for()
    note.get_by_role("button", name="Drag lines").click()
    page.get_by_label("horizon, end 1").wait_for()
    view = {"view": {"focal": None, "pitch": 3.0, "roll": None}}
    marking = marking_of(workspace)
    assert marking is not None
    marking.change(workspace.document.revision, view)
    note.filter(has_text="Lift again").wait_for()
    tilted = np.eye(4)
    tilted[:3, :3] = about_x(0.1)
    assert horizon_guess(workspace.folder, scene[0]) == lift[0]
    assert horizon_guess(workspace.folder, replace(scene[0], photo_world_from_camera=tilted)) is None
