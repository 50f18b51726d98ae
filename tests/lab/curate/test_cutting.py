"""Clips keep to the time of their source, also where its rate varies, and hold no frame in place of filmed ones."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from real2sam2real.lab.curate.clip_format import ClipFormat
from real2sam2real.lab.curate.pipeline.job import CurationJob
from real2sam2real.lab.curate.pipeline.settings import CurationSettings, SourceVideo
from real2sam2real.lab.curate.pipeline.stages import Cutting

STAMPS = [*range(16), 16, 20, 24, 28, 32, 36, *range(40, 56)]  # in sixteenths of a second


def film(path: Path) -> None:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "bgr0"
        stream.codec_context.time_base = Fraction(1, 16)
        for number, stamp in enumerate(STAMPS):
            pixels = rng.integers(0, 256, (32, 64, 3), np.uint8)
            pixels[0, 0] = number  # which stored frame it is
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = stamp, Fraction(1, 16)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_clips_of_a_variable_rate(tmp_path: Path) -> None:
    film(tmp_path / "v.mkv")
    clip_format = ClipFormat(width=64, height=32, frames=5, fps=16)
    settings = CurationSettings(licence="mine", shots="none", clip_format=clip_format)
    job = CurationJob(source=SourceVideo(key="v", path=str(tmp_path / "v.mkv")))
    Cutting(settings)(job)
    assert job.failure is None
    assert job.fps == 16
    assert "variable frame rate" in job.notes[0]
    assert job.row()["notes"] == list(job.notes)
    assert "clips hold frames for want of filmed ones" in job.reasons[0]
    assert len(job.clips) >= 5
    kept = [clip for clip in job.clips if len(clip.video)]
    for clip in kept:
        stored = clip.video[:, 0, 0, 0].astype(int)
        times = np.array(STAMPS)[stored]
        assert len(set(stored)) >= 4
        assert np.abs(times - times[0] - np.arange(5)).max() <= 1  # a clip of 5/16 s covers 5/16 s of the source
    assert kept
