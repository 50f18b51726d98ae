"""How well a checkpoint follows normals, on procedural scenes that training never sees.

Every scene is made in several ways and compared with the true video, apart in the region that truly changes and in the
region that stays as in the photo (`synth.changed_region`, `synth.static_region`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from real2sam2real.arrays import Bool, Float, UInt8
from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.lab.synth import HELD_OUT_SEEDS, SynthClip, changed_region, lifted_scene, sample_clip, static_region
from real2sam2real.rendering.preview import preview_frames

PSNR_CAP = 60.0


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over scenes, in dB; a scene without such a region does not count."""

    way: str  # how the videos were made
    changed: float  # PSNR in the region that truly changes
    static: float  # PSNR in the region that stays
    changed_error: float  # standard error of `changed` over scenes
    scenes: int  # number of scenes that have a region that changes


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneResult:
    """One held-out scene: the clip, its encoded normals, and a video for each way."""

    clip: SynthClip
    normals: UInt8
    videos: dict[str, UInt8]


def psnr(video: UInt8, truth: UInt8, region: Bool) -> float:
    """Peak signal-to-noise ratio in dB over the pixels of `region` `(T, H, W)`; NaN where it is empty, at most 60."""
    if not region.any():
        return float("nan")
    error = float(np.mean((video[region].astype(np.float64) - truth[region]) ** 2))
    return PSNR_CAP if error == 0 else min(PSNR_CAP, 10 * np.log10(255**2 / error))


def evaluate_scene(
    pipeline: Any, settings: CheckpointSettings, index: int, *, frames: int, strengths: Sequence[float]
) -> SceneResult:
    """Make scene `index` of `HELD_OUT_SEEDS` in every way: from noise with and without normals, and from the preview.

    Args:
        pipeline: a loaded `Real2Sam2RealPipeline`.
        settings: of its checkpoint.
        index: of the scene.
        frames: T = 4k + 1.
        strengths: noise levels at which the preview is tried as a start.
    """
    width, height = settings.fit(16, 9)
    clip = sample_clip(HELD_OUT_SEEDS[index], width=width, height=height, frames=frames)
    normals = settings.normal_convention.encode(clip.normals, clip.ids)
    blank = np.broadcast_to(np.array(settings.normal_convention.background, np.uint8), normals.shape).copy()
    preview = np.stack(list(preview_frames(lifted_scene(clip), width=width, height=height)))

    def generate(with_normals: UInt8, **options: Any) -> UInt8:
        generator = torch.Generator().manual_seed(index)
        made: UInt8 = pipeline(clip.video[0], with_normals, generator=generator, **options)
        return made

    videos = {
        "photo repeated": np.broadcast_to(clip.video[0], clip.video.shape),
        "preview": preview,
        "from noise, normals blanked": generate(blank),
        "from noise": generate(normals),
    }
    for strength in strengths:
        videos[f"from the preview at {strength:g}"] = generate(normals, init_video=preview, strength=strength)
    return SceneResult(clip=clip, normals=normals, videos=videos)


def evaluate(
    pipeline: Any,
    settings: CheckpointSettings,
    *,
    scenes: int = 32,
    frames: int = 33,
    strengths: Sequence[float] = (0.3, 0.6),
    on_scene: Callable[[SceneResult], None] | None = None,
) -> list[Score]:
    """Scores of every way over `scenes` held-out scenes; `on_scene` sees each result (for pictures and progress)."""
    changed: dict[str, list[float]] = {}
    static: dict[str, list[float]] = {}
    for index in range(scenes):
        result = evaluate_scene(pipeline, settings, index, frames=frames, strengths=strengths)
        moved, still = changed_region(result.clip), static_region(result.clip)
        for way, video in result.videos.items():
            changed.setdefault(way, []).append(psnr(video, result.clip.video, moved))
            static.setdefault(way, []).append(psnr(video, result.clip.video, still))
        if on_scene is not None:
            on_scene(result)
    return [_score(way, np.array(changed[way]), np.array(static[way])) for way in changed]


def _score(way: str, changed: Float, static: Float) -> Score:
    counted = int(np.sum(~np.isnan(changed)))
    return Score(
        way=way,
        changed=float(np.nanmean(changed)),
        static=float(np.nanmean(static)),
        changed_error=float(np.nanstd(changed) / np.sqrt(max(1, counted))),
        scenes=counted,
    )


def table(scores: Sequence[Score]) -> str:
    """The scores as a Markdown table."""
    head = "| video | changed region, dB | static region, dB |\n|---|---|---|\n"
    rows = (f"| {s.way} | {s.changed:.2f} ± {s.changed_error:.2f} | {s.static:.2f} |\n" for s in scores)
    return head + "".join(rows)


def contact_sheet(results: Sequence[SceneResult], ways: Sequence[str], columns: int = 3) -> UInt8:
    """`(H, W, 3)` picture: scenes side by side, each at `columns` moments; rows are normals, truth, and each way."""
    scenes = []
    for result in results:
        moments = np.linspace(0, len(result.normals) - 1, columns).round().astype(int)
        strips = [result.normals, result.clip.video, *(result.videos[way] for way in ways)]
        scenes.append(np.concatenate([np.concatenate(list(strip[moments]), axis=1) for strip in strips], axis=0))
    return np.concatenate(scenes, axis=1)
