import pytest
import torch

from real2sam2real.diffusion.prompts import PromptCache, cache_folder, encoder_identity


@pytest.fixture
def asked():
    return []


@pytest.fixture
def embed(asked):
    def embed(prompt):
        asked.append(prompt)
        return torch.full((1, 3, 4), float(len(prompt)), dtype=torch.bfloat16)

    return embed


def test_a_prompt_is_embedded_once(tmp_path, asked, embed):
    first = PromptCache("umt5", embed, tmp_path)("a cup")
    again = PromptCache("umt5", embed, tmp_path)
    assert torch.equal(again("a  cup"), first)
    assert again("a cup").dtype == torch.bfloat16
    assert asked == ["a cup"]


def test_another_prompt_or_encoder_is_another_embedding(tmp_path, asked, embed):
    PromptCache("umt5", embed, tmp_path)("a cup")
    PromptCache("umt5", embed, tmp_path)("a cap")
    PromptCache("umt5, tuned", embed, tmp_path)("a cup")
    assert len(asked) == 3


def test_a_damaged_file_is_made_anew(tmp_path, asked, embed):
    cache = PromptCache("umt5", embed, tmp_path)
    whole = cache("a cup")
    next((tmp_path / "prompts").iterdir()).write_bytes(b"broken")
    assert torch.equal(cache("a cup"), whole)
    assert len(asked) == 2


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("R2S2R_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("R2S2R_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "real2sam2real"


def test_an_encoder_that_changes_is_another_encoder(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"1")
    before = encoder_identity(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(b"22")
    assert encoder_identity(tmp_path) != before
