"""Tars of plain files are read; what has other things in it is refused before it costs memory."""

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest

from real2sam2real.workfolder.archives import read_tar


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


WHOLE = tar_of((member("folder", kind=tarfile.DIRTYPE), b""), (member("a", 3), b"abc"), (member("b", 600), b"b" * 600))


def with_holes() -> bytes:
    """A file of GNU's sparse kind that says to have 8 GiB."""
    data = bytearray(tar_of((member("a", 512), b"a" * 512)))
    data[156:157], data[257:265] = b"S", b"ustar  \0"
    data[386:410], data[483:495] = b"%011o\0%011o\0" % (0, 512), b"%011o\0" % (8**11 - 1)
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def test_files_are_read_and_folders_passed_over() -> None:
    expected = [("a", b"abc"), ("b", b"b" * 600)]
    assert list(read_tar(io.BytesIO(WHOLE))) == expected
    assert list(read_tar(io.BytesIO(gzip.compress(WHOLE)), gzipped=True)) == expected


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (with_holes, "a file with holes"),
        (lambda: tar_of((member("a", kind=tarfile.LNKTYPE, link="a"), b"")), "'a' in it is a link"),
        (lambda: tar_of((member("a", kind=tarfile.SYMTYPE, link="/etc/passwd"), b"")), "'a' in it is a link"),
        (lambda: tar_of((member("a", kind=tarfile.FIFOTYPE), b"")), "a device"),
        (lambda: WHOLE[:1600], "without its end mark"),
        (lambda: WHOLE[:2100], "ends within 'b'|no whole tar"),
        (lambda: b"no tar at all" * 100, "no whole tar"),
        (lambda: gzip.compress(WHOLE), "no whole tar"),
    ],
    ids=[
        "sparse",
        "link to itself",
        "link outside",
        "pipe",
        "cut off in a header",
        "cut off in a file",
        "text",
        "packed",
    ],
)
def test_other_things_are_refused(make: Callable[[], bytes], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        list(read_tar(io.BytesIO(make())))
