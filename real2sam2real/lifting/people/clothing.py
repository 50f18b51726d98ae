"""Hair and clothes: a body inflated until it is seen as its mask.

The body's outline in the photo is carried to the mask's, and the surface between follows as smoothly as it can: first
along its normals, so that a coat is as thick in depth as it is across, then across the picture, for what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from scipy.spatial import cKDTree

from real2sam2real.arrays import Bool, Float, Int, Int32, Mask
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.outline import cut_out
from real2sam2real.lifting.people.surface import BodySurface
from real2sam2real.mesh import Mesh

WINDOW_SIDE = 640  # pixels of the longer side of the picture that outlines are compared in
INFLATING_ROUNDS, SNAPPING_ROUNDS = 3, 3
REACH = 0.22  # of the window's side: how far hair and clothes go beyond the body
GRAZING = 0.5  # cosine: normals that lie that much across the line of sight can be on the outline
NEAR_OUTLINE = 2.5  # pixels of the window
STIFF, LOOSE = 4.0, 0.5  # how smooth offsets along normals and across the picture are
BARE_REACH = 0.015  # of the window's side: how far hands and face may be drawn to an outline, which may be a sleeve's
DRAPE_ROUNDS = 30  # of smoothing: cloth does not show what is finer
THIN_CLOTH, THICK_CLOTH = 0.6, 0.04  # share of that smoothing without any thickness, and metres of thickness for all
THICKNESS = (-0.03, 0.25)  # metres of hair and clothes


@dataclass(frozen=True, kw_only=True, eq=False)
class ClothTarget:
    """The mask in a window of the photo."""

    mask: Mask  # `(h, w)` bool
    hidden: Mask  # `(h, w)` bool: by others, so that the mask's end beside it is not its outline
    beyond: Mask  # `(h, w)` bool: not in the photo
    intrinsics: Intrinsics  # of the window

    @classmethod
    def of(cls, mask: Mask, hidden: Mask, intrinsics: Intrinsics, points_camera: Float) -> ClothTarget:
        """Around the mask `(H, W)` and the body's `points_camera` `(V, 3)`, in a handy size."""
        rows, columns = np.nonzero(mask)
        pixels = intrinsics.project(points_camera)[0]
        size = max(np.ptp(rows), np.ptp(columns)) + 1
        low = np.maximum(np.nanmin(pixels, axis=0), [columns.min() - size, rows.min() - size])
        high = np.minimum(np.nanmax(pixels, axis=0), [columns.max() + size, rows.max() + size])
        margin = round(0.1 * size) + 4
        left, top = (int(x) - margin for x in np.minimum(low, [columns.min(), rows.min()]))
        right, bottom = (int(x) + margin for x in np.maximum(high, [columns.max(), rows.max()]))
        window = (left, top, right - left, bottom - top)
        covered = cut_out((hidden & ~mask).astype(np.float32), window, 0.0)
        beyond = cut_out(np.zeros(mask.shape, np.float32), window, 1.0)
        inside = cut_out(mask.astype(np.float32), window, 0.0)
        scale = min(1.0, WINDOW_SIDE / size)
        shape = (max(8, round(window[2] * scale)), max(8, round(window[3] * scale)))
        images = (cv2.resize(image, shape, interpolation=cv2.INTER_AREA) for image in (inside, covered, beyond))
        inside, covered, beyond = images
        return cls(
            mask=inside > 0.5,
            hidden=covered > 0.3,
            beyond=beyond > 0.3,
            intrinsics=intrinsics.cropped(*window).resized(*shape),
        )

    @cached_property
    def near_unsure(self) -> Bool:
        """`(h, w)`: where the mask's outline may be that of something in front, or the photo's border."""
        return cv2.dilate((self.hidden | self.beyond).astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)

    @cached_property
    def near_hidden(self) -> Bool:
        """`(h, w)`: where the mask's outline may be that of something in front."""
        return cv2.dilate(self.hidden.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)

    @cached_property
    def outline(self) -> tuple[Float, Float]:
        """Pixels `(N, 2)` along the mask's outline that is its own, and the outward directions `(N, 2)` there."""
        soft = cv2.GaussianBlur(self.mask.astype(np.float32), (0, 0), 2.0)
        edge = self.mask & ~cv2.erode(self.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        rows, columns = np.nonzero(edge & ~self.near_unsure)
        slope = np.stack([cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)], axis=-1)[rows, columns]
        outward = -slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
        at = np.stack([columns, rows], axis=1).astype(np.float64) + 0.5
        return at, np.asarray(outward, np.float64)


