"""The whole pipeline against diffusers' `WanAnimatePipeline`, face branch silenced, at equal noise."""

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanAnimatePipeline
from PIL import Image

from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.presets import Sampling
from real2sam2real.diffusion.sampling import make_scheduler

SIZE = (32, 48)
STEPS = 3


@pytest.fixture(scope="module")
def wan(wan_animate):
    theirs = wan_animate.wan_animate_transformer()
    encoder, tokenizer = wan_animate.text_encoder()
    image_encoder, image_processor = wan_animate.image_encoder()
    parts = {
        "vae": wan_animate.vae(),
        "text_encoder": encoder,
        "tokenizer": tokenizer,
        "image_encoder": image_encoder,
        "image_processor": image_processor,
    }
    return theirs, wan_animate.our_transformer(theirs), parts


def pictures(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("frames", "length", "overlap", "solver"),
    [(9, 9, 1, "euler"), (12, 9, 1, "euler"), (17, 9, 1, "euler"), (14, 13, 5, "euler"), (12, 9, 1, "unipc")],
    ids=["one segment", "two segments, padded", "two whole segments", "overlap of five", "unipc"],
)
def test_equals_wan_animate_pipeline(wan, frames, length, overlap, solver):
    theirs, ours, parts = wan
    photo, normals = pictures(1, 0)[0], pictures(frames, 1)
    shared = {"prompt": "red blue", "negative_prompt": "blue", "guidance_scale": 4.5, "num_inference_steps": STEPS}
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    if solver == "unipc":
        scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
    reference = WanAnimatePipeline(**parts, transformer=theirs, scheduler=scheduler)
    reference.set_progress_bar_config(disable=True)
    expected = reference(
        image=Image.fromarray(photo),
        pose_video=[Image.fromarray(frame) for frame in normals],
        face_video=[Image.new("RGB", (16, 16))] * frames,
        height=SIZE[0],
        width=SIZE[1],
        segment_frame_length=length,
        prev_segment_conditioning_frames=overlap,
        generator=torch.Generator().manual_seed(42),
        output_type="pt",
        **shared,
    ).frames[0]
    pipeline = Real2Sam2RealPipeline(**parts, transformer=ours, scheduler=make_scheduler(solver, 5.0))
    video = pipeline(
        photo,
        normals,
        sampling=Sampling(
            solver=solver, segment_frames=length, overlap=overlap, fixed_segments=True, match_colors=False
        ),
        generator=torch.Generator().manual_seed(42),
        output_type="pt",
        **shared,
    )
    found = ((video[0] + 1) / 2).clamp(0, 1).transpose(0, 1)
    assert found.shape == expected.shape == (frames, 3, *SIZE)
    assert (found - expected).abs().max() <= 1e-4
    assert expected.std() > 0.01
