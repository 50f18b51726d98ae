"""Pictures for the page: the photo with its masks, the meshes over it, and the meshes from three sides."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.files import replacing_folder
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.geometry.transforms import about_x, about_y
from real2sam2real.rendering import Light, render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.retime import retimed

SIDES = {"front": 0.0, "side": 90.0, "back": 180.0}
"""Where the three views stand, in degrees around the scene from the photo's camera."""
_VIEW_SIZE = (640, 480)
_VIEW_FOV = 30.0
_VIEW_PITCH = 0.2
_VIEW_FILLED = 0.9  # share of the picture that the objects take
_GROUND = (23, 26, 33)  # the page's panel colour
_PHOTO_LONGEST_SIDE = 1280
_ARROW = 0.35  # of an entity's footprint: how far the arrow to its front goes beyond it
_FARTHEST = 4  # pictures: an arrow that ends farther away is not drawn
_FIT_COLORS = ((60, 90, 255), (0, 220, 60), (255, 40, 40))
FIT_LEGEND = [
    (f"#{r:02x}{g:02x}{b:02x}", what)
    for (r, g, b), what in zip(_FIT_COLORS, ("mesh and mask agree", "mask alone", "mesh alone"), strict=True)
]
"""Colours of `fit.jpg` and what they mean."""


def entity_colors(count: int) -> list[tuple[int, int, int]]:
    """Colours for entities in order, spread around the hue circle, sRGB."""
    hues = (np.arange(count) * 0.618034 + 0.58) % 1.0
    return [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.62, 1.0)) for hue in hues]  # type: ignore[misc]


def pictures_to_folder(scene: Scene, folder: Path) -> list[str]:
    """Write `photo.jpg`, `masks.jpg`, `fit.jpg` and one `<side>.png` per side into `folder`, whole or not at all."""
    with replacing_folder(folder) as fresh:
        if scene.photo is not None:
            photo = _at_most(scene.photo, _PHOTO_LONGEST_SIDE)
            write_jpeg(fresh / "photo.jpg", photo)
            write_jpeg(fresh / "masks.jpg", with_masks(photo, scene))
            write_jpeg(fresh / "fit.jpg", with_fit(photo, scene))
        for name, picture in mesh_views(scene).items():
            media.write_png(fresh / f"{name}.png", picture)
    return []


