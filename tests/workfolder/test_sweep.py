"""What a killed process left aside goes; everything else stays, and what it took away comes back."""

import errno
import sys
from pathlib import Path
from types import ModuleType

import pytest

from real2sam2real import files
from real2sam2real.errors import NoRoomError
from real2sam2real.files import half_written, replacing_file, replacing_folder, sweep


def test_only_what_was_being_written_is_swept(tmp_path: Path) -> None:
    keep = [tmp_path / name for name in (".lock", ".notes", "clip-abcd1234.json", "deep/.lock")]
    for path in keep:
        path.parent.mkdir(exist_ok=True)
        path.write_text("kept")
    with replacing_file(tmp_path / "deep" / "a-b.json") as file, replacing_folder(tmp_path / "made") as folder:
        (folder / "x").write_text("half")
        assert half_written(tmp_path) == [folder]
        assert set(half_written(tmp_path, recursive=True)) == {folder, file}
        sweep(tmp_path)
        assert (folder.exists(), file.exists()) == (False, True)
        sweep(tmp_path, recursive=True)
        assert not file.exists()
        folder.mkdir()
        file.touch()
    assert all(path.exists() for path in keep)


@pytest.mark.parametrize("swaps", [True, False], ids=["by a swap", "by two renames"])
def test_a_folder_whose_replacing_is_killed_is_the_old_or_the_new_one(
    kills: ModuleType, swaps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swaps:
        monkeypatch.setattr(files, "_swapped", lambda *_: False)
    elif sys.platform != "linux":
        pytest.skip("Linux alone swaps two names")
    made = tmp_path / "work" / "[made]"

    def write(text: str) -> None:
        with replacing_folder(made) as folder:
            (folder / "x").write_text(text)

    write("old")
    with kills.every_kill(made.parent, tmp_path / "copies") as struck:
        write("new")
    assert struck
    missing = 0
    for kill in struck:
        kill.strike()
        missing += not made.exists()
        sweep(made.parent)
        assert list(made.parent.iterdir()) == [made], kill.step
        assert (made / "x").read_text() == "old", kill.step  # the step that gives the new one its name is the last
    assert missing == (0 if swaps else 1)


def test_a_full_disk_is_told_of_the_place_that_is_full(tmp_path: Path) -> None:
    def fill(inner: Path | None) -> str:
        with (
            pytest.raises(NoRoomError) as told,
            replacing_folder(tmp_path / "out" / "run") as folder,
            replacing_file(inner or folder / "video.mp4"),
        ):
            raise OSError(errno.ENOSPC, "No space left on device")
        return str(told.value)

    assert f"{tmp_path / 'out' / 'run'} cannot be written: its disk is full" in fill(None)
    assert f"{tmp_path / 'cache' / 'kept'} cannot be written: its disk is full" in fill(tmp_path / "cache" / "kept")
