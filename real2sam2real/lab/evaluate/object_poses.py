"""Where the objects of a video truly are: the six degrees of freedom of known meshes, frame by frame.

An object is drawn as its control shows it, and dense optical flow says where each of its pixels is in the video. Pixels
with a known place in space and one in the picture give a pose (perspective-n-point); from there the object
is drawn again, and the brightness of all its pixels refines the pose. What is left over between the two pictures, and
how much it would change with each of the six degrees of freedom, say how far off the pose may be: where that is much,
the picture does not determine it, and it counts as not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Mask, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.geometry.transforms import OPENCV_FROM_OPENGL
from real2sam2real.rendering import Light, render_frames
from real2sam2real.scene import CameraPath, Motion, Scene

_MARGIN = 0.35  # of the object's size, around it in the crop
_FLOW_SIDE = 320  # pixels of the crop's longer side, at least, where flow is found
_DIRECT_SIDE = 160  # and where brightness is compared
_FLOW_EDGE = 2  # pixels inside the silhouette where flow is not believed
_DIRECT_EDGE = 1  # and where brightness is not: they mix with what lies behind
_LEAST_PIXELS = 60  # of an object in view
_SPREAD = 4.0  # pixels over which brightness is evened out
_OTHER_WAY = 1.5  # pixels by which flow there and back may disagree
_CORRESPONDENCES = 1500
_TEXTURE = 0.05  # of the best corners' strength
_DAMPING = 1e-4
_SOLVER_ROUNDS = 12
_WORST = -1.0
_STIFFNESS = 1e-3  # of a picture's light, against that of the drawn object
_LIGHTS = 0.1, 4.0  # by which light may change a colour
_NEAR = 0.7  # local spreads of brightness by which a pixel that agrees may be off
_CAUTION = 3.0  # true errors over those of independent residuals, in films of rooms: neighbours err together
_FAR = 2.0  # local spreads of brightness beyond which a difference is as good as any


@dataclass(frozen=True, kw_only=True)
class PoseOptions:
    """How poses are found."""

    rounds: int = 2  # of drawing and refining by optical flow
    direct_rounds: int = 8  # and then by brightness alone, at most
    reprojection: float = 1.5  # pixels of the crop by which an inlier may be off
    inliers: int = 40  # pixels that must agree
    agreement: float = 0.5  # share of the pixels with a flow that must
    similarity: float = 0.25  # least correlation of the picture with the drawn object
    sure: float = 0.8  # confidence from which no other guess is tried
    degrees: float = 3.0  # by which a pose that counts may be expected to be off
    percent: float = 3.0  # likewise, of the object's distance from the camera


@dataclass(frozen=True, kw_only=True, eq=False)
class RecoveredPoses:
    """One object's poses in a video.

    Attributes:
        world_from_object: `(T, 4, 4)` float64, rigid but for the mesh's own scale; the commanded one where not found.
        found: `(T,)` bool, frames that the drawn object explains and that leave its pose little freedom.
        confidence: `(T,)` float64 in 0…1: correlation of the video with the object as drawn at its pose, times the
            share of its pixels that agree; 0 where not found.
        inliers: `(T,)` int64 pixels that agree.
        in_view: `(T,)` bool, frames in which the command shows enough of it to be found.
    """

    world_from_object: Float
    found: Bool
    confidence: Float
    inliers: np.ndarray
    in_view: Bool


def recover_poses(
    frames: Sequence[UInt8], scene: Scene, name: str, options: PoseOptions | None = None, light: Light | None = None
) -> RecoveredPoses:
    """Find where an entity is in each frame of a video.

    Args:
        frames: `(H, W, 3)` uint8 sRGB, one for each of the scene's, of any size of its aspect.
        scene: the directed scene; the other entities may hide this one, and count as standing where commanded.
        name: of a rigid entity.
        options: see there.
        light: that the video is drawn in, where it is known; dull shading is fitted to each frame in any case.

    Raises:
        ValueError: there are more or fewer frames than the scene has.
    """
    if len(frames) != scene.frames:
        raise ValueError(f"the video has {len(frames)} frames, the scene {scene.frames}")
    tracker = _Tracker(scene, name, options or PoseOptions(), light)
    commanded = scene.entity(name).motion.matrices()
    poses = commanded.copy()
    found, seen = np.zeros(scene.frames, bool), np.zeros(scene.frames, bool)
    confidence, inliers = np.zeros(scene.frames), np.zeros(scene.frames, np.int64)
    last: Float | None = None  # what the video's pose was against the command's
    before: Float | None = None
    for t, picture in enumerate(frames):
        guesses = [commanded[t]]
        if last is not None and before is not None:  # errors grow from frame to frame: go on from the last one
            guesses = [last @ commanded[t], commanded[t], before]
        result = tracker.find(picture, t, guesses)
        seen[t] = result.in_view
        if result.pose is not None and result.determined:
            poses[t], found[t] = result.pose, True
            confidence[t], inliers[t] = result.confidence, result.inliers
        if result.pose is not None:
            last, before = result.pose @ np.linalg.inv(commanded[t]), result.pose
    return RecoveredPoses(world_from_object=poses, found=found, confidence=confidence, inliers=inliers, in_view=seen)


@dataclass(frozen=True, kw_only=True, eq=False)
class _PoseFit:
    """A pose that explains a picture; None where none does."""

    pose: Float | None
    confidence: float
    inliers: int
    in_view: bool
    determined: bool = False  # the picture leaves no freedom to it
    degrees: float = np.inf  # by which it is expected to be off
    percent: float = np.inf  # of the distance from the camera, likewise


_NOWHERE = _PoseFit(pose=None, confidence=_WORST, inliers=0, in_view=False)
_UNEXPLAINED = replace(_NOWHERE, in_view=True)


@dataclass(frozen=True, kw_only=True)
class _Agreement:
    """How many pixels agree with a motion, and which share of those that flow says something of."""

    inliers: int
    share: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """A refinement: a motion `(4, 4)` in camera space."""

    motion: Float
    agreement: _Agreement


@dataclass(frozen=True, kw_only=True, eq=False)
class _Comparison:
    """A picture beside the object as drawn at a pose."""

    pose: Float
    motion: Float  # `(4, 4)` in camera space that would bring them together
    cost: float
    similarity: float
    agreement: _Agreement  # of pixels as bright as they should be
    degrees: float  # by which the pose is expected to be off
    percent: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """An object as drawn at a pose, cut out."""

    plain: Float32  # `(h, w)` brightness of its colours, 0…255
    normals: Float32  # `(h, w, 3)` in camera space
    gray: Float32  # `(h, w)` lit as in the video and evened out; see `_matched`
    mask: Mask  # `(h, w)` where the object is seen, edges left out
    points_camera: Float  # `(h, w, 3)`
    left: int  # of the cut, in pixels of the frame
    top: int
    factor: float  # pixels of the cut in one of the frame
    size: tuple[int, int]  # of the cut in the frame: width, height

    @property
    def textured(self) -> Mask:
        """`(h, w)` where there is something that flow can hold on to in both directions."""
        least = cv2.cornerMinEigenVal(self.gray, 7)
        return least > _TEXTURE * float(np.quantile(least[self.mask], 0.9)) if self.mask.any() else self.mask

    def in_frame(self, x: Float, y: Float) -> Float:
        """Points of the cut `(N, 2)` in pixels of the frame."""
        return np.stack([x, y], axis=1) / self.factor + [self.left, self.top]


class _Tracker:
    """One object of a scene, drawn at any pose."""

    def __init__(self, scene: Scene, name: str, options: PoseOptions, light: Light | None) -> None:
        self._scene, self._name, self._options, self._light = scene, name, options, light
        self._vertices = scene.entity(name).mesh.vertices.astype(np.float64)

    def find(self, picture: UInt8, t: int, guesses: Sequence[Float]) -> _PoseFit:
        """The best of the poses that refining the guesses leads to."""
        best = _PoseFit(pose=None, confidence=_WORST, inliers=0, in_view=False)
        camera = self._scene.camera.resized(picture.shape[1], picture.shape[0])
        for guess in guesses:
            fit = self._refined(picture, t, camera, guess)
            visible = best.in_view or fit.in_view
            better = fit.pose is not None and fit.confidence > best.confidence
            best = replace(fit if better else best, in_view=visible)
            if best.confidence >= self._options.sure:
                break
        return best

    def _refined(self, picture: UInt8, t: int, camera: CameraPath, guess: Float) -> _PoseFit:
        agreeing: _Agreement | None
        lens, pose, agreeing = camera.intrinsics_at(t), guess, None
        for number in range(self._options.rounds):
            view = self._drawn(t, camera, pose, _FLOW_SIDE, _FLOW_EDGE)
            if view is None:
                return _NOWHERE if number == 0 else _UNEXPLAINED
            step = self._step_by_flow(*_matched(view, picture), lens)
            if step is None:  # too small for flow: brightness may still do
                agreeing = None
                break
            pose = _moved(pose, step.motion, camera.world_from_camera[t])
            agreeing = step.agreement
        best = self._compared(picture, t, camera, pose)
        for _ in range(self._options.direct_rounds):
            if best is None:
                return _UNEXPLAINED
            pose = _moved(best.pose, best.motion, camera.world_from_camera[t])
            tried = self._compared(picture, t, camera, pose)
            if tried is None or tried.cost >= best.cost:
                break
            best = tried
        return _UNEXPLAINED if best is None else self._judged(best, agreeing or best.agreement)

    def _judged(self, best: _Comparison, agreeing: _Agreement) -> _PoseFit:
        """What a comparison and the flow before it are worth."""
        options = self._options
        explained = best.similarity >= options.similarity and agreeing.share >= options.agreement
        explained = explained and agreeing.inliers >= options.inliers
        return _PoseFit(
            pose=best.pose if explained else None,
            confidence=max(0.0, best.similarity) * agreeing.share,
            inliers=agreeing.inliers,
            in_view=True,
            determined=best.degrees <= options.degrees and best.percent <= options.percent,
            degrees=best.degrees,
            percent=best.percent,
        )

    def _compared(self, picture: UInt8, t: int, camera: CameraPath, pose: Float) -> _Comparison | None:
        view = self._drawn(t, camera, pose, _DIRECT_SIDE, _DIRECT_EDGE)
        if view is None or view.mask.sum() < _LEAST_PIXELS:
            return None
        origin = (transforms.invert_rigid(camera.world_from_camera[t]) @ pose)[:3, 3] * [1.0, -1.0, -1.0]
        return _comparison(*_matched(view, picture), camera.intrinsics_at(t), pose, origin)

    def _drawn(self, t: int, camera: CameraPath, pose: Float, side: int, edge: int) -> _View | None:
        """The object at a pose, cut out; None where too little of it is seen."""
        lens = camera.intrinsics_at(t)
        points = transforms.apply(transforms.invert_rigid(camera.world_from_camera[t]) @ pose, self._vertices)
        window = _window(points, lens)
        if window is None:
            return None
        left, top, width, height = window
        narrow = replace(lens, width=width, height=height, cx=lens.cx - left, cy=lens.cy - top)
        still = CameraPath.still(1, narrow, camera.world_from_camera[t])
        entities = tuple(
            replace(e, motion=Motion.still(1, pose if e.name == self._name else e.motion.matrices()[t]))
            for e in self._scene.entities
            if e.name == self._name or e.motion.visible[t]
        )
        scene = Scene(entities=entities, camera=still)
        (frame,) = render_frames(
            scene, width=width, height=height, color=True, antialias=True, light=self._light, threads=1
        )
        assert frame.color is not None
        mask = frame.ids == [e.name for e in entities].index(self._name) + 1
        if mask.sum() < _LEAST_PIXELS:
            return None
        view = _cut_out(frame.color, frame.normals, mask, frame.depth, narrow, side=side, edge=edge)
        return replace(view, left=view.left + left, top=view.top + top)

    def _step_by_flow(self, view: _View, target: Float32, lens: Intrinsics) -> _Step | None:
        """The motion that brings the object's pixels where optical flow says they are; None where it says little."""
        there, back = _flow(view.gray, target), _flow(target, view.gray)
        rows, columns = np.nonzero(view.mask & view.textured)
        shift = there[rows, columns].astype(np.float64)
        landed = (columns + shift[:, 0]).astype(np.float32), (rows + shift[:, 1]).astype(np.float32)
        returned = cv2.remap(back, *landed, cv2.INTER_LINEAR).reshape(-1, 2)
        steady = np.linalg.norm(shift + returned, axis=1) < _OTHER_WAY
        if steady.sum() < self._options.inliers:
            return None
        chosen = np.flatnonzero(steady)
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _CORRESPONDENCES)).astype(int)]
        rows, columns, shift = rows[chosen], columns[chosen], shift[chosen]
        points = view.points_camera[rows, columns] * [1.0, -1.0, -1.0]
        pixels = view.in_frame(columns + 0.5 + shift[:, 0], rows + 0.5 + shift[:, 1])
        motion, agree = _perspective_n_point(points, pixels, lens, self._options.reprojection / view.factor)
        share = float(agree.mean()) * float(steady.mean())
        return _Step(motion=motion, agreement=_Agreement(inliers=int(agree.sum()), share=share))


