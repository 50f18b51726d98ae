"""Copy an object and move the copy alone.

python examples/add_a_second_cup.py preview.mp4
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

    width = float(scene.entity("cup").mesh.bounds()[1, 0] * 2)
    two = r2s.direct(scene.duplicated("cup", "second", (1.2 * width, 0, 0)), moves={"second": "turn 90deg"}, frames=5)
    write_video(out, r2s.preview(two, size=(300, 200)), two.fps)
    print(f"{', '.join(two.names)} in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
