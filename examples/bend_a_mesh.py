"""Not only rigid motion: give every vertex its place at every frame.

python examples/bend_a_mesh.py preview.mp4
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import real2sam2real as r2s
from real2sam2real.media import write_video
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the preview."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    scene = r2s.direct(scene, frames=9)
    cup = scene.entity("cup")
    height = np.ptp(cup.mesh.vertices[:, 1])
    bent = np.repeat(cup.mesh.vertices[None], scene.frames, axis=0)
    bend = 0.3 * np.sin(np.linspace(0, np.pi, scene.frames))[:, None]
    bent[..., 0] += bend * (cup.mesh.vertices[:, 1] / height) ** 2 * height
    scene = scene.with_motion("cup", replace(cup.motion, vertices_object=bent.astype(np.float32)))
    write_video(out, r2s.preview(scene, size=(300, 200)), scene.fps)
    print(f"{scene.frames} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