def with_masks(photo: UInt8, scene: Scene) -> UInt8:
    """The photo `(H, W, 3)` uint8, dimmed, with every entity's mask tinted and outlined in its colour."""
    height, width = photo.shape[:2]
    picture = photo.astype(np.float32) * 0.55
    for entity, color in zip(scene.entities, entity_colors(len(scene.entities)), strict=True):
        if entity.mask is None:
            continue
        mask = cv2.resize(entity.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA).astype(bool)
        picture[mask] = photo[mask] * 0.6 + np.array(color, np.float32) * 0.4
        outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outline, -1, color, max(2, width // 480), cv2.LINE_AA)
    for entity, color in zip(scene.entities, entity_colors(len(scene.entities)), strict=True):
        if entity.mask is not None:
            _draw_facing(picture, scene, entity, color)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _draw_facing(picture: Float32, scene: Scene, entity: Entity, color: tuple[int, int, int]) -> None:
    """An arrow on the ground from under an entity to where its front points; grey where that was not guessed."""
    if not len(entity.mesh.vertices):
        return
    height, width = picture.shape[:2]
    low, high = entity.mesh.bounds()
    foot = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    front = entity.front_object()
    reach = 0.5 * float(np.abs(front) @ (high - low)) + _ARROW * float(np.linalg.norm((high - low)[[0, 2]]))
    ends = transforms.apply(entity.rest_world_from_object, np.stack([foot, foot + reach * front]))
    camera = transforms.apply(np.linalg.inv(scene.photo_world_from_camera), ends)
    if (camera[:, 2] > -1e-6).any():
        return
    pixels, _ = scene.camera.intrinsics_at(0).resized(width, height).project(camera)
    if not (np.abs(pixels) < _FARTHEST * max(width, height)).all():
        return
    start, end = (tuple(int(v) for v in point) for point in np.round(pixels))
    shown = (160, 160, 160) if entity.facing is None else color
    for thick, paint in ((max(5, width // 180), (0, 0, 0)), (max(2, width // 400), shown)):
        cv2.arrowedLine(picture, start, end, paint, thick, cv2.LINE_AA, tipLength=0.25)


def with_fit(photo: UInt8, scene: Scene) -> UInt8:
    """The photo `(H, W, 3)` uint8 with the meshes at rest over it, in the colours of `FIT_LEGEND`."""
    height, width = photo.shape[:2]
    resting = at_rest(scene)
    camera = CameraPath.still(1, resting.camera.intrinsics_at(0), scene.photo_world_from_camera)
    (frame,) = render_frames(resting, width=width, height=height, camera=camera)
    picture = photo.astype(np.float32)
    for number, entity in enumerate(scene.entities, start=1):
        if entity.mask is None:
            continue
        mask = cv2.resize(entity.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
        drawn = np.asarray(frame.ids) == number
        for part, color in zip((mask & drawn, mask & ~drawn, drawn & ~mask), _FIT_COLORS, strict=True):
            picture[part] = 0.5 * picture[part] + 0.5 * np.array(color, np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def at_rest(scene: Scene) -> Scene:
    """One frame, every entity where the photo shows it."""
    still = retimed(scene, 1)
    resting = []
    for entity in still.entities:
        motion = replace(Motion.still(1, entity.rest_world_from_object), vertices_object=entity.motion.vertices_object)
        resting.append(replace(entity, motion=motion))
    return replace(still, entities=tuple(resting))


def mesh_views(scene: Scene) -> dict[str, UInt8]:
    """The entities of a scene at frame 0, textured and lit, from the sides in `SIDES`: `(480, 640, 3)` uint8 each."""
    width, height = _VIEW_SIZE
    background = np.full((height, width, 3), _GROUND, np.uint8)
    if not scene.entities:
        return dict.fromkeys(SIDES, background)
    still = retimed(scene, 1)
    intrinsics = Intrinsics.from_fov(width, height, horizontal_degrees=_VIEW_FOV)
    poses = _poses_around(still, list(SIDES.values()))
    views = {}
    for name, pose in zip(SIDES, poses, strict=True):
        x, y, z = pose[:3, :3] @ np.array([-0.4, 0.6, 0.8])
        (frame,) = render_frames(
            still,
            width=width,
            height=height,
            color=True,
            antialias=True,
            light=Light(direction_world=(x, y, z), ambient=0.6, diffuse=0.45),
            camera=CameraPath.still(1, intrinsics, pose),
        )
        share = np.asarray(frame.coverage)[..., None]
        views[name] = np.round(np.asarray(frame.color) * share + background * (1 - share)).astype(np.uint8)
    return views


def _poses_around(scene: Scene, sides_degrees: list[float]) -> list[Float]:
    """`world_from_camera` per side, a little from above, equally far away and just far enough to see all entities."""
    points = np.concatenate([entity.vertices_world(0) for entity in scene.entities])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    backwards = scene.photo_world_from_camera[:3, 2]
    ahead = np.arctan2(backwards[0], backwards[2])
    rotations = [about_y(ahead + np.radians(degrees)) @ about_x(-_VIEW_PITCH) for degrees in sides_degrees]
    reach_x = np.tan(np.radians(_VIEW_FOV) / 2) * _VIEW_FILLED
    reach = np.array([reach_x, reach_x * _VIEW_SIZE[1] / _VIEW_SIZE[0]])
    distance = 0.0
    for rotation in rotations:
        x_y, z = np.split((points - middle) @ rotation, [2], axis=1)
        distance = max(distance, float((z + np.abs(x_y) / reach).max()))
    poses = []
    for rotation in rotations:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, middle + distance * rotation[:, 2]
        poses.append(pose)
    return poses


def write_jpeg(path: Path, picture: UInt8) -> None:
    """Write `(H, W, 3)` uint8 sRGB as JPEG."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    path.write_bytes(data.tobytes())  # which says why it fails, as OpenCV does not


def _at_most(picture: UInt8, longest: int) -> UInt8:
    height, width = picture.shape[:2]
    scale = min(1.0, longest / max(width, height))
    return media.resized(picture, max(1, round(width * scale)), max(1, round(height * scale)))
