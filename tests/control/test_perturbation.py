"""The training perturbation: what it keeps, what it changes, and its pieces against plain ones."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from real2sam2real.control import perturbation
from real2sam2real.control.perturbation import (
    Perturbation,
    PerturbationRanges,
    apply_perturbations,
    draw_perturbation,
    perturb,
)

T, H, W = 5, 90, 140
STILL = Perturbation(field=torch.zeros(1, 2, perturbation.GRID, perturbation.GRID), grow=0.0, blur=0.0)


def balls(*circles: tuple[float, float, float], drift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Normals `(T, 3, H, W)` and ids of balls at (x, y, radius), which drift to the right."""
    rows, columns = torch.meshgrid(torch.arange(H) + 0.5, torch.arange(W) + 0.5, indexing="ij")
    normals, ids = torch.zeros(T, 3, H, W), torch.zeros(T, H, W, dtype=torch.uint8)
    for frame in range(T):
        for number, (x, y, radius) in enumerate(circles, start=1):
            dx, dy = (columns - x - drift * frame) / radius, (y - rows) / radius
            inside = dx**2 + dy**2 < 1
            ids[frame][inside] = number
            toward = (1 - dx**2 - dy**2).clamp_min(0).sqrt()
            normals[frame][:, inside] = torch.stack([dx, dy, toward])[:, inside]
    return normals, ids


