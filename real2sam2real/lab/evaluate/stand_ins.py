"""Stand-ins for learned measures of a video's quality: they need no download, and none of them is one of VBench's.

Each is classic, or takes its features from a network that comes with the package. See docs/evaluation.md for the
formulas, their sources and what they cannot tell.

Shape letters: T frames, H rows, W columns, C channels of a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.lab.evaluate.score_table import Measure
from real2sam2real.perceive.segment.nanodet import NanoDet
from real2sam2real.perceive.segment.saliency import SaliencyNet

STAND_INS = (
    Measure(name="foreground_likeness", title="foreground likeness (stand-in)", lower_is_better=False),
    Measure(name="surroundings_likeness", title="surroundings likeness (stand-in)", lower_is_better=False),
    Measure(name="interpolation", title="halfway frames (stand-in)", lower_is_better=False),
    Measure(name="warping_error", title="warping error, grey levels (stand-in)", digits=2, headline=False),
    Measure(name="blur", title="blur 0…1 (stand-in)", digits=3),
    Measure(name="noise", title="noise, grey levels (stand-in)", digits=2),
    Measure(name="clipped", title="clipped, % of the pixels (stand-in)", digits=2, headline=False),
)

_FLOW_SIDE = 640  # pixels of the longer side at which things are followed from frame to frame
_BLUR_TAPS = 9
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_MEDIAN_OF_NORMAL = 0.6745  # of the absolute values of normal noise with deviation 1
_DARKEST, _BRIGHTEST = 2, 253  # grey levels up to which, and from which on, a pixel counts as clipped


def measure_stand_ins(frames: Sequence[UInt8]) -> dict[str, float | None]:
    """Every stand-in by its name, of frames `(H, W, 3)` uint8 sRGB; None where there are too few frames."""
    grey = [np.asarray(cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY), np.float32) for frame in frames]
    foreground, surroundings = describe_frames(frames)
    small = [_at_flow_size(frame) for frame in frames]
    return {
        "foreground_likeness": likeness(foreground),
        "surroundings_likeness": likeness(surroundings),
        "interpolation": interpolation(small),
        "warping_error": warping_error(small),
        "blur": float(np.mean([blur_effect(each) for each in grey])),
        "noise": float(np.mean([noise_deviation(each) for each in grey])),
        "clipped": 100 * float(np.mean([(each <= _DARKEST) | (each >= _BRIGHTEST) for each in grey])),
    }


def likeness(features: Float) -> float | None:
    """How alike the features `(T, C)` of a video's frames are, 0…1; 1 where all are the same.

    The mean over frames of the cosines with the first frame's and with the one before, none below 0; which is how
    VBench makes its consistencies, there of features of other networks. None of a single frame.
    """
    if len(features) < 2:
        return None
    units = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    with_first = np.maximum(units[1:] @ units[0], 0)
    with_former = np.maximum((units[1:] * units[:-1]).sum(axis=1), 0)
    return float(np.minimum((with_first + with_former) / 2, 1).mean())


def describe_frames(frames: Sequence[UInt8]) -> tuple[Float, Float]:
    """Features `(T, C)` of what stands out in each frame `(H, W, 3)` uint8, and of what is around it.

    NanoDet's backbone describes each cell of its grids; U²-Net says how much each cell stands out, by which cells are
    weighed, and by the rest to 1 for the surroundings.
    """
    detector, saliency = NanoDet.load(), SaliencyNet.load()
    both = [_describe(detector.features(frame), saliency.look(frame)) for frame in frames]
    return np.stack([inside for inside, _ in both]), np.stack([around for _, around in both])


def _describe(grids: Sequence[Float32], standing_out: Float32) -> tuple[Float, Float]:
    parts: tuple[list[Float], list[Float]] = ([], [])
    for grid in grids:
        weight = cv2.resize(standing_out, grid.shape[2:0:-1], interpolation=cv2.INTER_AREA).astype(np.float64)
        for part, share in zip(parts, (weight, 1 - weight), strict=True):
            mean = (grid * share).sum(axis=(1, 2)) / max(float(share.sum()), 1e-9)
            part.append(mean / max(float(np.linalg.norm(mean)), 1e-12))  # so that both grids count alike
    return np.concatenate(parts[0]), np.concatenate(parts[1])


def interpolation(frames: Sequence[UInt8]) -> float | None:
    """How well every other frame `(H, W, 3)` uint8 is told by its two neighbours, 0…1; 1 where they tell it all.

    `1 − mean |frame − halfway frame| / 255`, as VBench's motion smoothness, which makes the halfway frame by a network.
    Here optical flow makes it. None of fewer than three frames.
    """
    if len(frames) < 3:
        return None
    flow = _flow_finder()
    apart = []
    for before, frame, after in zip(frames[:-2:2], frames[1:-1:2], frames[2::2], strict=True):
        forwards, backwards = flow(before, after), flow(after, before)
        # Flows from the middle to both ends, of flows between the ends (Jiang et al., 2018, equation 4 at t = ½).
        to_after: Float32 = np.asarray((forwards - backwards) / 4, np.float32)
        halfway = (_fetched(before, -to_after) + _fetched(after, to_after)) / 2
        apart.append(float(np.abs(frame - halfway).mean()))
    return 1 - float(np.mean(apart)) / 255


def warping_error(frames: Sequence[UInt8]) -> float | None:
    """How much the look of things changes from frame to frame `(H, W, 3)` uint8, in grey levels; 0 where nothing does.

    The mean absolute difference between a frame and the one before, brought over by optical flow, where the flows in
    both directions agree. None of a single frame, and where nothing can be followed.
    """
    flow = _flow_finder()
    apart = []
    for before, frame in pairwise(frames):
        back, forth = flow(frame, before), flow(before, frame)
        returned = _fetched(forth, back)
        gap = ((back + returned) ** 2).sum(axis=2)
        seen = gap <= 0.01 * ((back**2).sum(axis=2) + (returned**2).sum(axis=2)) + 0.5  # Sundaram et al., 2010
        if seen.any():
            apart.append(float(np.abs(frame - _fetched(before, back))[seen].mean()))
    return float(np.mean(apart)) if apart else None


def blur_effect(grey: Float32) -> float:
    """How blurred a picture `(H, W)` of grey levels is, 0…1: how little blurring it again takes away.

    Crété-Roffet et al., 2007; the worse of the two directions. A picture without any edge counts as blurred: 1.
    """
    worst = 0.0
    for axis, taps in ((0, (1, _BLUR_TAPS)), (1, (_BLUR_TAPS, 1))):
        edges = np.abs(np.diff(grey, axis=axis))
        left = np.abs(np.diff(cv2.blur(grey, taps), axis=axis))
        total = float(edges.sum(dtype=np.float64))
        lost = float(np.maximum(edges - left, 0).sum(dtype=np.float64))
        worst = max(worst, 1 - lost / total if total else 1.0)
    return worst


def noise_deviation(grey: Float32) -> float:
    """Standard deviation of the noise in a picture `(H, W)`, in its grey levels.

    Immerkær's mask (1996), which sees no plane and no edge along the axes; its responses are taken by their median, so
    that other edges count little (Donoho and Johnstone, 1994).
    """
    seen = cv2.filter2D(grey, cv2.CV_32F, _NOISE_MASK)[1:-1, 1:-1]
    if not seen.size:
        return 0.0
    return float(np.median(np.abs(seen))) / (_MEDIAN_OF_NORMAL * float(np.linalg.norm(_NOISE_MASK)))


def _at_flow_size(frame: UInt8) -> UInt8:
    height, width = frame.shape[:2]
    scale = _FLOW_SIDE / max(height, width)
    if scale >= 1:
        return frame
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _flow_finder() -> Callable[[UInt8, UInt8], Float32]:
    """Gives where each pixel of a first frame `(H, W, 3)` uint8 is in a second, `(H, W, 2)` float32 in pixels."""
    finder: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def find(first: UInt8, second: UInt8) -> Float32:
        pair = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (first, second)]
        return np.asarray(finder.calc(*pair, None), np.float32)

    return find


def _fetched(picture: Any, flow: Float32) -> Float32:
    """Values of a picture `(H, W, C)` at each pixel plus its flow `(H, W, 2)`, as float32."""
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    values = picture.astype(np.float32)
    found = cv2.remap(values, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)
