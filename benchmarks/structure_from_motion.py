"""Does a preview hold together in 3D? Structure from motion on its frames, against the camera path that was commanded.

    python benchmarks/structure_from_motion.py SCENE... [--camera "truck right 25%"] [--frames 25] [-o FILE.json]

A SCENE is a scene folder (`r2s2r lift`). Its preview is drawn under the camera moves; COLMAP finds features, matches
neighbouring frames and solves for the cameras, with the intrinsics of the scene held. Its cameras are laid onto the
commanded ones by a similarity (Umeyama, 1991). The table says how many frames were registered, and how far their
centres are from where they should be: the root mean square (absolute trajectory error) over the length of the path.

Needs pycolmap (BSD): `pip install pycolmap`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pycolmap

from real2sam2real import media
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run.directing import directed_scene
from real2sam2real.run.options import ShotOptions
from real2sam2real.scene import Scene

REACH = 8  # frames that are matched with each one
FEATURES = 8192  # of a frame, at most: COLMAP's own default


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`source` `(N, 3)` moved, turned and scaled onto `target` `(N, 3)` with the least squared distances."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, values, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = float((values * np.diag(sign)).sum() / max((a**2).sum(), 1e-12))
    return scale * a @ (u @ sign @ vt).T + target.mean(axis=0)


def preview_pictures(scene: Scene, folder: Path, longest: int) -> tuple[int, int]:
    """Write the preview's frames as PNG files; their width and height."""
    lens = scene.camera.intrinsics
    scale = min(1.0, longest / max(lens.width, lens.height))
    width, height = round(lens.width * scale), round(lens.height * scale)
    for number, picture in enumerate(preview_frames(scene, width=width, height=height)):
        media.write_png(folder / f"{number:04}.png", picture)
    return width, height


def solve(pictures: Path, work: Path, intrinsics: list[float], features: int) -> dict[int, np.ndarray]:
    """The centre of each registered frame's camera, of the largest model; from so many features a frame at most."""
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.sift.max_num_features = features
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model, reader.camera_params = "PINHOLE", ",".join(map(str, intrinsics))
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap = REACH
    options = pycolmap.IncrementalPipelineOptions()
    options.ba_refine_focal_length = options.ba_refine_principal_point = options.ba_refine_extra_params = False
    options.random_seed = 0
    database = work / "database.db"
    pycolmap.extract_features(
        database,
        pictures,
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        extraction_options=extraction,
    )
    pycolmap.match_sequential(database, pairing_options=pairing)
    models = pycolmap.incremental_mapping(database, pictures, work, options=options).values()
    best = max(models, key=lambda model: model.num_reg_images(), default=None)
    if best is None:
        return {}
    return {int(Path(image.name).stem): image.projection_center() for image in best.images.values() if image.has_pose}


def against_path(scene: Scene, longest: int, features: int = FEATURES) -> tuple[int, float]:
    """How many of a scene's frames are registered, and the absolute trajectory error over the length of the path."""
    with tempfile.TemporaryDirectory() as place:
        pictures, work = Path(place) / "pictures", Path(place) / "work"
        pictures.mkdir()
        work.mkdir()
        width, height = preview_pictures(scene, pictures, longest)
        lens = scene.camera.intrinsics.resized(width, height)
        found = solve(pictures, work, [lens.fx, lens.fy, lens.cx, lens.cy], features)
    true = scene.camera.world_from_camera[:, :3, 3]
    length = float(np.linalg.norm(np.diff(true, axis=0), axis=1).sum())
    numbers = sorted(found)
    if len(numbers) < 3:
        return len(numbers), np.nan
    laid = similarity(np.array([found[number] for number in numbers]), true[numbers])
    return len(numbers), float(np.sqrt(((laid - true[numbers]) ** 2).sum(axis=1).mean())) / length


def measure(scene_folder: Path, shot: ShotOptions, longest: int) -> dict[str, object]:
    scene, _ = directed_scene(scene_folder, shot)
    registered, error = against_path(scene, longest)
    return {"scene": str(scene_folder), "frames": scene.frames, "registered": registered, "error": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--camera", action="append", default=None)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--longest", type=int, default=960)
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    pycolmap.logging.minloglevel = 2
    shot = ShotOptions(camera=tuple(given.camera or ["truck right 25%"]), frames=given.frames)
    rows = []
    print("| scene | frames registered | error of the path |\n|---|---|---|")
    for folder in given.scenes:
        row = measure(folder, shot, given.longest)
        rows.append(row)
        print(f"| {folder.name} | {row['registered']} of {row['frames']} | {100 * row['error']:.2f} % |", flush=True)
    if given.out:
        given.out.write_text(json.dumps({"camera": shot.camera, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
