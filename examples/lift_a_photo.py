"""A photo and a mask become a scene folder, with a glTF file for Blender.

python examples/lift_a_photo.py scene
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the scene folder."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    r2s.save_scene(scene, out)
    print(f"{len(scene.entity('cup').mesh.faces)} triangles in {out / 'scene.glb'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "scene"))
