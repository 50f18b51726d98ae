"""When blocks are compiled, and that they then give what they gave."""

import os
from dataclasses import replace

import pytest
import torch

from real2sam2real.diffusion import compiling
from real2sam2real.diffusion.compiling import compile_blocks
from real2sam2real.diffusion.memory.machine import Machine
from real2sam2real.diffusion.memory.plans import find_plan
from real2sam2real.diffusion.presets import PRESETS
from real2sam2real.errors import UserError

GPU = Machine(device="cuda", name="GPU", memory=80, free_memory=80, ram=64, free_ram=64, packages={})
RESIDENT = find_plan("resident")


@pytest.fixture(autouse=True)
def tools(monkeypatch, tmp_path):
    """A machine that has what compiling takes."""
    monkeypatch.setattr(compiling, "find_spec", lambda name: name)
    monkeypatch.setattr(compiling.shutil, "which", lambda name: name if name == "cc" else None)
    monkeypatch.setenv("R2S2R_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "to be put back")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")


@torch.no_grad()
def test_where_it_pays_blocks_are_compiled_and_the_result_is_kept(make_transformer, monkeypatch, tmp_path):
    model = make_transformer()
    generator = torch.Generator().manual_seed(1)
    given = (torch.randn(1, 12, 3, 4, 6, generator=generator), torch.tensor([700.0]), torch.zeros(1, 1, 16))
    plain = model(*given)
    whole = model.compile_repeated_blocks
    monkeypatch.setattr(model, "compile_repeated_blocks", lambda: whole(backend="eager"))  # traced; no C++ compiler
    made = compile_blocks(model, GPU, RESIDENT, PRESETS["quality"])
    assert made.done
    assert "compiled at the first pass" in made.words
    assert all(block._compiled_call_impl is not None for block in model.blocks)
    assert torch.equal(model(*given), plain)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")


@pytest.mark.parametrize(
    ("machine", "plan", "preset", "wanted", "words"),
    [
        (GPU, "resident", "fast", "auto", "pays from 7 passes"),
        (GPU, "resident", "balanced", "auto", "without a step cache"),
        (GPU, "resident", "official", "auto", "pays from"),
        (GPU, "resident", "quality", "off", "as was asked"),
        (GPU, "stream", "quality", "auto", "streams the blocks"),
        (GPU, "int8", "quality", "auto", "rounds or streams"),
        (replace(GPU, device="cpu"), "cpu", "quality", "auto", "there is no GPU"),
    ],
)
def test_elsewhere_they_are_not_and_why_is_said(make_transformer, machine, plan, preset, wanted, words):
    model = make_transformer()
    made = compile_blocks(model, machine, find_plan(plan), PRESETS[preset], wanted)
    assert words in made.words
    assert not made.done
    assert all(block._compiled_call_impl is None for block in model.blocks)


def test_what_is_asked_for_and_cannot_be_is_refused(make_transformer, monkeypatch):
    for change, words in (("which", "no C compiler"), ("find_spec", "pip install triton")):
        monkeypatch.setattr(compiling.shutil if change == "which" else compiling, change, lambda name: None)
        with pytest.raises(UserError, match=words):
            compile_blocks(make_transformer(), GPU, RESIDENT, PRESETS["fast"], "on")
        assert words in compile_blocks(make_transformer(), GPU, RESIDENT, PRESETS["quality"]).words