def _comparison(view: _View, target: Float32, lens: Intrinsics, pose: Float, origin: Float) -> _Comparison:
    """One step of least squares of all pixels' brightness over the six degrees of freedom, far ones damped (Huber).

    Gradients are the mean of both pictures', which makes it a step of second order (Benhimane and Malis, 2004).
    """
    rows, columns = np.nonzero(view.mask)
    mean = (view.gray + target) / 2
    across = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8)[rows, columns].astype(np.float64)
    down = cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)[rows, columns].astype(np.float64)
    x, y, z = (view.points_camera[rows, columns] * [1.0, -1.0, -1.0]).T
    gx, gy = across * lens.fx * view.factor / z, down * lens.fy * view.factor / z
    jacobian = _point_jacobian(gx, gy, x, y, z)
    residual = (target - view.gray)[rows, columns].astype(np.float64)
    typical = 1.5 * float(np.median(np.abs(residual))) + 1e-6
    weights = np.minimum(1.0, typical / np.maximum(np.abs(residual), 1e-9))
    normal = jacobian.T @ (weights[:, None] * jacobian)
    near = np.abs(residual) < _NEAR
    degrees, percent = _expected_errors(normal, float(np.mean(weights * residual**2)) * view.factor**2, origin)
    normal[np.diag_indices(6)] *= 1 + _DAMPING
    solution = np.linalg.lstsq(normal, -jacobian.T @ (weights * residual), rcond=1e-9)[0]
    return _Comparison(
        pose=pose,
        motion=OPENCV_FROM_OPENGL @ _rigid(np.asarray(solution, np.float64)) @ OPENCV_FROM_OPENGL,
        cost=float(np.mean(np.minimum(np.abs(residual), _FAR))),
        similarity=_correlation(view.gray, target, view.mask),
        agreement=_Agreement(inliers=int(near.sum() / view.factor**2), share=float(near.mean())),
        degrees=degrees,
        percent=percent,
    )


