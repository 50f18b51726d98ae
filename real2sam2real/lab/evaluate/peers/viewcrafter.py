"""ViewCrafter's trajectory text: angles and a distance on a sphere about a point in front of the photo's camera.

It has three numbers a frame where a camera has six, and it smooths them. So the nearest path that it can say is sought,
and the case is left out where that is another path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Float
from real2sam2real.files import replacing_file
from real2sam2real.lab.evaluate.case_set import CaseRecord
from real2sam2real.lab.evaluate.peers.interface import CannotTellError, FixedFormat, PeerCase
from real2sam2real.lab.evaluate.trajectory import path_length, rotation_angles
from real2sam2real.rendering import render_frames

SIZE, FRAMES = (1024, 576), 25
_MIDDLE = 2  # pixels around the photo's middle pixel, of whose depths the median counts
_CENTRES = tuple(np.geomspace(0.1, 2.0, 25).tolist())  # where the sphere's middle is sought, as shares of that depth
_POSITION, _ANGLE = 0.05, 1.5  # a path is another from such a share of its length, and from so many degrees on


@dataclass(frozen=True, kw_only=True, eq=False)
class SpherePath:
    """A path as ViewCrafter says it.

    Attributes:
        elevation: degrees by which the first camera looks down.
        center_scale: of the sphere's middle, as a share of the depth of the photo's middle.
        phi: `(T,)` degrees to the right about the upright axis.
        theta: `(T,)` degrees downwards.
        distance: `(T,)` away from the middle, as shares of the horizontal distance at first.
    """

    elevation: float
    center_scale: float
    phi: Float
    theta: Float
    distance: Float

    def text(self) -> str:
        """What the file holds: a line each of phi, theta and the distance."""
        lines = (self.phi, self.theta, self.distance)
        return "".join(" ".join(f"{value:.7g}" for value in line) + "\n" for line in lines)


class ViewCrafter(FixedFormat):
    """Orbits, dollies and spirals about what is in the middle of the photo; no other turns or ways, and no zoom."""

    name = "viewcrafter"
    repository = "https://github.com/Drexubery/ViewCrafter"
    fixed_size = SIZE
    fixed_frames = FRAMES
    camera_only = True

    def __init__(self, *, nearest: bool = False) -> None:
        self._nearest = nearest  # also paths that it can only say roughly

    def video(self, case: CaseRecord) -> str:
        """In the folder of that name; the point cloud's video lies beside it."""
        return f"{case.name}/diffusion0.mp4"

    def write(self, case: PeerCase, inputs: Path) -> str:
        """See `PeerFormat`: `NAME/photo.png`, `NAME/trajectory.txt` and `NAME/flags.txt`."""
        if np.abs(case.directed.camera.zoom - 1).max() > 1e-6:
            raise CannotTellError("its lens zooms, for which the format has no words")
        depth = _middle_depth(case)
        told, (apart, angle) = nearest_path(case.opencv_poses(), depth, _elevation(case))
        off = f"off by up to {apart:.1%} of the path's length and {angle:.1f} degrees"
        if not self._nearest and (apart > _POSITION or angle > _ANGLE):
            raise CannotTellError(f"the nearest path that circles the middle of the photo is {off}")
        folder = inputs / case.name
        folder.mkdir()
        media.write_png(folder / "photo.png", case.photo)
        with replacing_file(folder / "trajectory.txt") as path:
            path.write_text(told.text(), encoding="ascii")
        flags = f"--elevation {told.elevation:.6g} --center_scale {told.center_scale:.6g}"
        (folder / "flags.txt").write_text(flags + "\n", encoding="ascii")
        return f"what it is told is {off}"

    def command(self, case: PeerCase) -> str:
        """See `PeerFormat`."""
        inputs = f"$here/inputs/{case.name}"
        return (
            f'python inference.py --image_dir "{inputs}/photo.png" --traj_txt "{inputs}/trajectory.txt" '
            f'$(cat "{inputs}/flags.txt") --mode single_view_txt --out_dir "$here/videos" --exp_name {case.name} '
            '--ckpt_path "${CHECKPOINT:-checkpoints/model.ckpt}" --config configs/inference_pvd_1024.yaml '
            "--ddim_steps 50 --video_length 25 --height 576 --width 1024 --device cuda:0 "
            '--model_path "${DUST3R:-checkpoints/DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth}"'
        )


def nearest_path(poses: Float, depth: float, elevation: float) -> tuple[SpherePath, tuple[float, float]]:
    """The path of ViewCrafter's kind that is nearest to a camera path.

    Args:
        poses: `(T, 4, 4)` first-camera-from-camera, +Z forward and +Y down.
        depth: of the photo's middle, in their unit.
        elevation: degrees by which the first camera looks down.

    Returns:
        The path, and how far its frames are off at most after ViewCrafter has smoothed it: as a share of the path's
        length, and in degrees.
    """
    found = [_on_sphere(poses, depth, elevation, scale) for scale in _CENTRES]
    errors = [_errors(poses, sphere_poses(path, depth)) for path in found]
    best = min(range(len(found)), key=lambda k: errors[k][0] / _POSITION + errors[k][1] / _ANGLE)
    return found[best], errors[best]


