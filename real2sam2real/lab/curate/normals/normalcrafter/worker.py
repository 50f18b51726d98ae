"""Run by NormalCrafter's own Python: `worker.py VIDEO.npy NORMALS.npy MODEL`.

VIDEO is `(T, H, W, 3)` uint8, sides in multiples of 64; NORMALS becomes `(T, H, W, 3)` float32, components −1…1 as the
network gives them. Windows of 14 frames every 10 are the settings its authors run it with.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_VIDEO_MODEL = "stabilityai/stable-video-diffusion-img2vid-xt"


def load(model: str) -> Any:
    """Its pipeline; on the GPU, parts come and go as they are needed, so that 20 GB are enough for 1024×576."""
    import torch
    from diffusers import AutoencoderKLTemporalDecoder
    from normalcrafter.normal_crafter_ppl import NormalCrafterPipeline
    from normalcrafter.unet import DiffusersUNetSpatioTemporalConditionModelNormalCrafter

    unet = DiffusersUNetSpatioTemporalConditionModelNormalCrafter.from_pretrained(model, subfolder="unet")
    vae = AutoencoderKLTemporalDecoder.from_pretrained(model, subfolder="vae")
    pipeline = NormalCrafterPipeline.from_pretrained(
        _VIDEO_MODEL, unet=unet.half(), vae=vae.half(), torch_dtype=torch.float16, variant="fp16"
    )
    pipeline.enable_model_cpu_offload()
    return pipeline


def main(video: str, normals: str, model: str) -> None:
    """Estimate the normals of one clip."""
    import torch
    from PIL import Image

    frames = [Image.fromarray(frame) for frame in np.load(video)]
    torch.manual_seed(0)
    with torch.inference_mode():
        found = load(model)(frames, decode_chunk_size=7, time_step_size=10, window_size=14).frames[0]
    np.save(normals, np.asarray(found, np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
