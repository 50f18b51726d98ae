"""The paper's ablation on procedural scenes: variants of fine-tuning, controlled by normals of lifted meshes.

Every variant makes the same held-out cases from the same noise. Silhouettes of generated objects are found as those of
filmed ones are: by following the photo's mask through the video (`curate.instances`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from real2sam2real.arrays import UInt8
from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.diffusion.finishing import coded, with_detail
from real2sam2real.lab.curate.instances.interface import InstancePrompt, InstanceTracker
from real2sam2real.lab.evaluate.held_out import psnr
from real2sam2real.lab.evaluate.perceptual import Lpips
from real2sam2real.lab.synth import HELD_OUT_SEEDS, changed_region, sample_clip, static_region
from real2sam2real.lab.synth.lifted import LiftedCase, lifted_case
from real2sam2real.workfolder.records import read_lines, write_lines

INTERVAL = 1.96
"""Standard errors to either side of a mean that 95 % of such intervals hold the true one within."""

PREVIEW = "the preview"
"""The variant that is no checkpoint."""


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """One variant on one case; NaN where the case has nothing to measure."""

    case: int  # index into `HELD_OUT_SEEDS`
    variant: str  # its name
    psnr: float  # in dB, over all pixels and frames but the first
    lpips: float  # over the same frames; NaN where it was not asked for
    changed: float  # PSNR in the region that truly changes
    static: float  # PSNR in the region that stays
    # mean intersection over union of the moved objects' silhouettes with the true ones, over the last half
    overlap: float
    drift: float  # mean absolute change from frame to frame, of 255, in the region that stays


MEASURES = {
    "psnr": "PSNR, dB",
    "lpips": "LPIPS",
    "changed": "PSNR where it changes, dB",
    "overlap": "IoU of moved objects",
    "static": "PSNR where it stays, dB",
    "drift": "flicker of the background, of 255",
}


def make(pipeline: Any, settings: CheckpointSettings, case: LiftedCase, *, seed: int, preview: UInt8 | None) -> UInt8:
    """A case's video `(T, H, W, 3)` by one pipeline, from noise or from the preview at the checkpoint's strength.

    With the preview's detail, where the checkpoint's videos are finished so.
    """
    start: dict[str, Any] = {} if preview is None else {"init_video": preview, "strength": settings.strength}
    made: UInt8 = pipeline(
        case.clip.video[0],
        settings.normal_convention.encode(case.normals, case.ids),
        generator=torch.Generator().manual_seed(seed),
        **start,
    )
    return made if preview is None or not settings.upscale else with_detail(made, coded(pipeline.vae, preview), preview)


def score(
    video: UInt8, case: LiftedCase, tracker: InstanceTracker, lpips: Lpips | None = None, *, index: int, variant: str
) -> CaseScore:
    """Measure one video against the truth; without `lpips` that measure is left out."""
    truth = case.clip.video
    later = np.ones(truth.shape[:3], bool)
    later[0] = False
    still = static_region(case.clip)
    both = still[1:] & still[:-1]
    change = np.abs(video[1:].astype(np.int16) - video[:-1]).mean(axis=-1)
    return CaseScore(
        case=index,
        variant=variant,
        psnr=psnr(video, truth, later),
        lpips=float("nan") if lpips is None else lpips.of_videos(video[1:], truth[1:]),
        changed=psnr(video, truth, changed_region(case.clip)),
        static=psnr(video, truth, still),
        overlap=silhouette_overlap(video, case, tracker),
        drift=float(change[both].mean()) if both.any() else float("nan"),
    )


def silhouette_overlap(video: UInt8, case: LiftedCase, tracker: InstanceTracker) -> float:
    """Mean overlap of the moved objects, followed through `video`, with where they truly are; NaN if none moves."""
    moved = case.moved()
    if not moved:
        return float("nan")
    prompts = [InstancePrompt(label=str(number), frame=0, mask=case.clip.ids[0] == number) for number in case.numbers]
    followed = tracker.track(video, prompts)
    by_label = {label: number for number, label in followed.labels.items()}
    half = len(video) // 2
    overlaps = []
    for number in moved:
        seen = followed.ids[half:] == by_label.get(str(number), 255)
        truth = case.clip.ids[half:] == number
        shown = truth.any(axis=(1, 2))  # frames in which it is hidden or outside measure nothing
        union = np.count_nonzero(seen | truth, axis=(1, 2))[shown]
        overlaps.append(float((np.count_nonzero(seen & truth, axis=(1, 2))[shown] / union).mean()))
    return float(np.mean(overlaps))


def evaluate_variants(
    variants: Mapping[str, tuple[Any, CheckpointSettings]],
    tracker: InstanceTracker,
    lpips: Lpips | None,
    folder: Path,
    *,
    cases: int = 64,
    frames: int = 33,
    from_preview: bool = False,
    on_case: Callable[[LiftedCase, dict[str, UInt8]], None] | None = None,
) -> list[CaseScore]:
    """Score every variant on the first `cases` held-out clips in which a liftable object moves.

    Args:
        variants: pipelines with their settings, by name; all of one clip size.
        tracker: see `silhouette_overlap`.
        lpips: None leaves that measure out.
        folder: `cases.jsonl` there holds what is measured; a later call goes on behind it.
        cases: how many.
        frames: T = 4k + 1.
        from_preview: start from the preview in place of noise, and score the preview itself too, as one more variant.
        on_case: sees each new case and its videos.
    """
    path = folder / "cases.jsonl"
    names = {f.name for f in fields(CaseScore)}
    rows = [row for row in read_lines(path) if isinstance(row, dict)]
    done = [CaseScore(**row) for row in rows if set(row) == names]
    settings = next(iter(variants.values()))[1]
    width, height = settings.fit(16, 9)
    wanted = {*variants, PREVIEW} if from_preview else {*variants}
    counted, index = 0, -1
    while counted < cases:
        index += 1
        known = {s.variant for s in done if s.case == index}
        if known >= wanted:
            counted += 1
            continue
        case = lifted_case(sample_clip(HELD_OUT_SEEDS[index], width=width, height=height, frames=frames))
        if case is None or not case.moved():
            continue
        preview = case.preview() if from_preview else None
        videos = {
            name: make(pipeline, own, case, seed=index, preview=preview) for name, (pipeline, own) in variants.items()
        }
        if preview is not None:
            videos[PREVIEW] = preview
        scores = [score(video, case, tracker, lpips, index=index, variant=name) for name, video in videos.items()]
        done = [s for s in done if s.case != index] + scores
        write_lines(path, map(asdict, done))
        counted += 1
        if on_case is not None:
            on_case(case, videos)
    return [s for s in done if s.variant in wanted and s.case <= index]


def table(scores: Sequence[CaseScore]) -> str:
    """Means with 95 % confidence intervals, a row per variant, as Markdown."""
    variants = dict.fromkeys(s.variant for s in scores)
    cells = {name: [_cell([getattr(s, m) for s in scores if s.variant == name]) for m in MEASURES] for name in variants}
    return _markdown("variant", cells)


def differences(scores: Sequence[CaseScore], reference: str) -> str:
    """By how much `reference` exceeds each other variant, case by case: mean with its 95 % interval, as Markdown."""
    own = {s.case: s for s in scores if s.variant == reference}
    cells = {}
    for name in dict.fromkeys(s.variant for s in scores if s.variant != reference):
        pairs = [(own[s.case], s) for s in scores if s.variant == name and s.case in own]
        cells[name] = [_cell([getattr(a, m) - getattr(b, m) for a, b in pairs], sign="+") for m in MEASURES]
    return _markdown(f"{reference} minus", cells)


def _markdown(first: str, rows: Mapping[str, Sequence[str]]) -> str:
    head = f"| {first} | " + " | ".join(MEASURES.values()) + " |\n|---|" + "---|" * len(MEASURES) + "\n"
    return head + "".join(f"| {name} | " + " | ".join(cells) + " |\n" for name, cells in rows.items())


def _cell(values: Sequence[float], *, sign: str = "") -> str:
    known = np.array([v for v in values if not np.isnan(v)])
    if len(known) < 2:
        return "–"
    error = INTERVAL * float(known.std(ddof=1)) / np.sqrt(len(known))
    return f"{known.mean():{sign}.3f} ± {error:.3f}"
