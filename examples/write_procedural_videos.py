"""Clips of the procedural world as videos with prompts beside them, as `r2s2r curate` reads them.

python examples/write_procedural_videos.py clips
"""

import sys
from pathlib import Path

from real2sam2real.lab.synth.export import write_clips


def main(out: Path) -> None:
    """Write the videos."""
    paths = list(write_clips(out, range(1, 3), width=64, height=48, frames=5))
    print(f"{len(paths)} videos in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "clips"))
