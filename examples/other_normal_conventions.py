"""Normals in the axes that another estimator or checkpoint was trained on.

python examples/other_normal_conventions.py normals.png
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.media import write_png
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the normals."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    control = r2s.render(scene)
    flipped = control.normals_in(NormalConvention.preset("dsine"))
    write_png(out, flipped[0])
    print(f"left, up, towards in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "normals.png"))
