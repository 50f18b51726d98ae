"""What was said in words, as the shot file that says the same.

python examples/keep_a_direction_as_a_file.py shot.yaml
"""

import sys
from pathlib import Path

import real2sam2real as r2s


def main(out: Path) -> None:
    """Write the shot file."""
    shot = r2s.Shot.from_flags(camera=["dolly in 20%"], move=["cup: turn 45deg"], frames=17)
    out.write_text(shot.to_yaml(), encoding="utf-8")
    assert r2s.Shot.from_flags(frames=17).frames == shot.frames
    print(f"the shot is in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "shot.yaml"))
