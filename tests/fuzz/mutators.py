"""Damage to files. A mutator takes a file's bytes and a random generator, and returns other bytes."""

import io
import json
import random
import re
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[bytes, random.Random], bytes]

DEEP = 10_000
# JSON and YAML as text, where a value is expected: of other types, out of range, without end, not to be written again.
ODD_VALUES = (
    "null", "true", "0", "-1", "1e308", "1" + "0" * 400, "1" * 5000, "NaN", "-Infinity", "1e999", '""', '"x"', "[]",
    "{}", "[null]", '"\\ud800"', '"\\u0000"', f'"{"x" * 300_000}"', "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP, f"[{'0,' * 50_000}0]", '"../../etc/passwd"', "0.5", "4294967296",
    '{"a": 1, "a": 2}',
)  # fmt: skip
# Words of tables and of text formats.
ODD_WORDS = (
    b"", b"nan", b"inf", b"-1", b"0", b"1e308", b"-1e-308", b"99999999999999999999", b"4294967295", b"x", b"\xff",
    b"1" * 5000, b"\x00", b"a b", b"\xed\xa0\x80", b"1/2/3/4", b"x" * 100_000, b"[" * DEEP, b"&a *a",
    b"!!python/name:os",
)  # fmt: skip
# Names of members of archives.
ODD_NAMES = ("", ".", "../up", "/abs.json", "a" * 90, "no-dot", "k.json.json")
_LENGTHS = (0, 1, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)


def flip(data: bytes, draw: random.Random) -> bytes:
    """Change a few bytes."""
    result = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8, 32))):
        if result:
            result[draw.randrange(len(result))] = draw.randrange(256)
    return bytes(result)


def flip_early(data: bytes, draw: random.Random) -> bytes:
    """Change a few bytes near the beginning, where headers are."""
    return flip(data[:256], draw) + data[256:]


def truncate(data: bytes, draw: random.Random) -> bytes:
    """Leave out the end, or the beginning."""
    cut = draw.randrange(len(data) + 1)
    return data[cut:] if draw.random() < 0.1 else data[:cut]


def _block(data: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(data) + 1)
    return start, min(len(data), start + draw.choice((1, 4, 16, 64, 512, 4096)))


def repeat(data: bytes, draw: random.Random) -> bytes:
    """Let a block stand twice, or very often."""
    start, end = _block(data, draw)
    return data[:end] + data[start:end] * draw.choice((1, 1, 3, 100)) + data[end:]


def remove(data: bytes, draw: random.Random) -> bytes:
    """Leave a block out."""
    start, end = _block(data, draw)
    return data[:start] + data[end:]


def splice(data: bytes, draw: random.Random) -> bytes:
    """Put a block where another was."""
    (start, end), to = _block(data, draw), draw.randrange(len(data) + 1)
    return data[:to] + data[start:end] + data[to + end - start :]


def set_length(data: bytes, draw: random.Random) -> bytes:
    """Put a number that is a bad length or count where four or eight bytes were, mostly near the beginning."""
    size = draw.choice((2, 4, 4, 8))
    if len(data) < size:
        return data
    at = draw.randrange(min(len(data) - size, draw.choice((64, 512, 1 << 30))) + 1)
    value = (draw.choice(_LENGTHS) & ((1 << 8 * size) - 1)).to_bytes(size, draw.choice(("little", "big")))
    return data[:at] + value + data[at + size :]


def replace_word(data: bytes, draw: random.Random) -> bytes:
    """Put an odd word where a word or number was."""
    words = list(re.finditer(rb"[^\s,;:=()\[\]{}\"']+", data))
    if not words:
        return draw.choice(ODD_WORDS)
    word = draw.choice(words)
    return data[: word.start()] + draw.choice(ODD_WORDS) + data[word.end() :]


def change_lines(data: bytes, draw: random.Random) -> bytes:
    """Leave a line out, let it stand twice, move it elsewhere, or indent it."""
    lines = data.splitlines(keepends=True) or [b""]
    at = draw.randrange(len(lines))
    line = lines[at]
    lines[at : at + 1] = draw.choice(([], [line, line], [line] * 1000, [b"  " + line], [line.lstrip()]))
    if draw.random() < 0.3:
        lines.insert(draw.randrange(len(lines) + 1), line)
    return b"".join(lines)


def replace_scalar(data: bytes, draw: random.Random) -> bytes:
    """Put an odd value after the colon or dash of a YAML line."""
    values = list(re.finditer(rb"(?<=[:\-]) +[^\n]*", data))
    if not values:
        return data
    value = draw.choice(values)
    return data[: value.start()] + b" " + draw.choice(ODD_VALUES).encode() + data[value.end() :]


def json_value(data: bytes, draw: random.Random) -> bytes:
    """Damage one place of a JSON text, or of one of the JSON texts that stand a line each; else of bytes."""
    try:
        return (_damaged(json.loads(data), draw) + "\n" * data.endswith(b"\n")).encode()
    except ValueError:
        lines = data.splitlines(keepends=True) or [b""]
    at = draw.randrange(len(lines))
    try:
        lines[at] = _damaged(json.loads(lines[at]), draw).encode() + b"\n"
    except ValueError:
        return flip(data, draw)
    return b"".join(lines)


