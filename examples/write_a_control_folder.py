"""The control as files: what our stages read, and what the official inference reads.

python examples/write_a_control_folder.py control
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.control.folder import save_control
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the control folder."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    control = r2s.render(r2s.direct(scene, moves={"cup": "turn 40deg"}, frames=5))
    save_control(out, control)
    print(f"{', '.join(sorted(path.name for path in out.iterdir()))} in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "control"))
