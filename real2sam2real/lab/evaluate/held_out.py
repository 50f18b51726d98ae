"""How well a checkpoint follows normals, on procedural scenes that training never sees.

Every scene is made in several ways and compared with the true video, apart in the region that truly changes and in the
region that stays as in the photo (`synth.changed_region`, `synth.static_region`). Control and preview are made from the
true meshes, or from what the embedded lifter makes of the first frame.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Any

import numpy as np
import torch

from real2sam2real.arrays import Bool, Float, UInt8
from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.diffusion.finishing import coded, with_detail
from real2sam2real.lab.evaluate.perceptual import Lpips
from real2sam2real.lab.synth import HELD_OUT_SEEDS, changed_region, lifted_scene, sample_clip, static_region
from real2sam2real.lab.synth.lifted import lifted_case
from real2sam2real.lab.train.renderers import one_thread_each
from real2sam2real.rendering.preview import preview_frames

PSNR_CAP = 60.0


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over scenes, PSNR in dB; a scene without such a region does not count."""

    way: str  # how the videos were made
    changed: float  # PSNR in the region that truly changes
    static: float  # PSNR in the region that stays
    changed_error: float  # standard error of `changed` over scenes
    scenes: int  # number of scenes that have a region that changes
    lpips: float = float("nan")  # over all frames but the first; NaN where it was not asked for


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOutScene:
    """A held-out scene: the truth, and what a video of it is made from."""

    index: int  # into `HELD_OUT_SEEDS`
    truth: UInt8  # `(T, H, W, 3)`
    changed: Bool  # `(T, H, W)`, see `changed_region`
    static: Bool  # `(T, H, W)`, see `static_region`
    normals: UInt8  # `(T, H, W, 3)` encoded
    background: UInt8  # `(3,)` the colour of no instance
    preview: UInt8  # `(T, H, W, 3)`


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneResult:
    """One held-out scene, and a video for each way."""

    scene: HeldOutScene
    videos: dict[str, UInt8]


def psnr(video: UInt8, truth: UInt8, region: Bool) -> float:
    """Peak signal-to-noise ratio in dB over the pixels of `region` `(T, H, W)`; NaN where it is empty, at most 60."""
    if not region.any():
        return float("nan")
    error = float(np.mean((video[region].astype(np.float64) - truth[region]) ** 2))
    return PSNR_CAP if error == 0 else min(PSNR_CAP, 10 * np.log10(255**2 / error))


def make_scene(index: int, *, settings: CheckpointSettings, frames: int, lifted: bool) -> HeldOutScene | None:
    """Scene `index` of `HELD_OUT_SEEDS` at a checkpoint's size; None where nothing that moves can be lifted.

    Args:
        index: of the scene.
        settings: of the checkpoint.
        frames: T = 4k + 1.
        lifted: make control and preview from lifted meshes, in place of the true ones.
    """
    width, height = settings.fit(16, 9)
    clip = sample_clip(HELD_OUT_SEEDS[index], width=width, height=height, frames=frames)
    convention = settings.normal_convention
    scene = partial(
        HeldOutScene,
        index=index,
        truth=clip.video,
        changed=changed_region(clip),
        static=static_region(clip),
        background=np.array(convention.background, np.uint8),
    )
    if not lifted:
        preview = np.stack(list(preview_frames(lifted_scene(clip), width=width, height=height)))
        return scene(normals=convention.encode(clip.normals, clip.ids), preview=preview)
    case = lifted_case(clip)
    if case is None or not case.moved():
        return None
    return scene(normals=convention.encode(case.normals, case.ids), preview=case.preview())


def make_scenes(make: Callable[[int], HeldOutScene | None], workers: int) -> Iterator[HeldOutScene]:
    """The scenes in order, those left out that `make` gives None for; by so many processes, somewhat ahead."""
    if workers == 1:
        yield from (scene for scene in map(make, count()) if scene is not None)
        return
    context = multiprocessing.get_context("spawn")
    with one_thread_each(), ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[HeldOutScene | None]] = deque()
        try:
            for index in count():
                waiting.append(pool.submit(make, index))
                if len(waiting) > workers and (scene := waiting.popleft().result()) is not None:
                    yield scene
        finally:
            pool.shutdown(cancel_futures=True)


