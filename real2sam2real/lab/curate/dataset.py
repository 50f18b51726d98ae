"""A masked-normal data set on disk: WebDataset shards with a description beside them.

    DATASET/dataset.json              size, rate, normal convention, who estimated what, licence
    DATASET/shards/shard-000000.tar   samples; the members of one share the name up to the first dot:
        KEY.video.mkv                 `(T, H, W, 3)`, lossless
        KEY.normals.mkv               encoded normals, lossless, black where there is no instance
        KEY.ids.mkv                   instance ids, lossless, one channel
        KEY.json                      caption, labels and everything else that is known of the clip

Shards are plain tar files in the layout that `webdataset` and its like read. Members carry no times and no owners.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from real2sam2real import media
from real2sam2real.arrays import Float32, UInt8
from real2sam2real.control.normal_convention import NormalConvention, with_current_names
from real2sam2real.errors import UserError
from real2sam2real.files import existing_file, replacing_file
from real2sam2real.workfolder.archives import read_tar
from real2sam2real.workfolder.json_values import parse_json, read_json, typed
from real2sam2real.workfolder.records import WRONG_VALUES, reason_of, write_json

INFO_FILE = "dataset.json"
SHARDS = "shards"
VERSION = 1
PARTS = ("video.mkv", "normals.mkv", "ids.mkv", "json")
_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What all samples of a data set have in common.

    Raises:
        ValueError: a size, the length or the rate is not positive.
    """

    width: int  # of the frames in pixels
    height: int  # likewise
    frames: int  # T of every sample
    fps: float  # frames per second
    normal_convention: NormalConvention = field(default_factory=NormalConvention)  # of the normals' colours
    normals_by: str  # the estimator of the normals, with its version
    masks_by: str  # what found and followed the instances
    captions_by: str  # what wrote the captions
    licence: str  # of the clips, as the user gave it

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.frames) < 1 or not self.fps > 0:
            raise ValueError(f"no clip is {self.width}×{self.height}×{self.frames} at {self.fps:g} frames per second")

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(T, H, W)` of every sample."""
        return self.frames, self.height, self.width


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One clip with its instance-masked normals.

    Raises:
        ValueError: the arrays do not fit each other, or the key has other characters.
    """

    key: str  # its name; letters, digits, `_` and `-`
    video: UInt8  # `(T, H, W, 3)` uint8 sRGB
    normals: Float32  # `(T, H, W, 3)` float32, camera space right/up/towards, unit length, zero where `ids` is 0
    ids: UInt8  # `(T, H, W)` uint8, 0 = none
    caption: str  # in words
    labels: Mapping[int, str]  # of the instances, by id
    # JSON values: whatever else is known (source, seconds, quality)
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"the key '{self.key}' has characters other than letters, digits, '_' and '-'")
        shape = self.ids.shape
        if len(shape) != 3 or self.video.shape != (*shape, 3) or self.normals.shape != (*shape, 3):
            raise ValueError(
                f"{self.key}: video {self.video.shape}, normals {self.normals.shape} and ids {shape} do not fit; "
                "they must be (T, H, W, 3), (T, H, W, 3) and (T, H, W)"
            )


@dataclass(frozen=True, kw_only=True)
class _SampleText:
    """The JSON of a sample; its fields are those of `Sample`."""

    caption: str
    labels: dict[str, str]
    record: dict[str, Any]


class ShardWriter:
    """Takes the samples of one shard; made by `shard_writer`."""

    def __init__(self, tar: tarfile.TarFile, name: str, info: DatasetInfo) -> None:
        self._tar = tar
        self._name = name
        self._info = info
        self.keys: list[str] = []

    def add(self, sample: Sample) -> None:
        """Append a sample.

        Raises:
            ValueError: it has another shape than the data set, or its key is in the shard already.
        """
        if sample.ids.shape != self._info.shape:
            raise ValueError(f"{sample.key} has shape {sample.ids.shape}; the data set's clips have {self._info.shape}")
        if sample.key in self.keys:
            raise ValueError(f"{sample.key} is in {self._name} already")
        encoded = self._info.normal_convention.encode(sample.normals, sample.ids)
        with tempfile.TemporaryDirectory() as folder:
            for part, frames in (("video.mkv", sample.video), ("normals.mkv", encoded), ("ids.mkv", sample.ids)):
                media.write_lossless_video(Path(folder) / part, frames, self._info.fps)
                add_member(self._tar, f"{sample.key}.{part}", (Path(folder) / part).read_bytes())
        values = {"caption": sample.caption, "labels": dict(sample.labels), "record": dict(sample.record)}
        described = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        add_member(self._tar, f"{sample.key}.json", described.encode())
        self.keys.append(sample.key)


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Append a file to a tar, without times and owners."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a tar's files in order.

    Raises:
        ValueError: see `read_tar`.
    """
    with existing_file(path).open("rb") as file:
        yield from read_tar(file)


@contextmanager
def shard_writer(path: Path, info: DatasetInfo) -> Iterator[ShardWriter]:
    """Open a shard of a data set; the file appears, whole, when the block ends without an error."""
    with replacing_file(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        yield ShardWriter(tar, path.name, info)


def write_info(folder: Path, info: DatasetInfo) -> None:
    """Write `dataset.json`, whole or not at all."""
    values = {"format": "real2sam2real masked normals", "version": VERSION, **asdict(info)}
    write_json(folder / INFO_FILE, values, indent=1)


def read_info(folder: Path) -> DatasetInfo:
    """What `write_info` wrote.

    Raises:
        UserError: there is none, or it does not fit.
    """
    path = folder / INFO_FILE
    try:
        values = with_current_names(typed(dict, read_json(path)))
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']}, and this program reads version {VERSION}")
        return typed(DatasetInfo, {name: values[name] for name in (f.name for f in fields(DatasetInfo))})
    except FileNotFoundError as error:
        raise UserError(f"'{folder}' is no data set: it has no {INFO_FILE}; make one with: r2s2r curate") from error
    except WRONG_VALUES as error:
        raise UserError(f"{path} cannot be used ({reason_of(error)}); restore it, or curate again") from error


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a data set in order."""
    return sorted((folder / SHARDS).glob("shard-*.tar"))


def iterate_samples(folder: Path) -> Iterator[Sample]:
    """All samples of a data set, in the order of its shards; one in memory at a time.

    Raises:
        UserError: there is no data set, it is empty, or a shard is damaged (it is named, with the sample).
    """
    info = read_info(folder)
    if not shard_paths(folder):
        raise UserError(f"the data set '{folder}' has no samples yet; finish it with the r2s2r curate that began it")
    yield from samples_of(folder, info)


def samples_of(folder: Path, info: DatasetInfo) -> Iterator[Sample]:
    """The samples of a data set that has no `dataset.json` yet; see `iterate_samples`."""
    for path in shard_paths(folder):
        yield from _samples_of_shard(path, info)


def _samples_of_shard(path: Path, info: DatasetInfo) -> Iterator[Sample]:
    parts: dict[str, bytes] = {}
    key = ""
    try:
        for name, content in read_members(path):
            before, (key, _, part) = key, name.partition(".")
            if parts and key != before:
                raise ValueError(f"'{before}' ends without its {PARTS[-1]}")
            if part not in PARTS:
                raise ValueError(f"'{part[:80]}' is no part of a sample")
            parts[part] = content
            if part == PARTS[-1]:
                yield _sample(key, parts, info)
                parts = {}
    except (*WRONG_VALUES, UserError) as error:
        raise UserError(
            f"{path} is damaged at the sample '{key}' ({reason_of(error)}); delete it and curate again"
        ) from error
    if parts:
        raise UserError(f"{path} ends within the sample '{key}'; delete it and curate again")


def _sample(key: str, parts: Mapping[str, bytes], info: DatasetInfo) -> Sample:
    described = typed(_SampleText, parse_json(parts["json"], finite=True))
    with tempfile.TemporaryDirectory() as folder:
        videos = {}
        for part in PARTS[:-1]:
            (Path(folder) / part).write_bytes(parts[part])
            videos[part] = media.read_video(Path(folder) / part)
    ids = videos["ids.mkv"]
    if ids.shape != info.shape:
        raise ValueError(f"its shape is {ids.shape}, and the data set's {info.shape}")
    return Sample(
        key=key,
        video=videos["video.mkv"],
        normals=info.normal_convention.decode(videos["normals.mkv"], ids),
        ids=ids,
        caption=described.caption,
        labels={int(number): label for number, label in described.labels.items()},
        record=described.record,
    )
