"""Give an object its pose at every frame, and read where it is: every motion is exact because it is made in 3D.

python examples/move_an_object_exactly.py scene
"""

import sys
from pathlib import Path

import numpy as np

from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.perceive.intrinsics import estimate_intrinsics
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import load_photo
from real2sam2real.run.demo import demo_folder
from real2sam2real.scene import Motion
from real2sam2real.scene.folder import load_scene, save_scene


def main(folder: Path) -> None:
    """Write the scene to `folder`."""
    photo = load_photo(demo_folder() / "photo.jpg")
    masks = load_masks(demo_folder() / "cup.png", photo.width, photo.height)
    intrinsics, _ = estimate_intrinsics(photo)
    scene, _ = lift_photo(photo.pixels, masks, intrinsics, frames=9)

    cup = scene.entity("cup")
    poses = np.repeat(cup.rest_world_from_object[None], scene.frames, axis=0)
    poses[:, 1, 3] += 0.2 * np.sin(np.linspace(0, np.pi, scene.frames)) ** 2  # one hop, in scene units
    save_scene(scene.with_motion("cup", Motion.from_matrices(poses)), folder)

    again = load_scene(folder).entity("cup").motion
    print(f"highest at frame {again.translation[:, 1].argmax()}; open {folder / 'scene.glb'} in Blender to see it")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "scene"))
