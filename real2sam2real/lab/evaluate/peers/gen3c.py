"""GEN3C's input of views with a camera path: one NPZ file a case, for `gen3c_multiview`."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.files import replacing_file
from real2sam2real.geometry import Intrinsics
from real2sam2real.lab.evaluate.case_set import CaseRecord
from real2sam2real.lab.evaluate.peers.interface import CannotTellError, FixedFormat, PeerCase
from real2sam2real.rendering import render_frames

SIZE, FRAMES = (1280, 704), 121
FARTHEST = 100.0  # depths are cut off there
_TYPICAL = 10.0  # units that the middle depth has at most, so that little is cut off


class Gen3C(FixedFormat):
    """Path and lens are told exactly, zoom too; the photo's depth is given with them, in the path's unit."""

    name = "gen3c"
    repository = "https://github.com/nv-tlabs/GEN3C"
    fixed_size = SIZE
    fixed_frames = FRAMES
    camera_only = True

    def video(self, case: CaseRecord) -> str:
        """By the name that it is given."""
        return f"{case.name}.mp4"

    def write(self, case: PeerCase, inputs: Path) -> str:
        """See `PeerFormat`: `NAME.npz`, cameras with +Z forward and +Y down, pixel centres at whole numbers."""
        (frame,) = render_frames(case.whole(), width=SIZE[0], height=SIZE[1], frames=[0], normals=False)
        seen = np.isfinite(frame.depth)
        if not seen.any():
            raise CannotTellError("nothing is known of the photo's depth")
        scale = min(1.0, _TYPICAL / float(np.median(frame.depth[seen])))
        poses = case.opencv_poses()
        poses[:, :3, 3] *= scale
        from_first = np.linalg.inv(poses).astype(np.float32)
        camera = case.directed.camera
        lenses = np.stack([_matrix(camera.intrinsics_at(t)) for t in range(camera.frames)])
        depth: Float32 = np.where(seen, np.minimum(frame.depth * scale, FARTHEST), FARTHEST).astype(np.float32)
        with replacing_file(inputs / f"{case.name}.npz") as path, path.open("wb") as file:
            np.savez_compressed(
                file,
                images_key_frames=(np.moveaxis(case.photo, 2, 0)[None] / np.float32(127.5) - 1).astype(np.float32),
                depth_key_frames=depth[None, None],
                mask_key_frames=np.ones((1, 1, *depth.shape), np.float32),
                K_key_frames=lenses[:1],
                w2cs_key_frames=from_first[:1],
                w2cs_all=from_first,
                Ks_all=lenses,
            )
        return "" if scale == 1 else f"one unit of its path is {1 / scale:.4g} of the case's"

    def command(self, case: PeerCase) -> str:
        """See `PeerFormat`."""
        return (
            'CUDA_HOME="$CONDA_PREFIX" PYTHONPATH=. python -m cosmos_predict1.diffusion.inference.gen3c_multiview '
            '--checkpoint_dir "${CHECKPOINTS:-checkpoints}" --num_video_frames 121 --height 704 --width 1280 '
            "--filter_points_threshold 0.05 --foreground_masking --guidance 1 "
            f'--video_save_folder "$here/videos/" --video_save_name {case.name} '
            f'--npz_path "$here/inputs/{case.name}.npz" --prompt {shlex.quote(case.prompt)}'
        )


def _matrix(lens: Intrinsics) -> Float:
    """`(3, 3)` float32; its pixels' centres are whole numbers, ours lie half a pixel further."""
    return np.array([[lens.fx, 0, lens.cx - 0.5], [0, lens.fy, lens.cy - 0.5], [0, 0, 1]], np.float32)