def _damaged(root: Any, draw: random.Random) -> str:
    """The text of JSON values with an odd value in one place, or a key missing, twice or another."""
    holder = [root]
    places = list(_places(holder))
    inside, key = draw.choice(places)
    odd, mark = draw.choice(ODD_VALUES), "@here@"
    how = draw.choice(("value", "value", "value", "missing", "double", "swap", "wrap", "rename"))
    if how == "missing" and inside is not holder:
        del inside[key]
    elif how == "double" and isinstance(inside, dict):
        inside[mark] = inside[key]
        return json.dumps(holder[0]).replace(f'"{mark}"', json.dumps(key))
    elif how == "rename" and isinstance(inside, dict):
        inside[draw.choice(("", "\ud800", "x", "a" * 10_000))] = inside.pop(key)
    elif how == "swap":
        other, name = draw.choice(places)
        inside[key] = json.loads(json.dumps(other[name]))
    elif how == "wrap":
        inside[key] = draw.choice(([inside[key]], {"a": inside[key]}, [inside[key]] * 3))
    else:
        inside[key] = mark
    return json.dumps(holder[0]).replace(f'"{mark}"', odd)


def _places(value: Any) -> Any:
    """Where values are: what holds each, and its index or key there."""
    keys = value.keys() if isinstance(value, dict) else range(min(len(value), 50))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def tar_members(inner: Sequence[Mutator]) -> Mutator:
    """Damage a tar: of a member its content (by `inner`), name, size, kind or place; checksums stay right."""

    def mutate(data: bytes, draw: random.Random) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = [(m, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
        at = draw.randrange(len(members))
        member, content = members[at]
        how = draw.choice(("content", "content", "name", "link", "kind", "sparse", "size", "missing", "twice", "order"))
        if how == "content":
            members[at] = (member, draw.choice(inner)(content, draw))
        elif how == "name":
            member.name = draw.choice(
                ("", ".", "../up", "/abs.json", "a" * 90, "no-dot", "k.json.json", members[0][0].name)
            )
        elif how == "link":
            member.type, member.linkname = draw.choice((tarfile.LNKTYPE, tarfile.SYMTYPE)), draw.choice(members)[0].name
        elif how == "kind":
            member.type = draw.choice(
                (tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.CONTTYPE, b"x", b"L")
            )
        elif how == "sparse":
            return _sparse(members, at, draw)
        elif how == "size":
            return _with_size(data, draw)
        elif how == "missing":
            del members[at]
        elif how == "twice":
            members.append((member, content))
        else:
            draw.shuffle(members)
        return _packed(members)

    return mutate


def _packed(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in members:
            member.size = len(content) if member.type not in (tarfile.LNKTYPE, tarfile.SYMTYPE) else 0
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _sparse(members: Sequence[tuple[tarfile.TarInfo, bytes]], at: int, draw: random.Random) -> bytes:
    """A tar with a member in GNU's sparse format, whose true size is said to be huge."""
    data = bytearray(_packed(members))
    offset = sum(512 + -(-len(content) // 512) * 512 for _, content in members[:at])
    data[offset + 156 : offset + 157] = b"S"
    data[offset + 257 : offset + 265] = b"ustar  \0"
    size = draw.choice((1 << 20, 1 << 33, (1 << 36) - 1))
    data[offset + 386 : offset + 410] = b"%011o\0%011o\0" % (0, len(members[at][1]))
    data[offset + 483 : offset + 495] = b"%011o\0" % min(size, 8**11 - 1)
    return _with_checksum(data, offset)


def _with_size(data: bytes, draw: random.Random) -> bytes:
    """A tar whose first member, or another, has a wrong size in its header."""
    headers = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    at, result = draw.choice(headers), bytearray(data)
    size = draw.choice(
        (b"%011o\0" % draw.choice((0, 1, 511, 513, 8**11 - 1)), b"\x80" + b"\xff" * 11, b"-0000000001\0")
    )
    result[at + 124 : at + 136] = size
    return _with_checksum(result, at)


def _with_checksum(data: bytearray, at: int) -> bytes:
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def zip_members(inner: Sequence[Mutator]) -> Mutator:
    """Damage a zip (also NPZ, `.pt`): a member's content (by `inner`), its name, or that it is there."""

    def mutate(data: bytes, draw: random.Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = [(info, file.read(info)) for info in file.infolist()]
        at = draw.randrange(len(members))
        info, content = members[at]
        how = draw.choice(("content", "content", "content", "missing", "twice", "name"))
        if how == "content":
            members[at] = (info, draw.choice(inner)(content, draw))
        elif how == "missing":
            del members[at]
        elif how == "twice":
            members.append((info, content))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            for number, (entry, inside) in enumerate(members):
                name = "other" if how == "name" and number == at else entry.filename
                file.writestr(zipfile.ZipInfo(name), inside, compress_type=entry.compress_type)
        return packed.getvalue()

    return mutate


def json_header(data: bytes, draw: random.Random) -> bytes:
    """Damage the JSON header of a safetensors file, whose length stays right."""
    length = int.from_bytes(data[:8], "little")
    header = json_value(data[8 : 8 + length], draw)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


BYTES: tuple[Mutator, ...] = (flip, flip_early, truncate, repeat, remove, splice, set_length)
TEXT: tuple[Mutator, ...] = (replace_word, replace_word, change_lines, flip, truncate, repeat, splice)
JSON: tuple[Mutator, ...] = (json_value, json_value, json_value, json_value, replace_word, flip, truncate, repeat)
YAML: tuple[Mutator, ...] = (replace_scalar, replace_scalar, replace_word, change_lines, flip, truncate, repeat)
