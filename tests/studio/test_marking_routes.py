"""Addresses of marking, as the page asks them: answers, refusals, and a lift that is killed, cancelled or done."""

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from real2sam2real.arrays import Mask
from real2sam2real.perceive.masks import load_masks
from real2sam2real.run.demo import demo_folder
from tests.studio.pages import Page, open_page


@pytest.fixture
def photo_page(tmp_path: Path) -> Iterator[Page]:
    with open_page(tmp_path / "studio", demo_folder() / "photo.jpg") as opened:
        yield opened


@pytest.fixture
def cup() -> Mask:
    return load_masks([demo_folder() / "cup.png"], 600, 400)["cup"]


def send(page: Page, path: str, content: bytes, name: str = "file", status: int = 200) -> Any:
    """A body that is no JSON."""
    answer = page.raw("POST", f"api/w/{page.id}/{path}", content=content, headers={"X-Name": name})
    assert answer.status_code == status, answer.text
    return answer.json()


def as_png(mask: Mask) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def marked(page: Page) -> Any:
    """The document with the cup marked by its file."""
    return send(page, "objects/mask?base=1", (demo_folder() / "cup.png").read_bytes(), "cup.png")


def test_a_stroke_and_a_file_are_marks_and_their_masks_are_shown(photo_page: Page, cup: Mask) -> None:
    found = marked(photo_page)
    assert found["photo"] == {"width": 600, "height": 400, "shrink": 1.0}
    (each,) = found["objects"]
    assert (each["name"], each["source"]) == ("cup", "file")
    address = f"api/w/{photo_page.id}/objects/masks/{each['id']}/{each['version']}.png"
    shown = Image.open(io.BytesIO(photo_page.raw("GET", address).content))
    assert np.array_equal(np.asarray(shown.getchannel("A")) > 127, cup)
    erased = cup.copy()
    erased[:, :200] = False
    after = send(photo_page, f"objects/painted?base=2&object={each['id']}", as_png(erased))
    assert after["objects"][0]["area"] == pytest.approx(erased.mean())
    assert after["objects"][0]["version"] != each["version"]
    assert after["commands"][1].startswith("r2s2r lift ")


def test_what_is_no_request_of_the_page_is_refused(photo_page: Page) -> None:
    marked(photo_page)
    send(photo_page, "objects/mask", b"", status=400)
    send(photo_page, "objects/mask?base=-1", b"", status=400)
    stale = send(photo_page, "objects/mask?base=1", (demo_folder() / "cup.png").read_bytes(), status=409)
    assert stale["document"]["revision"] == 2
    assert "cup" in stale["document"]["objects"][0]["name"]
    send(photo_page, "objects/mask?base=2", b"no picture", "../../x.png", status=422)
    photo_page.ask("POST", "objects", {"base": 2, "change": {"delete": "../../etc"}}, 422)
    photo_page.ask("POST", "objects", {"base": 2, "change": {"lift": {"lifter_python": "/bin/sh"}}}, 422)
    photo_page.ask("POST", "objects", {"base": 2, "change": []}, 400)
    photo_page.ask("POST", "objects/horizon", {"focal": 0, "pitch": 0, "roll": 0}, 400)
    photo_page.ask("POST", "objects/lens", {"horizon": "no"}, 400)
    answer = photo_page.raw("GET", f"api/w/{photo_page.id}/objects/masks/..%2f..%2fphoto/x.png")
    assert answer.status_code == 404
    assert photo_page.document()["revision"] == 2


def test_lines_and_numbers_of_the_camera(photo_page: Page) -> None:
    there = photo_page.ask("POST", "objects/horizon", {"focal": 600, "pitch": 10.0, "roll": 2.0})["horizon"]
    found = photo_page.ask("POST", "objects/lens", {"horizon": there, "pairs": [], "focal": 600.0})
    assert (found["pitch"], found["roll"]) == (pytest.approx(10), pytest.approx(2))
    assert found["focalFrom"] == "given"
    view = {"focal": 600.0, "pitch": 10.0, "roll": None}
    kept = photo_page.ask("POST", "objects", {"base": 1, "change": {"view": view}})
    assert kept["view"] == {**view, "estimated": None, "guess": None}


def ended(page: Page, job: str, *, within: float = 300) -> Any:
    """A job's last message."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        found = next(each for each in page.ask("GET", "jobs") if each["id"] == job)
        if found["state"] in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.1)
    raise AssertionError("the job does not end")


def running(page: Page, job: str) -> int:
    """The process of a job that works."""
    for _ in range(3000):
        found = page.studio.activity.runner.process_of(job)
        steps = [each["step"] for each in page.ask("GET", "jobs") if each["id"] == job]
        if found is not None and any(steps):
            return found
        time.sleep(0.1)
    raise AssertionError("the job does not start")


def cancel(page: Page, job: str) -> None:
    page.raw("DELETE", f"api/w/{page.id}/jobs/{job}")


def kill(page: Page, job: str) -> None:
    os.kill(running(page, job), signal.SIGKILL)


@pytest.mark.parametrize(("end", "state"), [(cancel, "cancelled"), (kill, "failed")])
def test_a_lift_that_is_stopped_changes_nothing(photo_page: Page, end: Callable[[Page, str], None], state: str) -> None:
    marked(photo_page)
    before = photo_page.document()
    job = photo_page.ask("POST", "jobs", {"kind": "lift", "options": {}})["id"]
    end(photo_page, job)
    found = ended(photo_page, job)
    assert found["state"] == state
    assert state != "failed" or "process" in found["error"]
    assert photo_page.document() == before


def test_a_double_click_lifts_once(photo_page: Page) -> None:
    marked(photo_page)
    first, second = (photo_page.ask("POST", "jobs", {"kind": "lift", "options": {}})["id"] for _ in range(2))
    assert first == second
    cancel(photo_page, first)
    ended(photo_page, first)
    assert photo_page.ask("POST", "jobs", {"kind": "lift", "options": {}})["id"] != first


def test_a_lift_is_done_and_undone(photo_page: Page) -> None:
    photo_page.ask("POST", "jobs", {"kind": "lift", "options": {}}, 422)  # nothing is marked
    marked(photo_page)
    job = photo_page.ask("POST", "jobs", {"kind": "lift", "options": {}})["id"]
    found = ended(photo_page, job)
    assert (found["state"], found["error"]) == ("done", None)
    document = photo_page.document()
    assert [each["name"] for each in document["scene"]["entities"]] == ["cup"]
    assert document["objects"][0]["color"] == document["scene"]["entities"][0]["color"]
    assert document["view"]["estimated"]["focal"] == pytest.approx(document["scene"]["intrinsics"]["fx"])
    undone = photo_page.ask("POST", "undo", {"base": document["revision"]})
    assert undone["scene"] is None
    assert undone["objects"]


def test_what_there_is_to_choose(photo_page: Page) -> None:
    found = photo_page.ask("GET", "objects/choices")
    assert {each["name"] for each in found["lifters"]} >= {"embedded", "people", "sam3d", "triposg"}
    assert all(each["says"] for kind in ("lifters", "segmenters", "depths") for each in found[kind])