def clothed(vertices: Float, faces: Int32, bare: Bool, target: ClothTarget) -> Float:
    """The body's `vertices` `(V, 3)` in the photo's camera frame, moved so that it is seen as the mask.

    `bare` `(V,)` are those of hands and face, which keep their distance from the bones.
    """
    surface = BodySurface(faces, len(vertices))
    normals = surface.smoothed_normals(vertices, faces)
    thickness = np.zeros((len(vertices), 1))
    bulky = surface.smoothed(vertices, DRAPE_ROUNDS)
    lost = surface.smoothed(((vertices - bulky) * normals).sum(axis=1, keepdims=True), DRAPE_ROUNDS)
    bulky = bulky + normals * lost  # smoothing thins arms and legs
    moved = vertices
    still = np.nonzero(bare)[0]
    for _ in range(INFLATING_ROUNDS):
        rim = _rim(moved, faces, target)
        distances, found = _to_outline(rim, target)
        numbers = np.concatenate([rim.vertices[found], still])
        wanted = thickness[rim.vertices[found], 0] + distances[found] * rim.metres[found]
        wanted = np.concatenate([np.clip(wanted, *THICKNESS), np.zeros(len(still))])[:, None]
        thickness = surface.smooth_field(numbers, wanted, np.ones(len(numbers)), STIFF)
        covered = np.where(bare[:, None], 0.0, np.clip(THIN_CLOTH + np.abs(thickness) / THICK_CLOTH, 0, 1))
        covered = surface.smoothed(covered, 3)
        moved = vertices + (bulky - vertices) * covered + normals * thickness
    inflated, across = moved, np.zeros((len(vertices), 2))
    for _ in range(SNAPPING_ROUNDS):
        rim = _rim(moved, faces, target)
        numbers, moves, weights = _to_nearest(rim, target)
        kept = ~bare[numbers] | (np.linalg.norm(moves, axis=1) < BARE_REACH * max(target.mask.shape))
        numbers, moves, weights = numbers[kept], moves[kept], weights[kept]
        if not len(numbers):
            break
        across = surface.smooth_field(numbers, across[numbers] + moves, weights, LOOSE)
        shift = across * -inflated[:, 2:] / target.intrinsics.fx
        moved = inflated + np.column_stack([shift[:, 0], -shift[:, 1], np.zeros(len(vertices))])
    return moved


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rim:
    """What of a body makes its outline in the window."""

    vertices: Int  # `(N,)` numbers
    pixels: Float  # `(N, 2)`
    outward: Float  # `(N, 2)` unit vectors across the picture
    metres: Float  # `(N,)` of a pixel at their depth
    drawn: Mask  # `(h, w)` what the body covers


