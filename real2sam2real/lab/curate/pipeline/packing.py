"""Finished sources to a data set: shards, manifest, pictures, data card. The same results give the same bytes."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file
from real2sam2real.lab.curate.dataset import PARTS, SHARDS, DatasetInfo, Sample, add_member, read_members, samples_of
from real2sam2real.lab.curate.pipeline.settings import CurationSettings
from real2sam2real.perceive.segment.overlay import mask_color
from real2sam2real.workfolder.records import write_lines

MANIFEST = "manifest.jsonl"
CARD = "README.md"
PICTURES = "samples"
PICTURED = 12


def pack(folder: Path, results: Sequence[tuple[Path, Mapping[str, Any]]], shard_samples: int) -> None:
    """Write shards and manifest, from each source's tar of samples (it may be empty) and row of the manifest."""
    members = chain.from_iterable(_members(path) for path, row in results if row["samples"])
    for number in range(-(-sum(len(row["samples"]) for _, row in results) // shard_samples)):
        path = folder / SHARDS / f"shard-{number:06d}.tar"
        with replacing_file(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in islice(members, shard_samples * len(PARTS)):
                add_member(tar, name, content)
    write_lines(folder / MANIFEST, (row for _, row in results))


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        yield from read_members(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); delete {path.with_suffix('.json')}, and run again") from error


def show(folder: Path, info: DatasetInfo) -> None:
    """Write pictures and films of the first samples: outlines over the video beside the masked normals."""
    for _, sample in zip(range(PICTURED), samples_of(folder, info), strict=False):
        film = folder / PICTURES / f"{sample.key}.mp4"
        write_overlay(film, sample.video, sample.normals, sample.ids, info.fps)
        media.write_png(film.with_suffix(".png"), _strip(sample, info))


def write_card(folder: Path, rows: Sequence[Mapping[str, Any]], info: DatasetInfo, settings: CurationSettings) -> None:
    """Write the data card."""
    with replacing_file(folder / CARD) as path:
        path.write_text(_card(rows, info, settings, _labels(folder, info)), encoding="utf-8")


def write_overlay(path: Path, video: UInt8, normals: Float32, ids: UInt8, fps: float) -> None:
    """Write the clip as `.mp4`, its instances outlined in colours of their own, beside its normals.

    Args:
        path: the file to write.
        video: `(T, H, W, 3)` uint8 sRGB.
        normals: `(T, H, W, 3)` float32, unit length, right/up/towards; shown as colours, black where `ids` is 0.
        ids: `(T, H, W)` uint8, 0 where there is no instance.
        fps: frames per second.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if video.shape != normals.shape or video.shape[:3] != ids.shape:
        raise ValueError(f"video {video.shape}, normals {normals.shape} and ids {ids.shape} are not of one clip")
    media.write_video(path, _overlaid(video, normals, ids), fps)


def outlined(picture: UInt8, ids: UInt8) -> UInt8:
    """A frame `(H, W, 3)` uint8 with the instances of `ids` `(H, W)` uint8 outlined; 0 is none."""
    result = picture.copy()
    thickness = max(1, round(max(ids.shape) / 480))
    for number in np.unique(ids[ids > 0]):
        mask, color = ids == number, mask_color(int(number) - 1)
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(result, edges, -1, color, thickness)
    return result


def _overlaid(video: UInt8, normals: Float32, ids: UInt8) -> Iterator[UInt8]:
    for picture, directions, numbers in zip(video, normals, ids, strict=True):
        colors = np.clip(np.round(127.5 * (directions + 1)), 0, 255).astype(np.uint8)
        colors[numbers == 0] = 0
        yield np.concatenate([outlined(picture, numbers), colors], axis=1)


def _strip(sample: Sample, info: DatasetInfo) -> UInt8:
    """Four moments, one under the other."""
    moments = np.linspace(0, info.frames - 1, 4).round().astype(int)
    encoded = info.normal_convention.encode(sample.normals, sample.ids)
    pictures = [np.concatenate([outlined(sample.video[t], sample.ids[t]), encoded[t]], axis=1) for t in moments]
    return np.concatenate(pictures)


def _labels(folder: Path, info: DatasetInfo) -> Counter[str]:
    found: Counter[str] = Counter()
    for sample in samples_of(folder, info):
        found.update(sample.labels.get(int(number), "unnamed") for number in np.unique(sample.ids) if number)
    return found


def _card(
    rows: Sequence[Mapping[str, Any]], info: DatasetInfo, settings: CurationSettings, labels: Counter[str]
) -> str:
    statuses = Counter(row["status"] for row in rows)
    samples = sum(len(row["samples"]) for row in rows)
    reasons = Counter(_kind(reason) for row in rows for reason in row["reasons"])
    seconds = samples * info.frames / info.fps
    lines = [
        "# Masked-normal data set",
        "",
        "Videos with the surface normals of their instances, for fine-tuning with `r2s2r train adapter`.",
        "",
        "| | |",
        "|---|---|",
        f"| licence of the sources, as given | {info.licence} |",
        f"| samples | {samples}, {seconds:.1f} s in all |",
        f"| each | {info.width}×{info.height}, {info.frames} frames at {info.fps:g} per second |",
        f"| sources | {len(rows)}: {', '.join(f'{statuses[s]} {s}' for s in ('kept', 'dropped', 'failed'))} |",
        f"| instances by | {info.masks_by} |",
        f"| normals by | {info.normals_by}; red, green, blue are {', '.join(info.normal_convention.directions)} |",
        f"| captions by | {info.captions_by} |",
        f"| shots | {settings.shots} |",
        "",
        "`manifest.jsonl` has a row for each source, with the reasons of what was dropped. `shards/` are WebDataset",
        "tars; `samples/` shows the first samples.",
        "",
        "## Instances",
        "",
        *(f"- {label}: {count}" for label, count in sorted(labels.items(), key=lambda item: (-item[1], item[0]))[:40]),
        "",
        "## Why clips were dropped",
        "",
        *(f"- {kind}: {count}" for kind, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        *(["- none was"] if not reasons else []),
        "",
    ]
    return "\n".join(lines)


def _kind(reason: str) -> str:
    """A reason without what is special to one clip: `KEY: static: 0.1 % …` is `static`."""
    parts = [part.strip() for part in reason.split(":")]
    named = [part for part in parts[:-1] if not part[:6].isdigit() and not part.startswith("shot ")]
    if named:
        return named[0]
    return "instances too small, too large or hardly seen" if "'" in parts[-1] else parts[-1].split(",")[0]
