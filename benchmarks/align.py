"""How well meshes are laid onto masks, where the truth is known.

Run: python benchmarks/align.py [--cases N] [--seed S] [--each] [--unknown] [--ragged]

Every case is a random closed mesh (three to five boxes, balls and cylinders, united) at a random pose before a random
lens. A blot hides a part of it. The initial pose is off by up to 30° of rotation, a factor of 1.5 in size, and 15 % of
its distance in position. --unknown: the blot is just missing in the mask, and nobody says that something may hide the
mesh there. --ragged: the mask's edge is off by some pixels, to and fro.
"""

import argparse
import time
from dataclasses import dataclass

import cv2
import manifold3d
import numpy as np

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.lifting.align import Alignment, ObjectObservation, align
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A mesh, what the photo shows of it, where it really is, and where it is said to be."""

    mesh: Mesh
    observation: ObjectObservation
    truth: np.ndarray
    initial_pose: np.ndarray
    whole: np.ndarray  # the silhouette, hidden or not


@dataclass(frozen=True, kw_only=True)
class Score:
    """IoU over the whole silhouette, degrees between true and found rotation, seconds."""

    before: float
    after: float
    degrees_before: float
    degrees: float
    seconds: float
    alignment: Alignment


def random_mesh(rng: np.random.Generator) -> Mesh:
    """Three to five overlapping solids as one, about 2 units across, off the origin."""
    solid = manifold3d.Manifold()
    for _ in range(rng.integers(3, 6)):
        size = rng.uniform(0.25, 1.0, 3)
        kind = rng.integers(3)
        if kind == 0:
            part = manifold3d.Manifold.cube(tuple(size * 1.6), True)
        elif kind == 1:
            part = manifold3d.Manifold.sphere(1.0, 48).scale(tuple(size))
        else:
            part = manifold3d.Manifold.cylinder(size[1] * 2, size[0] * 0.6, size[0] * 0.6, 40, True)
        part = part.rotate(tuple(rng.uniform(0, 360, 3))).translate(tuple(rng.uniform(-0.7, 0.7, 3)))
        solid = solid + part
    result = solid.to_mesh()
    return Mesh(vertices=np.asarray(result.vert_properties, np.float64)[:, :3] + 0.3, faces=result.tri_verts)


def random_rotation(rng: np.random.Generator, most_degrees: float) -> np.ndarray:
    """`wxyz` about a random axis by up to so many degrees."""
    axis = rng.normal(size=3)
    return quaternions.from_axis_angle(axis, np.radians(rng.uniform(0, most_degrees)))


def silhouette(mesh: Mesh, pose: np.ndarray, lens: Intrinsics) -> np.ndarray:
    """`(H, W)` bool, drawn by the renderer, which has nothing in common with what the alignment draws."""
    entity = Entity(name="it", mesh=mesh, rest_world_from_object=pose, motion=Motion.still(1, pose))
    scene = Scene(entities=(entity,), camera=CameraPath.still(1, lens, np.eye(4)))
    return next(render_frames(scene, width=lens.width, height=lens.height)).ids > 0


def random_case(seed: int, *, unknown: bool = False, ragged: bool = False) -> Case:
    """One case; the same seed gives the same. `unknown` and `ragged` as on the command line."""
    rng = np.random.default_rng(seed)
    mesh = random_mesh(rng)
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=rng.uniform(30, 75))
    size = rng.uniform(0.5, 2.0)
    distance = rng.uniform(1.6, 3.0) * size * lens.fx / (HEIGHT / 2)
    centre = lens.unproject(np.array([WIDTH, HEIGHT]) * rng.uniform(0.35, 0.65, 2), distance)
    rotation = random_rotation(rng, 180)
    truth = transforms.compose(np.zeros(3), rotation, size)
    truth[:3, 3] = centre - truth[:3, :3] @ mesh.bounds().mean(axis=0)
    whole = silhouette(mesh, truth, lens)
    hidden = blot(rng, whole)
    off = random_rotation(rng, 30)
    initial_pose = transforms.compose(
        np.zeros(3), quaternions.multiply(off, rotation), size * 1.5 ** rng.uniform(-1, 1)
    )
    direction = rng.normal(size=3)
    wrong = centre + direction / np.linalg.norm(direction) * rng.uniform(0, 0.15) * np.linalg.norm(centre)
    initial_pose[:3, 3] = wrong - initial_pose[:3, :3] @ mesh.bounds().mean(axis=0)
    mask = whole & ~hidden
    if ragged:
        waves = cv2.GaussianBlur(rng.normal(size=mask.shape), (0, 0), 4)
        mask = cv2.GaussianBlur(mask.astype(float), (0, 0), 3) + 0.25 * waves / waves.std() > 0.5
    observation = ObjectObservation(mask=mask, intrinsics=lens, hidden=np.zeros_like(hidden) if unknown else hidden)
    return Case(mesh=mesh, observation=observation, truth=truth, initial_pose=initial_pose, whole=whole)


def blot(rng: np.random.Generator, whole: np.ndarray) -> np.ndarray:
    """`(H, W)` bool, an ellipse over an edge of the silhouette that hides 10…35 % of it."""
    rows, columns = np.nonzero(whole)
    wanted = rng.uniform(0.1, 0.35)
    at = rng.integers(len(rows))
    y, x = np.mgrid[: whole.shape[0], : whole.shape[1]]
    stretch = rng.uniform(0.6, 1.6)
    distance = np.hypot((x - columns[at]) / stretch, (y - rows[at]) * stretch)
    radius = np.quantile(distance[whole], wanted)
    return distance <= radius


def scored(case: Case) -> Score:
    """Align a case."""
    start = time.perf_counter()
    found = align(case.mesh, case.observation, initial_pose=case.initial_pose)
    seconds = time.perf_counter() - start
    rotations = [transforms.decompose(m)[1] for m in (case.truth, case.initial_pose, found.camera_from_object)]
    off = [float(np.degrees(quaternions.angle_between(rotations[0], rotations[k]))) for k in (1, 2)]
    return Score(
        before=iou(silhouette(case.mesh, case.initial_pose, case.observation.intrinsics), case.whole),
        after=iou(silhouette(case.mesh, found.camera_from_object, case.observation.intrinsics), case.whole),
        degrees_before=off[0],
        degrees=off[1],
        seconds=seconds,
        alignment=found,
    )


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two silhouettes."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unknown", action="store_true")
    parser.add_argument("--ragged", action="store_true")
    parser.add_argument("--each", action="store_true", help="a line per case")
    arguments = parser.parse_args()
    scored(random_case(0))  # compiles
    scores = []
    for seed in range(arguments.seed, arguments.seed + arguments.cases):
        score = scored(random_case(seed, unknown=arguments.unknown, ragged=arguments.ragged))
        scores.append(score)
        if arguments.each:
            print(
                f"{seed:4}  IoU {score.before:.3f} -> {score.after:.3f}   "
                f"rotation {score.degrees_before:5.1f}° -> {score.degrees:5.1f}°   {score.seconds:.2f} s", flush=True,
            )  # fmt: skip
    after, degrees = np.array([s.after for s in scores]), np.array([s.degrees for s in scores])
    worse = sum(s.after < s.before for s in scores)
    print(
        f"{len(scores)} cases: IoU median {np.median(after):.4f}, tenth percentile {np.quantile(after, 0.1):.4f}, "
        f"least {after.min():.4f} (before: median {np.median([s.before for s in scores]):.3f}); rotation error median "
        f"{np.median(degrees):.2f}°, ninetieth percentile {np.quantile(degrees, 0.9):.1f}° (before: median "
        f"{np.median([s.degrees_before for s in scores]):.1f}°); {worse} worse than their start; "
        f"{np.median([s.seconds for s in scores]):.2f} s each"
    )


if __name__ == "__main__":
    main()
