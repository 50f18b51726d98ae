"""Make `official_golden.npz`: what the authors' script prepares, written anew from its formulas, in NumPy alone.

Nothing of the package is imported here. Sources: `infer.py` of the authors' release; of VideoX-Fun
`calculate_dimensions`, `get_video_to_video_latent`, and `padding_resize`, `get_valid_len`, `inputs_padding`,
`get_i2v_mask` of its Wan2.2-Animate pipeline; diffusers' flow-matching Euler scheduler.
Run: python tests/diffusion/make_official_golden.py
"""

import math
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("official_golden.npz")
# Normals of these sizes; 16:9, 9:16, 4:3, 3:2, square, film, and what the package renders for them.
SIZES = (
    (1280, 720),
    (720, 1280),
    (640, 480),
    (1200, 800),
    (512, 512),
    (2048, 858),
    (1920, 1080),
    (1104, 832),
    (854, 480),
)
AREA, STEPS, SHIFT, FPS, MOST, SEGMENT, OVERLAP = 960 * 960, 25, 5.0, 16, 81, 77, 1
SMALL_AREA = 64 * 32  # of the pictures here


def sides(area: int, width: int, height: int) -> tuple[int, int]:
    wide = math.sqrt(area * (width / height))
    return round(wide / 32) * 32, round(wide / (width / height) / 32) * 32


def photo() -> np.ndarray:
    """A square one, 40 × 40."""
    y, x, c = np.meshgrid(np.arange(40), np.arange(40), np.arange(3), indexing="ij")
    return ((5 * x + 3 * y + 40 * c * (x > y) + 60) % 251).astype(np.uint8)


def normals() -> np.ndarray:
    """90 frames of 48 × 27 at 33 a second, with a background that is nearly black."""
    t, y, x, c = np.meshgrid(np.arange(90), np.arange(27), np.arange(48), np.arange(3), indexing="ij")
    inside = (x - 20 - t % 9) ** 2 + (y - 13) ** 2 < 80
    return np.where(inside, 90 + 2 * x + 3 * y * (c == 1) + t, (x + y + t) % 9).astype(np.uint8)


def bilinear(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Between the four nearest pixel centres, the border repeated; no smoothing."""

    def along(values: np.ndarray, size: int, axis: int) -> np.ndarray:
        old = values.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.minimum(np.floor(at).astype(int), max(0, old - 2))
        share = (at - low).reshape([-1 if k == axis else 1 for k in range(values.ndim)])
        high = np.minimum(low + 1, old - 1)
        return np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share

    return np.rint(along(along(picture.astype(float), width, 1), height, 0)).astype(np.uint8)


def padded(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    rows, columns = picture.shape[:2]
    result = np.zeros((height, width, 3), np.uint8)
    if rows / columns > height / width:
        inner = int(height / rows * columns)
        left = int((width - inner) / 2)
        result[:, left : left + inner] = bilinear(picture, inner, height)
    else:
        inner = int(width / columns * rows)
        top = int((height - inner) / 2)
        result[top : top + inner] = bilinear(picture, width, inner)
    return result


def noise_levels() -> np.ndarray:
    """Of the scheduler: shifted once when it is made, for its smallest level, and once when steps are set."""

    def shifted(level: np.ndarray) -> np.ndarray:
        return SHIFT * level / (1 + (SHIFT - 1) * level)

    return np.append(shifted(np.linspace(1.0, shifted(1 / 1000), STEPS)), 0.0)


def frames_of_segments(count: int) -> np.ndarray:
    """Which frame stands where, a row a segment."""
    rest = (count - OVERLAP) % (SEGMENT - OVERLAP)
    length = count + (0 if rest == 0 else SEGMENT - OVERLAP - rest)
    order, at, step = [], 0, 1
    while len(order) < length:
        order.append(at)
        at += step
        step = -step if at in (0, count - 1) else step
    starts = range(0, length - OVERLAP, SEGMENT - OVERLAP)
    return np.array([order[start : start + SEGMENT] for start in starts])


def mask(known: int) -> np.ndarray:
    """`(4, 21)`: four channels of the photo's latent frame and of a segment's twenty."""
    frames = np.zeros(SEGMENT)
    frames[:known] = 1
    frames = np.concatenate([np.repeat(frames[:1], 4), frames[1:]])
    return np.concatenate([np.ones((4, 1)), frames.reshape(-1, 4).T], axis=1)


def main() -> None:
    video = normals()
    width, height = sides(SMALL_AREA, 48, 27)
    kept = video[:: max(1, int(33 // FPS))][:MOST]
    np.savez_compressed(
        FILE,
        sizes=np.array([(*size, *sides(AREA, *size)) for size in SIZES]),
        photo=padded(photo(), width, height),
        wide_photo=padded(photo()[:18], 32, 64),
        normals=np.stack([bilinear(frame, width, height) for frame in kept])[[0, 1, 20, len(kept) - 1]],
        normals_frames=len(kept),
        sigmas=noise_levels(),
        segments=frames_of_segments(81),
        short_segment=frames_of_segments(45),
        first_mask=mask(0),
        later_mask=mask(OVERLAP),
    )


if __name__ == "__main__":
    main()
