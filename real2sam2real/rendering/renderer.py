"""`render_frames`: many frames of a scene, several at a time.

Threads share out whole frames, never one frame's pixels. A frame is drawn by one thread in one fixed order, so it is
bit-identical at any thread count, and no Numba threading layer (whose default is not thread-safe) is involved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import numba
import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.rendering import shading, visibility
from real2sam2real.rendering.frame import Frame, Light
from real2sam2real.rendering.ordered_map import ordered_map
from real2sam2real.rendering.packed import PackedScene
from real2sam2real.scene import CameraPath, Scene

MAX_SIDE = 8192
NEAR = 1e-4  # surfaces nearer than this many scene units to the camera plane are cut away
_SERIAL_WORK = 2_000_000
"""Below this many vertices, faces and samples in all, starting threads costs more than it saves."""


def render_frames(
    scene: Scene,
    *,
    width: int,
    height: int,
    frames: Sequence[int] | None = None,
    normals: bool = True,
    color: bool = False,
    antialias: bool = False,
    light: Light | None = None,
    camera: CameraPath | None = None,
    threads: int | None = None,
) -> Iterator[Frame]:
    """Draw frames of a scene, in the order asked for.

    Meshes are closed, so back faces are not drawn: a camera inside an entity looks through it. Where two surfaces are
    equally near, the earlier entity and the earlier face win. Frames are drawn a few ahead of the consumer.

    Args:
        scene: what to draw; entities that their motion hides are left out.
        width: of the images in pixels, 1…8192; the camera's view is resampled to this size.
        height: likewise.
        frames: frame numbers; all of the shot if None.
        normals: give normals, which `light` needs too; the frames' are all zero otherwise.
        color: also give texture or vertex colour (mid-grey for a mesh without).
        antialias: take four samples per pixel; see `Frame` for which outputs become soft.
        light: shades `color`; without it colour is what the texture says.
        camera: looks from here in place of `scene.camera`.
        threads: frames drawn at the same time; by default as many as Numba would use (`NUMBA_NUM_THREADS`, else the
            cores this process may run on), and one for small jobs. The result does not depend on it.

    Raises:
        ValueError: a size or a frame number is out of range, the camera path has another length than the scene, or
            there is a light without normals.
    """
    camera = scene.camera if camera is None else camera
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ValueError(f"cannot render {width}×{height} pixels; each side must be 1…{MAX_SIDE}")
    if camera.frames != scene.frames:
        raise ValueError(f"the camera path has {camera.frames} frames but the scene has {scene.frames}")
    numbers = range(scene.frames) if frames is None else [int(number) for number in frames]
    if outside := [number for number in numbers if not 0 <= number < scene.frames]:
        raise ValueError(f"frame {outside[0]} is outside the shot's frames 0…{scene.frames - 1}")
    if light is not None and not normals:
        raise ValueError("a light needs normals")
    if threads is not None and threads < 1:
        raise ValueError(f"cannot render with {threads} threads; at least one is needed")
    job = _Job(scene, camera, width, height, normals=normals, color=color, antialias=antialias, light=light)
    if threads is None:
        threads = numba.config.NUMBA_NUM_THREADS if job.work() * len(numbers) > _SERIAL_WORK else 1
    threads = min(threads, len(numbers))
    if threads > 1:
        return _threaded(job, numbers, threads)
    workspace = _Workspace(job)
    return (workspace.draw(job, number) for number in numbers)


class _Job:
    def __init__(
        self, scene: Scene, camera: CameraPath, width: int, height: int, *, normals: bool, color: bool,
        antialias: bool, light: Light | None,
    ) -> None:  # fmt: skip
        self.width, self.height = width, height
        self.normals, self.color, self.antialias = normals, color, antialias
        self.side = 2 if antialias else 1
        self.packed = PackedScene(scene, camera, color=color)
        self.camera = camera.resized(width * self.side, height * self.side)
        self.light = light

    def work(self) -> int:
        """A rough measure of what one frame costs."""
        return len(self.packed.faces) + self.width * self.height * self.side**2

    def intrinsics(self, frame: int) -> Float:
        """The `(5,)` numbers fx, fy, cx, cy in samples and the near distance."""
        intrinsics = self.camera.intrinsics_at(frame)
        return np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy, NEAR])


class _Workspace:
    """One thread's scratch arrays, kept from frame to frame because touching fresh memory is slow."""

    def __init__(self, job: _Job) -> None:
        self.unsafe = np.zeros(len(job.packed.entities), np.int64)
        self.nearest = np.empty((visibility.TILE, visibility.TILE))
        self.scratch = shading.scratch()
        self.seen = np.empty((job.height * job.side, job.width * job.side), np.int32)
        self.normals_camera = np.empty((len(job.packed.normals), 3), np.float32)
        self._grow(len(job.packed.vertices), len(job.packed.faces))

    def _grow(self, vertices: int, triangles: int) -> None:
        self.points_camera = np.empty((vertices, 3))
        self.inverse_depth = np.empty(vertices)
        self.snapped = np.empty((vertices, 2), np.int32)
        self.triangles = np.empty((triangles, 8), np.int32)

    def draw(self, job: _Job, frame: int) -> Frame:
        """Render one frame."""
        packed, intrinsics = job.packed, job.intrinsics(frame)
        vertices, normals_object = packed.at(frame)
        visibility.turn_normals(
            normals_object,
            packed.normal_starts,
            packed.normal_matrices[frame],
            packed.shown[frame],
            self.normals_camera,
        )
        self._project(packed, frame, vertices, intrinsics)
        height, width = self.seen.shape
        count = visibility.collect_triangles(
            packed.faces, packed.face_starts, packed.mirrored[frame], packed.shown[frame], self.unsafe, intrinsics,
            width, height, len(vertices), self.points_camera, self.inverse_depth, self.snapped, self.triangles,
        )  # fmt: skip
        tiles = visibility.find_visible(
            self.triangles, count, self.snapped, self.inverse_depth, self.nearest, self.seen
        )
        return self.shade(job, frame, tiles)

    def shade(self, job: _Job, frame: int, tiles: Int) -> Frame:
        """What `seen` names in these tiles, as a frame."""
        packed, intrinsics, colors = job.packed, job.intrinsics(frame), job.packed.colors
        light = (job.light or Light()).in_camera(job.camera.world_from_camera[frame])
        normals, ids, depth, color, coverage = _empty_image(job)
        shading.shade(
            self.seen, tiles, visibility.TILE // job.side, job.side, intrinsics, packed.faces, packed.normal_faces,
            packed.face_entity, self.points_camera, self.normals_camera, colors.table, colors.levels,
            colors.vertex_colors, colors.corner_uvs, colors.texels, light, job.color, job.light is not None,
            job.normals, *self.scratch, normals, ids, depth, color, coverage,
        )  # fmt: skip
        return Frame(
            normals=normals,
            ids=ids,
            depth=depth,
            color=color if job.color else None,
            coverage=coverage if job.antialias else None,
        )

    def _project(self, packed: PackedScene, frame: int, vertices: Float, intrinsics: Float) -> None:
        """Fill the vertex arrays, with room for what clipping will add."""
        for _ in range(2):
            visibility.project(
                vertices, packed.vertex_starts, packed.camera_from_object[frame], packed.shown[frame], intrinsics,
                self.points_camera, self.inverse_depth, self.snapped, self.unsafe,
            )  # fmt: skip
            cut = 0
            if self.unsafe.any():
                cut = visibility.count_unsafe_faces(
                    packed.faces, packed.face_starts, packed.shown[frame], self.unsafe, self.inverse_depth
                )
            room = len(vertices) + visibility.MAX_CORNERS * cut
            if room <= len(self.inverse_depth):
                return
            self._grow(room, len(packed.faces) + (visibility.MAX_CORNERS - 3) * cut)


