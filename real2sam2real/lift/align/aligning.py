"""Any mesh and a mask: the similarity that lays the mesh's silhouette onto the mask. See docs/lifting.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import fast_simplification
import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lift.align import starts
from real2sam2real.lift.align.drawing import inverse_depth
from real2sam2real.lift.align.fitting import Fit, Freedom, Shape, fit
from real2sam2real.lift.align.pose import Pose
from real2sam2real.lift.align.target import Sight, target_of
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.soup import Soup, weld

SEARCH_TRIANGLES, FINE_TRIANGLES = 3000, 20_000
COARSE, MIDDLE, FINE = 96, 192, 420  # pixels along the window's longer side
KEPT_COARSE, KEPT_MIDDLE = 8, 3
LEAST_DEPTHS = 50  # pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Where a mesh came to be, and how well it fits the photo before and after.

    Attributes:
        camera_from_object: `(4, 4)` similarity.
        intrinsics: of the photo; another focal length than given only where that was allowed.
        iou_before: of the silhouette at the claimed pose with the mask, over pixels that nothing in front may hide;
            None without a claim.
        iou_after: the same at the end; never below `iou_before`.
        iou_whole: at the end, over all pixels, hidden or not.
        turned_degrees: away from the claim; 0 without one.
        nearer: factor on the distance from the camera that the depths asked for, 1 without depths.
    """

    camera_from_object: Float
    intrinsics: Intrinsics
    iou_before: float | None
    iou_after: float
    iou_whole: float
    turned_degrees: float = 0.0
    nearer: float = 1.0


def align(
    mesh: Mesh,
    sight: Sight,
    *,
    claim: Float | None = None,
    up_camera: Float | None = None,
    free_focal: bool = False,
    keep_claim: bool = False,
) -> Alignment:
    """Find the similarity that brings a mesh's silhouette, and its depth where known, onto the photo.

    It searches from the claimed pose and from versions of it that are moved onto the mask and turned by up to 30°, or,
    without a claim, from upright poses all round; the best are refined at growing resolution. A silhouette leaves the
    distance open (a thing twice as big, twice as far, looks the same): it stays the claim's, or becomes the depths'.

    Args:
        mesh: in its object frame, +Y up; need not be closed.
        sight: the mask, what may hide the object, the lens and the depths.
        claim: `(4, 4)` similarity camera_from_object as the lifter has it.
        up_camera: `(3,)` the world's up in the camera frame; the picture's if None. For meshes without a claim.
        free_focal: let the focal length change too, because the claim was made under an unknown one.
        keep_claim: leave the claimed rotation and size in the photo as they are; only say how well they fit.

    Raises:
        UserError: the mask is empty, or the mesh has no surface, or the claim mirrors or flattens.
        ValueError: sizes of mask, hidden and depth disagree with the intrinsics.
    """
    _check(mesh, sight, claim)
    shape = Shape.of(mesh.vertices, mesh.faces)
    light = _lightened(mesh, SEARCH_TRIANGLES, shape)
    target = target_of(sight, COARSE)
    claimed = None if claim is None else Pose(camera_from_object=np.asarray(claim, np.float64))
    if keep_claim and claimed is not None:
        return _settled(shape, [], sight, claimed)
    freedom = Freedom(focal=free_focal, claim=claimed)
    if claimed is not None:
        begin = starts.from_claim(light, claimed, target)
    else:
        begin = starts.from_nothing(light, target, np.array([0.0, 1.0, 0.0]) if up_camera is None else up_camera)
    candidates = _search(light, begin, sight, freedom)
    fine = _lightened(mesh, FINE_TRIANGLES, shape)
    refined = [_refined(fine, candidate.pose, sight, freedom) for candidate in candidates]
    return _settled(shape, refined, sight, claimed)


def _check(mesh: Mesh, sight: Sight, claim: Float | None) -> None:
    size = (sight.intrinsics.height, sight.intrinsics.width)
    for name, image in (("mask", sight.mask), ("hidden", sight.hidden), ("depth", sight.depth)):
        if image is not None and image.shape != size:
            raise ValueError(f"{name} has shape {image.shape}; the photo's is {size}")
    if not sight.mask.any():
        raise UserError("the mask is empty, so there is nothing to align the mesh with")
    if not len(mesh.faces):
        raise UserError("the mesh has no faces, so it has no silhouette to align")
    if claim is not None and not np.linalg.det(np.asarray(claim)[:3, :3]) > 0:
        raise UserError("the mesh's claimed pose mirrors or flattens it; a pose turns, scales and moves")


