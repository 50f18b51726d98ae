"""How well an estimator of normals does, on procedural scenes that no network was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.lab.curate.normals.estimator import NormalEstimator
from real2sam2real.lab.synth import HELD_OUT_SEEDS, SynthClip, sample_clip


@dataclass(frozen=True, kw_only=True)
class NormalsScore:
    """Angles in degrees, over the instances' pixels of all scenes."""

    scenes: int  # how many
    median: float  # angle between estimate and truth
    mean: float  # likewise
    within_11: float  # share of the pixels within 11.25 degrees
    within_30: float  # share within 30 degrees
    flicker: float  # mean change of the estimate from frame to frame along the motion
    true_flicker: float  # the same of the truth: objects do turn

    def table(self) -> str:
        """As a Markdown table."""
        return (
            "| scenes | median | mean | within 11.25° | within 30° | flicker | flicker of the truth |\n"
            "|---|---|---|---|---|---|---|\n"
            f"| {self.scenes} | {self.median:.1f}° | {self.mean:.1f}° | {self.within_11:.1%} | {self.within_30:.1%} | "
            f"{self.flicker:.2f}° | {self.true_flicker:.2f}° |\n"
        )


def angles(first: Float32, second: Float32) -> Float32:
    """Degrees between unit vectors `(..., 3)`."""
    cosine = np.clip((first * second).sum(axis=-1), -1, 1)
    return np.asarray(np.degrees(np.arccos(cosine)), np.float32)


def flicker(video: UInt8, normals: Float32, ids: UInt8) -> float:
    """Mean change of normals in degrees from a frame to the next, along the motion of the picture.

    The motion is dense inverse search flow (Kroeger et al., 2016) of the video; pixels where forward and backward
    flow disagree by more than a pixel, or that change their instance, do not count.

    Args:
        video: `(T, H, W, 3)`.
        normals: `(T, H, W, 3)`, unit length where `ids` is not 0.
        ids: `(T, H, W)`.

    Returns:
        NaN where no pixel counts.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video]
    changes = []
    for index in range(1, len(video)):
        backward = finder.calc(gray[index], gray[index - 1], None)
        forward = finder.calc(gray[index - 1], gray[index], None)
        before, inside = _sampled(normals[index - 1], backward, cv2.INTER_LINEAR)
        before_ids, _ = _sampled(ids[index - 1], backward, cv2.INTER_NEAREST)
        back_again, _ = _sampled(forward, backward, cv2.INTER_LINEAR)
        length = np.linalg.norm(before, axis=-1)
        agrees = np.linalg.norm(back_again + backward, axis=-1) < 1
        counts = inside & agrees & (ids[index] > 0) & (before_ids == ids[index]) & (length > 0.5)
        changes.append(angles(before[counts] / length[counts, None], normals[index][counts]))
    pooled = np.concatenate(changes) if changes else np.empty(0, np.float32)
    return float(pooled.mean()) if pooled.size else float("nan")


def _sampled(values: NDArray[np.generic], flow: Float32, how: int) -> tuple[NDArray[np.generic], Bool]:
    """Values where the flow points to, and whether that lies inside the picture."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32) + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return cv2.remap(values, x, y, how, borderMode=cv2.BORDER_REPLICATE), inside


def evaluate_normals(
    estimator: NormalEstimator,
    *,
    scenes: int = 32,
    frames: int = 9,
    width: int = 256,
    height: int = 144,
    on_scene: Callable[[SynthClip, Float32], None] | None = None,
) -> NormalsScore:
    """Score an estimator, given the true ids, on held-out scenes; `on_scene` sees each clip and its estimate."""
    errors, estimated_changes, true_changes = [], [], []
    for index in range(scenes):
        clip = sample_clip(HELD_OUT_SEEDS[index], width=width, height=height, frames=frames)
        estimate = estimator.estimate(clip.video, clip.ids)
        inside = clip.ids > 0
        errors.append(angles(estimate[inside], clip.normals[inside]))
        estimated_changes.append(flicker(clip.video, estimate, clip.ids))
        true_changes.append(flicker(clip.video, clip.normals, clip.ids))
        if on_scene is not None:
            on_scene(clip, estimate)
    pooled = np.concatenate(errors)
    return NormalsScore(
        scenes=scenes,
        median=float(np.median(pooled)),
        mean=float(pooled.mean()),
        within_11=float((pooled <= 11.25).mean()),
        within_30=float((pooled <= 30).mean()),
        flicker=float(np.nanmean(estimated_changes)),
        true_flicker=float(np.nanmean(true_changes)),
    )
