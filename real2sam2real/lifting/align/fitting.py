"""Bring a drawn silhouette onto a mask: Gauss-Newton steps on the distances between the two edges.

For small motions a silhouette's edge moves as the surface points seen at it do, so the distance of each edge pixel from
the other edge has an exact derivative by the pose, and no soft rendering is needed (Harris and Stennett, 1990;
Drummond and Cipolla, 2002). Distances are taken both ways: from the drawn edge to the mask's, which pulls back what
sticks out, and from the mask's edge to the drawn one, which pulls the mesh to where nothing is drawn yet. Weights of a
Cauchy distribution keep parts that the mask misses from pulling. N residuals, P parameters.

A silhouette does not change when a mesh is moved away and grows alike, so shifts run across the line of sight only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from real2sam2real.arrays import Bool, Float, Int, Int32
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.align.pose import MeshPose
from real2sam2real.lifting.align.target import LEAST_DEPTHS, Silhouette, Target, slopes_at

MOST_TURN = np.radians(12.0)  # per step
MOST_GROWTH = 0.25
MOST_SHIFT = 0.5  # of the object's radius
DAMPING = 1e-3
NEAR_TURN, NEAR_GROWTH = 8.0, 0.06  # degrees, and the logarithm of a size: what counts as near the initial pose
LEAVING_COST, DOUBTFUL = 0.05, 0.2  # of agreement; what is missing of full agreement where doubt is full
MOST_EDGE_PIXELS = 600
MOST_DEPTH_PIXELS = 400
DEPTH_WEIGHT = 0.5  # a depth error of a tenth of the object's size counts like half that much of a shift in the picture


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedMesh:
    """The mesh that is fitted."""

    vertices: Float  # `(V, 3)` in the object frame
    faces: Int32  # `(F, 3)` int32
    centre: Float  # `(3,)` what it is turned about
    radius: float  # root mean square distance of the vertices from it

    @classmethod
    def of(cls, vertices: Float, faces: Int32) -> FittedMesh:
        """With the middle of the bounding box as its centre."""
        used = vertices[np.unique(faces)]
        centre = (used.min(axis=0) + used.max(axis=0)) / 2
        radius = float(np.sqrt(((used - centre) ** 2).sum(axis=1).mean()))
        return cls(vertices=vertices, faces=faces, centre=centre, radius=radius)


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseFit:
    """A pose and how well it fits its target."""

    pose: MeshPose  # where the mesh is
    worth: (
        float  # `Target.agreement` and its like, less what leaving the initial pose costs; the best pose has most of it
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Freedom:
    """What may change, and what a pose should better not leave without need."""

    focal: bool = False  # whether the focal length may change
    # the lifter's own pose, or None. A lifter may know a body under clothes, or a thing behind others, better than a
    # silhouette does; so to leave it costs up to `LEAVING_COST` of agreement
    initial: MeshPose | None = None

    def worth(self, pose: MeshPose, agreement: float) -> float:
        """The agreement less what leaving the initial pose costs: little near it, and no more beyond some distance."""
        if self.initial is None:
            return agreement
        turn = pose.angle_to(self.initial) / NEAR_TURN
        growth = float(np.log(pose.size() / self.initial.size())) / NEAR_GROWTH
        doubt = min(1.0, (1 - agreement) / DOUBTFUL)
        return agreement - LEAVING_COST * doubt * (1 - float(np.exp(-(turn**2) - growth**2)))


def draw(shape: FittedMesh, pose: MeshPose, target: Target) -> Float:
    """`(h, w)` inverse depth in the target's window."""
    return inverse_depth(pose.points_camera(shape.vertices), shape.faces, pose.intrinsics(target.intrinsics))


