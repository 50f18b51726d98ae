"""Make a broken mesh one closed solid, and hear what was done.

python examples/repair_a_mesh.py notes.txt
"""

import sys
from pathlib import Path

import numpy as np

import real2sam2real as r2s
from real2sam2real.mesh.repair import repair


def main(out: Path) -> None:
    """Write the notes of the repair."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
    ]
    box = r2s.Mesh(vertices=corners, faces=np.array(faces, np.int32))  # one side is missing
    result = repair(box)
    out.write_text("\n".join(result.report.notes), encoding="utf-8")
    print(f"closed: {box.is_closed()} before, {result.mesh.is_closed()} after; the notes are in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "notes.txt"))
