"""The ground and the walls behind a photo's objects, as far as its straight edges tell them.

A scene without a depth map stands on a ground plane. Upright walls along two directions at a right angle (a Manhattan
world) bound it, each a half space whose border is found by its base line: an edge of the photo runs along it, upright
edges stand above it and none below. The nearest of ground and walls is what a pixel shows: the largest inverse depth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.perceive.camera.depth import pixel_centres
from real2sam2real.perceive.camera.vanishing import (
    UPRIGHT_DEGREES,
    StraightEdges,
    horizontal_directions,
    level_forward,
)
from real2sam2real.scene import BackgroundRelief, Billboard, Scene

LONGEST_SIDE = 1024  # pixels of the stored relief
CELL = 24  # pixels of a cell whose texture is judged
FLATTEST = np.radians(6.0)  # below the horizon, from where on the ground tells
LEAST_TEXTURE = 60.0  # of a cell: mean squared gradient, in grey levels by Sobel's operator
LEAST_CELLS = 30
LOWEST = 1 / 3  # of the picture's height: where the ground is nearest
MOST_UPRIGHT = 2.0  # length of upright edges there, over the square root of its free area
UPRIGHT_RATIO = 0.4  # logarithm of the squared change along rows over that along columns; a ground's is negative
DISTANCES = np.geomspace(0.7, 40.0, 160)  # of a wall that is tried, in camera heights
SAMPLES = 160  # along a base line
NEAR_LINE = 2  # pixels beside a base line in which its edge may lie
EDGE_LEVELS = 12.0  # of 255: change across an edge
EDGE_DEGREES = 12.0  # between an edge's direction and the base line's
LEAST_EDGE = 0.3  # of a visible base line along which there is an edge
LEAST_EDGE_ALONE = 0.15  # the same while it is not known where other walls cut the line off
LEAST_SCORE = 0.25
FINER = np.linspace(0.985, 1.015, 7)  # times a distance that was found
CONTRAST = 1.5  # times the median of the other distances: so much more of an edge runs along a base line
PEAKS = 8  # distances that are kept of each direction
LEAST_VISIBLE = 0.12  # of the picture's longer side: length of the base line in view, and of upright edges above it
LEAST_BALANCE = 0.5  # upright edges above the base line less twice those below, over all
FARTHEST_WALL = 4.0  # times as far as the farthest object: where the background ends if a side wall alone is found


@dataclass(frozen=True, kw_only=True, eq=False)
class WallPlane:
    """The upright plane `normal · p = distance`; the camera, at the origin, is on its near side."""

    normal: Float  # `(3,)` horizontal unit vector from the camera to the wall, in the camera frame
    distance: float  # in camera heights
    score: float  # how well the photo supports it, 0…1

    def inverse_depth(self, rays_camera: Float) -> Float:
        """`(...)` 1 / depth along rays `(..., 3)` of depth 1, 0 where they do not meet it."""
        return np.maximum(rays_camera @ self.normal / self.distance, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Evidence:
    """What a photo shows of walls, at a working size; `N` upright edges."""

    intrinsics: Intrinsics
    up: Float  # `(3,)` in the camera frame
    gradient: Float32  # `(H, W, 2)` grey levels a pixel
    free: Bool  # `(H, W)` pixels that show the background
    upright: Float  # `(N, 2, 2)` ends
    feet: Float  # `(M, 3)` places of objects in the camera frame

    def score(self, wall: WallPlane, others: list[WallPlane]) -> float:
        """How well a wall is supported beside others, 0 where the photo does not bear it out."""
        if (self.feet @ wall.normal > wall.distance).any():
            return 0.0
        line = self._base_line(wall, others)
        if line is None:
            return 0.0
        points, along = line
        longer = max(self.free.shape)
        inside = self.free[points[:, 1].astype(int), points[:, 0].astype(int)]
        step = float(np.linalg.norm(points[-1] - points[0])) / max(len(points) - 1, 1)
        if inside.sum() * step < LEAST_VISIBLE * longer:
            return 0.0
        edge = float(self._edge_along(points[inside], along).mean())
        above, below = self._upright_beside(wall, points)
        if edge < LEAST_EDGE or above < LEAST_VISIBLE * longer:
            return 0.0
        balance = (above - 2 * below) / (above + below)
        return edge * balance if balance >= LEAST_BALANCE and edge * balance >= LEAST_SCORE else 0.0

    def peaks(self, normal: Float) -> list[WallPlane]:
        """The distances of a wall with this normal along whose base line there is by far the most of an edge."""
        tried = [WallPlane(normal=normal, distance=float(x), score=0.0) for x in DISTANCES]
        edges = np.array([self.edge_share(wall) for wall in tried])
        known = edges[edges >= 0]
        if not len(known):
            return []
        least = max(LEAST_EDGE_ALONE, CONTRAST * float(np.median(known)))
        padded = np.r_[0, edges, 0]
        top = (edges >= least) & (edges >= padded[:-2]) & (edges >= padded[2:])
        order = np.flatnonzero(top)[np.argsort(-edges[top])][:PEAKS]
        return [tried[k] for k in order]

    def edge_share(self, wall: WallPlane) -> float:
        """Of the free pixels along a base line that nothing cuts off, the share with an edge along it."""
        line = self._base_line(wall, [])
        if line is None:
            return 0.0
        points = line[0][self.free[line[0][:, 1].astype(int), line[0][:, 0].astype(int)]]
        return float(self._edge_along(points, line[1]).mean()) if len(points) else 0.0

    def _base_line(self, wall: WallPlane, others: list[WallPlane]) -> tuple[Float, Float] | None:
        """Points `(M, 2)` of the base line in view, not cut off by other walls, and its unit direction `(2,)`."""
        along = np.cross(wall.normal, self.up)
        offsets = np.sinh(np.linspace(-5, 5, 801))[:, None] * along
        points = wall.normal * wall.distance - self.up + offsets
        pixels, depth = self.intrinsics.project(points)
        height, width = self.free.shape
        shown = (depth > 0.05) & (pixels > 0).all(axis=1) & (pixels < [width, height]).all(axis=1)
        for other in others:
            shown &= points @ other.normal < other.distance
        if shown.sum() < 2:
            return None
        first, last = pixels[shown][0], pixels[shown][-1]
        length = float(np.linalg.norm(last - first))
        if length < 2:
            return None
        line = first + np.linspace(0, 1, SAMPLES)[:, None] * (last - first)
        return np.clip(line, 0, [width - 1e-3, height - 1e-3]), (last - first) / length

    def _edge_along(self, points: Float, along: Float) -> Bool:
        """`(M,)`: whether an edge of the photo runs along the line at its points `(M, 2)`."""
        across = np.array([-along[1], along[0]])
        height, width = self.free.shape
        found = np.zeros(len(points), bool)
        for shift in range(-NEAR_LINE, NEAR_LINE + 1):
            x, y = np.clip((points + shift * across).astype(int), 0, [width - 1, height - 1]).T
            change = self.gradient[y, x]
            strong = np.abs(change @ across)
            found |= (strong > EDGE_LEVELS) & (np.abs(change @ along) < np.tan(np.radians(EDGE_DEGREES)) * strong)
        return found

    def _upright_beside(self, wall: WallPlane, points: Float) -> tuple[float, float]:
        """Lengths of upright edges above and below the base line, in the columns that it spans."""
        if not len(self.upright):
            return 0.0, 0.0
        low, high = points[:, 0].min(), points[:, 0].max()
        steps = np.linspace(0, 1, 9)[:, None]
        samples = self.upright[:, None, 0] * (1 - steps) + self.upright[:, None, 1] * steps
        weight = np.linalg.norm(self.upright[:, 1] - self.upright[:, 0], axis=1)[:, None] / 9
        spanned = (samples[..., 0] >= low) & (samples[..., 0] <= high)
        order = np.argsort(points[:, 0])
        base = np.interp(samples[..., 0], points[order, 0], points[order, 1])
        slack = 0.01 * self.free.shape[0]
        above = spanned & (samples[..., 1] < base + slack)
        return float((weight * above).sum()), float((weight * (spanned & ~above)).sum())


def with_walls(scene: Scene, taken: Bool) -> tuple[Scene, list[str]]:
    """The scene with ground and walls for a background, where its photo shows them; and notes for people.

    `taken` `(H, W)` bool are pixels of objects, billboards and occluders, which say nothing of the background.
    """
    photo, pose, lens = scene.photo, scene.photo_world_from_camera, scene.camera.intrinsics
    if photo is None or scene.ground_y is None or pose[1, 3] <= scene.ground_y:
        return scene, []
    height = float(pose[1, 3]) - scene.ground_y
    level = level_forward(pose[1, :3])
    farthest = _farthest(scene) / height
    walls = find_walls(photo, pose, lens, taken, _feet_camera(scene) / height)
    if walls:
        # Where side walls alone are found, the background has to end somewhere.
        ends = max([FARTHEST_WALL * farthest, *(2 * wall.distance for wall in walls)])
        planes = [*walls, WallPlane(normal=level, distance=ends, score=0.0)]
        named = ", ".join(f"{_side(wall, level, pose[1, :3])} {wall.distance * height:.1f} away" for wall in walls)
        told = f"the background is the ground and walls found in the photo: {named}"
        return _with_planes(scene, planes, "walls found in the photo", ground=True), [told]
    if farthest > 0 and stands_upright(photo, pose, lens, taken):
        planes = [WallPlane(normal=level, distance=farthest, score=0.0)]
        told = "what the photo shows below the horizon stands upright: the background is a wall, without a ground"
        return replace(_with_planes(scene, planes, "no ground in the photo", ground=False), ground_y=None), [told]
    return scene, []


def _with_planes(scene: Scene, walls: list[WallPlane], source: str, *, ground: bool) -> Scene:
    """The scene whose background is the nearest of the walls, distances in camera heights, and of the ground."""
    assert scene.ground_y is not None
    height = float(scene.photo_world_from_camera[1, 3]) - scene.ground_y
    lens = scene.camera.intrinsics
    scale = min(1.0, LONGEST_SIDE / max(lens.width, lens.height))
    lens = lens.resized(round(lens.width * scale), round(lens.height * scale))
    rays = lens.unproject(pixel_centres(lens.width, lens.height), np.ones(()))
    planes = [wall.inverse_depth(rays) for wall in walls]
    if ground:
        planes.append(np.maximum(-(rays @ scene.photo_world_from_camera[1, :3]), 0.0))
    inverse = np.max(planes, axis=0) / height
    return replace(scene, background=BackgroundRelief(inverse_depth=inverse.astype(np.float32), source=source))


def stands_upright(photo: UInt8, world_from_camera: Float, intrinsics: Intrinsics, taken: Bool) -> bool:
    """Whether what the photo `(H, W, 3)` shows where its ground would be cannot lie there, as a meadow cannot.

    Pickets are upright edges where the ground is nearest; of blades and stems the texture tells.
    """
    edges, gray, hole = StraightEdges.of_photo(photo, taken, intrinsics)
    up = np.asarray(world_from_camera)[1, :3]
    if len(edges.ends):
        upright = edges.deviations(up[None])[:, 0] < UPRIGHT_DEGREES
        lowest = edges.ends[..., 1].mean(axis=1) > (1 - LOWEST) * len(hole)
        area = float((~hole[round((1 - LOWEST) * len(hole)) :]).sum())
        if edges.lengths[upright & lowest].sum() > MOST_UPRIGHT * np.sqrt(area):
            return True
    return _texture_stands(gray, hole, up, edges.intrinsics)


def _texture_stands(gray: UInt8, hole: Bool, up: Float, lens: Intrinsics) -> bool:
    """Whether brightness changes more along rows than along columns, below the horizon and beside the `hole`.

    Seen as flatly as a ground is, a texture is compressed from top to bottom, and does the opposite.
    """
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1.0)
    rays = lens.unproject(pixel_centres(lens.width, lens.height), np.ones(()))
    ground = ~hole & (-(rays @ up) / np.linalg.norm(rays, axis=-1) > np.sin(FLATTEST))
    cells = (lens.height // CELL, CELL, lens.width // CELL, CELL)
    window = np.s_[: cells[0] * CELL, : cells[2] * CELL]
    whole = ground[window].reshape(cells).mean(axis=(1, 3)) > 0.9
    along_rows, along_columns = (
        (cv2.Sobel(smooth, cv2.CV_32F, *axis)[window].reshape(cells) ** 2).mean(axis=(1, 3))
        for axis in ((1, 0), (0, 1))
    )
    told = whole & (along_rows + along_columns > LEAST_TEXTURE)
    if told.sum() < LEAST_CELLS:
        return False
    return bool(np.median(np.log(along_rows[told] / np.maximum(along_columns[told], 1e-6))) > UPRIGHT_RATIO)


def find_walls(
    photo: UInt8, world_from_camera: Float, intrinsics: Intrinsics, taken: Bool, feet_camera: Float
) -> list[WallPlane]:
    """Walls of the photo `(H, W, 3)` uint8 whose camera stands a unit above the ground; empty where none is sure.

    `feet_camera` `(N, 3)` are places of objects: no wall stands before them.
    """
    edges, gray, hole = StraightEdges.of_photo(photo, taken, intrinsics)
    if not len(edges.ends):
        return []
    lens = edges.intrinsics
    up = np.asarray(world_from_camera)[1, :3]
    level = level_forward(up)
    upright = edges.deviations(up[None])[:, 0] < UPRIGHT_DEGREES
    directions = horizontal_directions(edges, np.cross(level, up), level, upright)
    if directions is None:
        return []
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1.0)
    gradient = np.stack([cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=0.25) for axis in ((1, 0), (0, 1))], axis=-1)
    evidence = _Evidence(
        intrinsics=lens,
        up=up,
        gradient=gradient.astype(np.float32, copy=False),
        free=~hole,
        upright=edges.ends[upright],
        feet=feet_camera,
    )
    return _best_walls(evidence, [sign * each for each in directions for sign in (1.0, -1.0)])


def _best_walls(evidence: _Evidence, normals: list[Float]) -> list[WallPlane]:
    """At most one wall of each normal, together the best supported, each judged where the others leave it in view."""
    peaks = [(k, wall) for k, normal in enumerate(normals) for wall in evidence.peaks(normal)]
    chosen: dict[int, WallPlane] = {}
    total = 0.0
    # Two at once to begin with: where they meet in a corner neither is well supported without the other.
    pairs = [({i: a, j: b}) for i, a in peaks for j, b in peaks if i < j]
    for group in [*({k: wall} for k, wall in peaks), *pairs]:
        scored = _judged(evidence, group)
        if all(wall.score for wall in scored.values()) and sum(wall.score for wall in scored.values()) > total:
            chosen, total = scored, sum(wall.score for wall in scored.values())
    for k, wall in peaks if chosen else ():
        if k not in chosen:
            scored = _judged(evidence, chosen | {k: wall})
            if all(each.score for each in scored.values()) and sum(each.score for each in scored.values()) > total:
                chosen, total = scored, sum(each.score for each in scored.values())
    for k, wall in chosen.items():
        finer = [_judged(evidence, chosen | {k: replace(wall, distance=wall.distance * x)}) for x in FINER]
        chosen = max(finer, key=lambda group: sum(each.score for each in group.values()))
    return list(chosen.values())


def _judged(evidence: _Evidence, group: dict[int, WallPlane]) -> dict[int, WallPlane]:
    """The walls of a group, each with its score beside the others."""
    return {
        k: replace(wall, score=evidence.score(wall, [other for j, other in group.items() if j != k]))
        for k, wall in group.items()
    }


def _feet_camera(scene: Scene) -> Float:
    """`(N, 3)` where the middles of the objects and billboards are, in the photo's camera frame, in world units."""
    pose = scene.photo_world_from_camera
    middles = [entity.vertices_world(0).mean(axis=0) for entity in scene.entities if entity.in_photo]
    objects = transforms.apply(transforms.invert_rigid(pose), np.array(middles).reshape(-1, 3))
    flat = [_middle_camera(scene, billboard) for billboard in scene.billboards]
    return np.concatenate([objects, np.array(flat).reshape(-1, 3)])


def _middle_camera(scene: Scene, billboard: Billboard) -> Float:
    """`(3,)` where the middle of a billboard is, in the photo's camera frame."""
    rows, columns = np.nonzero(billboard.mask)
    pixel = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    ray = scene.camera.intrinsics.unproject(pixel[None], np.ones(1))[0]
    level = level_forward(scene.photo_world_from_camera[1, :3])
    return np.asarray(ray * (billboard.distance / max(float(ray @ level), 1e-3)))


def _farthest(scene: Scene) -> float:
    """How far the farthest object is, level, in world units."""
    eye, forward = scene.photo_world_from_camera[:3, 3], scene.photo_level_forward
    return max([0.0, *(float(((e.vertices_world(0) - eye) @ forward).max()) for e in scene.entities)])


def _side(wall: WallPlane, level: Float, up: Float) -> str:
    ahead, right = float(wall.normal @ level), float(wall.normal @ np.cross(level, up))
    return "ahead" if ahead > abs(right) else "to the right" if right > 0 else "to the left"
