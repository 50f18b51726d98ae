"""A longer direction is a shot file, which may stand in the code too.

python examples/direct_by_a_shot_file.py preview.mp4
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.media import write_video
from real2sam2real.run.demo import demo_folder
from real2sam2real.scene.shot import parse_shot


def main(out: Path) -> None:
    """Write the preview."""
    files = demo_folder()
    shot = parse_shot("""
    frames: 9
    camera:
      - orbit: 15 deg
        around: cup
    entities:
      cup:
        - move: up 20%
        - turn: 90 deg
    """)
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})
    directed = r2s.direct(scene, shot)
    write_video(out, r2s.preview(directed, size=(300, 200)), directed.fps)
    print(f"{directed.frames} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
