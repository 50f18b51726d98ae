"""Any mesh and a mask: the similarity that lays the mesh's silhouette onto the mask. See docs/lifting.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import fast_simplification
import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.align import starts
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.align.fitting import FittedMesh, Freedom, PoseFit, draw, fit
from real2sam2real.lifting.align.pose import MeshPose
from real2sam2real.lifting.align.target import LEAST_DEPTHS, ObjectObservation, Target, target_of
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.soup import Soup, weld

SEARCH_TRIANGLES, FINE_TRIANGLES = 3000, 20_000
COARSE, MIDDLE, FINE = 96, 192, 420  # pixels along the window's longer side
KEPT_COARSE, KEPT_MIDDLE = 8, 3
FITS_WELL = 0.96  # IoU below which a mesh without a pose is also tried with another axis up
TRIED = 16  # starts with other axes up
CLEARLY = 0.02  # IoU that another axis must bring


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Where a mesh came to be, and how well it fits the photo before and after."""

    camera_from_object: Float  # `(4, 4)` similarity
    intrinsics: Intrinsics  # of the photo; another focal length than given only where that was allowed
    # of the silhouette at the initial pose with the mask, over pixels that nothing in front may hide; None without an
    # initial pose
    iou_before: float | None
    iou_after: float  # the same at the end; never below `iou_before`
    iou_whole: float  # at the end, over all pixels, hidden or not
    turned_degrees: float = 0.0  # away from the initial pose; 0 without one
    nearer: float = 1.0  # factor on the distance from the camera that the depths asked for, 1 without depths
    up: str = "y"  # the axis of the mesh's frame that turned out to point up


def align(
    mesh: Mesh,
    observation: ObjectObservation,
    *,
    initial_pose: Float | None = None,
    up_camera: Float | None = None,
    optimize_focal: bool = False,
    keep_pose: bool = False,
) -> Alignment:
    """Find the similarity that brings a mesh's silhouette, and its depth where known, onto the photo.

    It searches from the initial pose and from versions of it that are moved onto the mask and turned by up to 30°, or,
    without one, from upright poses all round; the best are refined at growing resolution. A silhouette leaves the
    distance open (a thing twice as big, twice as far, looks the same): it stays as it was, or becomes the depths'.

    Args:
        mesh: in its object frame, +Y up; need not be closed.
        observation: the mask, what may hide the object, the intrinsics and the depths.
        initial_pose: `(4, 4)` similarity camera_from_object as the lifter has it.
        up_camera: `(3,)` the world's up in the camera frame; the picture's if None. For meshes without an initial pose.
        optimize_focal: let the focal length change too, because the initial pose was found under an unknown one.
        keep_pose: leave the initial rotation and size in the photo as they are; only say how well they fit.

    Raises:
        UserError: the mask is empty, or the mesh has no surface, or the initial pose mirrors or flattens.
        ValueError: sizes of mask, hidden and depth disagree with the intrinsics.
    """
    _check(mesh, observation, initial_pose)
    shape = FittedMesh.of(mesh.vertices, mesh.faces)
    initial = None if initial_pose is None else MeshPose(camera_from_object=np.asarray(initial_pose, np.float64))
    if keep_pose and initial is not None:
        return _alignment(shape, initial, observation, initial)
    freedom = Freedom(focal=optimize_focal, initial=initial)
    search = _Search(mesh, shape, observation, freedom)
    if initial is not None:
        best = search.best(starts.around_pose(search.light, initial, search.coarse))
        return _alignment(shape, best, observation, initial)
    up = np.array([0.0, 1.0, 0.0]) if up_camera is None else up_camera
    found = _alignment(shape, search.best(starts.all_round(search.light, search.coarse, up)), observation, None)
    if found.iou_after >= FITS_WELL:
        return replace(found, up=_up_axis(found.camera_from_object, up))
    tries = [
        pose
        for axis in list(starts.UP_AXES)[1:]
        for pose in starts.all_round(search.light, search.coarse, up, axis, tilts=(0.0,))
    ]
    other = _alignment(shape, search.best(search.likely(tries)), observation, None)
    better = other if other.iou_after > found.iou_after + CLEARLY else found
    return replace(better, up=_up_axis(better.camera_from_object, up))


def _up_axis(camera_from_object: Float, up_camera: Float) -> str:
    """The axis of the mesh's frame that points up, as `starts.UP_AXES` calls it."""
    along = np.asarray(up_camera, np.float64) @ camera_from_object[:3, :3]
    axis = int(np.argmax(np.abs(along)))
    return ("" if along[axis] > 0 else "-") + "xyz"[axis]


