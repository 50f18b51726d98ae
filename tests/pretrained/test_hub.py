"""Files and folders of models: at paths, in the hub's cache, and what is said where they are missing."""

from pathlib import Path

import pytest

from real2sam2real.errors import MissingPartError
from real2sam2real.pretrained.hub import (
    cached_file,
    fetch_folder,
    file_from_environment,
    find_file,
    find_folder,
    split_id,
)

REPO = "someone/some-sam"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a `model.pt` and a `config.json` in the hub's cache, laid out as huggingface_hub does."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    home = tmp_path / "hub" / f"models--{REPO.replace('/', '--')}"
    snapshot = home / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123")
    for name in ("model.pt", "config.json"):
        (snapshot / name).write_text(name)
    return snapshot


def test_what_lies_here_is_taken(tmp_path: Path) -> None:
    assert find_folder(tmp_path) == tmp_path
    (tmp_path / "model.pt").touch()
    assert find_file(tmp_path, "model.pt") == tmp_path / "model.pt"
    assert find_file(str(tmp_path / "model.pt"), "other.pt") == tmp_path / "model.pt"


def test_offline_uses_the_cache(cached: Path) -> None:
    assert find_folder(REPO, offline=True) == cached
    assert find_file(REPO, "model.pt", offline=True) == cached / "model.pt"
    assert find_file(f"{REPO}/config.json", "model.pt", offline=True) == cached / "config.json"
    assert cached_file(REPO, "model.pt") == cached / "model.pt"
    assert cached_file(REPO, "other.pt") is None
    assert cached_file("someone/else", "model.pt") is None


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~nobody", "one", "a/b/c"])
def test_what_is_no_folder_and_no_name_is_refused(name: str) -> None:
    with pytest.raises(MissingPartError, match=r"there is no folder .* \(those are owner/name\)\. Ask Ada\.$"):
        find_folder(name, offline=True, hint="Ask Ada.")


def test_what_is_no_file_and_no_name_is_refused(tmp_path: Path) -> None:
    for name in ("./nowhere.pt", str(tmp_path)):
        with pytest.raises(MissingPartError, match=r"is no file and holds no model\.pt"):
            find_file(name, "model.pt", offline=True)


@pytest.mark.usefixtures("cached")
def test_offline_says_how_to_download() -> None:
    command = r"no download was allowed.*hf download someone/other --exclude '\*\.pt'\. It is 1 GB\."
    with pytest.raises(MissingPartError, match=command):
        find_folder("someone/other", offline=True, hint="It is 1 GB.")
    with pytest.raises(MissingPartError, match=r"hf download someone/other model\.pt$"):
        find_file("someone/other", "model.pt", offline=True)


def test_a_failure_on_the_way_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(repo: str, **_: object) -> str:
        raise OSError("\nthe disk is full\nat byte 5")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(MissingPartError, match=r"failed: the disk is full\. To try it alone: hf download a/b$"):
        fetch_folder("a/b", files=["*"])


def test_only_what_is_read_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, object] = {}

    def fetch(repo: str, **options: object) -> str:
        asked.update(options, repo=repo)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert find_folder("a/b", files=["*.json"], ignore=["x/*"]) == tmp_path
    assert asked == {
        "repo": "a/b", "allow_patterns": ["*.json"], "ignore_patterns": ["x/*"], "local_files_only": False,
    }  # fmt: skip


def test_a_variable_names_a_file_or_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOME_WEIGHTS", raising=False)
    assert file_from_environment("SOME_WEIGHTS", ["a.pt", "b.pt"]) is None
    (tmp_path / "b.pt").touch()
    for value in (tmp_path, tmp_path / "b.pt"):
        monkeypatch.setenv("SOME_WEIGHTS", str(value))
        assert file_from_environment("SOME_WEIGHTS", ["a.pt", "b.pt"]) == tmp_path / "b.pt"
    (tmp_path / "b.pt").unlink()
    with pytest.raises(MissingPartError, match=r"variable SOME_WEIGHTS names .* no file .* a\.pt or b\.pt"):
        file_from_environment("SOME_WEIGHTS", ["a.pt", "b.pt"])


def test_names_of_the_hub() -> None:
    assert split_id("a/b") == ("a/b", None)
    assert split_id("a/b/c/d.gguf") == ("a/b", "c/d.gguf")
    for name in ("one", "./a/b", "/a/b", "~/a", "a b/c"):
        assert split_id(name) is None
