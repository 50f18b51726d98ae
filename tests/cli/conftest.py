"""Run the command line in this process and small inputs for it."""

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import shutil
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from real2sam2real.cli.main import main
from real2sam2real.diffusion.autoencoder import fit_autoencoder
from real2sam2real.diffusion.checkpoints import SETTINGS_FILE, CheckpointSettings
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.media import write_png


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Cli = Callable[..., Ended]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Call `r2s2r` in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("R2S2R_TRACEBACK", raising=False)

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(int(end.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Ended]]:
    """Call `r2s2r` in an empty folder of its own, for what several tests begin with; gives the folder too."""

    def make(*arguments: object) -> tuple[Path, Ended]:
        folder, out, err = tmp_path_factory.mktemp("made"), StringIO(), StringIO()
        with chdir(folder), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return folder, Ended(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return make


@pytest.fixture(scope="session")
def scene_once(made_once: Callable[..., tuple[Path, Ended]], photo: Path, mask: Path) -> Path:
    """The ball, lifted; not to be changed."""
    folder, ended = made_once("lift", photo, "--mask", f"ball={mask}", "-o", "scene")
    assert ended.status == 0, ended.err
    return folder / "scene"


@pytest.fixture
def scene(cli: Cli, scene_once: Path) -> Path:
    """The ball, lifted, in the folder in which the command is called."""
    return Path(shutil.copytree(scene_once, "scene"))


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A textured floor with a red ball on it, 128×96; its mask lies beside it as `ball.png`."""
    folder = tmp_path_factory.mktemp("photo")
    rng = np.random.default_rng(5)
    noise = rng.integers(90, 150, (24, 32, 3), dtype=np.uint8)
    pixels = cv2.resize(noise, (128, 96), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((96, 128), np.uint8)
    cv2.circle(mask, (64, 52), 20, 255, -1)
    pixels[mask > 0] = (200, 40, 30)
    write_png(folder / "photo.png", pixels)
    write_png(folder / "ball.png", mask)
    return folder / "photo.png"


@pytest.fixture(scope="session")
def mask(photo: Path) -> Path:
    """The mask of the ball."""
    return photo.with_name("ball.png")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of the real classes with tiny random weights: clips of about 96×64 pixels, up to 9 frames."""
    torch.manual_seed(0)
    pipeline = Real2Sam2RealPipeline(
        vae=fit_autoencoder(torch.rand(4, 3, 9, 32, 32) * 2 - 1, channels=4),
        transformer=Real2Sam2RealTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, latent_channels=4, text_dim=16, freq_dim=16, ffn_dim=32,
            num_layers=1, rope_max_seq_len=32, image_dim=None, added_kv_proj_dim=None,
        ).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("checkpoint")
    pipeline.save_pretrained(folder)
    settings = CheckpointSettings(area=96 * 64, max_frames=9, steps=2, init="preview", strength=0.5)
    (folder / SETTINGS_FILE).write_text(settings.to_json())
    return folder