def evaluate_scene(
    pipeline: Any, scene: HeldOutScene, strengths: Sequence[float], *, detail: bool = False
) -> SceneResult:
    """Make a scene in every way: from noise with and without normals, and from the preview.

    Args:
        pipeline: a loaded `Real2Sam2RealPipeline`.
        scene: at the size of its checkpoint.
        strengths: noise levels at which the preview is tried as a start.
        detail: also with the preview's detail, as videos are finished.
    """
    photo, normals = scene.truth[0], scene.normals
    blank = np.broadcast_to(scene.background, normals.shape).copy()

    def generate(with_normals: UInt8 | None, **options: Any) -> UInt8:
        generator = torch.Generator().manual_seed(scene.index)
        made: UInt8 = pipeline(photo, with_normals, generator=generator, **options)
        return made

    videos = {
        "photo repeated": np.broadcast_to(photo, scene.truth.shape),
        "preview": scene.preview,
        "from noise, normals blanked": generate(blank),
        "from noise": generate(normals),
    }
    kept = coded(pipeline.vae, scene.preview) if detail else None
    for strength in strengths:
        way = f"from the preview at {strength:g}"
        videos[way] = generate(normals, init_video=scene.preview, strength=strength)
        if kept is not None:
            videos[f"{way}, with detail"] = with_detail(videos[way], kept, scene.preview)
    return SceneResult(scene=scene, videos=videos)


def evaluate(
    pipeline: Any,
    settings: CheckpointSettings,
    *,
    scenes: int = 32,
    frames: int = 33,
    strengths: Sequence[float] = (0.3, 0.6),
    lifted: bool = False,
    lpips: Lpips | None = None,
    workers: int = 1,
    on_scene: Callable[[SceneResult], None] | None = None,
) -> list[Score]:
    """Scores of every way over held-out scenes.

    Args:
        pipeline: a loaded `Real2Sam2RealPipeline`.
        settings: of its checkpoint.
        scenes: how many.
        frames: T = 4k + 1.
        strengths: noise levels at which the preview is tried as a start.
        lifted: see `make_scene`.
        lpips: None leaves that measure out.
        workers: processes that make the scenes.
        on_scene: sees each result (for pictures and progress).
    """
    measured: dict[str, list[tuple[float, float, float]]] = {}
    make = partial(make_scene, settings=settings, frames=frames, lifted=lifted)
    for scene in islice(make_scenes(make, workers), scenes):
        result = evaluate_scene(pipeline, scene, strengths, detail=settings.upscale)
        truth = scene.truth
        for way, video in result.videos.items():
            distance = float("nan") if lpips is None else lpips.of_videos(video[1:], truth[1:])
            regions = psnr(video, truth, scene.changed), psnr(video, truth, scene.static)
            measured.setdefault(way, []).append((*regions, distance))
        if on_scene is not None:
            on_scene(result)
    return [_score(way, np.array(values)) for way, values in measured.items()]


def _score(way: str, values: Float) -> Score:
    changed, static, lpips = values.T
    counted = int(np.sum(~np.isnan(changed)))
    return Score(
        way=way,
        changed=float(np.nanmean(changed)),
        static=float(np.nanmean(static)),
        changed_error=float(np.nanstd(changed) / np.sqrt(max(1, counted))),
        scenes=counted,
        lpips=float(lpips.mean()),
    )


def table(scores: Sequence[Score]) -> str:
    """The scores as a Markdown table."""
    with_lpips = not all(np.isnan(s.lpips) for s in scores)
    head = "| video | changed region, dB | static region, dB |" + (" LPIPS |" if with_lpips else "")
    head += "\n|---|---|---|" + ("---|" if with_lpips else "") + "\n"
    rows = (
        f"| {s.way} | {s.changed:.2f} ± {s.changed_error:.2f} | {s.static:.2f} |"
        + (f" {s.lpips:.4f} |" if with_lpips else "")
        for s in scores
    )
    return head + "".join(f"{row}\n" for row in rows)


def contact_sheet(results: Sequence[SceneResult], ways: Sequence[str], columns: int = 3) -> UInt8:
    """`(H, W, 3)` picture: scenes side by side, each at `columns` moments; rows are normals, truth, and each way."""
    scenes = []
    for result in results:
        scene = result.scene
        moments = np.linspace(0, len(scene.truth) - 1, columns).round().astype(int)
        strips = [scene.normals, scene.truth, *(result.videos[way] for way in ways)]
        scenes.append(np.concatenate([np.concatenate(list(strip[moments]), axis=1) for strip in strips], axis=0))
    return np.concatenate(scenes, axis=1)