def _rim(vertices: Float, faces: Int32, target: ClothTarget) -> _Rim:
    k = target.intrinsics
    drawn = inverse_depth(vertices, faces, k) > 0
    mesh = Mesh(vertices=vertices, faces=faces)
    normals = mesh.vertex_normals()
    rays = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    pixels, depth = k.project(vertices)
    depth_in = cv2.distanceTransform(np.pad(drawn, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    at = np.floor(np.nan_to_num(pixels, nan=-1)).astype(int)
    inside = ((at >= 0) & (at < [k.width, k.height])).all(axis=1)
    x, y = np.clip(at, 0, [k.width - 1, k.height - 1]).T
    grazing = np.abs((normals * rays).sum(axis=1)) < GRAZING
    chosen = inside & grazing & (depth_in[y, x] < NEAR_OUTLINE)
    outward = normals[chosen, :2] * [1, -1]
    outward = outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    return _Rim(
        vertices=np.nonzero(chosen)[0],
        pixels=pixels[chosen],
        outward=outward,
        metres=depth[chosen] / k.fx,
        drawn=drawn,
    )


def _to_outline(rim: _Rim, target: ClothTarget) -> tuple[Float, Bool]:
    """Signed pixels `(N,)` from the rim along its own directions to where the mask ends, and whether that is known.

    Where two parts of the body look at each other across cloth, each goes half the way; where the photo's border cuts
    the mask, they reach the border.
    """
    height, width = target.mask.shape
    reach = round(REACH * max(height, width))
    steps = np.arange(-reach, reach + 1)
    at = np.floor(rim.pixels[:, None] + steps[:, None] * rim.outward[:, None]).astype(int)
    x, y = np.clip(at[..., 0], 0, width - 1), np.clip(at[..., 1], 0, height - 1)
    inside, unsure, drawn = target.mask[y, x], target.near_hidden[y, x], rim.drawn[y, x]
    outer, inner = slice(reach + 1, None), slice(reach, None, -1)
    here = inside[:, reach]
    first_out = _first(~inside[:, outer])
    again = _first(drawn[:, reach + 3 :]) + 2
    outward = np.where(again < first_out, again / 2, first_out).astype(np.float64)
    first_in = _first(inside[:, inner]).astype(np.float64)
    distance = np.where(here, outward, -first_in)
    step = np.clip(np.round(distance), -reach, reach).astype(int) + reach
    ends_unsure = unsure[np.arange(len(step)), step] & (again >= first_out)
    return distance, (np.abs(distance) < reach) & ~ends_unsure & ~(target.hidden | target.beyond)[
        y[:, reach], x[:, reach]
    ]


def _first(found: Bool) -> Int:
    """`(N,)`: the first True along each row of `(N, S)`; S where there is none."""
    return np.where(found.any(axis=1), found.argmax(axis=1), found.shape[1])


def _to_nearest(rim: _Rim, target: ClothTarget) -> tuple[Int, Float, Float]:
    """Vertices of the rim, the pixels `(N, 2)` by which each must move, and weights: both outlines look for the other.

    Only places whose outward directions agree belong together.
    """
    outline, outward = target.outline
    if not len(outline) or not len(rim.vertices):
        return np.zeros(0, int), np.zeros((0, 2)), np.zeros(0)
    turn = 0.06 * max(target.mask.shape)  # pixels that a quarter turn counts as
    theirs = cKDTree(np.concatenate([outline, turn * outward], axis=1))
    ours = cKDTree(np.concatenate([rim.pixels, turn * rim.outward], axis=1))
    nearest = theirs.query(ours.data)[1]
    agree = (outward[nearest] * rim.outward).sum(axis=1) > 0.3
    x, y = np.clip(rim.pixels.astype(int), 0, np.array(target.mask.shape[::-1]) - 1).T
    agree &= ~target.near_unsure[y, x]
    numbers = [rim.vertices[agree]]
    moves = [outline[nearest[agree]] - rim.pixels[agree]]
    back = ours.query(theirs.data)[1]
    fits = (outward * rim.outward[back]).sum(axis=1) > 0.3
    numbers.append(rim.vertices[back[fits]])
    moves.append(outline[fits] - rim.pixels[back[fits]])
    weights = [np.full(int(agree.sum()), 0.5), np.full(int(fits.sum()), 0.5)]
    return np.concatenate(numbers), np.concatenate(moves), np.concatenate(weights)
