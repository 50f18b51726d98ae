"""NumPy files of strangers: right numbers, or one clear word, and never more memory than is allowed."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.media.numpy_files import ALONE, array_names, read_arrays

VALUES = np.arange(12, dtype=np.float64).reshape(3, 4)


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize("values", [VALUES.T, VALUES.astype(">f4"), VALUES[:0], np.array(3.5), np.array(["a", "bc"])])
def test_arrays_of_any_make_are_read_and_may_be_changed(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    np.savez_compressed(tmp_path / "b.npz", one=values, two=VALUES)
    alone = read_arrays(tmp_path / "a.npy", "map", most_bytes=1000)[ALONE]
    packed = read_arrays(tmp_path / "b.npz", "map", most_bytes=1000, names=("one",))
    assert list(packed) == ["one"]
    for read in (alone, packed["one"]):
        assert read.dtype == values.dtype
        assert np.array_equal(read, values)
        read[...] = read


def test_what_an_archive_holds_beside_arrays_is_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("depth.npy", npy(VALUES))
        archive.writestr("README", "not an array")
    assert list(read_arrays(tmp_path / "a.npz", "map", most_bytes=1000)) == ["depth"]


HEADER = npy(np.zeros(1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEADER.replace(b"(1,), ", b"(99999999999,)"[:6]), "cannot be read"),
        (HEADER.replace(b"'shape': (1,)", b"'shape': (-1)"), "cannot be read"),
        (HEADER.replace(b"{'descr'", b"('descr'"), "cannot be read"),
        (HEADER.replace(b"'shape': (1,), }        ", b"'shape': (9**9,), }     "), "cannot be read"),
        (HEADER.replace(b"'shape': (1,), }          ", b"'shape': (9999999999,), } "[:26]), "would take 80000 MB"),
        (HEADER[:-4], "needs 8 bytes"),
        (HEADER[:20], "cannot be read"),
        (npy(np.array([{"a": 1}], dtype=object)), "pickled Python objects"),
        (b"", "cannot be read"),
        (b"PK\x03\x04 no archive", "cannot be read"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_damaged_or_too_large_is_refused(tmp_path: Path, data: bytes, message: str, packed: bool) -> None:
    path = tmp_path / "odd.npz"
    path.write_bytes(data)
    if packed:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.npy", data)
    with pytest.raises(UserError, match=rf"odd\.npz: .*{message}"):
        read_arrays(path, "map", most_bytes=10_000)


def test_what_else_an_archive_holds_does_not_matter(tmp_path: Path) -> None:
    depth = np.arange(12.0).reshape(3, 4)
    np.savez(tmp_path / "a.npz", depth=depth, meta=np.array({"lens": 50}, dtype=object))
    assert array_names(tmp_path / "a.npz") == ["depth", "meta"]
    found = read_arrays(tmp_path / "a.npz", "depth map", most_bytes=1000, names=("depth",))
    assert list(found) == ["depth"]
    assert np.array_equal(found["depth"], depth)
