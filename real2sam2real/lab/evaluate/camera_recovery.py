"""The camera path of a video, by structure from motion: COLMAP's SIFT and its global mapper, which was GLOMAP.

What the mapper finds is refined with a loss that hardly hears wrong matches; its own hears them up to a pixel, which
costs films of rooms most of their precision. A video without parallax has no positions: its rotations are found alone.

It runs in a process of its own, because it may take more time or memory than a case is worth, or crash on pictures that
hold nothing: then that is the result, in words.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Bool, Float, UInt8
from real2sam2real.errors import require
from real2sam2real.geometry import Intrinsics
from real2sam2real.geometry.transforms import OPENCV_FROM_OPENGL
from real2sam2real.lab.evaluate.turning import MatchedPair, find_turning
from real2sam2real.workfolder.json_values import read_json

Mapper = Literal["global", "incremental"]

NEEDS = "recovering a camera path needs pycolmap, which is not installed: pip install 'real2sam2real[sfm]'"


@dataclass(frozen=True, kw_only=True)
class RecoveryOptions:
    """How a path is recovered."""

    mapper: Mapper = "global"
    features: int = 2048  # of a frame, at most; matching takes time that grows with its square
    reach: int = 8  # frames that each one is matched with, on both sides
    longest: int = 960  # frames are made smaller where their longer side has more pixels
    seconds: float = 300.0  # a video that takes longer counts as not reconstructed
    sharpest: float = 0.1  # pixels: errors of matches below it count as chance
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class RecoveredPath:
    """What structure from motion found.

    Attributes:
        world_from_camera: `(T, 4, 4)` float64 in a frame and scale of its own, cameras as ours (−Z, +Y up); the
            identity where nothing was found.
        found: `(T,)` bool.
        points: number of points in space.
        turns_only: matches agree with a camera that turns in one place, or rests: all positions are the same.
        seconds: it took.
        problem: why no frame at all was found, for people; None where some were.
    """

    world_from_camera: Float
    found: Bool
    points: int
    seconds: float
    turns_only: bool = False
    problem: str | None = None


def recover_path(
    frames: Iterable[UInt8], intrinsics: Intrinsics | Sequence[Intrinsics], options: RecoveryOptions | None = None
) -> RecoveredPath:
    """Find where the camera stood in each frame of a video whose scene does not move.

    Args:
        frames: `(H, W, 3)` uint8 sRGB, at least one.
        intrinsics: what they were filmed with, or each of them (a zoom), for pictures of any size of the same aspect;
            they are held.
        options: see there.

    Raises:
        MissingPartError: pycolmap is not installed.
    """
    require("pycolmap", NEEDS)
    options = options or RecoveryOptions()
    with tempfile.TemporaryDirectory(prefix="r2s2r-sfm-") as place:
        folder = Path(place)
        sizes = _write_pictures(frames, folder / "pictures", options.longest)
        count = len(sizes)
        lenses = [intrinsics] * count if isinstance(intrinsics, Intrinsics) else intrinsics
        shown = [lens.resized(*size) for lens, size in zip(lenses, sizes, strict=True)]
        params = [[lens.fx, lens.fy, lens.cx, lens.cy] for lens in shown]
        request = {"intrinsics": params, "options": asdict(options)}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        start = time.perf_counter()
        problem = _run(folder, options.seconds)
        seconds = round(time.perf_counter() - start, 2)
        poses, found, points, turns = np.tile(np.eye(4), (count, 1, 1)), np.zeros(count, bool), 0, False
        if problem is None:
            answer: dict[str, Any] = read_json(folder / "answer.json")
            points, turns = answer["points"], answer["turns_only"]
            for number, pose in answer["poses"].items():
                poses[int(number)], found[int(number)] = np.array(pose) @ OPENCV_FROM_OPENGL, True
            problem = None if found.any() else "no two frames have enough in common"
    return RecoveredPath(
        world_from_camera=poses, found=found, points=points, turns_only=turns, seconds=seconds, problem=problem
    )


def _write_pictures(frames: Iterable[UInt8], folder: Path, longest: int) -> list[tuple[int, int]]:
    """Write the frames as PNG files; width and height of each."""
    folder.mkdir()
    sizes = []
    for number, picture in enumerate(frames):
        height, width = picture.shape[:2]
        scale = min(1.0, longest / max(width, height))
        sizes.append((round(width * scale), round(height * scale)))
        media.write_png(folder / f"{number:05}.png", media.resized(picture, *sizes[-1]))
    return sizes


def _run(folder: Path, seconds: float) -> str | None:
    """Let a process write `answer.json`; why there is none, or None."""
    command = [sys.executable, "-m", "real2sam2real.lab.evaluate.camera_recovery", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"structure from motion took longer than {seconds:g} s"
    if done.returncode or not (folder / "answer.json").is_file():
        said = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        return f"structure from motion failed: {said[0]}"
    return None


def _solve(folder: Path) -> None:
    """In the process of its own: pictures to `answer.json`."""
    import pycolmap

    pycolmap.logging.minloglevel = 3
    request = read_json(folder / "request.json")
    options = RecoveryOptions(**request["options"])
    _match(pycolmap, folder, request["intrinsics"], options)
    turning = find_turning(_matched_pairs(pycolmap, folder, request["intrinsics"]), len(request["intrinsics"]))
    poses, points = {}, 0
    if turning is not None:
        for number in np.flatnonzero(turning.found):
            pose = np.eye(4)
            pose[:3, :3] = turning.world_from_camera[number]
            poses[int(number)] = pose.tolist()
    else:
        poses, points = _mapped(pycolmap, folder, options)
    answer = {"poses": poses, "points": points, "turns_only": turning is not None}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _mapped(pycolmap: Any, folder: Path, options: RecoveryOptions) -> tuple[dict[int, Any], int]:
    """Poses by frame of the largest reconstruction, and its number of points."""
    best = max(_map(pycolmap, folder, options).values(), key=lambda model: model.num_reg_images(), default=None)
    if best is None:
        return {}, 0
    _refine(pycolmap, best, options)
    poses = {}
    for image in best.images.values():
        if image.has_pose:
            pose = np.eye(4)
            pose[:3] = image.cam_from_world().inverse().matrix()
            poses[int(Path(image.name).stem)] = pose.tolist()
    return poses, int(best.num_points3D())


def _refine(pycolmap: Any, model: Any, options: RecoveryOptions) -> None:
    """Solve for all poses and points once more, with Cauchy's loss at the size of this video's own errors."""
    typical = float(np.median([point.error for point in model.points3D.values()])) if model.points3D else 0.0
    adjustment = pycolmap.BundleAdjustmentOptions()
    adjustment.refine_focal_length = adjustment.refine_extra_params = adjustment.print_summary = False
    adjustment.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    adjustment.ceres.loss_function_scale = max(typical, options.sharpest)
    solver = adjustment.ceres.solver_options
    solver.function_tolerance, solver.gradient_tolerance, solver.parameter_tolerance = 1e-6, 1e-14, 1e-12
    pycolmap.bundle_adjustment(model, adjustment)


def _matched_pairs(pycolmap: Any, folder: Path, intrinsics: list[list[float]]) -> list[MatchedPair]:
    """The matches that agree with some motion of the camera, as rays."""
    pairs = []
    with pycolmap.Database.open(folder / "database.db") as database:
        images = {image.image_id: int(Path(image.name).stem) for image in database.read_all_images()}
        rays = {number: _rays(database.read_keypoints(number), intrinsics[t]) for number, t in images.items()}
        for ids, geometry in zip(*database.read_two_view_geometries(), strict=True):
            a, b = pycolmap.pair_id_to_image_pair(ids)
            matches = np.asarray(geometry.inlier_matches)
            if len(matches):
                pixel = 1 / min(intrinsics[images[a]][0], intrinsics[images[b]][0])
                rays_a, rays_b = rays[a][matches[:, 0]], rays[b][matches[:, 1]]
                pair = MatchedPair(
                    first=images[a], second=images[b], rays_first=rays_a, rays_second=rays_b, pixel=pixel
                )
                pairs.append(pair)
    return pairs


def _rays(keypoints: Any, intrinsics: list[float]) -> Float:
    """Directions `(N, 3)` of unit length of keypoints."""
    fx, fy, cx, cy = intrinsics
    places = np.asarray(keypoints, np.float64)[:, :2]
    rays = np.column_stack([(places - [cx, cy]) / [fx, fy], np.ones(len(places))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _match(pycolmap: Any, folder: Path, intrinsics: list[list[float]], options: RecoveryOptions) -> None:
    """Features of each frame, and which of them are the same in its neighbours."""
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.sift.max_num_features = options.features
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model, reader.camera_params = "PINHOLE", ",".join(map(str, intrinsics[0]))
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap = options.reach
    zooms = any(params != intrinsics[0] for params in intrinsics)
    pycolmap.extract_features(
        folder / "database.db",
        folder / "pictures",
        camera_mode=pycolmap.CameraMode.PER_IMAGE if zooms else pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        extraction_options=extraction,
    )
    if zooms:
        _set_intrinsics(pycolmap, folder / "database.db", intrinsics)
    pycolmap.match_sequential(folder / "database.db", pairing_options=pairing)


def _set_intrinsics(pycolmap: Any, path: Path, intrinsics: list[list[float]]) -> None:
    """Give the camera of each frame its own parameters."""
    with pycolmap.Database.open(path) as database:
        for image in database.read_all_images():
            camera = database.read_camera(image.camera_id)
            camera.params = intrinsics[int(Path(image.name).stem)]
            database.update_camera(camera)


def _map(pycolmap: Any, folder: Path, options: RecoveryOptions) -> dict[int, Any]:
    """The reconstructions by COLMAP's numbers; intrinsics are held."""
    out = folder / "models"
    out.mkdir()
    found: dict[int, Any]
    if options.mapper == "global":
        pipeline = pycolmap.GlobalPipelineOptions()
        pipeline.random_seed = options.seed
        adjustment = pipeline.mapper.bundle_adjustment
        adjustment.refine_focal_length = adjustment.refine_extra_params = False
        found = pycolmap.global_mapping(folder / "database.db", folder / "pictures", out, pipeline)
    else:
        incremental = pycolmap.IncrementalPipelineOptions()
        incremental.random_seed = options.seed
        incremental.ba_refine_focal_length = incremental.ba_refine_extra_params = False
        found = pycolmap.incremental_mapping(folder / "database.db", folder / "pictures", out, options=incremental)
    return found


if __name__ == "__main__":
    _solve(Path(sys.argv[1]))
