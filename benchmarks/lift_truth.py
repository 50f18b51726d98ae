"""How well the embedded lifter does where the truth is known. Run: python benchmarks/lift_truth.py [MESHES] [options]

MESHES is the folder that `benchmarks/truth_meshes.py` fills; without it, six solids made there are used. Each mesh is
rendered on a textured ground from three sides, lifted (default flags and its word for a name; default flags and no
word; the true lens and pitch and no word), and both are seen in orbits of 15…60°, each around its own middle and under
its own camera. Printed, per kind and over all:

  IoU       of the two silhouettes, by angle of orbit
  normals   mean angle between the two surfaces in degrees, where both are seen, by angle
  depth     the lifted depth/width over the true one: how many lie within a factor of 1.6, and the geometric mean
  chamfer   mean distance between the outer surfaces, both ways, as a share of the true diagonal
  facing    how far the guessed front is from the true one in degrees: the median

`--save FILE` keeps every number; `--against FILE` prints the IoU's differences from such a file; `--set tuned|held-out`
chooses two thirds or one third; `--sheet FILE` draws photo, orbits of the truth and of the lift.
"""

import argparse
import json
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree
from truth_meshes import ELEVATION, MESHES, TruthMesh, made

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.mesh import footprint
from real2sam2real.mesh.readers.reading import read_mesh
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo
from real2sam2real.rendering import Light, render_frames
from real2sam2real.run.lifting import lift
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

WIDTH, HEIGHT = 640, 480
ANGLES = (15, 30, 45, 60)
SIDES = {"front": 0.0, "three-quarter": 40.0, "side": 90.0}
WAYS = ("word", "no word", "true camera")
SHARE = 0.55  # of the picture that the object spans
FACTOR = 1.6


def turned(rotation: np.ndarray) -> np.ndarray:
    """`(4, 4)` of a `(3, 3)` rotation."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    return matrix


def load(mesh: TruthMesh, folder: Path) -> Mesh:
    """The mesh upright, its front to +Z, standing at the origin, one unit high or wide; seen from both of its sides."""
    found = read_mesh(next(folder.glob(mesh.name + ".*")), frames=1).mesh
    return prepared(mesh, found)


def prepared(truth: TruthMesh, mesh: Mesh) -> Mesh:
    turn = np.eye(4)
    if truth.up == "z":
        turn[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    mesh = mesh.transformed(turned(transforms.about_y(np.radians(truth.turn))) @ turn)
    low, high = mesh.bounds()
    scale = np.eye(4)
    scale[:3] /= (high - low).max()
    scale[:3, 3] = -footprint(mesh.vertices) / (high - low).max()
    return mesh.transformed(scale)


def two_sided(mesh: Mesh) -> Mesh:
    """With every face again from behind: real meshes have open sheets, and the renderer shows front sides."""
    count = len(mesh.vertices)
    back = mesh.faces[:, ::-1] + count
    colors, uvs = mesh.vertex_colors, mesh.corner_uvs
    return Mesh(
        vertices=np.concatenate([mesh.vertices, mesh.vertices]),
        faces=np.concatenate([mesh.faces, back]).astype(np.int32),
        vertex_colors=None if colors is None else np.concatenate([colors, colors]),
        corner_uvs=None if uvs is None else np.concatenate([uvs, uvs[:, ::-1]]),
        texture=mesh.texture,
    )


def still(name: str, mesh: Mesh, frames: int) -> Entity:
    return Entity(name=name, mesh=mesh, rest_world_from_object=np.eye(4), motion=Motion.still(frames, np.eye(4)))


def seen_from(
    elevation: float, middle: np.ndarray, mesh: Mesh, rng: np.random.Generator
) -> tuple[np.ndarray, Intrinsics, float]:
    """A photographer's camera: pose, lens, and pitch in degrees."""
    intrinsics = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=float(rng.choice([45.0, 55.0, 65.0])))
    elevation = np.radians(elevation + rng.uniform(-4, 4))
    pitch = elevation + np.radians(rng.uniform(-2, 2))
    low, high = mesh.bounds()
    span = max((high - low)[1] * intrinsics.fy / HEIGHT, np.hypot(*(high - low)[[0, 2]]) * 0.8 * intrinsics.fx / WIDTH)
    distance = span / SHARE + 0.5 * np.hypot(*(high - low)[[0, 2]]) * 0.7
    eye = middle + distance * np.array([0.0, np.sin(elevation), np.cos(elevation)])
    pose = turned(transforms.about_x(-pitch))
    pose[:3, 3] = eye
    pose[0, 3] += rng.uniform(-0.06, 0.06) * distance
    return pose, intrinsics, float(np.degrees(pitch))


