"""A clip of the procedural world, with its truth: training data, and ground truth for tests.

python examples/look_at_the_procedural_world.py clip.mp4
"""

import sys
from pathlib import Path

from real2sam2real.lab.synth import sample_clip
from real2sam2real.media import write_video


def main(out: Path) -> None:
    """Write the clip."""
    clip = sample_clip(3, width=128, height=80, frames=9)
    write_video(out, clip.video, 16.0)
    print(f"{', '.join(clip.scene.names)} over {clip.frames} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "clip.mp4"))
