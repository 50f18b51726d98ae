"""Previews and generations of the studio, by the stages of `r2s2r run`, in real processes."""

import io
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from real2sam2real.cli.main import main
from real2sam2real.run.folder import RECORD
from real2sam2real.run.progress import Progress
from real2sam2real.studio.generate_options import generate_options, option_schema
from real2sam2real.studio.making import RUN, _note, preview
from real2sam2real.studio.previews import state_options
from real2sam2real.studio.takes import keep_take
from real2sam2real.workfolder.fingerprint import digest
from real2sam2real.workfolder.json_values import read_json
from real2sam2real.workfolder.records import write_json
from tests.studio.pages import Page, open_page
from tests.studio.test_takes import made

PATIENCE = 200.0  # seconds; on a busy machine
SHOT = {"frames": 5, "fps": 8, "camera": [{"dolly": "in 0.2"}]}
GENERATE = {"steps": 1, "seed": 3, "upscale": "off"}


def wait_for(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def ended(page: Page, job: dict[str, Any], state: str = "done") -> dict[str, Any]:
    """The job when it has come to its end."""

    def look() -> Any:
        (now,) = [one for one in page.ask("GET", "jobs") if one["id"] == job["id"]]
        return None if now["state"] in ("queued", "running") else now

    found: dict[str, Any] = wait_for(look)
    assert found["state"] == state, found
    return found


def start(page: Page, kind: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.ask("POST", "jobs", {"kind": kind, "options": options})
    return found


@pytest.fixture
def following(scene_folder: Path, tmp_path: Path) -> Iterator[Page]:
    with open_page(tmp_path / "studio", scene_folder, previews=True) as opened:
        yield opened


def folder_of(page: Page) -> Path:
    return page.studio.workspaces.get(str(page.id)).folder


def test_previews_follow_the_document_a_draft_first(following: Page) -> None:
    page = following
    now = page.document()["revision"]
    for frames in (9, 5):  # the first is out of date before it is begun, or while it runs
        now = page.edit(now, {**SHOT, "frames": frames})["revision"]
    stages = []

    def look() -> Any:
        made = page.ask("GET", "made")
        stages.append(made)
        return made["preview"] and made["preview"]["current"] and not made["preview"]["draft"]

    wait_for(look)
    drafts = [made["preview"] for made in stages if made["preview"] and made["preview"]["draft"]]
    assert any(draft["current"] for draft in drafts)
    assert stages[-1]["normals"]["current"]
    assert stages[-1]["generated"] is None
    assert read_json(folder_of(page) / RUN / RECORD)["command"][-1] == "--preview-only"
    page.ask("PUT", "made", {"automatic": False})
    page.edit(now, {**SHOT, "fps": 16})
    time.sleep(1.0)
    assert not page.ask("GET", "made")["preview"]["current"]
    assert not page.ask("GET", "jobs")


@pytest.mark.slow  # the same parts are tested above, and in the browser by test_making_page
def test_a_generation_is_what_the_command_line_makes_and_goes_on_the_shelf(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = page.document()["revision"]
    revision = page.edit(before, {**SHOT, "prompt": "two boxes"})["revision"]
    job = start(page, "generate", generate=GENERATE, size="64x48", name="First")
    page.edit(revision, {**SHOT, "frames": 9})  # the generation is of the shot as it was
    done = ended(page, job)
    assert done["picture"] >= 1
    (take,) = page.ask("GET", "takes")
    assert (take["name"], take["seed"], take["frames"], take["fps"]) == ("First", 3, 5, 8)
    assert (take["width"], take["height"], take["prompt"]) == (320, 240, "two boxes")
    assert take["scene"] == page.document()["scene"]["id"]
    made = page.ask("GET", "made")
    assert made["generated"] is not None
    assert not made["generated"]["current"]

    # What it was made of, by the command line, on the workspace's own files.
    loaded = page.ask("POST", f"takes/{take['id']}/load", {"base": page.document()["revision"]})
    assert loaded["shot"]["frames"] == 5
    assert loaded["undo"] == "load the shot of First"
    folder = folder_of(page)
    monkeypatch.chdir(folder)
    flags = ["--steps", "1", "--seed", "3", "--upscale", "off", "--size", "64x48"]
    with pytest.raises(SystemExit) as end:
        main(["run", "scene", "--shot", "shot.yaml", "-o", str(tmp_path / "again"), *flags])
    assert end.value.code == 0
    assert digest(tmp_path / "again" / "generated.mp4") == digest(folder / "takes" / take["id"] / "video.mp4")
    assert digest(tmp_path / "again" / "control") == digest(folder / RUN / "control")
    told = read_json(folder / RUN / RECORD)["command"]
    assert told == ["r2s2r", "run", "scene", "--shot", "shot.yaml", "-o", "run", *flags]

    # A run by the command line on the workspace's own run folder is seen to have made another preview.
    assert page.ask("GET", "made")["preview"]["current"]
    (folder / "other.yaml").write_text("frames: 1\n")
    with pytest.raises(SystemExit):
        main(["run", "scene", "--shot", "other.yaml", "-o", "run", "--draft"])
    now = page.ask("GET", "made")
    assert not now["preview"]["current"]
    assert now["generated"]["current"]

    # The same again is kept, and no second take.
    ended(page, start(page, "generate", generate=GENERATE, size="64x48", name="Second"))
    assert [one["name"] for one in page.ask("GET", "takes")] == ["First"]
    verdict = page.ask("POST", "generate/verdict", {"generate": GENERATE, "size": "64x48"})
    assert verdict["fits"]
    assert verdict["passes"] == 1
    assert verdict["seconds"] >= 0
    assert "mini" in verdict["checkpoints"]


def test_everything_made_can_be_downloaded_and_nothing_else(page: Page) -> None:
    folder = folder_of(page)
    options = made(folder)
    for name in ("preview.mp4", "normals.mp4", "index.html"):
        shutil.copy(folder / RUN / "generated.mp4", folder / RUN / name)
    for name in ("control.json", "frames/0000.png", "preview.mkv"):
        (folder / RUN / "control" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / RUN / "control" / name).write_bytes(name.encode() * 1000)
    keep_take(folder, options)
    (take,) = page.ask("GET", "takes")
    video = page.raw("GET", f"api/w/{page.id}/takes/{take['id']}/video.mp4")
    part = page.raw("GET", f"api/w/{page.id}/takes/{take['id']}/video.mp4", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, video.content[10:20])
    assert video.content == (folder / RUN / "generated.mp4").read_bytes()
    for name in ("preview.mp4", "normals.mp4", "generated.mp4"):
        assert page.raw("GET", f"api/w/{page.id}/files/{name}").content == (folder / RUN / name).read_bytes()
    archive = zipfile.ZipFile(io.BytesIO(page.raw("GET", f"api/w/{page.id}/files/control.zip").content))
    assert archive.testzip() is None
    control = folder / RUN / "control"
    assert {name: archive.read(name) for name in archive.namelist()} == {
        f"control/{path.relative_to(control).as_posix()}": path.read_bytes()
        for path in control.rglob("*")
        if path.is_file()
    }
    assert page.raw("GET", f"api/w/{page.id}/files/shot.yaml").text == (folder / "shot.yaml").read_text()
    assert page.raw("GET", f"api/w/{page.id}/files/scene.glb").content[:4] == b"glTF"
    run_page = page.raw("GET", f"api/w/{page.id}/files/page.html")
    assert "attachment" in run_page.headers["content-disposition"]
    poster = page.raw("GET", f"api/w/{page.id}/takes/{take['id']}/poster.jpg")
    assert poster.content[:2] == b"\xff\xd8"
    for name in ("run.json", "..%2fworkspace.json", "nothing"):
        assert page.raw("GET", f"api/w/{page.id}/files/{name}").status_code == 404


def test_which_state_a_video_is_of_is_known_until_another_run_makes_another(page: Page) -> None:
    folder = folder_of(page)
    made(folder)
    (folder / RUN / "preview.mp4").write_bytes((folder / RUN / "generated.mp4").read_bytes())
    document = page.studio.workspaces.get(str(page.id)).document
    record = {"stages": {name: {"fingerprint": name} for name in ("preview", "generate")}}
    write_json(folder / RUN / RECORD, record)
    assert not page.ask("GET", "made")["preview"]["current"]
    state = state_options(document)["state"]
    _note(folder, preview=state, draft=True, generated=state)
    now = page.ask("GET", "made")
    assert (now["preview"]["current"], now["preview"]["draft"], now["generated"]["current"]) == (True, True, True)
    assert now["normals"] is None
    record["stages"]["preview"]["fingerprint"] = "by the command line"
    write_json(folder / RUN / RECORD, record)
    now = page.ask("GET", "made")
    assert (now["preview"]["current"], now["generated"]["current"]) == (False, True)
    page.edit(document.revision, SHOT)
    assert not page.ask("GET", "made")["generated"]["current"]


def test_a_preview_that_a_generation_has_made_is_not_made_again_as_a_draft(page: Page, tmp_path: Path) -> None:
    folder, document = folder_of(page), page.studio.workspaces.get(str(page.id)).document
    made(folder)
    shutil.copy(folder / RUN / "generated.mp4", folder / RUN / "preview.mp4")
    options = state_options(document)
    _note(folder, preview=options["state"], draft=False)
    before = sorted((path, path.stat().st_mtime_ns) for path in (folder / RUN).rglob("*"))
    for draft in (True, False):
        assert preview(folder, {**options, "draft": draft}, Progress()) == {"draft": False}
    assert sorted((path, path.stat().st_mtime_ns) for path in (folder / RUN).rglob("*")) == before


def test_what_is_not_there_or_cannot_be_is_refused(page: Page) -> None:
    page.ask("POST", "jobs", {"kind": "verdict"}, status=400)
    page.ask("POST", "jobs", {"kind": "generate", "options": {"generate": {"steps": 0}}}, status=422)
    page.ask("POST", "jobs", {"kind": "generate", "options": {"generate": {"preview_image": "/x.png"}}}, status=422)
    page.ask("POST", "jobs", {"kind": "generate", "options": {"generate": {"stepps": 1}}}, status=422)
    page.ask("DELETE", "jobs/none", status=404)
    page.ask("POST", "jobs/none/again", status=404)
    page.ask("GET", "jobs/none/picture", status=404)
    page.ask("DELETE", "takes/none", status=404)
    assert page.raw("GET", f"api/w/{page.id}/files/preview.mp4").status_code == 404
    failed = ended(page, start(page, "generate", generate={"checkpoint": "nowhere"}), state="failed")
    assert "nowhere is not a checkpoint" in failed["error"]


def test_the_page_offers_all_options_of_the_command_line(page: Page) -> None:
    from dataclasses import fields

    from real2sam2real.diffusion.options import GenerateOptions

    offered = page.ask("GET", "generate")
    assert {one["name"] for one in offered} == {one.name for one in fields(GenerateOptions)} - {"preview_image"}
    assert all(one["help"] for one in offered)
    assert [one["name"] for one in offered if one["main"]][:2] == ["checkpoint", "preset"]
    defaults = {one["name"]: one["default"] for one in option_schema()}
    assert generate_options(defaults) == GenerateOptions()
