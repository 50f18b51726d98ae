"""The camera of a shot for COLMAP, TUM, NeRF and others; docs/camera-paths.md lists them.

python examples/take_the_camera_to_another_program.py transforms.json
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.run.demo import demo_folder
from real2sam2real.scene.paths import load_camera_path, save_camera_path


def main(out: Path) -> None:
    """Write the camera path."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    shot = r2s.direct(scene, camera="orbit 30deg around cup", frames=9)
    save_camera_path(out, shot.camera, format="nerf", fps=shot.fps)
    again = load_camera_path(out)
    print(f"{again.frames} poses in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "transforms.json"))
