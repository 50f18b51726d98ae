"""Changes of the scene at rest: what they change, that the shot follows, and that undo takes them back."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real2sam2real.lifting.options import LiftOptions
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.folder import load_scene
from real2sam2real.scene.gltf import save_glb
from real2sam2real.scene.renaming import renamed_shot
from real2sam2real.scene.shot import Shot, parse_shot
from real2sam2real.studio import scene_routes
from tests.studio.pages import Page, two_boxes


def change(page: Page, base: int, status: int = 200, **what: Any) -> Any:
    return page.ask("POST", "scene", {"base": base, "change": what}, status)


def entity(document: Any, name: str) -> Any:
    return next(each for each in document["scene"]["entities"] if each["name"] == name)


def test_a_new_name_goes_through_scene_and_shot(page: Page) -> None:
    first = page.document()
    moves = {
        "camera": [{"orbit": "10 deg", "around": "car"}],
        "entities": {"car": [{"right": "1"}], "man": [{"on": "car"}]},
    }
    edited = page.edit(first["revision"], {**first["shot"], **moves})
    renamed = change(page, edited["revision"], rename={"name": "car", "to": "old taxi"})
    assert [each["name"] for each in renamed["scene"]["entities"]] == ["old taxi", "man"]
    assert renamed["shot"]["camera"] == [{"orbit": "10 deg", "target": "old taxi"}]
    assert list(renamed["shot"]["entities"]) == ["old taxi", "man"]
    assert renamed["shot"]["entities"]["man"] == [{"on": "old taxi"}]
    assert [each["matrices"] for each in renamed["motion"]["entities"]] == [
        each["matrices"] for each in edited["motion"]["entities"]
    ]
    assert renamed["undo"] == "Rename car to old taxi"
    back = page.ask("POST", "undo", {"base": renamed["revision"]})
    assert (back["shot"], back["scene"]) == (edited["shot"], edited["scene"])
    for to, message in (("man", "already in the scene"), ("", "cannot be an entity's name"), ("a/b", "contains /")):
        assert message in change(page, back["revision"], 422, rename={"name": "car", "to": to})["error"]


def test_every_place_of_a_name_in_a_shot() -> None:
    text = """
camera:
- orbit: 3
  around: car
- look-at: car
- keyframes: [{frame: 3, look-at: car}, {frame: 4, look-at: man}]
- handheld: 1
entities:
  car: [{duplicate: car, by: up 1}, {turn: 3}]
  man: [{on: car}]
  cat: [{with: car}]
  dog: [{floating: car}]
"""
    renamed = renamed_shot(parse_shot(text), "car", "van")
    assert renamed == parse_shot(text.replace("car", "van"))
    assert renamed_shot(renamed, "van", "car") == parse_shot(text)
    assert renamed_shot(Shot(), "car", "van") == Shot()


def test_relations_and_facings(page: Page) -> None:
    first = page.document()
    tied = change(page, first["revision"], relation={"name": "man", "word": "on", "to": "car"})
    assert entity(tied, "man")["relation"] == {"word": "on", "to": "car", "guessed": False}
    turned = change(page, tied["revision"], facing={"name": "car", "degrees": 90})
    assert (entity(turned, "car")["facing"], turned["undo"]) == (90, "car faces elsewhere")
    folder = page.studio.workspaces.get(str(page.id)).folder
    assert load_scene(folder / "scene").entity("man").relation.to == "car"
    free = change(page, turned["revision"], relation={"name": "man", "word": "", "to": None})
    assert entity(free, "man")["relation"] is None
    now = free["revision"]
    assert (
        "would carry each other" in change(page, now, 422, relation={"name": "man", "word": "on", "to": "man"})["error"]
    )
    assert (
        "no entity called 'cat'" in change(page, now, 422, relation={"name": "man", "word": "on", "to": "cat"})["error"]
    )
    assert "is no relation" in change(page, now, 400, relation={"name": "man", "word": "under", "to": "car"})["error"]
    assert "no entity called 'cat'" in change(page, now, 422, facing={"name": "cat", "degrees": 1})["error"]
    assert "must be a number" in change(page, now, 400, facing={"name": "car", "degrees": "left"})["error"]
    assert "is in the photo" in change(page, now, 422, drop={"name": "car"})["error"]
    assert "must be one of rename" in change(page, now, 400, explode={"name": "car"})["error"]
    assert page.document()["revision"] == now


def test_a_mesh_takes_an_entitys_place(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the search for its pose, which takes most of a minute and is tested elsewhere."""
    there = partial(LiftOptions, align=False, contact="off", mesh_frame="camera-opengl")
    monkeypatch.setattr(scene_routes, "LiftOptions", there)
    first = page.document()
    scene = two_boxes()
    box = scene.entities[0]
    mesh = replace(box.mesh, vertices=box.mesh.vertices * [1, 0.5, 1])
    path = tmp_path / "low.glb"
    camera = CameraPath(world_from_camera=np.eye(4)[None], intrinsics=scene.camera.intrinsics, zoom=np.ones(1))
    save_glb(replace(scene, entities=(replace(box, mesh=mesh),), camera=camera), path)
    address = f"api/w/{page.id}/mesh?name=car&base={first['revision']}"
    answer = page.raw("POST", address, content=path.read_bytes())
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["undo"] == "Mesh of car"
    assert entity(changed, "man") == entity(first, "man")
    size = np.subtract(entity(changed, "car")["upper"], entity(changed, "car")["lower"])
    assert size[1] < 0.6 * size[0]  # as high as wide before
    bad = page.raw("POST", address.replace(f"={first['revision']}", f"={changed['revision']}"), content=b"glTF no mesh")
    assert bad.status_code == 422
    assert "mesh.glb" in bad.json()["error"]
    unmarked = page.raw("POST", f"api/w/{page.id}/mesh?name=cat&base={changed['revision']}", content=path.read_bytes())
    assert (unmarked.status_code, "mark it on the photo first" in unmarked.json()["error"]) == (422, True)
    assert page.raw("POST", f"api/w/{page.id}/mesh?name=car&base=x", content=b"").status_code == 400
    assert page.document() == changed


def test_a_new_name_is_the_marks_too_so_that_the_next_lift_keeps_it(page: Page) -> None:
    document = page.document()
    buffer = io.BytesIO()
    mask = np.zeros((document["photo"]["height"], document["photo"]["width"]), np.uint8)
    mask[10:30, 10:30] = 255
    Image.fromarray(mask).save(buffer, "PNG")
    address = f"api/w/{page.id}/objects/mask?base={document['revision']}"
    marked = page.raw("POST", address, content=buffer.getvalue(), headers={"X-Name": "car.png"})
    assert marked.status_code == 200, marked.text
    renamed = change(page, marked.json()["revision"], rename={"name": "car", "to": "taxi"})
    assert [each["name"] for each in renamed["objects"]] == ["taxi"]
    back = page.ask("POST", "undo", {"base": renamed["revision"]})
    assert [each["name"] for each in back["objects"]] == ["car"]
    assert back["scene"]["entities"][0]["name"] == "car"
