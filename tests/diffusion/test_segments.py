import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.autoencoder import fit_autoencoder
from real2sam2real.diffusion.pipeline import Finished
from real2sam2real.diffusion.presets import Sampling
from real2sam2real.diffusion.segments import cross_faded, plan_segments, window, without_drift

SIZE = (32, 48)
FOUR_K_AND_1 = st.integers(0, 8).map(lambda k: 4 * k + 1)


@given(frames=st.integers(1, 400), longest=st.integers(1, 25).map(lambda k: 4 * k + 1), overlap=FOUR_K_AND_1)
def test_segments_cover_the_shot_and_share_the_overlap(frames, longest, overlap):
    if overlap >= longest:
        return
    for fixed in (False, True):
        segments = plan_segments(frames, longest=longest, overlap=overlap, fixed=fixed)
        assert segments[0].start == 0
        assert segments[0].overlap == 0
        assert segments[-1].stop >= frames
        assert all(s.frames % 4 == 1 and s.frames <= longest for s in segments)
        for before, after in itertools.pairwise(segments):
            assert after.start == before.stop - overlap
            assert after.overlap == overlap
            assert before.stop < frames, "a segment that adds nothing"


@given(frames=st.integers(1, 400), longest=st.integers(2, 25).map(lambda k: 4 * k + 1))
def test_even_segments_pad_by_three_frames_at_most(frames, longest):
    segments = plan_segments(frames, longest=longest, overlap=5 if longest > 5 else 1)
    assert segments[-1].stop - frames <= 3
    lengths = [s.frames for s in segments]
    assert max(lengths) - min(lengths) <= 4


def test_the_official_plan_of_81_frames_is_two_segments_of_77():
    segments = plan_segments(81, longest=77, overlap=1, fixed=True)
    assert [(s.start, s.stop) for s in segments] == [(0, 77), (76, 153)]
    assert len(plan_segments(81, longest=81, overlap=5)) == 1


def test_behind_its_end_a_shot_runs_back_and_forth():
    frames = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    assert window(frames, 1, 12).ravel().tolist() == [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1]
    assert window(frames[:1], 0, 3).ravel().tolist() == [0, 0, 0]


def test_drift_is_taken_out_and_only_drift():
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(1, 3, 9, 8, 8, generator=generator) - 0.5
    gain, offset = torch.tensor([1.1, 0.9, 1.0]).view(1, 3, 1, 1, 1), torch.tensor([0.1, 0.0, -0.2]).view(1, 3, 1, 1, 1)
    drifted = true * gain + offset
    torch.testing.assert_close(without_drift(drifted, true[:, :, :5]), true, atol=1e-5, rtol=0)
    torch.testing.assert_close(without_drift(true, true[:, :, :5]), true, atol=1e-6, rtol=0)


def test_another_picture_is_not_forced_to_match():
    flat = torch.full((1, 3, 5, 4, 4), 0.2)
    busy = torch.rand(1, 3, 5, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert without_drift(flat, busy).std() < 0.01


def test_known_frames_are_marked_in_every_mask_channel():
    reference, clip = torch.zeros(1, 2, 1, 1, 1), torch.zeros(1, 2, 4, 1, 1)
    for known, marked in ((0, 0), (1, 1), (5, 2), (13, 4)):
        mask = conditioning.condition_channels(reference, clip, known)[0, :4, :, 0, 0]
        assert (mask[:, 0] == 1).all()
        assert mask[:, 1:].sum(dim=1).tolist() == [marked] * 4


def photo():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def normals(frames):
    return np.random.default_rng(1).integers(0, 256, (frames, *SIZE, 3), dtype=np.uint8)


def options(steps=2, match_colors=True, **changes):
    sampling = Sampling(steps=steps, segment_frames=9, overlap=5, match_colors=match_colors)
    return {"sampling": sampling, "generator": torch.Generator().manual_seed(0), **changes}


def test_a_shot_that_was_cut_off_goes_on_as_if_nothing_had_happened(make_pipeline):
    pipeline = make_pipeline()
    whole = list(pipeline.stream(photo(), normals(17), **options()))
    assert [segment.video.shape[2] for segment in whole] == [9, 4, 4]
    for done in (1, 2):
        rest = list(
            pipeline.stream(
                photo(), normals(17), **options(finished=Finished(segments=done, tail=whole[done - 1].tail))
            )
        )
        assert [segment.index for segment in rest] == list(range(done, 3))
        for again, before in zip(rest, whole[done:], strict=True):
            assert torch.equal(again.video, before.video)


def test_a_segment_begins_with_the_frames_before_it(make_pipeline):
    """The end of the segment before is among the conditions: another end, another segment."""
    pipeline = make_pipeline()
    first, second = pipeline.stream(photo(), normals(13), **options(match_colors=False))
    other = options(finished=Finished(segments=1, tail=-first.tail), match_colors=False)
    assert not torch.equal(next(pipeline.stream(photo(), normals(13), **other)).video, second.video)


class Reader:
    """Frames by slice that remembers what it was asked for."""

    def __init__(self, frames):
        self.frames, self.asked = frames, []

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, window):
        self.asked.append(window.stop - window.start)
        return self.frames[window]


