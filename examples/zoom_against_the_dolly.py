"""The dolly zoom: the cup keeps its size while the room behind it grows.

python examples/zoom_against_the_dolly.py preview.mp4
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.media import write_video
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the preview."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    shot = r2s.direct(scene, camera="dolly-zoom 30% on cup", frames=9)
    write_video(out, r2s.preview(shot, size=(300, 200)), shot.fps)
    print(f"zoom {shot.camera.zoom[0]:.2f} to {shot.camera.zoom[-1]:.2f}, see {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
