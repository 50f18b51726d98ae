"""Everything the renderer knows of a frame: normals, ids, depth, colour.

python examples/depth_and_ids.py depth.png
"""

import sys
from pathlib import Path

import numpy as np

import real2sam2real as r2s
from real2sam2real.media import write_png
from real2sam2real.rendering import render_frames
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the depth as a picture."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    frame = next(iter(render_frames(scene, width=300, height=200)))
    near, far = frame.depth[frame.ids > 0].min(), frame.depth[frame.ids > 0].max()
    shown = np.where(frame.ids > 0, 255 - 200 * (frame.depth - near) / (far - near), 0).astype(np.uint8)
    write_png(out, np.repeat(shown[..., None], 3, axis=2))
    print(f"{near:.2f} to {far:.2f} {scene.unit}s away; see {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "depth.png"))
