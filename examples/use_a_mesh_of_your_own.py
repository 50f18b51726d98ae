"""Your own mesh in place of a lifted one: it is laid onto its mask.

python examples/use_a_mesh_of_your_own.py scene
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the scene folder."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    own = out.with_name("own")
    r2s.save_scene(scene, own)
    options = r2s.LiftOptions(mesh=(f"cup={own / 'scene.glb'}",))
    again = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"}, options=options)
    r2s.save_scene(again, out)
    print(f"{again.entity('cup').provenance['lifter']} in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "scene"))