def sphere_poses(path: SpherePath, depth: float) -> Float:
    """`(T, 4, 4)` first-camera-from-camera poses, +Z forward and +Y down, as ViewCrafter makes them of a path.

    Args:
        path: with at least four values in each line, which it smooths.
        depth: of the photo's middle.
    """
    first = _first_pose(path.elevation, depth * path.center_scale)
    poses = np.tile(first, (len(path.phi), 1, 1))
    poses[:, 2, 3] += _smoothed(path.distance) * first[2, 3]
    turns = _turns(_smoothed(path.phi), _smoothed(path.theta))
    return np.linalg.inv(first) @ turns @ poses


def _first_pose(elevation: float, radius: float) -> Float:
    """`(4, 4)` of the photo's camera in a world with its origin on the camera's axis, +Y up, seen from about +Z."""
    sine, cosine = np.sin(np.radians(elevation)), np.cos(np.radians(elevation))
    pose = np.eye(4)
    pose[:3, 1], pose[:3, 2] = (0, -cosine, sine), (0, -sine, -cosine)
    pose[:3, 3] = (0, radius * sine, radius * cosine)
    return pose


def _turns(phi: Float, theta: Float) -> Float:
    """`(T, 4, 4)`: by theta degrees about +X, then by phi about +Y."""
    about_x, about_y = np.tile(np.eye(4), (2, len(phi), 1, 1))
    for matrices, degrees, (a, b) in ((about_x, theta, (1, 2)), (about_y, phi, (2, 0))):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        matrices[:, a, a] = matrices[:, b, b] = cosine
        matrices[:, a, b], matrices[:, b, a] = -sine, sine
    return about_y @ about_x


def _smoothed(values: Float) -> Float:
    """A line of values as ViewCrafter takes it: a smoothing spline of degree 3, which keeps the ends."""
    from scipy.interpolate import UnivariateSpline

    places = np.linspace(0, 1, len(values))
    smooth: Float = UnivariateSpline(places, values, k=3)(places)
    smooth[0], smooth[-1] = values[0], values[-1]
    return smooth


def _on_sphere(poses: Float, depth: float, elevation: float, scale: float) -> SpherePath:
    """The values at which every frame's camera is on the sphere about one middle, as near as it comes."""
    from scipy.optimize import least_squares

    first = _first_pose(elevation, depth * scale)
    wanted = first @ poses
    length = max(path_length(poses), 1e-9)
    values, guess = [], np.zeros(3)
    for pose in wanted:

        def apart(x: Float, pose: Float = pose) -> Float:
            told = first.copy()
            told[2, 3] += x[2] * first[2, 3]
            told = _turns(x[:1], x[1:2])[0] @ told
            turned = (told[:3, :3] - pose[:3, :3]) / np.radians(_ANGLE)
            return np.concatenate([(told[:3, 3] - pose[:3, 3]) / length / _POSITION, turned.ravel()])

        guess = least_squares(apart, guess, x_scale=[10.0, 10.0, 0.1]).x
        values.append(guess)
    phi, theta, distance = (np.array(values) - values[0]).T
    return SpherePath(elevation=elevation, center_scale=scale, phi=phi, theta=theta, distance=distance)


def _errors(poses: Float, told: Float) -> tuple[float, float]:
    """How far a path is off at most: as a share of its length, and in degrees."""
    apart = np.linalg.norm(told[:, :3, 3] - poses[:, :3, 3], axis=1).max()
    angles = rotation_angles(np.swapaxes(poses[:, :3, :3], 1, 2) @ told[:, :3, :3])
    return float(apart / max(path_length(poses), 1e-9)), float(np.degrees(angles).max())


def _elevation(case: PeerCase) -> float:
    """Degrees by which the first camera looks down."""
    return float(np.degrees(np.arcsin(np.clip(case.directed.camera.world_from_camera[0, 1, 2], -1, 1))))


def _middle_depth(case: PeerCase) -> float:
    """Depth of what is in the middle of the photo.

    Raises:
        CannotTellError: nothing is known to be there.
    """
    (frame,) = render_frames(case.whole(), width=SIZE[0], height=SIZE[1], frames=[0], normals=False)
    row, column = SIZE[1] // 2, SIZE[0] // 2
    middle = frame.depth[row - _MIDDLE : row + _MIDDLE + 1, column - _MIDDLE : column + _MIDDLE + 1]
    if not np.isfinite(middle).any():
        raise CannotTellError("nothing is known to be in the middle of its photo, about which the camera would circle")
    return float(np.median(middle[np.isfinite(middle)]))
