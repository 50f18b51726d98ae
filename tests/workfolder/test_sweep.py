"""What a killed process left aside goes; everything else stays."""

from pathlib import Path

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
