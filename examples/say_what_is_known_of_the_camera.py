"""What is known of the photo's camera makes a better scene: field of view and pitch.

python examples/say_what_is_known_of_the_camera.py scene
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the scene folder."""
    files = demo_folder()
    view = r2s.ViewOptions(fov=45, pitch=45)
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"}, view=view)
    r2s.save_scene(scene, out)
    print(f"{scene.camera.intrinsics.horizontal_fov_degrees:.0f} degrees wide; see {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "scene"))
