import pytest
import torch

from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

TINY = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "latent_channels": 4,
    "text_dim": 16,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 2,
    "rope_max_seq_len": 32,
}


def tiny_transformer(**changes: object) -> Real2Sam2RealTransformer3DModel:
    torch.manual_seed(0)
    config = {**TINY, "image_dim": None, "added_kv_proj_dim": None, **changes}
    return Real2Sam2RealTransformer3DModel(**config).eval()


@pytest.fixture
def make_transformer():
    return tiny_transformer