def fit(shape: FittedMesh, start: MeshPose, target: Target, *, steps: int, reach: float, freedom: Freedom) -> PoseFit:
    """The best pose among at most `steps` Gauss-Newton steps from `start`, the start included.

    Edges pull in full up to a distance of `reach` pixels of the target.
    """
    best = PoseFit(pose=start, worth=-1.0)
    pose = start
    stale = 0
    for number in range(steps + 1):
        drawn = draw(shape, pose, target)
        by_depth = target.depth_agreement(drawn, shape.radius * pose.size())
        silhouette = Silhouette(drawn > 0)
        signs = [target.agreement(silhouette.covered), target.edge_agreement(silhouette), *by_depth]
        here = PoseFit(pose=pose, worth=freedom.worth(pose, sum(signs) / len(signs)))
        stale = 0 if here.worth > best.worth + 1e-4 else stale + 1
        if here.worth > best.worth:
            best = here
        if number == steps or stale > 5:
            break
        # The reach shrinks, so that what fits nearly decides in the end and what cannot fit is let go.
        moved = _step(shape, pose, target, drawn, silhouette, max(reach * 0.8**number, 1.5), freedom)
        if moved is None:
            break
        pose = moved
    return best


def _step(
    shape: FittedMesh,
    pose: MeshPose,
    target: Target,
    drawn: Float,
    silhouette: Silhouette,
    reach: float,
    freedom: Freedom,
) -> MeshPose | None:
    """One Gauss-Newton step, or None where nothing is drawn, or nothing pulls."""
    if not silhouette.covered.any() or not len(target.edge):
        return None
    basis = _Basis.at(shape, pose, target, freedom)
    rows = [*_edge_equations(drawn, silhouette, target, basis, reach), _depth_equations(drawn, target, basis)]
    jacobian = np.concatenate([row[0] for row in rows])
    residual = np.concatenate([row[1] for row in rows])
    weight = np.concatenate([row[2] for row in rows])
    if len(residual) < jacobian.shape[1]:
        return None
    weighted = jacobian * weight[:, None]
    normal, right = weighted.T @ jacobian, -weighted.T @ residual
    normal += DAMPING * np.diag(np.diag(normal) + 1e-9 * np.trace(normal))
    change = np.linalg.solve(normal, right)
    return basis.moved(pose, change)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Basis:
    """What the parameters mean at a pose: turn (3), shifts across the line of sight (2), growth, and focal length."""

    centre: Float  # `(3,)` of the object in the camera frame
    radius: float  # of the object, in the scene's unit
    across: Float  # `(2, 3)` directions in units of the radius
    target: Target  # whose pixels derivatives are in
    pose: MeshPose  # at which they are taken
    size: int  # number of parameters

    @classmethod
    def at(cls, shape: FittedMesh, pose: MeshPose, target: Target, freedom: Freedom) -> _Basis:
        centre = pose.points_camera(shape.centre[None])[0]
        radius = shape.radius * pose.size()
        sight = centre / np.linalg.norm(centre)
        right = np.cross(sight, [0.0, 1.0, 0.0])
        right /= max(float(np.linalg.norm(right)), 1e-9)
        across = radius * np.stack([right, np.cross(right, sight)])
        return cls(
            centre=centre, radius=radius, across=across, target=target, pose=pose, size=7 if freedom.focal else 6
        )

    def points(self, pixels: Int, inverse: Float) -> Float:
        """`(N, 3)` camera-space points at pixels of the window."""
        k = self.pose.intrinsics(self.target.intrinsics)
        return k.unproject(pixels + 0.5, 1 / inverse)

    def velocities(self, points: Float) -> Float:
        """`(N, P, 3)` how camera-space points move with each parameter."""
        out = np.zeros((len(points), self.size, 3))
        arm = points - self.centre
        x, y, z = arm.T
        out[:, 0, 1], out[:, 0, 2] = -z, y  # the axes' cross products with the arm
        out[:, 1, 0], out[:, 1, 2] = z, -x
        out[:, 2, 0], out[:, 2, 1] = -y, x
        out[:, 3:5] = self.across
        out[:, 5] = arm
        return out

    def pixel_velocities(self, points: Float) -> Float:
        """`(N, P, 2)` the same for their columns and rows in the window."""
        k = self.pose.intrinsics(self.target.intrinsics)
        motion, depth = self.velocities(points), -points[:, 2]
        out = np.empty((len(points), self.size, 2))
        x, y = (points[:, 0] / depth)[:, None], (points[:, 1] / depth)[:, None]
        out[..., 0] = k.fx * (motion[..., 0] + x * motion[..., 2]) / depth[:, None]
        out[..., 1] = -k.fy * (motion[..., 1] + y * motion[..., 2]) / depth[:, None]
        if self.size == 7:
            out[:, 6, 0], out[:, 6, 1] = k.fx * x[:, 0], -k.fy * y[:, 0]
        return out

    def moved(self, pose: MeshPose, change: Float) -> MeshPose:
        """The pose after a step, shortened where it is too long to be trusted."""
        most = np.array([MOST_TURN] * 3 + [MOST_SHIFT] * 2 + [MOST_GROWTH] * (self.size - 5))
        change = change / max(1.0, float((np.abs(change) / most).max()))
        focal = float(change[6]) if self.size == 7 else 0.0
        return pose.changed(self.centre, change[:3], change[3:5] @ self.across, float(change[5]), focal)


