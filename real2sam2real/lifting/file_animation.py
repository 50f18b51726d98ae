"""A mesh file's own animation: as the motion of one object, and in the shot's world.

Where the whole moves as one body the object gets a pose per frame. Where components move against each other, or bend,
the largest carries the others: its path is the object's, and the rest are vertices per frame.

Shape letters: T frames, V vertices.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Float32
from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.mesh.gltf.posing import MOST_NUMBERS, PosedMesh
from real2sam2real.mesh.readers import MeshFile
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.retime import sampled_motion

_STILL = 1e-6
"""Part of the object's size, and of how far it is from its origin, below which nothing moves: 32-bit keyframes."""

_SIMILAR = 1e-6


def object_motion(name: str, file: MeshFile) -> Motion | None:
    """How the mesh of the file called `name` moves in the file's frame; None where it rests.

    The first frame is the identity; `vertices_object` deform the mesh.

    Raises:
        UserError: its deformation does not fit into memory.
    """
    if not file.components:
        return None
    vertices = file.mesh.vertices
    ends = np.cumsum([len(component.mesh.vertices) for component in file.components])
    rests = np.split(vertices, ends[:-1])
    paths = [_Path(component, rest) for component, rest in zip(file.components, rests, strict=True)]
    carrier = max(paths, key=_Path.size).carried()
    tolerance = _STILL * (float(np.ptp(vertices, axis=0).max()) + float(np.abs(vertices).max()))
    visible = np.any([path.visible for path in paths], axis=0)
    rigid = all(path.follows(carrier, tolerance) and np.array_equal(path.visible, visible) for path in paths)
    if rigid and visible.all() and np.abs(carrier - np.eye(4)).max() <= _STILL:
        return None
    motion = replace(Motion.from_matrices(carrier), visible=visible)
    return motion if rigid else replace(motion, vertices_object=_vertices(name, paths, carrier, len(vertices)))


class _Path:
    """One component, its vertices `(V, 3)` at the first frame, and its way through the file's frame."""

    def __init__(self, component: PosedMesh, rest: Float) -> None:
        self.component, self.rest, self.deformed = component, rest, component.deformed
        self.visible = component.placement.visible
        self.world_from_component = component.world_from_object()
        self.world_from_rest: Float = self.world_from_component @ np.linalg.inv(self.world_from_component[0])

    def size(self) -> float:
        """Diagonal of its bounds: a car is carried by its body, not by a wheel of more faces."""
        return float(np.linalg.norm(np.ptp(self.rest, axis=0)))

    def carried(self) -> Float:
        """`(T, 4, 4)` similarities that take the first frame along with this component.

        One that is stretched along one axis is followed in place and heading; its stretch stays with the vertices.
        """
        place = self.component.placement
        ratio = place.scale / place.scale[0]
        even = bool(np.all(np.abs(ratio - ratio[:, :1]) <= 1e-6 * np.abs(ratio[:, :1]))) and bool(np.all(ratio > 0))
        scale = ratio.mean(axis=1) if even else np.ones(len(ratio))
        rotation = quaternions.normalize(place.rotation_wxyz)
        poses = transforms.compose(place.translation, rotation, np.repeat(scale[:, None], 3, axis=1))
        return poses @ np.linalg.inv(poses[0])

    def follows(self, carrier: Float, tolerance: float) -> bool:
        """Whether nothing of this component ever leaves the place that the `carrier` takes it to."""
        if self.deformed is not None:
            return False
        box = np.stack(np.meshgrid(*zip(self.rest.min(axis=0), self.rest.max(axis=0), strict=True)), axis=-1).reshape(
            -1, 3
        )
        taken, gone = transforms.apply(carrier, box), transforms.apply(self.world_from_rest, box)
        scale = np.linalg.norm(carrier[:, :3, 0], axis=1)
        return bool(np.all(np.abs(taken - gone).max(axis=(1, 2)) <= tolerance * scale + _STILL * np.abs(gone).max()))

    def vertices(self, frame: int, carrier_from_world: Float) -> Float:
        """`(V, 3)` at one frame; a hidden component shrinks to a point, for they cannot be hidden one by one."""
        if not self.visible[frame]:
            middle = (self.rest.min(axis=0) + self.rest.max(axis=0)) / 2
            return np.broadcast_to(middle, self.rest.shape)
        if self.deformed is None:
            return transforms.apply(carrier_from_world @ self.world_from_rest[frame], self.rest)
        points = self.deformed[frame].astype(np.float64)
        return transforms.apply(carrier_from_world @ self.world_from_component[frame], points)


