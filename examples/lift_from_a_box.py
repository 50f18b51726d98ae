"""A box is enough: the object inside it is cut out.

python examples/lift_from_a_box.py scene
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the scene folder."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": (90, 30, 480, 330)})
    mask = scene.entity("cup").mask
    assert mask is not None
    r2s.save_scene(scene, out)
    print(f"the cup covers {mask.mean():.0%} of the photo; see {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "scene"))
