"""The video model repaints the preview; at a low strength it stays close to it.

python examples/generate_from_the_preview.py video.mp4
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

    shot = r2s.direct(scene, moves={"cup": "right 25%"}, frames=5)
    control = r2s.render(shot)
    video = r2s.generate(control, preview=r2s.preview(shot, size=control.size), strength=0.3, steps=4)
    write_video(out, video, shot.fps)
    print(f"{len(video)} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "video.mp4"))
