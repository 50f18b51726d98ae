"""A camera path pose by pose: a half circle above the cup, looking at it.

python examples/film_by_a_camera_of_your_own.py preview.mp4
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import real2sam2real as r2s
from real2sam2real.geometry import transforms
from real2sam2real.media import write_video
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the preview."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    scene = r2s.direct(scene, frames=9)
    target = scene.entity("cup").rest_world_from_object[:3, 3]
    eye = scene.camera.world_from_camera[0, :3, 3] - target
    poses = []
    for angle in np.linspace(0, np.pi / 8, scene.frames):
        turned = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]) @ eye
        poses.append(transforms.look_at(target + turned, target))
    camera = r2s.CameraPath(
        world_from_camera=np.stack(poses), intrinsics=scene.camera.intrinsics, zoom=np.ones(scene.frames)
    )
    scene = replace(scene, camera=camera)
    write_video(out, r2s.preview(scene, size=(300, 200)), scene.fps)
    print(f"{scene.frames} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
