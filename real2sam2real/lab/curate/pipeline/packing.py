"""Finished sources to a data set: shards, manifest, pictures, data card. The same results give the same bytes."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.files import replacing_file
from real2sam2real.lab.curate.dataset import SHARDS, DatasetInfo, Sample, samples_of, shard_paths
from real2sam2real.lab.curate.overlay import outlined, write_overlay
from real2sam2real.lab.curate.pipeline.settings import CurationSettings

MANIFEST = "manifest.jsonl"
CARD = "README.md"
PICTURES = "samples"
PICTURED = 12
_MEMBERS = 4  # of a sample in a tar


def pack(folder: Path, results: Sequence[tuple[Path, Mapping[str, Any]]], shard_samples: int) -> None:
    """Write shards and manifest.

    Args:
        folder: of the data set.
        results: of the sources in order: a tar of samples (it may be empty), and the manifest's row.
        shard_samples: samples in a shard.
    """
    members = _members(path for path, row in results if row["samples"])
    for number in range(-(-sum(len(row["samples"]) for _, row in results) // shard_samples)):
        path = folder / SHARDS / f"shard-{number:06d}.tar"
        with replacing_file(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in islice(members, shard_samples * _MEMBERS):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    with replacing_file(folder / MANIFEST) as path:
        rows = (json.dumps(row, ensure_ascii=False) + "\n" for _, row in results)
        path.write_text("".join(rows), encoding="utf-8")


def show(folder: Path, info: DatasetInfo) -> None:
    """Write pictures and films of the first samples: outlines over the video beside the masked normals."""
    for _, sample in zip(range(PICTURED), _samples(folder, info), strict=False):
        film = folder / PICTURES / f"{sample.key}.mp4"
        write_overlay(film, sample.video, sample.normals, sample.ids, info.fps)
        media.write_png(film.with_suffix(".png"), _strip(sample, info))


def write_card(folder: Path, rows: Sequence[Mapping[str, Any]], info: DatasetInfo, settings: CurationSettings) -> None:
    """Write the data card."""
    with replacing_file(folder / CARD) as path:
        path.write_text(_card(rows, info, settings, _labels(folder, info)), encoding="utf-8")


def _members(paths: Iterator[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                yield member.name, b"" if content is None else content.read()


def _strip(sample: Sample, info: DatasetInfo) -> UInt8:
    """Four moments, one under the other."""
    moments = np.linspace(0, info.frames - 1, 4).round().astype(int)
    encoded = info.normal_convention.encode(sample.normals, sample.ids)
    pictures = [np.concatenate([outlined(sample.video[t], sample.ids[t]), encoded[t]], axis=1) for t in moments]
    return np.concatenate(pictures)


def _samples(folder: Path, info: DatasetInfo) -> Iterator[Sample]:
    for path in shard_paths(folder):
        yield from samples_of(path, info)


def _labels(folder: Path, info: DatasetInfo) -> Counter[str]:
    found: Counter[str] = Counter()
    for sample in _samples(folder, info):
        found.update(_present(sample))
    return found


def _present(sample: Sample) -> list[str]:
    return [sample.labels.get(int(number), "unnamed") for number in np.unique(sample.ids) if number]


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
