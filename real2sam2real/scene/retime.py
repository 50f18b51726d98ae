"""Stretch what moves in a scene to another number of frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Float
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.scene import Entity, Scene


def retimed(scene: Scene, frames: int) -> Scene:
    """`scene` with every motion and the camera stretched to `frames` frames; the ends stay what they are."""
    return scene if frames == scene.frames else sampled_scene(scene, np.linspace(0, scene.frames - 1, frames))


def sampled_scene(scene: Scene, places: Float) -> Scene:
    """`scene` at `places` `(N,)`, frame numbers that need not be whole; see `sampled_camera` and `sampled_motion`."""

    def at_places(entity: Entity) -> Entity:
        return replace(entity, motion=sampled_motion(entity.motion, places))

    return replace(
        scene,
        camera=sampled_camera(scene.camera, places),
        entities=tuple(at_places(entity) for entity in scene.entities),
        removed=tuple(at_places(entity) for entity in scene.removed),
    )


def sampled_camera(path: CameraPath, places: Float) -> CameraPath:
    """`path` at `places` `(N,)`, frame numbers that need not be whole.

    Positions and log zoom are linear in between, rotations follow the shorter arc.
    """
    low, high, mix = _between(path.frames, places)
    rotation = quaternions.from_matrix(path.world_from_camera[:, :3, :3])
    position = path.world_from_camera[:, :3, 3]
    log_zoom = np.log(path.zoom)
    poses = transforms.compose(
        position[low] * (1 - mix[:, None]) + position[high] * mix[:, None],
        quaternions.slerp(rotation[low], rotation[high], mix),
    )
    exact = mix == 0
    poses[exact] = path.world_from_camera[low[exact]]
    zoom = np.where(exact, path.zoom[low], np.exp(log_zoom[low] * (1 - mix) + log_zoom[high] * mix))
    return CameraPath(world_from_camera=poses, intrinsics=path.intrinsics, zoom=zoom)


def sampled_motion(motion: Motion, places: Float) -> Motion:
    """`motion` at `places` `(N,)`, frame numbers that need not be whole; visibility is that of the nearest frame."""
    low, high, mix = _between(motion.frames, places)
    part = mix[:, None]
    vertices = motion.vertices_object
    if vertices is not None:
        weight = mix.astype(np.float32)[:, None, None]
        vertices = vertices[low] * (1 - weight) + vertices[high] * weight if mix.any() else vertices[low]
    return Motion(
        translation=motion.translation[low] * (1 - part) + motion.translation[high] * part,
        rotation_wxyz=quaternions.slerp(motion.rotation_wxyz[low], motion.rotation_wxyz[high], mix),
        scale=motion.scale[low] * (1 - part) + motion.scale[high] * part,
        visible=motion.visible[np.where(mix < 0.5, low, high)],
        vertices_object=vertices,
    )


def _between(frames: int, places: Float) -> tuple[NDArray[np.intp], NDArray[np.intp], Float]:
    """For each place the frames on both sides and the share of the second one."""
    near = np.round(places)
    at = np.where(np.abs(places - near) < 1e-9, near, places)
    low = np.floor(at).astype(np.intp)
    return low, np.minimum(low + 1, frames - 1), at - low
