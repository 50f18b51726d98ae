"""Stretch a directed scene to another number of frames.

python examples/change_the_length.py scene
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.run.demo import demo_folder
from real2sam2real.scene.retime import retimed


def main(out: Path) -> None:
    """Write the scene folder."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    short = r2s.direct(scene, moves={"cup": "right 25%"}, frames=9)
    long = retimed(short, 33)
    r2s.save_scene(long, out)
    print(f"{short.frames} frames became {long.frames} in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "scene"))
