"""Changes of the scene at rest: what they change, that the shot follows, and that undo takes them back."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.rendering import staging
from real2sam2real.run.adding import Ray, _fitting_scale, landing_point
from real2sam2real.run.progress import Progress
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.folder import load_scene
from real2sam2real.scene.gltf import save_glb
from real2sam2real.scene.renaming import renamed_shot
from real2sam2real.scene.shot import Shot, parse_shot
from real2sam2real.studio import mesh_files
from real2sam2real.studio.activity import Activity
from real2sam2real.studio.jobs import Job
from real2sam2real.studio.mesh_files import bring_mesh, start_mesh
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


@pytest.fixture
def low_box(tmp_path: Path) -> Path:
    """A GLB of the car's box at half its height, where the photo's camera has it."""
    scene = two_boxes()
    box = scene.entities[0]
    mesh = replace(box.mesh, vertices=box.mesh.vertices * [1, 0.5, 1])
    camera = CameraPath(world_from_camera=np.eye(4)[None], intrinsics=scene.camera.intrinsics, zoom=np.ones(1))
    save_glb(replace(scene, entities=(replace(box, mesh=mesh),), camera=camera), tmp_path / "low.glb")
    return tmp_path / "low.glb"


class MeshJobs:
    """Stands where the jobs of a server are, and does what it is given at once, in this process."""

    def __init__(self) -> None:
        self.runner, self.jobs = self, list[Job]()

    def of(self, workspace: str) -> list[Job]:
        return self.jobs

    def submit(self, job: Job) -> Job:
        self.jobs.append(job)
        assert job.finish is not None
        job.finish(bring_mesh(job.folder, job.options, Progress()))
        return job


def bring(page: Page, file: Path, name: str, ray: Ray | None = None) -> MeshJobs:
    workspace, jobs = page.studio.workspaces.get(str(page.id)), MeshJobs()
    copied = file.with_name(f"copy{file.suffix}")  # as the request's file, which is moved
    copied.write_bytes(file.read_bytes())
    start_mesh(cast(Activity, jobs), workspace, copied, name, ray, workspace.document.revision)
    return jobs


def test_a_mesh_takes_an_entitys_place(page: Page, low_box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the search for its pose, which takes most of a minute and is tested elsewhere."""
    there = partial(LiftOptions, align=False, contact="off", mesh_frame="camera-opengl")
    monkeypatch.setattr(mesh_files, "LiftOptions", there)
    first = page.document()
    bring(page, low_box, "car")
    changed = page.document()
    assert changed["undo"] == "Mesh of car"
    assert entity(changed, "man") == entity(first, "man")
    size = np.subtract(entity(changed, "car")["upper"], entity(changed, "car")["lower"])
    assert size[1] < 0.6 * size[0]  # as high as wide before
    bad = low_box.with_name("bad.glb")
    bad.write_bytes(b"glTF no mesh")
    with pytest.raises(UserError, match="copy"):
        bring(page, bad, "car")
    assert page.document() == changed


def test_a_mesh_that_the_photo_does_not_show_stands_on_the_ground(page: Page, low_box: Path) -> None:
    scene = two_boxes()
    jobs = bring(page, low_box, "crate", Ray(origin=(0, 0, 0), direction=(0.5, -1, -4)))
    added = page.document()
    assert added["undo"] == "Add crate"
    found = entity(added, "crate")
    assert (found["inPhoto"], found["relation"]) == (False, None)
    workspace = page.studio.workspaces.get(str(page.id))
    now = workspace.document.scene()
    assert now is not None
    crate = now[0].entity("crate")
    np.testing.assert_allclose(crate.rest_world_from_object[:3, 3], [0.5, -1, -4], atol=1e-6)
    assert crate.vertices_world(0)[:, 1].min() == pytest.approx(-1, abs=1e-6)
    assert staging.size(scene.entities[0]) > staging.size(crate)  # as it stands nearer, and is to be seen whole
    assert staging.size(crate) == pytest.approx(float(np.linalg.norm([0.5, -1, -4])) / 3, rel=1e-3)
    eye = crate.rest_world_from_object[:3, 2]  # its front looks at the photo's camera
    np.testing.assert_allclose(eye, np.array([-0.5, 0, 4]) / np.hypot(0.5, 4), atol=1e-6)
    with pytest.raises(UserError, match="'crate' already"):
        bring(page, low_box, "crate", Ray(origin=(0, 0, 0), direction=(0, -1, -4)))
    assert not list((workspace.folder / ".kept" / "dropped").glob("*"))
    back = page.ask("POST", "undo", {"base": added["revision"]})
    assert [each["name"] for each in back["scene"]["entities"]] == ["car", "man"]
    with pytest.raises(UserError, match="changed while the mesh was read"):
        mesh_files._take_in(workspace, "another", workspace.folder / "nothing", "Add crate")
    assert jobs.jobs[0].heavy is False  # it waits for no generation


@pytest.mark.parametrize(
    ("direction", "wanted"),
    [
        ((0, -1, -5), (0, -5)),
        ((1, -1, -3), (1, -3)),
        ((0, 1, -4), (0, -5.6)),  # to the sky: as far away as the objects are
        ((0, -1, -500), (0, -5.6)),  # far behind all
    ],
)
def test_where_a_line_of_sight_meets_the_ground(direction: Any, wanted: tuple[float, float]) -> None:
    scene = two_boxes()
    found = landing_point(scene, Ray(origin=(0, 0, 0), direction=direction))
    np.testing.assert_allclose(found, [wanted[0], -1, wanted[1]], atol=0.1)
    bare = landing_point(replace(scene, ground_y=None), Ray(origin=(0, 0, 0), direction=direction))
    np.testing.assert_allclose(bare, found, atol=1e-9)  # the boxes' feet are taken for it


def test_metres_stay_metres() -> None:
    scene = replace(two_boxes(), unit="metre")
    place = np.array([0.0, -1.0, -6.0])
    assert _fitting_scale(scene, scene.entities[0].mesh, place) == (1.0, "")
    scale, note = _fitting_scale(scene, scene.entities[0].mesh.transformed(np.diag([1e3, 1e3, 1e3, 1])), place)
    assert scale == pytest.approx(1e-3)
    assert "scaled by 0.001" in note


def test_what_is_no_mesh_for_the_scene_is_refused(page: Page) -> None:
    now = page.document()["revision"]
    address = f"api/w/{page.id}/mesh"

    def sent(query: str) -> Any:
        return page.raw("POST", f"{address}?{query}", content=b"glTF")

    unmarked = sent(f"name=cat&base={now}")
    assert (unmarked.status_code, "no entity called 'cat'" in unmarked.json()["error"]) == (422, True)
    for query in ("name=car&base=x", f"name=a&base={now}&ray=1,2,3", f"name=a&base={now}&ray=0,0,0,0,0,0"):
        assert sent(query).status_code == 400
    assert sent(f"name=a%2Fb&base={now}&ray=0,0,0,0,-1,-1").status_code == 422
    assert sent(f"name=a&base={now + 1}&ray=0,0,0,0,-1,-1").status_code == 409


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
