"""Does a preview hold together in 3D? Structure from motion on its frames, against the camera path that was commanded.

    python benchmarks/structure_from_motion.py SCENE... [--camera "truck right 25%"] [--frames 25] [-o FILE.json]

A SCENE is a scene folder (`r2s2r lift`). Its preview is drawn under the camera moves; COLMAP finds features, matches
neighbouring frames and solves for all cameras at once (its global mapper), with the intrinsics of the scene held. Its
cameras are laid onto the commanded ones by a similarity (Umeyama, 1991). The table says how many frames were
registered, and how far their centres are from where they should be: the root mean square (absolute trajectory error)
over the length of the path.

Needs pycolmap (BSD): `pip install '.[sfm]'`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from real2sam2real.lab.evaluate.camera_recovery import RecoveryOptions, recover_path
from real2sam2real.lab.evaluate.trajectory import trajectory_error
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run.directing import directed_scene
from real2sam2real.run.options import ShotOptions
from real2sam2real.scene import Scene

FEATURES = 8192  # of a frame, at most: COLMAP's own default


def against_path(scene: Scene, longest: int, features: int = FEATURES) -> tuple[int, float]:
    """How many of a scene's frames are registered, and the absolute trajectory error over the length of the path."""
    lens = scene.camera.intrinsics
    scale = min(1.0, longest / max(lens.width, lens.height))
    width, height = round(lens.width * scale), round(lens.height * scale)
    options = RecoveryOptions(features=features, longest=longest, seconds=3600)
    found = recover_path(preview_frames(scene, width=width, height=height), lens, options)
    error = trajectory_error(found.world_from_camera, scene.camera.world_from_camera, found.found)
    return int(found.found.sum()), error.ate_share


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
