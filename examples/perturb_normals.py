"""The distortion that training puts on normals, instance by instance.

python examples/perturb_normals.py normals.png
"""

import sys
from pathlib import Path

import torch

import real2sam2real as r2s
from real2sam2real.control.normal_convention import OPENGL
from real2sam2real.control.perturbation import PerturbationRanges, perturb
from real2sam2real.media import write_png
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the distorted normals."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    control = r2s.render(scene)
    normals = torch.from_numpy(OPENGL.decode(control.normals, control.ids)).permute(0, 3, 1, 2)
    generator = torch.Generator().manual_seed(0)
    spoilt, ids = perturb(normals, torch.from_numpy(control.ids), PerturbationRanges(bend=(0.03, 0.03)), generator)
    write_png(out, OPENGL.encode(spoilt.permute(0, 2, 3, 1).numpy(), ids.numpy())[0])
    print(f"a coarse anchor instead of an exact edge: {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "normals.png"))