class _Search:
    """One mesh and one photo at growing resolution."""

    def __init__(self, mesh: Mesh, shape: FittedMesh, observation: ObjectObservation, freedom: Freedom) -> None:
        self.freedom = freedom
        self.coarse, self._middle, self._fine = (target_of(observation, side) for side in (COARSE, MIDDLE, FINE))
        self.light = _lightened(mesh, SEARCH_TRIANGLES, shape)
        self._detailed = _lightened(mesh, FINE_TRIANGLES, shape)

    def likely(self, begin: list[MeshPose]) -> list[MeshPose]:
        """Those of many starts whose silhouettes are most like the mask."""
        worth = [-self.coarse.agreement(draw(self.light, pose, self.coarse) > 0) for pose in begin]
        return [begin[k] for k in np.argsort(worth, kind="stable")[:TRIED]]

    def best(self, begin: Iterable[MeshPose]) -> MeshPose:
        """The best pose that is reached from some that are given."""
        fits = _fits(self.light, begin, self.coarse, 8, 0.15, self.freedom)
        fits = _fits(self.light, _best_poses(fits, KEPT_COARSE), self._middle, 12, 0.06, self.freedom)
        fits = _fits(self._detailed, _best_poses(fits, KEPT_MIDDLE), self._fine, 20, 0.03, self.freedom)
        return max(fits, key=lambda f: f.worth).pose


def _check(mesh: Mesh, observation: ObjectObservation, initial_pose: Float | None) -> None:
    size = (observation.intrinsics.height, observation.intrinsics.width)
    for name, image in (("mask", observation.mask), ("hidden", observation.hidden), ("depth", observation.depth)):
        if image is not None and image.shape != size:
            raise ValueError(f"{name} has shape {image.shape}; the photo's is {size}")
    if not observation.mask.any():
        raise UserError("the mask is empty, so there is nothing to align the mesh with")
    if not len(mesh.faces):
        raise UserError("the mesh has no faces, so it has no silhouette to align")
    if initial_pose is not None and not np.linalg.det(np.asarray(initial_pose)[:3, :3]) > 0:
        raise UserError("the mesh's initial pose mirrors or flattens it; a pose turns, scales and moves")


def _lightened(mesh: Mesh, triangles: int, shape: FittedMesh) -> FittedMesh:
    """Fewer faces for speed; it turns about the same centre."""
    welded, _ = weld(Soup.of(mesh))
    vertices, faces = welded.vertices, welded.faces.astype(np.int32)
    if len(faces) > triangles:
        vertices, faces = fast_simplification.simplify(vertices, faces, target_count=triangles)
    return replace(shape, vertices=vertices.astype(np.float64), faces=faces.astype(np.int32))


def _fits(
    shape: FittedMesh, begin: Iterable[MeshPose], target: Target, steps: int, reach: float, freedom: Freedom
) -> list[PoseFit]:
    return [fit(shape, pose, target, steps=steps, reach=reach * target.size, freedom=freedom) for pose in begin]


def _best_poses(fits: list[PoseFit], count: int) -> list[MeshPose]:
    """The best, no two of them nearly the same."""
    kept: list[MeshPose] = []
    for candidate in sorted(fits, key=lambda f: -f.worth):
        if all(candidate.pose.angle_to(other) > 2.0 for other in kept):
            kept.append(candidate.pose)
        if len(kept) == count:
            break
    return kept


def _alignment(
    shape: FittedMesh, pose: MeshPose, observation: ObjectObservation, initial: MeshPose | None
) -> Alignment:
    """The pose, or the initial one where that fits no worse at the photo's own resolution, at the depths' distance."""
    before = None if initial is None else _seen(shape, initial, observation)[0]
    after, whole = _seen(shape, pose, observation)
    if initial is not None and before is not None and before >= after:
        pose, (after, whole) = initial, _seen(shape, initial, observation)
    factor = _distance_factor(shape, pose, observation)
    return Alignment(
        camera_from_object=pose.nearer(factor).camera_from_object,
        intrinsics=pose.intrinsics(observation.intrinsics),
        iou_before=before,
        iou_after=after,
        iou_whole=whole,
        turned_degrees=0.0 if initial is None else pose.angle_to(initial),
        nearer=factor,
    )


def _seen(shape: FittedMesh, pose: MeshPose, observation: ObjectObservation) -> tuple[float, float]:
    """IoU of the silhouette over the pixels that nothing may hide, and over all of them, at full resolution."""
    drawn = _drawn(shape, pose, observation) > 0
    counted = ~observation.hidden | observation.mask
    return _iou(drawn & counted, observation.mask), _iou(drawn, observation.mask)


def _drawn(shape: FittedMesh, pose: MeshPose, observation: ObjectObservation) -> Float:
    return inverse_depth(pose.points_camera(shape.vertices), shape.faces, pose.intrinsics(observation.intrinsics))


def _iou(a: Bool, b: Bool) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def _distance_factor(shape: FittedMesh, pose: MeshPose, observation: ObjectObservation) -> float:
    """What brings the drawn depths to those of the photo, in the median; 1 where too few are known."""
    if observation.depth is None:
        return 1.0
    drawn = _drawn(shape, pose, observation)
    known = (drawn > 0) & observation.mask & np.isfinite(observation.depth)
    if int(known.sum()) < LEAST_DEPTHS:
        return 1.0
    return float(np.median(observation.depth[known] * drawn[known]))
