"""What steers the video model: normals and ids of every instance, and the photo.

python examples/render_the_control.py normals.png
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.media import write_png
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the last frame's normals."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    control = r2s.render(r2s.direct(scene, moves={"cup": "right 25%"}, frames=5))
    write_png(out, control.normals[-1])
    print(f"{control.frames} frames, width and height {control.size}; the last is {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "normals.png"))
