"""Take an object out of the photo: the preview paints over its place.

python examples/remove_an_object.py preview.mp4
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

    shot = r2s.direct(scene, remove=["cup"], camera="pan right 3deg", frames=5)
    write_video(out, r2s.preview(shot, size=(300, 200)), shot.fps)
    print(f"{[entity.name for entity in shot.removed]} taken out in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
