"""The parts of a glTF file as one object: one mesh, and one motion in which the parts move against each other.

Where the whole moves as one body that is a pose per frame. Where parts move against each other, or bend, the largest
part carries the others: its path is the object's, and the rest are vertices per frame.

Shape letters: T frames, V vertices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.errors import UserError
from real2sam2real.geometry import transforms
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.deforming import MOST_NUMBERS
from real2sam2real.mesh.readers.joining import side_by_side
from real2sam2real.scene import Entity, Motion

_STILL = 1e-6
"""Part of the object's size, and of how far it is from its origin, below which nothing moves: 32-bit keyframes."""


@dataclass(frozen=True, eq=False)
class Joined:
    """One object of all parts.

    Attributes:
        mesh: at the first frame, in the file's frame.
        motion: in the file's frame, identity in the first frame; None where nothing moves.
    """

    mesh: Mesh
    motion: Motion | None


def joined(file: str, parts: Sequence[Entity], notes: list[str]) -> Joined:
    """Make one object of the parts of a file.

    Raises:
        UserError: no part is ever visible, or its deformation does not fit into memory.
    """
    shown = [part for part in parts if part.motion.visible.any()]
    if len(shown) < len(parts):
        hidden = ", ".join(part.name for part in parts if not part.motion.visible.any())
        notes.append(f"{file}: {hidden} cannot be seen in any frame and was left out")
    if not shown:
        raise UserError(f"{file} holds no mesh that can be seen; make its objects visible and export them again")
    if late := [part.name for part in shown if not part.motion.visible[0]]:
        notes.append(f"{file}: {', '.join(late)} is hidden at first but belongs to the mesh that is aligned")
    paths = [_Path(part) for part in shown]
    mesh = side_by_side([path.rest for path in paths], notes)
    carrier = max(paths, key=_Path.size).carried()
    tolerance = _STILL * (float(np.ptp(mesh.vertices, axis=0).max()) + float(np.abs(mesh.vertices).max()))
    visible = np.any([part.motion.visible for part in shown], axis=0)
    rigid = all(path.follows(carrier, tolerance) and np.array_equal(path.visible, visible) for path in paths)
    if rigid and visible.all() and np.abs(carrier - np.eye(4)).max() <= _STILL:
        return Joined(mesh, None)
    motion = replace(Motion.from_matrices(carrier), visible=visible)
    if not rigid:
        motion = replace(motion, vertices_object=_vertices(file, paths, carrier, len(mesh.vertices)))
    return Joined(mesh, motion)


class _Path:
    """One part and its way through the file's frame."""

    def __init__(self, part: Entity) -> None:
        self.motion, self.visible = part.motion, part.motion.visible
        self.world_from_part = part.motion.matrices()
        self.deformed = part.motion.vertices_object
        own = part.mesh if self.deformed is None else replace(part.mesh, vertices=self.deformed[0].astype(np.float64))
        self.rest = own.transformed(self.world_from_part[0])
        self.world_from_rest: Float = self.world_from_part @ np.linalg.inv(self.world_from_part[0])

    def size(self) -> float:
        """Diagonal of its bounds: a car is carried by its body, not by a wheel of more faces."""
        return float(np.linalg.norm(np.ptp(self.rest.bounds(), axis=0)))

    def carried(self) -> Float:
        """`(T, 4, 4)` similarities that take the first frame along with this part.

        A part that is stretched along one axis is followed in place and heading; its stretch stays with the vertices.
        """
        ratio = self.motion.scale / self.motion.scale[0]
        even = bool(np.all(np.abs(ratio - ratio[:, :1]) <= 1e-6 * np.abs(ratio[:, :1]))) and bool(np.all(ratio > 0))
        scale = ratio.mean(axis=1) if even else np.ones(len(ratio))
        poses = transforms.compose(
            self.motion.translation, self.motion.rotation_wxyz, np.repeat(scale[:, None], 3, axis=1)
        )
        return poses @ np.linalg.inv(poses[0])

    def follows(self, carrier: Float, tolerance: float) -> bool:
        """Whether nothing of this part ever leaves the place that the `carrier` takes it to."""
        if self.deformed is not None:
            return False
        box = np.stack(np.meshgrid(*self.rest.bounds().T), axis=-1).reshape(-1, 3)
        taken, gone = transforms.apply(carrier, box), transforms.apply(self.world_from_rest, box)
        scale = np.linalg.norm(carrier[:, :3, 0], axis=1)
        return bool(np.all(np.abs(taken - gone).max(axis=(1, 2)) <= tolerance * scale + _STILL * np.abs(gone).max()))

    def vertices(self, frame: int, carrier_from_world: Float) -> Float:
        """`(V, 3)` at one frame; a hidden part shrinks to a point, for parts cannot be hidden one by one."""
        if not self.visible[frame]:
            middle = self.rest.bounds().mean(axis=0)
            return np.broadcast_to(middle, self.rest.vertices.shape)
        if self.deformed is None:
            return transforms.apply(carrier_from_world @ self.world_from_rest[frame], self.rest.vertices)
        points = self.deformed[frame].astype(np.float64)
        return transforms.apply(carrier_from_world @ self.world_from_part[frame], points)


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
