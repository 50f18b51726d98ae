"""The same motion over another photo: the normals stay, the photo changes.

python examples/transfer_a_motion.py photo.png
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import real2sam2real as r2s
from real2sam2real.media import write_png
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the other photo."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    control = r2s.render(r2s.direct(scene, moves={"cup": "turn 40deg"}, frames=5))
    other = replace(control, photo=np.ascontiguousarray(control.photo[:, ::-1]))
    write_png(out, other.photo)
    print(f"{other.frames} frames of motion over {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "photo.png"))
