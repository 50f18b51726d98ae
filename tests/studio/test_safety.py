"""Who gets in, and what gets through: each rule by itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from real2sam2real.errors import NoRoomError, UserError
from real2sam2real.studio import server, working_files
from tests.studio.pages import HOST, TOKEN, Page, open_page


def test_the_token_is_needed_everywhere(page: Page) -> None:
    for path in ("", "/", f"/{TOKEN}x/", f"/{TOKEN[:-1]}/", "/api/status", f"/x/{TOKEN}/api/status", "/index.html"):
        answer = page.client.get(path, headers={"Host": HOST})
        assert (answer.status_code, "token" in answer.json()["error"]) == (403, True), path
    assert (
        page.client.get(f"/{TOKEN}", headers={"Host": HOST}, follow_redirects=False).headers["location"] == f"/{TOKEN}/"
    )


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost:8016.evil.example", ""])
def test_only_its_own_name_is_answered(page: Page, host: str) -> None:
    assert page.raw("GET", "api/status").status_code == 200
    answer = page.raw("GET", "api/status", headers={"Host": host})
    assert (answer.status_code, "its own address" in answer.json()["error"]) == (403, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{HOST}"},
        {"Origin": f"http://{HOST}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_only_its_own_page_may_ask(page: Page, method: str, headers: dict[str, str]) -> None:
    answer = page.raw(method, "api/status", headers=headers)
    assert (answer.status_code, "Another page" in answer.json()["error"]) == (403, True)
    own = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
    assert page.raw("GET", "api/status", headers=own).status_code == 200


def test_nothing_is_said_to_other_origins(page: Page) -> None:
    assert page.raw("OPTIONS", "api/status", headers={"Origin": f"http://{HOST}"}).status_code == 405
    assert page.raw("TRACE", "api/status").status_code == 405
    assert page.raw("PUT", "api/status").status_code == 405
    head = page.raw("HEAD", "api/status")
    assert (head.status_code, head.content) == (200, b"")
    for answer in (head, page.raw("GET", "api/nothing"), page.client.get("/", headers={"Host": HOST})):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]  # the default counts
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


SECRET = "this is no part of any workspace"
TRICKS = [
    "..", "../..", "..%2f..", "%2e%2e", "%2e%2e%2f%2e%2e", "....//", "/etc/passwd", "%00", "a%00b", "..\\..", "%5c..",
    "~", "C:", "x" * 5000, "../secret.txt", "..%2f..%2fsecret.txt", "..%2fworkspace.json", "workspace.json",
]  # fmt: skip
PLACES = [
    "{}", "api/w/{}/document", "api/w/ID/scene/{}.glb", "api/w/ID/vertices/1/{}.bin", "api/w/ID/files/{}",
    "api/w/ID/takes/{}/video.mp4", "api/w/ID/jobs/{}/picture", "api/w/ID/objects/masks/{}/1.png",
    "api/w/ID/objects/masks/1/{}.png", "api/w/ID/frame/{}/0.png",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_address_leads_to_other_files(page: Page, place: str) -> None:
    (page.studio.workspaces.home.parent / "secret.txt").write_text(SECRET)
    page.document()
    for trick in TRICKS:
        answer = page.raw("GET", place.format(trick).replace("/ID/", f"/{page.id}/"))
        assert answer.status_code in (400, 403, 404, 422), (place, trick, answer.text)
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text


def parts(size: int, taken: list[int]) -> Iterator[bytes]:
    for _ in range(size // 100_000):
        taken.append(1)
        yield b" " * 100_000


def test_a_body_is_cut_while_it_is_read(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PHOTO_BYTES", 1_000_000)
    for path, name in (("api/workspaces", "photo"), (f"api/w/{page.id}/edit", "request")):
        headers = {"X-Name": "a.jpg", "Content-Type": "application/json"}
        answer = page.raw("POST", path, content=b" " * 5_000_000, headers=headers)  # by what it announces
        assert (answer.status_code, f"This {name} is too large" in answer.json()["error"]) == (413, True)
        answer = page.raw("POST", path, content=parts(5_000_000, []), headers=headers)  # that announces nothing
        assert (answer.status_code, f"This {name} is too large" in answer.json()["error"]) == (413, True)
    assert list(page.studio.workspaces.home.iterdir()) == [page.studio.workspaces.get(str(page.id)).folder]


DEEP = "[" * 5000 + "]" * 5000
BODIES = [
    ("", "application/json", 400, "is no JSON"),
    ("{", "application/json", 400, "is no JSON"),
    ("[]", "application/json", 400, "is no JSON object"),
    ('{"base": NaN}', "application/json", 400, "NaN"),
    ('{"base": 1e999}', "application/json", 400, "beyond the range"),
    ('{"base": 1, "label": "\\ud800", "shot": {}}', "application/json", 400, "half a character"),
    ('{"base": 1, "label": "a", "shot": ' + DEEP + "}", "application/json", 400, "nest more than 100 deep"),
    ('{"base": "1", "label": "a", "shot": {}}', "application/json", 400, "'base' is '1'; it must be a whole number"),
    ('{"base": 1, "label": 3, "shot": {}}', "application/json", 400, "it must be a text"),
    ('{"base": 1, "label": "a", "shot": []}', "application/json", 400, "it must be an object"),
    ('{"base": 1, "label": "a"}', "application/json", 400, "'shot' is 'None'"),
    ("{}", "text/plain", 400, "application/json is understood"),
    ("base=1", "application/x-www-form-urlencoded", 400, "application/json is understood"),
    (b"\xff\xfe", "application/json", 400, "is no JSON"),
]


@pytest.mark.parametrize(("body", "kind", "status", "message"), BODIES)
def test_bodies_that_are_no_requests(page: Page, body: Any, kind: str, status: int, message: str) -> None:
    first = page.document()
    answer = page.raw("POST", f"api/w/{page.id}/edit", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert page.document() == first


def test_a_shot_of_the_page_reads_no_file_of_its_choice(page: Page, tmp_path: Path) -> None:
    first = page.document()
    (tmp_path / "path.tum").write_text("0 0 0 0 0 0 0 1\n1 0 0 1 0 0 0 1\n")
    shot = {**first["shot"], "camera": [{"path": str(tmp_path / "path.tum")}]}
    for ask in (
        lambda: page.edit(first["revision"], shot, status=422),
        lambda: page.ask("POST", "try", {"shot": shot}, 422),
    ):
        assert "is no camera path of this workspace" in ask()["error"]
    file = page.studio.workspaces.get(str(page.id)).folder / "shot.yaml"
    file.write_text(json.dumps(shot))  # who can write there can read there
    taken = page.edit(first["revision"], first["shot"], status=409)["document"]
    assert taken["undo"] == "changed outside"
    assert page.ask("POST", "try", {"shot": taken["shot"]})["frames"] == 49


def test_a_photo_that_is_none(page: Page) -> None:
    answer = page.raw("POST", "api/workspaces", content=b"<svg/>", headers={"X-Name": "../../a.svg"})
    assert answer.status_code == 422
    assert len(list(page.studio.workspaces.home.iterdir())) == 1


def test_a_full_disk_changes_nothing(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    first = page.document()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    refused = page.edit(first["revision"], {**first["shot"], "seed": 3}, status=507)
    assert "its disk is full" in refused["error"]
    monkeypatch.undo()
    assert page.document() == first


def test_a_disk_that_is_full_after_the_journal_was_written(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    first = page.document()

    def full(path: Path) -> Any:
        raise NoRoomError(f"{path.name} cannot be written: its disk is full")

    monkeypatch.setattr(working_files, "replacing_file", full)
    edited = page.edit(first["revision"], {**first["shot"], "seed": 3})
    assert any("its disk is full" in note for note in edited["notes"])
    monkeypatch.undo()
    again = page.edit(edited["revision"], {**first["shot"], "seed": 4})
    assert not [note for note in again["notes"] if "disk" in note]
    assert "seed: 4" in (page.studio.workspaces.get(str(page.id)).folder / "shot.yaml").read_text()


def test_another_server_is_told_who_holds_a_workspace(page: Page) -> None:
    folder = page.studio.workspaces.get(str(page.id)).folder
    with pytest.raises(UserError, match="another run is working in"), open_page(folder.parent, folder):
        pass
