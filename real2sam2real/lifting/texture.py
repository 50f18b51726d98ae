"""An entity's texture: one page seen by the photo's camera, one for the side that the photo does not show.

Both pages are laid over the photo's own pixels, so a texture coordinate is a pixel and a page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, UInt8
from real2sam2real.lifting.depth_fields import DepthField, nearest_known
from real2sam2real.lifting.edge_softness import RIM, edge_sigma
from real2sam2real.lifting.ground import Ground
from real2sam2real.lifting.outline import Outline, cut_out
from real2sam2real.mesh import Mesh

MAX_PAGE_SIDE = 1024
MARGIN = 4
OCCLUDER_RIM = 3  # pixels beside a nearer object that may show it
MIN_MIRROR_FACING = 0.12  # cosine: flatter than this the photo shows streaks


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoPage:
    """A window of the photo that shows an entity and continues its colours beyond it."""

    image: UInt8  # `(h, w, 3)` uint8 sRGB
    left: int  # x of the window in photo pixels
    top: int  # y of the window in photo pixels
    scale: float  # texture pixels per photo pixel

    def at(self, pixels: Float) -> Float:
        """`(..., 2)` pixels of the page for pixels `(..., 2)` of the photo, at its border where they lie beyond it."""
        height, width = self.image.shape[:2]
        on_page = (pixels - [self.left, self.top]) * self.scale
        return np.clip(np.nan_to_num(on_page), 0.5, [width - 0.5, height - 0.5])


def photo_page(pixels: UInt8, visible: Bool, hidden: Bool, corners: Float) -> PhotoPage:
    """Cut an entity's texture from the photo `(H, W, 3)`, of the pixels `(H, W)` that are visible.

    The edges of nearer objects, `hidden` `(H, W)`, are kept out. The page holds the photo pixels `corners` `(..., 2)`,
    which may lie beyond the photo.
    """
    corners = corners.reshape(-1, 2)
    left, top = (int(x) - MARGIN for x in np.floor(corners.min(axis=0)))
    width, height = (int(x) + MARGIN - low for x, low in zip(np.ceil(corners.max(axis=0)), (left, top), strict=True))
    near_occluder = cv2.dilate(hidden.astype(np.uint8), np.ones((2 * OCCLUDER_RIM + 1,) * 2, np.uint8)).astype(bool)
    apart = visible & ~near_occluder
    rim = max(RIM, RIM * edge_sigma(pixels, visible))
    visible = apart if apart.sum() > 0.2 * visible.sum() else visible
    color, known = (cut_out(image, (left, top, width, height), 0) for image in (pixels, visible))
    scale = min(1.0, MAX_PAGE_SIDE / max(width, height))
    if scale < 1:
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        color = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
        known = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
        scale = size[0] / width
    return PhotoPage(
        image=_extended(color, _eroded(known, rim * scale if rim > RIM else RIM)), left=left, top=top, scale=scale
    )


def _eroded(known: Bool, rim: float) -> Bool:
    """Without the rim of so many pixels, where the photo mixes in what is behind it; thin parts keep their core."""
    padded = np.pad(known, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    ridge = distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 0.5
    return ((distance > rim) | (ridge & (distance > 0)))[1:-1, 1:-1]


def _extended(color: UInt8, known: Bool) -> UInt8:
    """Known colours continued into the unknown: the nearest one close by, a smooth blend of all around farther off."""
    if known.all() or not known.any():
        return color
    nearest, distance = nearest_known(color, known)
    blend = push_pull(color.astype(np.float32) * known[..., None], known.astype(np.float32))
    far = np.clip((distance - 3) / 6, 0, 1)[..., None]
    filled = nearest.astype(np.float32) * (1 - far) + blend * far
    filled[known] = color[known]
    return np.clip(np.round(filled), 0, 255).astype(np.uint8)


def push_pull(color: Float32, weight: Float32) -> Float32:
    """Fill by a pyramid: coarse levels average what is known, finer ones keep their own where they know more.

    The colour `(H, W, 3)` comes times its weight `(H, W)`, 0…1.
    """
    height, width = weight.shape
    own = color / np.maximum(weight, 1e-6)[..., None]
    if min(height, width) < 3:
        mean = color.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
        return np.where(weight[..., None] > 0, own, mean).astype(np.float32)
    small, share = cv2.pyrDown(color), cv2.pyrDown(weight)
    # A level that knows a quarter of its surroundings is sure enough: its weight counts in full below.
    sure = np.minimum(share * 4, 1.0)
    lower = push_pull(small / np.maximum(share, 1e-6)[..., None] * sure[..., None], sure)
    upper = cv2.pyrUp(lower, dstsize=(width, height))
    return own * weight[..., None] + upper * (1 - weight[..., None])


def textured(mesh: Mesh, pixels: UInt8, outline: Outline, ground: Ground, field: DepthField) -> Mesh:
    """Paint a mesh in world coordinates with the photo.

    What faces the camera takes the photo's own pixels. The far side of a fitted solid mirrors its near side, as most
    made things are symmetric; elsewhere the far side takes the pixel in front of it, blurred.
    """
    projected = _project(mesh.vertices, ground)
    page = photo_page(pixels, outline.mask, outline.hidden, projected)
    corners = projected[mesh.faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    back = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] >= 0
    if field.solid is not None:
        mirrored, found = _mirrored(mesh, back, ground, field.world_from_object, outline.mask)
        corners[found] = mirrored[found]
        back &= ~found
    height, width = page.image.shape[:2]
    at = page.at(corners)
    at[..., 1] += np.where(back, height, 0)[:, None]
    far_side = cv2.GaussianBlur(page.image, (0, 0), 1.0 + 0.004 * max(height, width))
    return replace(mesh, corner_uvs=at / [width, 2 * height], texture=np.concatenate([page.image, far_side]))


def _project(points_world: Float, ground: Ground) -> Float:
    return ground.intrinsics.project(points_world @ ground.world_from_camera[:3, :3])[0]


def _mirrored(mesh: Mesh, back: Bool, ground: Ground, world_from_object: Float, visible: Bool) -> tuple[Float, Bool]:
    """Photo pixels `(F, 3, 2)` of the mirror images of hidden faces that the photo shows, and which faces have one."""
    inverse = np.linalg.inv(world_from_object)
    local = mesh.vertices @ inverse[:3, :3].T + inverse[:3, 3]
    result = np.zeros((len(mesh.faces), 3, 2))
    found = np.zeros(len(mesh.faces), bool)
    best = np.full(len(mesh.faces), MIN_MIRROR_FACING)
    core = cv2.erode(visible.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    for signs in ([-1.0, 1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, -1.0]):
        world = (local * signs) @ world_from_object[:3, :3].T + world_from_object[:3, 3]
        triangles = world[mesh.faces]
        normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) * np.prod(signs)
        center = triangles.mean(axis=1)
        length = np.linalg.norm(normal, axis=1) * np.linalg.norm(center, axis=1)
        facing = -np.sum(normal * center, axis=1) / np.maximum(length, 1e-300)
        pixels = _project(world, ground)[mesh.faces]
        middle = np.floor(pixels.mean(axis=1)).astype(int)
        x, y = np.clip(middle[:, 0], 0, visible.shape[1] - 1), np.clip(middle[:, 1], 0, visible.shape[0] - 1)
        better = back & core[y, x] & (facing > best)
        result[better], best[better] = pixels[better], facing[better]
        found |= better
    return result, found