Equations = tuple[Float, Float, Float]  # `(N, P)` derivatives, `(N,)` residuals in pixels, `(N,)` weights


def _edge_equations(
    drawn: Float, silhouette: Silhouette, target: Target, basis: _Basis, reach: float
) -> tuple[Equations, Equations]:
    """Distances of the drawn edge from the mask's, and of the mask's from the drawn one."""
    distance, pixels = silhouette.distance, silhouette.edge
    points = basis.points(pixels, drawn[pixels[:, 1], pixels[:, 0]])
    moving = basis.pixel_velocities(points)
    counted = target.counted[pixels[:, 1], pixels[:, 0]] & _within(pixels, distance.shape)
    out = _thinned(np.nonzero(counted)[0])
    x, y = pixels[out].T
    outward = _equations(
        np.einsum("npc,nc->np", moving[out], target.slope[y, x]),
        target.distance[y, x] - distance[y, x],
        reach,
    )
    edge = target.edge[_thinned(np.arange(len(target.edge)))]
    _, nearest = cKDTree(pixels).query(edge)
    x, y = edge.T
    inward = _equations(
        -np.einsum("npc,nc->np", moving[nearest], slopes_at(distance, edge)),
        distance[y, x] - target.distance[y, x],
        reach,
    )
    return outward, inward


def _equations(jacobian: Float, residual: Float, reach: float) -> Equations:
    return jacobian, residual, 1 / (1 + (residual / reach) ** 2) / max(1, len(residual))


def _depth_equations(drawn: Float, target: Target, basis: _Basis) -> Equations:
    """Deviations in depth where both are known, beside one common factor: how far away all of it is, is settled later.

    They are weighed against pixels by the object's size in the picture.
    """
    pixels = _thinned(target.known_depths(drawn), MOST_DEPTH_PIXELS)
    if len(pixels) < LEAST_DEPTHS:
        return np.zeros((0, basis.size)), np.zeros(0), np.zeros(0)
    depth, seen = target.matched_depths(drawn, pixels)
    points = basis.points(pixels, 1 / depth)
    pixels_per_unit = DEPTH_WEIGHT * target.size / (2 * basis.radius)
    residual = pixels_per_unit * (depth - seen)
    jacobian = -pixels_per_unit * basis.velocities(points)[..., 2]
    jacobian = jacobian - np.median(jacobian, axis=0)
    return _equations(jacobian, residual, max(2.0, 0.05 * target.size))


def _within(pixels: Int, shape: tuple[int, ...]) -> Bool:
    """Not at the window's own border, where a silhouette is cut off."""
    x, y = pixels.T
    return (x > 0) & (y > 0) & (x < shape[1] - 1) & (y < shape[0] - 1)


def _thinned(indices: Int, most: int = MOST_EDGE_PIXELS) -> Int:
    step = max(1, -(-len(indices) // most))
    return indices[::step]
