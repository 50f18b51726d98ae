"""The video model paints from pure noise, with the normals alone to go by.

python examples/generate_from_noise.py video.mp4
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.media import write_video
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the video."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    control = r2s.render(r2s.direct(scene, moves={"cup": "right 25%"}, frames=5))
    write_video(out, r2s.generate(control, steps=2, seed=7), control.fps)
    print(f"{control.frames} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "video.mp4"))