def compile_shading(scene: Scene) -> None:
    """Compile the largest kernel alone, at the first use after an installation; a scene without entities will do."""
    job = _Job(scene, scene.camera, 1, 1, normals=False, color=True, antialias=True, light=None)
    _Workspace(job).shade(job, 0, np.zeros(0, np.int64))


def _empty_image(job: _Job) -> tuple[np.ndarray, ...]:
    """Normals, ids, depth, colour, coverage with nothing seen. Zeroed memory that no tile touches is never paged in."""
    shape = (job.height, job.width)
    return (
        np.zeros((*shape, 3), np.float32),
        np.zeros(shape, np.uint8),
        np.full(shape, np.inf, np.float32),
        np.zeros((*shape, 3) if job.color else (0, 0, 3), np.uint8),
        np.zeros(shape if job.antialias else (0, 0), np.float32),
    )


def _threaded(job: _Job, numbers: Sequence[int], threads: int) -> Iterator[Frame]:
    workspaces: SimpleQueue[_Workspace] = SimpleQueue()
    for _ in range(threads):
        workspaces.put(_Workspace(job))

    def draw(number: int) -> Frame:
        workspace = workspaces.get()
        try:
            return workspace.draw(job, number)
        finally:
            workspaces.put(workspace)

    return ordered_map(draw, numbers, threads=threads)
