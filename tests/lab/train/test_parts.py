import itertools

import numpy as np
import pytest
import torch

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.lab.synth import HELD_OUT_SEEDS, TRAIN_SEEDS
from real2sam2real.lab.train.base import AUTOENCODER_SEED_OFFSET, build_transformer, is_hidden_matrix
from real2sam2real.lab.train.clips import LatentClips, shard_seed, vary
from real2sam2real.lab.train.normals import NormalsConfig
from real2sam2real.lab.train.objective import changed_weights, flow_matching_loss, sample_levels
from real2sam2real.lab.train.recipes import TrainingStage, refine, smoke


def coded_normals():
    """One tilted instance in a (3, 4, 6) clip, moving right."""
    normals = np.zeros((3, 4, 6, 3), np.float32)
    for t in range(3):
        normals[t, 1:3, t : t + 2] = np.array([0.6, 0.0, 0.8])
    return NormalConvention().encode(normals)


def test_a_mirrored_clip_turns_its_normals_round():
    video = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    mirrored_video, mirrored = vary(video, coded_normals(), 1)
    decoded = NormalConvention().decode(mirrored, mirrored.any(axis=-1).astype(np.uint8))
    np.testing.assert_allclose(decoded[0, 1, 5], [-0.6, 0.0, 0.8], atol=0.01)
    assert not mirrored[0, 0].any()
    np.testing.assert_array_equal(np.sort(mirrored_video, axis=-1), np.sort(video[:, :, ::-1], axis=-1))


def test_a_reversed_clip_starts_at_the_end():
    video = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    _, backwards = vary(video, coded_normals(), 2)
    np.testing.assert_array_equal(backwards, coded_normals()[::-1])


def test_the_first_variant_is_the_clip_itself():
    video = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    same_video, same_normals = vary(video, coded_normals(), 0)
    assert np.array_equal(same_video, video)
    assert np.array_equal(same_normals, coded_normals())


def test_no_training_clip_is_held_out():
    config = refine()
    last = len(config.stages) - 1
    largest = shard_seed(last, 10_000, config.clips_per_shard, TRAIN_SEEDS.start, config.seed)
    for seed in (largest, AUTOENCODER_SEED_OFFSET + config.autoencoder_clips):
        assert seed in TRAIN_SEEDS
        assert seed not in HELD_OUT_SEEDS


def test_shards_do_not_share_seeds():
    runs, stages, shards = range(2), range(3), range(5)
    used = [shard_seed(t, s, 8, 0, r) + k for r in runs for t in stages for s in shards for k in range(2)]
    assert len(set(used)) == len(used)


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


def loss_of(transformer, clips, changed_weight=0.0, blank=(False, False)):
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
    )


class Oracle(torch.nn.Module):
    """A network that knows the answer and says nothing sensible about the reference frame."""

    def __init__(self, transformer, clips):
        super().__init__()
        self.config = transformer.config
        self.text = torch.nn.Parameter(torch.zeros(1))
        self.clips = clips
        self.normals = None

    def forward(self, inputs, timestep, prompt, normals):
        self.normals = normals
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
