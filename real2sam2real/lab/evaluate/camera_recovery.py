"""The camera path of a video, by structure from motion: COLMAP's SIFT and its global mapper, which was GLOMAP.

It runs in a process of its own, because it may take more time or memory than a case is worth, or crash on pictures that
hold nothing: then that is the result, in words.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Bool, Float, UInt8
from real2sam2real.errors import require
from real2sam2real.geometry import Intrinsics
from real2sam2real.workfolder.json_values import read_json

Mapper = Literal["global", "incremental"]

NEEDS = "recovering a camera path needs pycolmap, which is not installed: pip install 'real2sam2real[sfm]'"
_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # COLMAP's cameras look along +Z, with +Y down


@dataclass(frozen=True, kw_only=True)
class RecoveryOptions:
    """How a path is recovered."""

    mapper: Mapper = "global"
    features: int = 2048  # of a frame, at most; matching takes time that grows with its square
    reach: int = 8  # frames that each one is matched with, on both sides
    longest: int = 960  # frames are made smaller where their longer side has more pixels
    seconds: float = 300.0  # a video that takes longer counts as not reconstructed
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class RecoveredPath:
    """What structure from motion found.

    Attributes:
        world_from_camera: `(T, 4, 4)` float64 in a frame and scale of its own, cameras as ours (−Z, +Y up); the
            identity where nothing was found.
        found: `(T,)` bool.
        points: number of points in space.
        seconds: it took.
        problem: why no frame at all was found, for people; None where some were.
    """

    world_from_camera: Float
    found: Bool
    points: int
    seconds: float
    problem: str | None = None


def recover_path(
    frames: Iterable[UInt8], intrinsics: Intrinsics, options: RecoveryOptions | None = None
) -> RecoveredPath:
    """Find where the camera stood in each frame of a video whose scene does not move.

    Args:
        frames: `(H, W, 3)` uint8 sRGB, at least one.
        intrinsics: what they were filmed with, for pictures of any size of the same aspect; they are held.
        options: see there.

    Raises:
        MissingPartError: pycolmap is not installed.
    """
    require("pycolmap", NEEDS)
    options = options or RecoveryOptions()
    with tempfile.TemporaryDirectory(prefix="r2s2r-sfm-") as place:
        folder = Path(place)
        count, lens = _write_pictures(frames, intrinsics, folder / "pictures", options.longest)
        request = {"intrinsics": [lens.fx, lens.fy, lens.cx, lens.cy], "options": asdict(options)}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        start = time.perf_counter()
        problem = _run(folder, options.seconds)
        seconds = round(time.perf_counter() - start, 2)
        poses, found, points = np.tile(np.eye(4), (count, 1, 1)), np.zeros(count, bool), 0
        if problem is None:
            answer: dict[str, Any] = read_json(folder / "answer.json")
            points = answer["points"]
            for number, pose in answer["poses"].items():
                poses[int(number)], found[int(number)] = np.array(pose) @ _OPENGL_FROM_OPENCV, True
            problem = None if found.any() else "no two frames have enough in common"
    return RecoveredPath(world_from_camera=poses, found=found, points=points, seconds=seconds, problem=problem)


def _write_pictures(
    frames: Iterable[UInt8], intrinsics: Intrinsics, folder: Path, longest: int
) -> tuple[int, Intrinsics]:
    """Write the frames as PNG files; their number, and the intrinsics at their size."""
    folder.mkdir()
    count, size = 0, (intrinsics.width, intrinsics.height)
    for picture in frames:
        height, width = picture.shape[:2]
        scale = min(1.0, longest / max(width, height))
        size = (round(width * scale), round(height * scale))
        media.write_png(folder / f"{count:05}.png", media.resized(picture, *size))
        count += 1
    return count, intrinsics.resized(*size)


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
    models = _map(pycolmap, folder, options)
    best = max(models.values(), key=lambda model: model.num_reg_images(), default=None)
    poses, points = {}, 0
    if best is not None:
        points = best.num_points3D()
        for image in best.images.values():
            if image.has_pose:
                pose = np.eye(4)
                pose[:3] = image.cam_from_world().inverse().matrix()
                poses[int(Path(image.name).stem)] = pose.tolist()
    (folder / "answer.json").write_text(json.dumps({"poses": poses, "points": points}), encoding="utf-8")


def _match(pycolmap: Any, folder: Path, intrinsics: list[float], options: RecoveryOptions) -> None:
    """Features of each frame, and which of them are the same in its neighbours."""
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.sift.max_num_features = options.features
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model, reader.camera_params = "PINHOLE", ",".join(map(str, intrinsics))
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap = options.reach
    pycolmap.extract_features(
        folder / "database.db",
        folder / "pictures",
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        extraction_options=extraction,
    )
    pycolmap.match_sequential(folder / "database.db", pairing_options=pairing)


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