TWO = ((40.0, 45.0, 22.0), (100.0, 40.0, 18.0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(4))
def test_normals_are_unit_and_the_background_is_empty(seed: int) -> None:
    normals, ids = perturb(*balls(*TWO, drift=2), PerturbationRanges(flutter=0.3), seeded(seed))
    length = normals.square().sum(dim=1).sqrt()
    torch.testing.assert_close(length[ids > 0], torch.ones(int((ids > 0).sum())))
    assert length[ids == 0].max() == 0
    assert set(ids.unique().tolist()) == {0, 1, 2}


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    given = balls(*TWO)
    first, again, other = (perturb(*given, PerturbationRanges(), seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_nothing_drawn_changes_nothing() -> None:
    normals, ids = balls(*TWO, drift=1.5)
    new_normals, new_ids = apply_perturbations(normals, ids, {1: STILL, 2: STILL})
    assert torch.equal(new_ids, ids)
    torch.testing.assert_close(new_normals, normals, atol=1e-4, rtol=0)


def test_instances_are_independent() -> None:
    normals, ids = balls(*TWO)
    bent = draw_perturbation(PerturbationRanges(bend=(0.05, 0.05)), T, seeded())
    alone, _ = apply_perturbations(normals, ids, {1: bent})
    assert torch.equal(alone[ids[:, None].expand_as(alone) == 2], normals[ids[:, None].expand_as(normals) == 2])
    both, _ = apply_perturbations(normals, ids, {1: bent, 2: draw_perturbation(PerturbationRanges(), T, seeded(9))})
    left = slice(0, 70)
    torch.testing.assert_close(both[..., left], alone[..., left])


def test_a_distortion_moves_with_its_instance() -> None:
    """What happens in frame 0 happens in the last frame too, shifted as the ball was."""
    drift, strong = 6, PerturbationRanges(bend=(0.06, 0.06), grow=(0.03, 0.03))
    steady = draw_perturbation(strong, T, seeded(3))
    _, ids = apply_perturbations(*balls((40, 45, 22), drift=drift), {1: steady})
    shift = drift * (T - 1)
    assert torch.equal(ids[0, :, : W - shift], ids[T - 1, :, shift:])


def test_flutter_changes_it_from_frame_to_frame() -> None:
    changes = []
    for flutter in (0.0, 1.0):
        drawn = draw_perturbation(PerturbationRanges(bend=(0.06, 0.06), flutter=flutter), T, seeded(3))
        normals, _ = apply_perturbations(*balls((40, 45, 22)), {1: drawn})
        changes.append(float((normals[1:] - normals[:-1]).abs().mean()))
    assert changes[0] < 1e-6
    assert changes[1] > 1e-3


@pytest.mark.parametrize("share", [0.1, -0.1])
def test_growing_is_a_square_dilation(share: float) -> None:
    normals, ids = balls((60, 45, 20))
    size = 40
    radius = round(abs(share) * size)
    _, new_ids = apply_perturbations(normals, ids, {1: replace(STILL, grow=share)})
    mask = (ids > 0).float()[:, None]
    kernel = torch.ones(1, 1, 2 * radius + 1, 2 * radius + 1)
    if share > 0:
        expected = functional.conv2d(mask, kernel, padding=radius) > 0
    else:
        expected = functional.conv2d(1 - mask, kernel, padding=radius) == 0
    assert torch.equal(new_ids > 0, expected[:, 0])


def test_bending_is_as_strong_as_it_says() -> None:
    drawn = draw_perturbation(PerturbationRanges(bend=(0.04, 0.04)), T, seeded())
    length = drawn.field.square().sum(dim=1).mean().sqrt()
    assert length == pytest.approx(0.04, rel=1e-4)
    fluttering = draw_perturbation(PerturbationRanges(bend=(0.04, 0.04), flutter=0.5), T, seeded())
    assert fluttering.field.shape[0] == T
    assert fluttering.field.square().sum(dim=1).mean().sqrt() == pytest.approx(0.04, rel=0.3)


def test_blur_equals_the_plain_convolution() -> None:
    values = torch.rand(2, 3, 20, 30, generator=seeded())
    at = torch.arange(-6, 7.0)
    line = torch.exp(-(at**2) / (2 * 2.0**2))
    kernel = torch.outer(line, line) / line.sum() ** 2
    plain = torch.stack(
        [functional.conv2d(values[:, c : c + 1], kernel[None, None], padding=6)[:, 0] for c in range(3)], 1
    )
    torch.testing.assert_close(perturbation._blurred(values, 2.0), plain)


def test_a_pixel_that_two_want_stays_with_its_owner() -> None:
    normals, ids = balls((50, 45, 20), (89, 45, 20))
    _, new_ids = apply_perturbations(normals, ids, {1: replace(STILL, grow=0.1), 2: replace(STILL, grow=0.1)})
    assert (new_ids[ids == 1] == 1).all()
    assert (new_ids[ids == 2] == 2).all()
    assert (new_ids > 0).sum() > (ids > 0).sum()


def test_instances_that_come_and_go_are_followed() -> None:
    normals, ids = balls(*TWO)
    gone = torch.tensor([0, 4])
    normals[gone], ids[gone] = 0, 0
    new_normals, new_ids = perturb(normals, ids, PerturbationRanges(), seeded())
    assert new_ids[gone].max() == 0
    assert new_normals[gone].abs().max() == 0
    assert (new_ids[1:4].flatten(1) > 0).any(dim=1).all()
    empty, _ = perturb(torch.zeros_like(normals), torch.zeros_like(ids), PerturbationRanges(), seeded())
    assert empty.abs().max() == 0


def test_instances_at_the_border_are_cut_there() -> None:
    normals, ids = balls((4, 4, 20), (W - 2, H - 3, 25))
    new_normals, new_ids = perturb(normals, ids, PerturbationRanges(grow=(0.05, 0.05)), seeded())
    assert new_normals.shape == normals.shape
    assert set(new_ids.unique().tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    "wrong",
    [{"bend": (0.2, 0.1)}, {"blur": (-0.1, 0.1)}, {"grow": (0.0, 0.9)}, {"flutter": 1.5}, {"bend_scale": (0, 1)}],
)
def test_ranges_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PerturbationRanges(**wrong)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"\(5, 3, 90, 140\)"):
        apply_perturbations(torch.zeros(T, 3, H, W), torch.zeros(T, H, W + 1, dtype=torch.uint8), {})
