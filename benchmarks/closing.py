"""What closing and cleaning makes of forty meshes broken in different ways, and how long it takes.

Run: python benchmarks/closing.py [--detail N] [--file MESH …]

`--detail 3` gives about 1,000 triangles each, every one more four times as many. `--file` adds meshes of your own.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import manifold3d
import numpy as np

from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.repair import RepairedMesh, repair

sys.path.insert(0, str(Path(__file__).parent))

from broken_meshes import broken_meshes

BUDGET = 40_000


def is_manifold_solid(mesh: Mesh) -> bool:
    """Watertight, manifold along edges and at vertices, of positive volume."""
    solid = manifold3d.Manifold(
        manifold3d.Mesh64(vert_properties=mesh.vertices, tri_verts=mesh.faces.astype(np.uint64))
    )
    return mesh.is_closed() and mesh.volume() > 0 and solid.status() == manifold3d.Error.NoError


def timed(mesh: Mesh) -> tuple[RepairedMesh, float]:
    """The cleaned mesh, and the processor seconds it took."""
    start = time.process_time()
    cleaned = repair(mesh, clean=True, max_faces=BUDGET)
    return cleaned, time.process_time() - start


def row(name: str, mesh: Mesh, truth: float | None) -> tuple[bool, float]:
    """Print a line of the table; whether it is a solid, and its seconds per 100,000 triangles."""
    cleaned, seconds = timed(mesh)
    solid, report = is_manifold_solid(cleaned.mesh), cleaned.report
    change = "" if truth is None else f"{cleaned.mesh.volume() / truth - 1:+8.4f}"
    each = seconds / len(mesh.faces) * 1e5
    print(
        f"{name:30} {len(mesh.faces):8,} {len(cleaned.mesh.faces):7,}  {'yes' if solid else 'NO':5} {change:>9} "
        f"{report.hausdorff_to_input:8.4f} {report.hausdorff_from_input:8.4f} {seconds:7.2f} {each:7.1f}", flush=True,
    )  # fmt: skip
    return solid, each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detail", type=int, default=5)
    parser.add_argument("--file", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of NumPy, about faces without area
    meshes = {name: (broken.mesh, broken.volume) for name, broken in broken_meshes(arguments.detail).items()}
    meshes |= {path.name: (read_mesh_file(path, name="mesh").mesh, None) for path in arguments.file}
    for broken in broken_meshes(3).values():  # compiles
        repair(broken.mesh, clean=True, max_faces=100)
    print("mesh                          triangles    made  solid    volume   to in. from in. seconds per 100k")
    rows = [row(name, mesh, truth) for name, (mesh, truth) in meshes.items()]
    each = np.array([seconds for _, seconds in rows])
    print(
        f"{sum(solid for solid, _ in rows)} of {len(rows)} are solids; seconds per 100,000 triangles: median "
        f"{np.median(each):.1f}, {int((each <= 5).sum())} of {len(each)} within 5, most {each.max():.1f}"
    )


if __name__ == "__main__":
    main()
