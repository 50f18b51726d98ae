"""Workspaces from all that there may be, opened again, and told when their source has changed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.media import write_video
from real2sam2real.options import as_json
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.options import RunConfig, ShotOptions
from real2sam2real.scene.folder import load_scene, save_scene
from tests.studio.pages import open_page


def test_a_photo_and_again(tmp_path: Path) -> None:
    photo = tmp_path / "Café 1.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)).save(photo)
    for _ in range(2):
        with open_page(tmp_path / "studio", photo) as page:
            document = page.document()
            assert (document["name"], document["scene"], document["motion"]) == ("Café 1", None, None)
            assert (document["photo"]["width"], document["photo"]["height"]) == (80, 60)
            assert page.raw("GET", "api/status").json()["workspaces"][0]["hasScene"] is False
    assert [path.name for path in (tmp_path / "studio").iterdir()] == ["Café 1"]
    photo.write_bytes(photo.read_bytes() + b"\0")
    with open_page(tmp_path / "studio", photo) as page:
        document = page.document()
        assert document["sourceChanged"]
        assert "has changed since; open it with another -o" in document["notes"][0]
        assert "is a photo" in page.ask("POST", "source", {"base": document["revision"]}, 422)["error"]


def test_a_photo_that_the_page_sends(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "a.png")
    with open_page(tmp_path / "studio", None) as page:
        answers = [
            page.raw("POST", "api/workspaces", content=(tmp_path / "a.png").read_bytes(), headers={"X-Name": name})
            for name in ("..%2F..%2Fm%C3%BCll.png", "b.png", "b.png")
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        rows = page.raw("GET", "api/status").json()["workspaces"]
        assert {row["id"] for row in rows} == {answer.json()["id"] for answer in answers}
        assert sorted(row["name"] for row in rows) == ["b", "b", "müll"]
    assert sorted(path.name for path in (tmp_path / "studio").iterdir()) == ["b", "b-2", "müll"]


def test_a_scene_that_changes(scene_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "street"
    shutil.copytree(scene_folder, source)
    with open_page(tmp_path / "studio", source) as page:
        assert not page.document()["sourceChanged"]
    scene = load_scene(source)
    save_scene(replace(scene, entities=scene.entities[:1]), source)
    with open_page(tmp_path / "studio", source) as page:
        document = page.document()
        assert (document["sourceChanged"], len(document["scene"]["entities"])) == (True, 2)
        taken = page.ask("POST", "source", {"base": document["revision"]})
        assert (taken["sourceChanged"], len(taken["scene"]["entities"]), taken["undo"]) == (False, 1, "Take over again")
    with open_page(tmp_path / "studio", source) as page:
        assert not page.document()["sourceChanged"]


def test_a_run(scene_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(scene_folder, run / "lifted")
    options = ShotOptions(camera=("pan 3",), move=("car: right 1",), frames=9)
    (run / "run.json").write_text(json.dumps({"config": {"shot": as_json(options)}}))
    with open_page(tmp_path / "studio", run) as page:
        shot = page.document()["shot"]
    assert (shot["frames"], shot["camera"], shot["entities"]) == (
        9,
        [{"pan": "3 deg"}],
        {"car": [{"move": "right 1 units"}]},
    )
    (run / "run.json").write_text("{}")
    with pytest.raises(UserError, match="does not say which shot was made"), open_page(tmp_path / "other", run):
        pass


def test_the_video_of_a_run_is_its_first_take(scene_folder: Path, tmp_path: Path) -> None:
    run, frames = tmp_path / "run", np.zeros((9, 32, 48, 3), np.uint8)
    shutil.copytree(scene_folder, run / "lifted")
    options = ShotOptions(camera=("pan 3",), frames=9, prompt="a street")
    chosen = GenerateOptions(seed=7)
    config = as_json(RunConfig(photo=Path("a.png"), objects=SegmentOptions(), shot=options, generate=chosen))
    stages = {"generate": {"seconds": 2.5, "notes": ["1 pass"]}}
    record = {"config": config, "stages": stages}
    (run / "run.json").write_text(json.dumps(record))
    write_video(run / "generated.mp4", frames, fps=16)
    with open_page(tmp_path / "studio", run) as page:
        document, (take,) = page.document(), page.ask("GET", "takes")
        assert (take["name"], take["seed"], take["prompt"], take["frames"]) == ("Take 1", 7, "a street", 9)
        assert (take["scene"], take["options"]["generate"]) == (document["scene"]["id"], {"seed": 7})
        loaded = page.ask("POST", f"takes/{take['id']}/load", {"base": document["revision"]})
        assert loaded["shot"] == document["shot"]
        assert page.raw("GET", f"api/w/{page.id}/takes/{take['id']}/video.mp4").status_code == 200
    config["preview_only"] = True  # of another shot, for all that is known
    (run / "run.json").write_text(json.dumps(record))
    with open_page(tmp_path / "other", run) as page:
        assert page.ask("GET", "takes") == []


def test_what_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path, message in (
        (tmp_path / "folder", "is neither a scene folder"),
        (tmp_path / "none.jpg", "does not exist"),
    ):
        with pytest.raises(UserError, match=message), open_page(tmp_path / "studio", path):
            pass
