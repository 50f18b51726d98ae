import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.conditioning import to_frames
from real2sam2real.diffusion.sampling import add_noise, denoise, make_scheduler, set_steps
from real2sam2real.lab.synth import HELD_OUT_SEEDS, TRAIN_SEEDS
from real2sam2real.lab.train import training
from real2sam2real.lab.train.base import AUTOENCODER_SEED_OFFSET, build_transformer, first_seed, is_hidden_matrix
from real2sam2real.lab.train.clips import LatentClips, PixelClips, vary
from real2sam2real.lab.train.normals import NormalsConfig
from real2sam2real.lab.train.objective import (
    PreviewStarts,
    changed_weights,
    flow_matching_loss,
    preview_share,
    sample_levels,
    sample_preview_levels,
)
from real2sam2real.lab.train.recipes import RECIPES, BaseConfig, TrainingStage, mini_gpu_previews, smoke


def coded_normals():
    """One tilted instance in a (3, 4, 6) clip, moving right."""
    normals = np.zeros((3, 4, 6, 3), np.float32)
    for t in range(3):
        normals[t, 1:3, t : t + 2] = np.array([0.6, 0.0, 0.8])
    return NormalConvention().encode(normals)


def pixel_clips(count: int, *, lifted: bool) -> PixelClips:
    """Copies of one clip `(3, 4, 6)`, with a preview."""
    video = np.random.default_rng(0).integers(60, 200, (3, 4, 6, 3), dtype=np.uint8)
    videos = torch.from_numpy(np.stack([video, coded_normals(), video]))
    return PixelClips(videos=videos.expand(count, -1, -1, -1, -1, -1), lifted=torch.full((count,), lifted))


def decoded(normals):
    """Normals `(T, H, W, 3)` of a varied clip."""
    frames = to_frames(normals[None])
    return NormalConvention().decode(frames, frames.any(axis=-1).astype(np.uint8))


def test_variants_turn_normals_round_with_the_video():
    clips = pixel_clips(64, lifted=False)
    varied = vary(clips, torch.Generator().manual_seed(0))
    seen = set()
    for video, normals in zip(varied.video, varied.normals, strict=True):
        found = decoded(normals)
        mirrored = bool(found[0, 1, 5].any() or found[2, 1, 5].any())
        backwards = bool(found[0, 1, 2].any() or found[0, 1, 3].any())
        place = (2 if backwards else 0, 1, 5 if mirrored else 0)
        np.testing.assert_allclose(found[place], [-0.6 if mirrored else 0.6, 0.0, 0.8], atol=0.01)
        original = clips.videos[0, 0].float().sort(dim=-1).values
        turned = original.flip([axis for axis, on in ((0, backwards), (2, mirrored)) if on])
        gray = (video + 1).permute(1, 2, 3, 0).sort(dim=-1).values
        gain = float(gray.sum() / turned.sum() * 127.5)
        torch.testing.assert_close(gray, turned / 127.5 * gain, atol=1e-4, rtol=1e-4)
        seen.add((mirrored, backwards))
    assert len(seen) == 4


def test_a_lifted_clip_keeps_its_direction_and_its_preview_the_variant_of_the_video():
    varied = vary(pixel_clips(32, lifted=True), torch.Generator().manual_seed(1))
    assert torch.equal(varied.preview, varied.video)
    for normals in varied.normals:
        assert decoded(normals)[0, 1, [0, 5]].any()  # it begins where it began, seen mirrored or not


def test_no_training_clip_is_held_out():
    config = mini_gpu_previews()
    last = first_seed(config.seed, len(config.stages)) + config.stages[-1].clip_count
    for seed in (last, AUTOENCODER_SEED_OFFSET + config.autoencoder_clips):
        assert seed in TRAIN_SEEDS
        assert seed not in HELD_OUT_SEEDS


def test_stages_and_runs_do_not_share_seeds():
    firsts = sorted(first_seed(run, stage) for run in range(8) for stage in range(4))
    largest = max(stage.clip_count for recipe in RECIPES.values() for stage in recipe().stages)
    assert min(b - a for a, b in itertools.pairwise(firsts)) > largest


def test_a_stage_of_steps_draws_from_more_and_more_clips_and_each_as_often_as_it_says():
    stage = TrainingStage(width=32, height=32, frames=5, batch_size=6, steps=400, reuse=8)
    counts = [stage.clips_for(step) for step in range(400)]
    assert counts[0] == 12
    assert all(a <= b for a, b in itertools.pairwise(counts))
    assert stage.clip_count == counts[-1]
    assert 400 * 6 / stage.clip_count == pytest.approx(8, rel=0.05)


def test_stages_are_of_steps_or_of_minutes():
    stage = TrainingStage(width=32, height=32, frames=5, batch_size=6, steps=4)
    timed = TrainingStage(width=32, height=32, frames=5, batch_size=6, minutes=1, clips=4)
    with pytest.raises(ValueError, match="steps or of so many minutes"):
        TrainingStage(width=32, height=32, frames=5, batch_size=6)
    with pytest.raises(ValueError, match="all of minutes"):
        BaseConfig(stages=(stage, timed))


def test_levels_follow_the_shift():
    levels = sample_levels(20_000, 3.0, torch.Generator().manual_seed(0))
    assert levels.min() >= 0
    assert levels.max() <= 1
    assert levels.median().item() == pytest.approx(0.75, abs=0.01)  # 3·½ / (1 + 2·½)


def test_changed_cells_weigh_more():
    video, photo = torch.zeros(1, 4, 2, 2, 2), torch.zeros(1, 4, 1, 2, 2)
    video[:, :, 1, 0, 0] = 1.0
    weights = changed_weights(video, photo, 3.0)
    assert weights[0, 0, 1, 0, 0].item() == pytest.approx(4.0, abs=1e-3)
    assert (weights[0, 0, 0] == 1).all()


