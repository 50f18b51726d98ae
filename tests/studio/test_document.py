"""The document through the server: edits, undo, conflicts, and what is on disk."""

import base64
from pathlib import Path

import numpy as np

from tests.studio.pages import Page


def with_car(shot: dict, *moves: object) -> dict:
    return {**shot, "entities": {**shot.get("entities", {}), "car": list(moves)}}


def test_an_edit_is_saved_and_undone(page: Page) -> None:
    first = page.document()
    edited = page.edit(first["revision"], with_car(first["shot"], {"right": "1"}), "Move car")
    assert (edited["undo"], edited["redo"]) == ("Move car", None)
    assert edited["motion"]["entities"][0]["matrices"] != first["motion"]["entities"][0]["matrices"]
    back = page.ask("POST", "undo", {"base": edited["revision"]})
    assert (back["shot"], back["motion"], back["redo"]) == (first["shot"], first["motion"], "Move car")
    again = page.ask("POST", "redo", {"base": back["revision"]})
    assert (again["shot"], again["motion"]) == (edited["shot"], edited["motion"])


def test_two_pages_cannot_overwrite_each_other(page: Page) -> None:
    first = page.document()
    mine = page.edit(first["revision"], with_car(first["shot"], {"right": "1"}))
    refused = page.edit(first["revision"], with_car(first["shot"], {"left": "1"}), status=409)
    assert refused["document"] == mine == page.document()


def test_trying_saves_nothing(page: Page) -> None:
    first = page.document()
    motion = page.ask("POST", "try", {"shot": with_car(first["shot"], {"up": "1"})})
    assert motion["entities"][0]["matrices"] != first["motion"]["entities"][0]["matrices"]
    assert page.document() == first


def test_an_edit_that_cannot_be_names_the_move(page: Page) -> None:
    first = page.document()
    refused = page.edit(first["revision"], {**first["shot"], "camera": [{"pan": "5"}, {"orbitt": "3"}]}, status=422)
    assert refused["error"].startswith("camera, move 2 (orbitt): unknown camera move 'orbitt'; did you mean 'orbit'?")
    refused = page.edit(first["revision"], with_car(first["shot"], {"forwards": "1 mile"}), status=422)
    assert refused["error"].startswith("car, move 1 (forwards): 'mile' is not a unit of a distance")
    assert page.document() == first


def test_the_source_stays_what_it_is(page: Page, scene_folder: Path) -> None:
    before = {path: path.read_bytes() for path in scene_folder.rglob("*") if path.is_file()}
    first = page.document()
    page.edit(first["revision"], with_car(first["shot"], {"right": "1"}))
    assert {path: path.read_bytes() for path in scene_folder.rglob("*") if path.is_file()} == before


def test_a_key_is_solved_for_and_not_saved(page: Page) -> None:
    first = page.document()
    pose = [0.0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0.5, -1, -4, 1]  # column by column: turned by a quarter
    found = page.ask("POST", "keyframe", {"shot": first["shot"], "target": "car", "frame": 12, "pose": pose})
    key = found["shot"]["entities"]["car"][0]["keyframes"][0]
    assert (key["time"], key["turn"]) == ("12 frames", "-90 deg")
    matrices = np.frombuffer(base64.b64decode(found["motion"]["entities"][0]["matrices"]), "<f4").reshape(-1, 16)
    np.testing.assert_allclose(matrices[12], pose, atol=1e-5)
    camera = np.eye(4)
    camera[:3, 3] = 0.25, 0.5, 1
    found = page.ask(
        "POST", "keyframe",
        {"shot": found["shot"], "target": "", "frame": 48, "pose": camera.T.ravel().tolist(), "zoom": 1.5},
    )  # fmt: skip
    assert found["shot"]["camera"][0]["keyframes"][0] | {"time": ""} == {
        "time": "", "by": "(0.25 units, 0.5 units, -1 units)", "zoom": "1.5x",
    }  # fmt: skip
    assert page.document() == first
    page.edit(first["revision"], found["shot"])
    refused = page.ask("POST", "keyframe", {"shot": first["shot"], "target": "car", "frame": 12, "pose": [1, 2]}, 400)
    assert "16 numbers" in refused["error"]
