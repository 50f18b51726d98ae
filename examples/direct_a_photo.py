"""Photo → objects in 3D → shot → preview, in Python.

python examples/direct_a_photo.py preview.mp4
"""

import sys
from pathlib import Path

from real2sam2real.lift.embedded import lift_photo
from real2sam2real.media import write_video
from real2sam2real.perceive.intrinsics import estimate_intrinsics
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import load_photo
from real2sam2real.render.preview import preview_frames
from real2sam2real.run.demo import demo_folder
from real2sam2real.scene.shot import parse_shot

SHOT = """
frames: 17
camera:
  - orbit: 15 deg
    around: cup
entities:
  cup:
    - move: right 25%
    - turn: 30 deg
"""


def main(out: Path) -> None:
    """Write the preview to `out`."""
    photo = load_photo(demo_folder() / "photo.jpg").resized(300, 200)
    masks = load_masks(demo_folder() / "cup.png", photo.width, photo.height)
    intrinsics, how = estimate_intrinsics(photo)
    print(how)

    scene, _ = lift_photo(photo.pixels, masks, intrinsics, frames=1)
    scene = parse_shot(SHOT).apply(scene)
    write_video(out, preview_frames(scene, width=photo.width, height=photo.height), scene.fps)
    print(f"{scene.frames} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
