"""A fingerprint changes with, and only with, what decides a result."""

import os
from pathlib import Path

from real2sam2real.files import replacing_folder
from real2sam2real.workfolder import fingerprint as fp


def test_code_version_tells_rooms_apart() -> None:
    assert fp.code_version(("scene",)) != fp.code_version(("scene", "geometry"))


def test_digest_of_a_folder_sees_names_and_contents(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "a") as folder:
        (folder / "x").write_text("1")
    before = fp.digest(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    renamed = fp.digest(tmp_path / "a")
    (tmp_path / "a" / "y").write_text("2")
    assert len({before, renamed, fp.digest(tmp_path / "a")}) == 3


def test_a_stamp_fits_the_same_content_at_another_time(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("one")
    stamp = fp.Stamp.of(path)
    os.utime(path, ns=(0, 0))
    assert stamp.fits(path)
    path.write_text("two")
    assert not stamp.fits(path)
    path.unlink()
    assert not stamp.fits(path)