def _expected_errors(normal: Float, variance: float, origin: Float) -> tuple[float, float]:
    """Standard deviations of a pose, degrees and percent of the distance, from the normal equations `(6, 6)`.

    The covariance is the residual's variance by the inverse of the Hessian (Gauss and Newton); what the picture leaves
    open is a small eigenvalue of the latter. `origin` is the object's in OpenCV's camera space: turns about the
    camera move it.
    """
    distance = float(np.linalg.norm(origin))
    unit = np.diag([1.0, 1.0, 1.0, distance, distance, distance])
    values, vectors = np.linalg.eigh(unit @ normal @ unit)
    covariance = variance * (vectors / np.maximum(values, 1e-12 * values[-1] + 1e-300)) @ vectors.T
    x, y, z = origin / distance
    cross = np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    shift = np.hstack([cross, np.eye(3)])
    turned, shifted = np.trace(covariance[:3, :3]), np.trace(shift @ covariance @ shift.T)
    return _CAUTION * float(np.degrees(np.sqrt(turned))), _CAUTION * float(100 * np.sqrt(shifted))


def _window(points: Float, lens: Intrinsics) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of what camera-space points `(N, 3)` cover, with a margin; None out of the frame."""
    ahead = points[points[:, 2] < 0]
    if len(ahead) < len(points):  # around the camera: anywhere
        return (0, 0, lens.width, lens.height) if len(ahead) else None
    x, y = lens.fx * ahead[:, 0] / -ahead[:, 2] + lens.cx, -lens.fy * ahead[:, 1] / -ahead[:, 2] + lens.cy
    margin = _MARGIN * max(np.ptp(x), np.ptp(y)) + 10
    left, top = max(0, int(x.min() - margin)), max(0, int(y.min() - margin))
    right, bottom = min(lens.width, int(x.max() + margin) + 1), min(lens.height, int(y.max() + margin) + 1)
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _moved(pose: Float, motion: Float, world_from_camera: Float) -> Float:
    """A world-from-object pose after a motion in camera space."""
    moved: Float = world_from_camera @ motion @ transforms.invert_rigid(world_from_camera) @ pose
    return moved


def _perspective_n_point(points: Float, pixels: Float, lens: Intrinsics, error: float) -> tuple[Float, Bool]:
    """The motion in camera space that brings OpenCV's points `(N, 3)` under pixels `(N, 2)`; and which agree with it.

    Iterated least squares with Tukey's weights from no motion on: solvers that start from nothing may come out behind
    the camera, where the pixels are the same.
    """
    moved, at = np.eye(4), points
    apart = np.zeros(len(points))
    for _ in range(_SOLVER_ROUNDS):
        x, y, z = at.T
        shown = np.stack([lens.fx * x / z + lens.cx, lens.fy * y / z + lens.cy], axis=1)
        residual = pixels - shown
        apart = np.linalg.norm(residual, axis=1)
        reach = 3 * max(error, 1.5 * float(np.median(apart)))
        weights = np.maximum(1 - (apart / reach) ** 2, 0.0) ** 2
        zero = np.zeros_like(z)
        rows = [_point_jacobian(lens.fx / z, zero, x, y, z), _point_jacobian(zero, lens.fy / z, x, y, z)]
        normal = sum(j.T @ (weights[:, None] * j) for j in rows)
        gradient = sum(j.T @ (weights * r) for j, r in zip(rows, residual.T, strict=True))
        step = _rigid(np.linalg.lstsq(normal, gradient, rcond=1e-9)[0])
        moved = step @ moved
        at = points @ moved[:3, :3].T + moved[:3, 3]
    return OPENCV_FROM_OPENGL @ moved @ OPENCV_FROM_OPENGL, apart < error


def _point_jacobian(gx: Float, gy: Float, x: Float, y: Float, z: Float) -> Float:
    """`(N, 6)`: how gradients over depth, `gx` and `gy`, change with turns about x, y, z and shifts along them."""
    along = -(gx * x + gy * y) / z
    return np.stack([along * y - gy * z, gx * z - along * x, gy * x - gx * y, gx, gy, along], axis=1)


def _rigid(motion: Float) -> Float:
    """`(4, 4)` of a rotation vector and a shift `(6,)`."""
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = cv2.Rodrigues(motion[:3])[0], motion[3:]
    return moved


def _cut_out(
    color: UInt8, normals: Float32, mask: Mask, depth: Float32, intrinsics: Intrinsics, *, side: int, edge: int
) -> _View:
    """The object with some room around it, enlarged where it is small."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = int(_MARGIN * max(len(rows), len(columns))) + 8
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    bottom, right = min(mask.shape[0], rows[-1] + 1 + margin), min(mask.shape[1], columns[-1] + 1 + margin)
    window = (slice(top, bottom), slice(left, right))
    factor = max(1.0, side / max(bottom - top, right - left))
    size = (round((right - left) * factor), round((bottom - top) * factor))
    fine_depth = cv2.resize(np.where(mask, depth, 0)[window].astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    inner = cv2.erode(mask[window].astype(np.uint8), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8))
    fine_mask = cv2.resize(inner, size, interpolation=cv2.INTER_NEAREST).astype(bool)
    x = (np.arange(size[0]) + 0.5) * (right - left) / size[0] + left
    y = (np.arange(size[1]) + 0.5) * (bottom - top) / size[1] + top
    across = (x[None, :] - intrinsics.cx) / intrinsics.fx * fine_depth
    down = -(y[:, None] - intrinsics.cy) / intrinsics.fy * fine_depth
    points = np.stack([across, down, -fine_depth], axis=-1).astype(np.float64)
    fine = cv2.resize(color[window], size, interpolation=cv2.INTER_CUBIC)
    plain = cv2.cvtColor(fine, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return _View(
        plain=plain,
        normals=cv2.resize(normals[window], size, interpolation=cv2.INTER_LINEAR),
        gray=plain,
        mask=fine_mask,
        points_camera=points,
        left=left,
        top=top,
        factor=factor,
        size=(right - left, bottom - top),
    )


def _matched(view: _View, picture: UInt8) -> tuple[_View, Float32]:
    """The object in the picture's light, and the same window of the picture; both evened out."""
    width, height = view.size
    window = picture[view.top : view.top + height, view.left : view.left + width]
    enlarged = cv2.resize(window, (view.gray.shape[1], view.gray.shape[0]), interpolation=cv2.INTER_CUBIC)
    target = cv2.cvtColor(enlarged, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lit = view.plain * _shading(view, target)
    return replace(view, gray=_evened(lit, view.mask)), _evened(target, view.mask)


def _shading(view: _View, target: Float32) -> Float32:
    """`(h, w)` by which the picture's light changes the object's colours.

    Light from afar on dull surfaces is a quadratic function of the normal (Ramamoorthi and Hanrahan, 2001): its nine
    coefficients are fitted to the picture.
    """
    x, y, z = np.moveaxis(view.normals, -1, 0)
    terms = np.stack([np.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], axis=-1)
    inside = terms[view.mask].astype(np.float64) * view.plain[view.mask, None]
    normal = inside.T @ inside
    normal[np.diag_indices(len(normal))] += _STIFFNESS * normal[0, 0]
    wanted = inside.T @ target[view.mask].astype(np.float64)
    wanted[0] += _STIFFNESS * normal[0, 0]  # where nothing is known, as it is
    shading: Float32 = (terms @ np.linalg.solve(normal, wanted)).astype(np.float32)
    return np.clip(shading, *_LIGHTS)


def _evened(gray: Float32, mask: Mask) -> Float32:
    """Brightness `(h, w)` float32 without what changes slowly, over its local spread; 0 outside the mask.

    Exposure and soft shadows are taken out. What is outside the mask says nothing, also of its neighbours.
    """
    inside = mask.astype(np.float32)
    sigma = _SPREAD * max(gray.shape) / 100
    weight = cv2.GaussianBlur(inside, (0, 0), sigma) + 1e-6
    apart = (gray - cv2.GaussianBlur(gray * inside, (0, 0), sigma) / weight) * inside
    spread = np.sqrt(cv2.GaussianBlur(apart * apart, (0, 0), sigma) / weight) + 3.0
    evened: Float32 = apart / spread
    return evened


def _flow(source: Float32, target: Float32) -> Float32:
    """Optical flow `(h, w, 2)` by DIS (Kroeger et al., 2016)."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    bytes_ = [np.clip(picture * 40 + 128, 0, 255).astype(np.uint8) for picture in (source, target)]
    found: Float32 = flow.calc(bytes_[0], bytes_[1], None)
    return found


def _correlation(a: Float32, b: Float32, mask: Mask) -> float:
    """Correlation of two pictures inside a mask, 1 for the same up to brightness and contrast."""
    if mask.sum() < _LEAST_PIXELS:
        return _WORST
    x, y = a[mask] - a[mask].mean(), b[mask] - b[mask].mean()
    length = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / length) if length > 0 else _WORST
