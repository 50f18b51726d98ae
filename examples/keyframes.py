"""Poses at a few frames; what lies between is interpolated, with easing.

python examples/keyframes.py preview.mp4
"""

import sys
from pathlib import Path

import real2sam2real as r2s
from real2sam2real.media import write_video
from real2sam2real.run.demo import demo_folder


def main(out: Path) -> None:
    """Write the preview."""
    files = demo_folder()
    scene = r2s.lift(files / "photo.jpg", {"cup": files / "cup.png"})

    scene = r2s.direct(scene, frames=9)
    start = tuple(float(value) for value in scene.entity("cup").rest_world_from_object[:3, 3])
    motion = r2s.Motion.from_keyframes(
        [
            r2s.Keyframe(frame=0, translation=start, easing="ease"),
            r2s.Keyframe(frame=8, translation=(start[0] + 0.3, start[1], start[2]), rotation_wxyz=(0.92, 0, 0.38, 0)),
        ],
        scene.frames,
    )
    scene = scene.with_motion("cup", motion)
    write_video(out, r2s.preview(scene, size=(300, 200)), scene.fps)
    print(f"{scene.frames} frames in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "preview.mp4"))