def _lightened(mesh: Mesh, triangles: int, shape: Shape) -> Shape:
    """Fewer faces for speed; it turns about the same centre."""
    welded, _ = weld(Soup.of(mesh))
    vertices, faces = welded.vertices, welded.faces.astype(np.int32)
    if len(faces) > triangles:
        vertices, faces = fast_simplification.simplify(vertices, faces, target_count=triangles)
    return Shape(
        vertices=vertices.astype(np.float64), faces=faces.astype(np.int32), centre=shape.centre, radius=shape.radius
    )


def _search(shape: Shape, begin: Iterable[Pose], sight: Sight, freedom: Freedom) -> list[Fit]:
    coarse, middle = target_of(sight, COARSE), target_of(sight, MIDDLE)
    fits = [fit(shape, pose, coarse, steps=8, reach=0.15 * coarse.size, freedom=freedom) for pose in begin]
    fits = _best(fits, KEPT_COARSE)
    fits = [fit(shape, f.pose, middle, steps=12, reach=0.06 * middle.size, freedom=freedom) for f in fits]
    return _best(fits, KEPT_MIDDLE)


def _refined(shape: Shape, pose: Pose, sight: Sight, freedom: Freedom) -> Fit:
    target = target_of(sight, FINE)
    return fit(shape, pose, target, steps=20, reach=0.03 * target.size, freedom=freedom)


def _best(fits: list[Fit], count: int) -> list[Fit]:
    """The best, no two of them nearly the same pose."""
    kept: list[Fit] = []
    for candidate in sorted(fits, key=lambda f: -f.worth):
        if all(candidate.pose.angle_to(other.pose) > 2.0 for other in kept):
            kept.append(candidate)
        if len(kept) == count:
            break
    return kept


def _settled(shape: Shape, fits: list[Fit], sight: Sight, claimed: Pose | None) -> Alignment:
    """The best pose as it is seen at the photo's own resolution, at the distance that the depths ask for."""
    before = None if claimed is None else _seen(shape, claimed, sight)[0]
    pose = max(fits, key=lambda f: f.worth).pose if fits else claimed
    if pose is None:
        raise ValueError("an alignment needs a claim, or fits")
    after, whole = _seen(shape, pose, sight)
    if claimed is not None and before is not None and before >= after:
        pose, (after, whole) = claimed, _seen(shape, claimed, sight)
    factor = _distance_factor(shape, pose, sight)
    return Alignment(
        camera_from_object=pose.nearer(factor).camera_from_object,
        intrinsics=pose.intrinsics(sight.intrinsics),
        iou_before=before,
        iou_after=after,
        iou_whole=whole,
        turned_degrees=0.0 if claimed is None else pose.angle_to(claimed),
        nearer=factor,
    )


def _seen(shape: Shape, pose: Pose, sight: Sight) -> tuple[float, float]:
    """IoU of the silhouette over the pixels that nothing may hide, and over all of them, at full resolution."""
    drawn = _drawn(shape, pose, sight) > 0
    counted = ~sight.hidden | sight.mask
    return _iou(drawn & counted, sight.mask), _iou(drawn, sight.mask)


def _drawn(shape: Shape, pose: Pose, sight: Sight) -> Float:
    return inverse_depth(pose.points_camera(shape.vertices), shape.faces, pose.intrinsics(sight.intrinsics))


def _iou(a: Bool, b: Bool) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def _distance_factor(shape: Shape, pose: Pose, sight: Sight) -> float:
    """What brings the drawn depths to those of the photo, in the median; 1 where too few are known."""
    if sight.depth is None:
        return 1.0
    drawn = _drawn(shape, pose, sight)
    known = (drawn > 0) & sight.mask & np.isfinite(sight.depth)
    if int(known.sum()) < LEAST_DEPTHS:
        return 1.0
    return float(np.median(sight.depth[known] * drawn[known]))