def latent_clips():
    generator = torch.Generator().manual_seed(0)
    shape = (2, 8, 2, 4, 6)
    video, normals = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    return LatentClips(video=video, normals=normals, photo=video[:, :, :1])


def loss_of(transformer, clips, changed_weight=0.0, blank=(False, False), starts=None):
    return flow_matching_loss(
        transformer,
        clips,
        torch.zeros(1, 8, 2, 4, 6),
        shift=3.0,
        level_floor=0.25,
        changed_weight=changed_weight,
        blank=torch.tensor(blank),
        blank_normals=torch.full((1, 8, 2, 4, 6), -2.0),
        generator=torch.Generator().manual_seed(7),
        starts=starts,
    )


def test_a_start_from_the_preview_is_trained_on_as_the_sampler_meets_it():
    """With a network that says the truth, every step of the sampler sees the mix that training makes for its level."""
    generator = torch.Generator().manual_seed(0)
    video, preview, noise = (torch.randn(1, 8, 3, 4, 6, generator=generator) for _ in range(3))
    for start in (0.15, 0.3, 0.6, 0.7):
        scheduler = make_scheduler("euler", 3.0)
        set_steps(scheduler, 8, "even", start, torch.device("cpu"))
        met = []

        def velocity(noisy, timestep, level, met=met):
            met.append((noisy, level))
            return (noisy - video) / level

        denoise(scheduler, velocity, add_noise(preview, noise, start))
        for noisy, level in met:
            shown = torch.lerp(video, preview, preview_share(level, torch.tensor(start)))
            torch.testing.assert_close(noisy, add_noise(shown, noise, level), atol=1e-5, rtol=1e-4)


def test_levels_of_preview_starts_are_low_and_their_first_steps_show_the_preview_alone():
    level, share = sample_preview_levels(20_000, PreviewStarts(), torch.Generator().manual_seed(0))
    assert 0 < level.min() < level.max() <= 0.7
    assert (share == 1).float().mean().item() == pytest.approx(0.6, abs=0.02)
    assert share.min() >= 0


def test_only_lifted_clips_start_from_their_preview_and_the_target_is_the_truth():
    clips = latent_clips()
    clips = replace(clips, preview=clips.video + 100, lifted=torch.tensor([True, False]))
    oracle = Oracle(build_transformer(smoke()), clips)
    loss = loss_of(oracle, clips, starts=PreviewStarts(share=1.0, first_step=1.0))
    assert loss.item() == 0
    shown = oracle.inputs[:, :8, 1:].mean(dim=(1, 2, 3, 4))
    assert shown[0] > 20
    assert shown[1] < 1


class Oracle(torch.nn.Module):
    """A network that knows the answer and says nothing sensible about the reference frame."""

    def __init__(self, transformer, clips):
        super().__init__()
        self.config = transformer.config
        self.text = torch.nn.Parameter(torch.zeros(1))
        self.clips = clips
        self.inputs = self.normals = None

    def forward(self, inputs, timestep, prompt, normals):
        self.inputs, self.normals = inputs, normals
        return torch.cat([torch.full_like(self.clips.photo, 1e6), self.clips.video], dim=2)


def test_the_right_answer_costs_nothing_whatever_it_says_of_the_reference():
    clips = latent_clips()
    assert loss_of(Oracle(build_transformer(smoke()), clips), clips).item() == 0


def test_withheld_normals_are_blank_and_others_are_not():
    clips = latent_clips()
    oracle = Oracle(build_transformer(smoke()), clips)
    loss_of(oracle, clips, blank=(True, False))
    assert (oracle.normals[0] == -2).all()
    assert torch.equal(oracle.normals[1], clips.normals[1])


def test_loss_of_a_silent_network_is_the_weighted_power_of_the_clip():
    """A fresh network predicts zero, so the sample's error is the clip itself: the loss is checked by hand."""
    clips = latent_clips()
    generator = torch.Generator().manual_seed(7)
    torch.randn(2, 8, 3, 4, 6, generator=generator)
    level = sample_levels(2, 3.0, generator).clamp(min=0.25)
    expected = (clips.video.square() / level.square()).mean()
    torch.testing.assert_close(loss_of(build_transformer(smoke()), clips), expected)


def test_muon_gets_the_matrices_of_the_blocks_alone():
    model = build_transformer(smoke())
    hidden = {name for name, p in model.named_parameters() if is_hidden_matrix(name, p)}
    assert len(hidden) == 2 * 6
    assert all(name.startswith("blocks.") and "attn2" not in name for name in hidden)


def test_learning_rate_rises_holds_and_falls():
    config = NormalsConfig(learning_rate=1.0, steps=100, warmup_steps=10, decay_fraction=0.25)
    rates = [config.learning_rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:76] == pytest.approx([1.0] * 67)
    assert rates[100] == 0
    assert all(a >= b for a, b in itertools.pairwise(rates[75:]))


@pytest.mark.parametrize("bad", [{"width": 40}, {"frames": 8}, {"steps": 0}])
def test_impossible_stages_are_refused(bad):
    with pytest.raises(ValueError):
        TrainingStage(**{"width": 48, "height": 32, "frames": 5, "batch_size": 1, "steps": 1, **bad})


def test_without_a_terminal_lines_say_the_step_and_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr(training, "LINE_SECONDS", 0.0)
    with training.progress_bar(5, 2, hidden=False) as bar:
        bar.set_postfix({"loss": 0.25}, refresh=False)
        bar.update()
        bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("training: 4 of 5 steps, about 00:0") and "loss=0.25" in line for line in lines)
    assert not any("\r" in line for line in lines)
