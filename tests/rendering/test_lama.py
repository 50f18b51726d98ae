"""LaMa's loading and calling, on a tiny random network of its kind: Fourier convolutions, written as TorchScript."""

from pathlib import Path

import numpy as np
import pytest
import torch

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.rendering.lama import Lama
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run.rendering import load_inpainter


class TinyFourierNet(torch.nn.Module):
    """A local and a global branch, as LaMa's; the global one is a convolution of the whole picture's spectrum."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(4, 8, 3, 2, 1, padding_mode="reflect")
        self.spectral = torch.nn.Conv2d(16, 16, 1)
        self.local = torch.nn.Conv2d(8, 8, 3, 1, 1, padding_mode="reflect")
        self.last = torch.nn.ConvTranspose2d(8, 3, 4, 2, 1)

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        masked = image * (1 - mask)
        x = torch.relu(self.first(torch.cat([masked, mask], dim=1)))
        spectrum = torch.fft.rfftn(x, dim=(-2, -1), norm="ortho")
        mixed = torch.relu(self.spectral(torch.cat([spectrum.real, spectrum.imag], dim=1)))
        real, imaginary = mixed.chunk(2, dim=1)
        size = [x.shape[-2], x.shape[-1]]
        spread = torch.fft.irfftn(torch.complex(real, imaginary), s=size, dim=(-2, -1), norm="ortho")
        made = torch.sigmoid(self.last(torch.relu(self.local(x) + spread)))
        return mask * made + (1 - mask) * image


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("lama") / "lama.pt"
    torch.jit.script(TinyFourierNet().eval()).save(str(path))
    return path


def test_it_fills_the_hole_and_nothing_else(weights: Path) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (45, 61, 3), dtype=np.uint8)  # no multiples of 8
    hole, avoid = np.zeros((2, 45, 61), bool)
    hole[10:30, 20:40], avoid[25:44, 35:60] = True, True
    lama = Lama.load(str(weights.parent))
    filled = lama(picture, hole, avoid=avoid)
    np.testing.assert_array_equal(filled[~hole], picture[~hole])
    assert (filled[hole] != picture[hole]).any(axis=-1).mean() > 0.9
    hidden = picture.copy()
    hidden[hole | avoid] = 0  # neither the hole nor what is to be avoided is looked at
    np.testing.assert_array_equal(lama(hidden, hole, avoid=avoid)[hole], filled[hole])
    np.testing.assert_array_equal(lama(picture, np.zeros_like(hole)), picture)


def test_a_preview_can_be_drawn_with_it(weights: Path, workshop: object) -> None:
    from dataclasses import replace

    entity = workshop.entity(workshop.sphere(), workshop.at(0, 0, -4), frames=2)  # type: ignore[attr-defined]
    scene = replace(workshop.scene([entity]), photo=np.full((48, 64, 3), 90, np.uint8))  # type: ignore[attr-defined]
    gone = scene.without("thing")
    first, second = (
        next(preview_frames(gone, width=64, height=48, inpainter=load_inpainter(name)))
        for name in ("patches", str(weights))
    )
    assert (first == 90).all()
    changed = (second != 90).any(axis=-1)
    assert 100 < changed.sum() < 1000
    assert changed[24, 32]


def test_what_is_missing_or_wrong_is_said(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingPartError, match=r"hf download JosephCatrambone/big-lama-torchscript lama\.pt"):
        load_inpainter("lama", offline=True)
    with pytest.raises(MissingPartError, match="no file"):
        load_inpainter("./nowhere.pt")
    (tmp_path / "lama.pt").write_bytes(b"no weights")
    with pytest.raises(UserError, match="no TorchScript file"):
        load_inpainter(str(tmp_path / "lama.pt"))
    torch.jit.script(torch.nn.Identity()).save(str(tmp_path / "other.pt"))
    other = load_inpainter(str(tmp_path / "other.pt"))
    with pytest.raises(UserError, match="given for LaMa"):
        other(np.zeros((16, 16, 3), np.uint8), np.eye(16, dtype=bool))
