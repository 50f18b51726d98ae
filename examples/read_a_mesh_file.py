"""Read a GLB, OBJ, PLY or STL file as one mesh.

python examples/read_a_mesh_file.py scene
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.mesh.readers.reading import read_mesh
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write a scene folder to read from."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    r2s.save_scene(scene, out)
    file = read_mesh(out / "scene.glb")
    print(f"{file.format}: {len(file.mesh.faces)} triangles, closed: {file.mesh.is_closed()}; from {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "scene"))