def _vertices(file: str, paths: list[_Path], carrier: Float, count: int) -> Float32:
    """`(T, V, 3)` in the frame that the carrier takes along."""
    frames = len(carrier)
    if frames * count * 3 > MOST_NUMBERS:
        raise UserError(
            f"{file} deforms {count:,} vertices over {frames:,} frames, which would take "
            f"{frames * count * 12 / 1e9:.0f} GB; read fewer frames or decimate the mesh"
        )
    vertices = np.empty((frames, count, 3), np.float32)
    backwards = np.linalg.inv(carrier)
    for frame in range(frames):
        vertices[frame] = np.concatenate([path.vertices(frame, backwards[frame]) for path in paths])
    return vertices


def animation_notes(name: str, file: MeshFile, motion: Motion | None) -> list[str]:
    """What a person should know of the animation of the file called `name`."""
    animation = file.animation
    if animation is None:
        return []
    if motion is None:
        return [f"{name}: its animation moves nothing that is seen; the object rests"]
    after = "begins again" if animation.loop else "holds its last pose"
    notes = [f"{name}: its animation lasts {animation.seconds:.2f} s and then {after}"]
    if ", ".join(file.clips) != animation.clip:
        notes.insert(0, f"{name} has {len(file.clips)} clips ({', '.join(file.clips)}); {animation.clip} is played")
    return notes


def entity_motion(lifted: LiftedMesh, rest_world_from_object: ArrayLike, frames: int, fps: float) -> Motion:
    """The animation of a lifted mesh, which starts from where the mesh was aligned.

    The first frame has exactly the aligned pose, `rest_world_from_object`; the animation's way is scaled and turned
    with it. It was sampled when the file was read; at another frame rate it is interpolated, and beyond its end it
    begins again if it was read to loop, else its last pose holds.

    `rest_world_from_object` `(4, 4)` is the similarity at which the mesh stands in the photo; `frames` and `fps` are
    the shot's. A mesh without a motion rests. The `vertices_object` of the motion in the world fit `lifted.mesh`.

    Raises:
        ValueError: the pose has another scale along each axis, which would shear what turns; or `frames` or `fps` is
            not positive.
    """
    rest = np.asarray(rest_world_from_object, np.float64)
    if frames < 1 or not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"a motion of {frames} frames at {fps} fps; both must be positive")
    if lifted.motion is None:
        return Motion.still(frames, rest)
    size = np.linalg.norm(rest[:3, :3], axis=0)
    if not np.allclose(rest[:3, :3].T @ rest[:3, :3], np.eye(3) * size[0] ** 2, atol=_SIMILAR * size[0] ** 2):
        raise ValueError("the aligned pose has several scales; an animated mesh needs one scale for all axes")
    sampled = sampled_motion(lifted.motion, _sample_frames(lifted, frames, fps))
    first = lifted.motion.matrices()[0]
    world = Motion.from_matrices(rest @ np.linalg.inv(first) @ sampled.matrices())
    return replace(world, visible=sampled.visible, vertices_object=sampled.vertices_object)


def _sample_frames(lifted: LiftedMesh, frames: int, fps: float) -> Float:
    """`(frames,)` frame numbers of the lifted motion, which need not be whole."""
    seconds: Float = np.arange(frames) / fps
    period = lifted.provenance.get("animation", {}).get("period")
    if period is not None:
        over = seconds > period + 1e-6
        seconds[over] = seconds[over] % period
    assert lifted.motion is not None
    return np.clip(seconds * (lifted.motion_fps or fps), 0, lifted.motion.frames - 1)


def moved_frame(motion: Motion, new_from_old: Float) -> Motion:
    """`motion` with its object and its way given in another frame, `new_from_old` `(4, 4)`, rigid."""
    moved = Motion.from_matrices(new_from_old @ motion.matrices() @ transforms.invert_rigid(new_from_old))
    vertices = motion.vertices_object
    if vertices is not None:
        vertices = np.stack([transforms.apply(new_from_old, frame).astype(np.float32) for frame in vertices])
    return replace(moved, visible=motion.visible, vertices_object=vertices)