def test_frames_are_read_one_segment_at_a_time(make_pipeline):
    reader, given = Reader(normals(41)), options(steps=1)
    pipeline = make_pipeline()
    frames = pipeline(photo(), reader, **given)
    assert max(reader.asked) == 9
    again = pipeline(photo(), reader.frames, **{**given, "generator": torch.Generator().manual_seed(0)})
    assert np.array_equal(frames, again)


class Drifting(torch.nn.Module):
    """Stands in for a trained denoiser: every frame is the last known one, a little brighter each time."""

    def __init__(self, like, autoencoder):
        super().__init__()
        self.config, self.autoencoder = like.config, autoencoder
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.dtype, self.device, self.is_cache_enabled = torch.float32, torch.device("cpu"), False
        self.cache_context = like.cache_context
        self.precompute = like.precompute

    def forward(self, hidden_states, timestep, constants):
        z = self.config.latent_channels
        reference, known = hidden_states[:, z + 4 :, :1], hidden_states[:, z + 4 :, 1:]
        continued = bool((hidden_states[:, z, 1] == 1).all())
        latents = known[:, :, :1] if continued else reference
        video = conditioning.decode_latents(self.autoencoder, latents)[:, :, :1]
        frames = 4 * (known.shape[2] - 1) + 1
        brighter = (video * 1.02 + 0.03).expand(-1, -1, frames, -1, -1)
        return torch.cat([reference, conditioning.encode_latents(self.autoencoder, brighter)], dim=2)


def test_colours_do_not_drift_over_many_segments(make_pipeline):
    """Eight segments, each of which brightens what it continues: with matched colours the last looks like the first."""
    pipeline = make_pipeline(prediction="sample")
    flat = torch.rand(8, 3, 1, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 9, 32, 32) * 2 - 1
    autoencoder = fit_autoencoder(flat + 0.01 * torch.randn(flat.shape), channels=4)  # keeps plain colours
    pipeline.register_modules(vae=autoencoder, transformer=Drifting(pipeline.transformer, autoencoder))
    smooth = np.full((*SIZE, 3), 90, np.uint8)
    smooth[:, SIZE[1] // 2 :] = 150

    def drift(match):
        given = options(frames=37, steps=1, match_colors=match, output_type="pt")
        video = pipeline(smooth, **given)
        return float((video[:, :, -1] - video[:, :, 8]).mean() * 127.5)

    assert drift(match=False) > 15
    assert abs(drift(match=True)) < 2


def test_a_segment_fades_in_from_the_one_before():
    before, video = torch.zeros(1, 3, 3, 2, 2), torch.ones(1, 3, 5, 2, 2)
    assert cross_faded(before, video)[0, 0, :, 0, 0].tolist() == [0.25, 0.5, 0.75, 1.0, 1.0]


@given(frames=st.integers(1, 200), continues=st.booleans())
def test_segments_add_every_frame_once(frames, continues):
    sampling = Sampling(segment_frames=17, overlap=5, continues=continues)
    plan = sampling.plan(frames)
    added = [sampling.added(plan, index) for index in range(len(plan))]
    assert [first for first, _ in added] == [0, *(stop for _, stop in added[:-1])]
    assert added[-1][1] >= frames
    assert all(s.start <= first < stop <= s.stop for s, (first, stop) in zip(plan, added, strict=True))