def background(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """A wide ground with a coarse pattern, and what is behind it."""
    noise = cv2.resize(rng.uniform(0, 1, (64, 64, 3)).astype(np.float32), (1024, 1024), interpolation=cv2.INTER_CUBIC)
    fine = rng.uniform(-1, 1, (1024, 1024, 1)).astype(np.float32)
    base = rng.uniform(70, 170, 3)
    texture = np.clip(base + 40 * (noise - 0.5) + 14 * fine, 0, 255).astype(np.uint8)
    far = 60.0
    corners = np.array([[-far, 0, -far], [far, 0, -far], [far, 0, far], [-far, 0, far]])
    faces = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    ground = Mesh(
        vertices=corners, faces=faces, corner_uvs=((corners[faces][..., [0, 2]] + far) / (2 * far)), texture=texture
    )
    sky = np.linspace(rng.uniform(150, 220, 3), rng.uniform(190, 245, 3), HEIGHT)[:, None]
    return ground, np.broadcast_to(sky, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def orbits(pose: np.ndarray, pivot: np.ndarray, intrinsics: Intrinsics) -> CameraPath:
    """The photo's camera, and around the pivot to both sides by every angle."""
    poses = [pose]
    for angle in ANGLES:
        for sign in (1, -1):
            about = transforms.about_y(np.radians(sign * angle))
            poses.append(np.eye(4))
            poses[-1][:3, :3] = about @ pose[:3, :3]
            poses[-1][:3, 3] = pivot + about @ (pose[:3, 3] - pivot)
    return CameraPath(world_from_camera=np.stack(poses), intrinsics=intrinsics, zoom=np.ones(len(poses)))


def views(mesh: Mesh, camera: CameraPath) -> tuple[np.ndarray, np.ndarray]:
    """Silhouettes `(T, H, W)` and normals `(T, H, W, 3)` of a mesh in world coordinates."""
    scene = Scene(entities=(still("it", mesh, camera.frames),), camera=camera)
    frames = list(render_frames(scene, width=WIDTH // 2, height=HEIGHT // 2, threads=1))
    return np.stack([f.ids > 0 for f in frames]), np.stack([f.normals for f in frames])


def outer_points(mesh: Mesh, count: int = 3000) -> np.ndarray:
    """`(count, 3)` points that are seen from outside, around and from above and below."""
    low, high = mesh.bounds()
    middle, reach = (low + high) / 2, np.linalg.norm(high - low)
    at = [(np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)) for e in (-0.9, 0.0, 0.9)
          for a in np.linspace(0, 2 * np.pi, 6, endpoint=False) + e]  # fmt: skip
    poses = np.stack([transforms.look_at(middle + 4 * reach * np.array(d), middle) for d in at])
    lens = Intrinsics.from_fov(96, 96, horizontal_degrees=15)
    camera = CameraPath(world_from_camera=poses, intrinsics=lens, zoom=np.ones(len(poses)))
    scene = Scene(entities=(still("it", mesh, len(poses)),), camera=camera)
    x, y = np.meshgrid(np.arange(96) + 0.5, np.arange(96) + 0.5)
    points = []
    for pose, frame in zip(poses, render_frames(scene, width=96, height=96, threads=1), strict=True):
        hit = frame.ids > 0
        points.append(transforms.apply(pose, lens.unproject(np.stack([x[hit], y[hit]], axis=-1), frame.depth[hit])))
    found = np.concatenate(points)
    return found[np.random.default_rng(0).permutation(len(found))[:count]]


def in_its_view(points: np.ndarray, pivot: np.ndarray, pose: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Points about the pivot: x to the right, y up, z to the camera, in units of a pixel at the pivot's depth."""
    toward = (pose[:3, 3] - pivot) * [1, 0, 1]
    toward = toward / np.linalg.norm(toward)
    axes = np.stack([np.cross([0, 1, 0], toward), [0, 1, 0], toward])
    depth = float((pose[:3, 3] - pivot) @ pose[:3, 2])
    return (points - pivot) @ axes.T * intrinsics.fx / depth


def compare(true: Mesh, true_camera: CameraPath, lifted: Mesh, lens: Intrinsics, pose: np.ndarray) -> dict[str, object]:
    """All numbers of one lift; both meshes are in world coordinates of their own."""
    pivots = [mesh.bounds().mean(axis=0) for mesh in (true, lifted)]
    a, a_normals = views(true, true_camera)
    b, b_normals = views(lifted, orbits(pose, pivots[1], lens))
    common = a & b
    iou = common.sum(axis=(1, 2)) / np.maximum((a | b).sum(axis=(1, 2)), 1)
    cosine = np.clip((a_normals * b_normals).sum(axis=-1), -1, 1)
    angle = np.degrees(np.arccos(cosine))
    normals = np.array([angle[k][common[k]].mean() if common[k].any() else 90.0 for k in range(len(a))])
    points = [
        in_its_view(outer_points(mesh), pivot, camera, k)
        for mesh, pivot, camera, k in (
            (true, pivots[0], true_camera.world_from_camera[0], true_camera.intrinsics),
            (lifted, pivots[1], pose, lens),
        )
    ]
    sizes = [np.ptp(p, axis=0) for p in points]
    middles = [(p.min(axis=0) + p.max(axis=0)) / 2 for p in points]
    p, q = (x - m for x, m in zip(points, middles, strict=True))
    chamfer = (cKDTree(q).query(p)[0].mean() + cKDTree(p).query(q)[0].mean()) / 2 / np.linalg.norm(sizes[0])
    ratio = (sizes[1][2] / sizes[1][0]) / (sizes[0][2] / sizes[0][0])
    pairs = lambda v: [round(float(v[0]), 4), *(round(float(v[k : k + 2].mean()), 4) for k in range(1, len(v), 2))]  # noqa: E731
    return {"iou": pairs(iou), "normals": pairs(normals), "ratio": float(ratio), "chamfer": float(chamfer)}


def card(silhouette: np.ndarray, true_camera: CameraPath, pivot: np.ndarray) -> np.ndarray:
    """Silhouettes `(T, H, W)` of a flat card upright through the true middle: what any lifter must beat."""
    pose = true_camera.world_from_camera[0]
    toward = (pose[:3, 3] - pivot) * [1, 0, 1]
    normal = toward / np.linalg.norm(toward)
    k = true_camera.intrinsics.resized(WIDTH // 2, HEIGHT // 2)
    matrix = np.array([[k.fx, 0, -k.cx], [0, -k.fy, -k.cy], [0, 0, -1.0]])  # the camera looks along −Z
    shown = []
    for other in true_camera.world_from_camera:
        relative = np.linalg.inv(other) @ pose
        n = pose[:3, :3].T @ normal
        d = float(normal @ (pivot - pose[:3, 3]))
        h = matrix @ (relative[:3, :3] + np.outer(relative[:3, 3], n) / d) @ np.linalg.inv(matrix)
        shown.append(cv2.warpPerspective(silhouette.astype(np.float32), h, (WIDTH // 2, HEIGHT // 2)) > 0.5)
    return np.stack(shown)


def facing_error(entity: Entity, front_world: np.ndarray) -> float | None:
    """Degrees between the guessed front and the true one in the photo's frame; None where no front is guessed."""
    facing = getattr(entity, "facing", None)
    if facing is None:
        return None
    guessed = entity.rest_world_from_object[:3, :3] @ [np.sin(np.radians(facing)), 0, np.cos(np.radians(facing))]
    a, b = np.arctan2(guessed[0], guessed[2]), np.arctan2(front_world[0], front_world[2])
    return float(np.degrees(abs((a - b + np.pi) % (2 * np.pi) - np.pi)))


def measure(
    truth: TruthMesh, mesh: Mesh, ways: Iterable[str], sheet: bool
) -> tuple[list[dict[str, object]], list[np.ndarray]]:
    """All lifts of one mesh."""
    results, pictures = [], []
    for side, degrees in SIDES.items():
        rng = np.random.default_rng(zlib.crc32(f"{truth.name} {side}".encode()))
        turn = turned(transforms.about_y(np.radians(degrees + rng.uniform(-8, 8))))
        placed = two_sided(mesh.transformed(turn))
        pivot = placed.bounds().mean(axis=0)
        pose, intrinsics, pitch = seen_from(ELEVATION[truth.view], pivot, placed, rng)
        ground, behind = background(rng)
        scene = Scene(
            entities=(still("it", placed, 1), still("ground", ground, 1)),
            camera=CameraPath.still(1, intrinsics, pose),
        )
        light = Light(direction_world=(0.5, 0.9, 0.6), ambient=0.5, diffuse=0.5)
        frame = next(render_frames(scene, width=WIDTH, height=HEIGHT, color=True, antialias=True, light=light))
        assert frame.color is not None
        assert frame.coverage is not None
        share = frame.coverage[..., None]
        pixels = (frame.color * share + behind * (1 - share)).round().astype(np.uint8)
        mask = frame.ids == 1
        camera = orbits(pose, pivot, intrinsics)
        truth_views, _ = views(placed, camera)
        flat = card(truth_views[0], camera, pivot)
        card_iou = (truth_views & flat).sum(axis=(1, 2)) / (truth_views | flat).sum(axis=(1, 2))
        for way in ways:
            name = truth.word if way == "word" else "thing"
            options = ViewOptions()
            if way == "true camera":
                options = ViewOptions(fov=intrinsics.horizontal_fov_degrees, pitch=pitch)
            lifted, _ = lift(Photo(pixels=pixels), {name: mask}, view=options)
            entity = lifted.entities[0]
            world = entity.mesh.transformed(entity.rest_world_from_object)
            numbers = compare(placed, camera, world, lifted.camera.intrinsics, lifted.photo_world_from_camera)
            front = turn[:3, :3] @ [0, 0, 1]
            results.append({
                "name": truth.name, "kind": truth.kind, "boxy": truth.boxy, "side": side, "way": way,
                "shape": entity.provenance.get("shape"), "facing": facing_error(entity, front),
                "card": [round(float(v), 4) for v in (card_iou[1::2] + card_iou[2::2]) / 2], **numbers,
            })  # fmt: skip
            if sheet:
                pictures.append(pictured(pixels, placed, camera, world, lifted))
    return results, pictures


def pictured(pixels: np.ndarray, true: Mesh, camera: CameraPath, world: Mesh, lifted: Scene) -> np.ndarray:
    """A row of a contact sheet: photo, the truth at 30° and 60°, the lift at 30°, −30° and 60°."""
    own = orbits(lifted.photo_world_from_camera, world.bounds().mean(axis=0), lifted.camera.intrinsics)
    tiles = [pixels]
    for mesh, path, frames in ((true, camera, (3, 4, 7)), (world, own, (3, 4, 7))):
        scene = Scene(entities=(still("it", mesh, path.frames),), camera=path)
        light = Light(direction_world=(0.5, 0.9, 0.6))
        tiles += [
            f.color for f in render_frames(scene, width=WIDTH, height=HEIGHT, frames=frames, color=True, light=light)
        ]  # type: ignore[misc]
    return np.concatenate([cv2.resize(t, (240, 180), interpolation=cv2.INTER_AREA) for t in tiles], axis=1)


def one(
    truth: TruthMesh, folder: Path | None, ways: tuple[str, ...], sheet: bool
) -> tuple[list[dict[str, object]], list[np.ndarray]]:
    mesh = prepared(*made()[truth.name]) if folder is None else load(truth, folder)
    return measure(truth, mesh, ways, sheet)


def table(results: list[dict[str, object]], before: list[dict[str, object]]) -> None:
    """Print the summary of every way, per kind and over all."""
    key = lambda r: (r["name"], r["side"], r["way"])  # noqa: E731
    old = {key(r): r for r in before}
    for way in dict.fromkeys(r["way"] for r in results):
        rows = [r for r in results if r["way"] == way]
        print(
            f"\n{way}: IoU at 15 30 45 60 | card at 15 30 45 60 | normals at 30 "
            f"| depth within {FACTOR:g}, mean | chamfer | facing"
        )
        groups: dict[str, Callable[[dict[str, object]], object]] = {
            k: partial(lambda r, k: r["kind"] == k, k=k)
            for k in dict.fromkeys(r["kind"] for r in rows)  # type: ignore[misc]
        }
        groups |= {s: partial(lambda r, s: r["side"] == s, s=s) for s in SIDES}
        groups |= {"boxy": lambda r: r["boxy"], "all": lambda r: True}
        for name, chosen in groups.items():
            part = [r for r in rows if chosen(r)]
            iou = np.mean([r["iou"][1:] for r in part], axis=0)  # type: ignore[index]
            ratio = np.log([r["ratio"] for r in part])
            facing = [r["facing"] for r in part if r["facing"] is not None]
            change = ""
            if matching := [old[key(r)] for r in part if key(r) in old]:
                previous = np.mean([r["iou"][1:] for r in matching], axis=0)  # type: ignore[index]
                change = "  " + " ".join(f"{x:+.3f}" for x in iou - previous)
            print(
                f"{name:14s} {len(part):3d}  " + " ".join(f"{x:.3f}" for x in iou) + " | "
                + " ".join(f"{x:.3f}" for x in np.mean([r["card"] for r in part], axis=0))
                + f" | {np.mean([r['normals'][2] for r in part]):4.1f}"  # type: ignore[index]
                + f" | {np.mean(np.abs(ratio) <= np.log(FACTOR)):4.0%} {np.exp(np.mean(ratio)):5.2f}"
                + f" | {np.mean([r['chamfer'] for r in part]):6.1%}"
                + (f" | {np.median(facing):4.0f}" if facing else " |    ?") + change
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path, nargs="?")
    parser.add_argument("--set", choices=("all", "tuned", "held-out"), default="all")
    parser.add_argument("--only", nargs="*", default=(), help="names or kinds")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = MESHES if options.meshes else tuple(truth for truth, _ in made().values())
    if options.set != "all":
        chosen = tuple(m for m in chosen if m.held_out == (options.set == "held-out"))
    if options.only:
        chosen = tuple(m for m in chosen if m.name in options.only or m.kind in options.only)
    results: list[dict[str, object]] = []
    pictures: list[np.ndarray] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        work = partial(one, folder=options.meshes, ways=tuple(options.ways), sheet=options.sheet is not None)
        for truth, (found, drawn) in zip(chosen, pool.map(work, chosen), strict=True):
            results += found
            for k, row in enumerate(drawn):
                label = f"{truth.name} {found[k]['shape']} {found[k]['way']}"
                cv2.putText(row, label, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 0), 1, cv2.LINE_AA)
                pictures.append(row)
    table(results, json.loads(options.against.read_text()) if options.against else [])
    if options.save:
        options.save.write_text(json.dumps(results))
    if options.sheet:
        cv2.imwrite(str(options.sheet), np.concatenate(pictures)[..., ::-1])


if __name__ == "__main__":
    main()
