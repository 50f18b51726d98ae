"""What of a shot stays as the photo shows it, frame by frame, and what leaves its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.geometry import transforms
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

STILL_PIXELS = 0.05  # what moves less than this far in the picture counts as resting


def corners_object(entity: Entity) -> Float:
    """`(8, 3)` corners of the box around an entity's mesh, in its object frame."""
    low, high = entity.mesh.bounds()
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def rest_corners_world(entity: Entity) -> Float:
    """`(8, 3)` corners of its box where the photo shows it, in the world."""
    return transforms.apply(entity.rest_world_from_object, corners_object(entity))


def displacement(entity: Entity) -> Float:
    """`(T,)`: how far an entity's farthest corner is from its rest, in world units; infinite while it is hidden."""
    motion = entity.motion
    moved = transforms.apply(motion.matrices(), corners_object(entity)) - rest_corners_world(entity)
    distance = np.linalg.norm(moved, axis=-1).max(axis=-1)
    if motion.vertices_object is not None:
        bend = np.linalg.norm(motion.vertices_object - entity.mesh.vertices, axis=-1).max(axis=-1)
        distance = distance + bend * np.abs(motion.scale).max(axis=-1)
    return np.where(motion.visible, distance, np.inf)


def size(entity: Entity) -> float:
    """Diagonal of its box at rest, in world units; never zero."""
    corners = rest_corners_world(entity)
    return max(float(np.linalg.norm(corners[-1] - corners[0])), 1e-9)


def nearest_depth(scene: Scene, entity: Entity) -> float:
    """Distance along the photo's axis of the part of an entity that is nearest to the photo's camera; positive."""
    corners = transforms.apply(transforms.invert_rigid(scene.photo_world_from_camera), rest_corners_world(entity))
    return max(float((-corners[:, 2]).min()), 1e-3 * size(entity))


def still_distance(scene: Scene, entity: Entity, camera: CameraPath) -> float:
    """The world distance that an entity may move before a person could see it in the photo."""
    return STILL_PIXELS * nearest_depth(scene, entity) / max(camera.intrinsics.fx, camera.intrinsics.fy)


def camera_rests(scene: Scene, camera: CameraPath) -> Bool:
    """`(T,)`: in which frames the camera sees what the photo's own camera saw, to a small part of a pixel."""
    focal = max(camera.intrinsics.fx, camera.intrinsics.fy)
    depth = min((nearest_depth(scene, entity) for entity in scene.entities), default=1.0)
    difference = transforms.invert_rigid(scene.photo_world_from_camera) @ camera.world_from_camera - np.eye(4)
    turned = np.abs(difference[:, :3, :3]).max(axis=(1, 2)) * focal
    shifted = np.linalg.norm(difference[:, :3, 3], axis=1) * focal / depth
    zoomed = np.abs(camera.zoom - 1) * max(camera.intrinsics.width, camera.intrinsics.height)
    return turned + shifted + zoomed < STILL_PIXELS


def wall_distance(scene: Scene, factor: float) -> float:
    """Where the background's wall stands: `factor` times as far as the farthest object; infinite without a ground."""
    shown = [entity for entity in (*scene.entities, *scene.removed) if entity.in_photo]
    if scene.ground_y is None or not shown:
        return np.inf
    eye, forward = scene.photo_world_from_camera[:3, 3], scene.photo_level_forward
    farthest = max(float(((rest_corners_world(entity) - eye) @ forward).max()) for entity in shown)
    return factor * farthest if farthest > 0 else np.inf


def at_rest(scene: Scene) -> Scene:
    """One frame: all objects of the photo in their places, seen by the photo's camera; the removed ones come last."""
    shown = [entity for entity in (*scene.entities, *scene.removed) if entity.in_photo][:255]
    still = tuple(
        replace(entity, name=str(number), motion=Motion.still(1, entity.rest_world_from_object))
        for number, entity in enumerate(shown)
    )
    return Scene(entities=still, camera=CameraPath.still(1, scene.camera.intrinsics, scene.photo_world_from_camera))
