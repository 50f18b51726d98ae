"""Fewer faces with the same look.

python examples/make_a_mesh_lighter.py faces.txt
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.mesh.decimation import decimate
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write how many faces there were and are."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    mesh = scene.entity("cup").mesh
    light = decimate(r2s.Mesh(vertices=mesh.vertices, faces=mesh.faces), 2000)
    out.write_text(f"{len(mesh.faces)} -> {len(light.faces)}\n", encoding="utf-8")
    print(
        f"{len(mesh.faces)} faces became {len(light.faces)}, volume {mesh.volume():.4f} and {light.volume():.4f}: {out}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "faces.txt"))
