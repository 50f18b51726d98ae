"""How people are lifted: IoU at the source view, time. Run: python benchmarks/people.py [--out FOLDER] PHOTO MASK…

For each pair of files it prints the share of pixels that the rendered person has in common with its mask (IoU) and the
seconds of processor time, by the embedded lifter and by the one for people, which needs the extra `people`. With
`--out` it writes a PNG of the preview and of the normals from 0°, −30°, 30° and 60° around the person.
"""

import resource
import sys
import time
from pathlib import Path

import cv2
import numpy as np

import real2sam2real as r2s
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.rendering.renderer import render_frames
from real2sam2real.scene import Scene

LIFTERS = ("embedded", "people")
TURNS = (0, -30, 30, 60)
HEIGHT = 480  # pixels of a picture


def iou(scene: Scene, mask: np.ndarray) -> float:
    frame = next(iter(render_frames(scene, width=mask.shape[1], height=mask.shape[0], frames=[0])))
    drawn = frame.ids > 0
    return float((drawn & mask).sum() / (drawn | mask).sum())


def picture(scene: Scene) -> np.ndarray:
    """The preview above the normals, one column for each turn."""
    width = round(HEIGHT * scene.camera.intrinsics_at(0).width / scene.camera.intrinsics_at(0).height)
    columns = []
    for turn in TURNS:
        shot = r2s.direct(scene, camera=f"orbit {turn}deg around person", frames=5)
        preview = next(iter(preview_frames(shot, width=width, height=HEIGHT, frames=[4])))
        normals = next(iter(render_frames(shot, width=width, height=HEIGHT, frames=[4], antialias=True))).normals
        columns.append(np.vstack([preview, ((normals + 1) * 127.5 * (normals != 0)).astype(np.uint8)]))
    return np.hstack(columns)


def main() -> None:
    arguments, out = sys.argv[1:], None
    if arguments[:1] == ["--out"]:
        out = Path(arguments[1])
        out.mkdir(parents=True, exist_ok=True)
        arguments = arguments[2:]
    for photo, mask_file in zip(arguments[::2], arguments[1::2], strict=True):
        mask = cv2.imread(mask_file, cv2.IMREAD_GRAYSCALE) > 127
        told = []
        for lifter in LIFTERS:
            start = time.process_time()
            scene = r2s.lift(photo, {"person": mask_file}, options=LiftOptions(lifter=(lifter,), billboards=False))
            told.append(f"{lifter} {iou(scene, mask):.3f} in {time.process_time() - start:4.1f} s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{Path(mask_file).stem}: IoU {', '.join(told)}; {peak:.1f} GiB", flush=True)
        if out is not None:
            cv2.imwrite(str(out / f"{Path(mask_file).stem}.png"), picture(scene)[..., ::-1])


if __name__ == "__main__":
    main()
