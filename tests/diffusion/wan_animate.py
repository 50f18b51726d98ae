"""Tiny random parts of the real Wan2.2-Animate architecture, for tests."""

import torch
from diffusers import AutoencoderKLWan, WanAnimateTransformer3DModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

FACE = ("motion_encoder.", "face_encoder.", "face_adapter.")
SHARED = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "latent_channels": 4,
    "text_dim": 16,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 2,
    "image_dim": 20,
    "added_kv_proj_dim": 24,
    "rope_max_seq_len": 32,
}


def wan_animate_transformer(seed=3, *, silent_face=True):
    """Diffusers' transformer; its face branch adds nothing when it is silent."""
    torch.manual_seed(seed)
    model = WanAnimateTransformer3DModel(
        **SHARED,
        in_channels=12,
        out_channels=4,
        motion_encoder_channel_sizes={str(size): 8 for size in (4, 8, 16, 32, 64, 128, 256, 512, 1024)},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=8,
        face_encoder_hidden_dim=8,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    ).eval()
    if silent_face:
        for adapter in model.face_adapter:
            torch.nn.init.zeros_(adapter.to_out.weight)
            torch.nn.init.zeros_(adapter.to_out.bias)
    return model


def our_transformer(theirs):
    """Ours with the weights of theirs, the face branch left out."""
    ours = Real2Sam2RealTransformer3DModel(**SHARED).eval()
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith(FACE)}, strict=True)
    return ours


def vae():
    torch.manual_seed(4)
    return AutoencoderKLWan(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.0, 0.3],
        latents_std=[1.5, 0.8, 1.0, 2.0],
    ).eval()


def text_encoder():
    torch.manual_seed(5)
    config = UMT5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    words = Tokenizer(WordLevel({"<pad>": 0, "red": 1, "blue": 2, "<unk>": 3}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    return UMT5EncoderModel(config).eval(), PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>"
    )


def image_encoder():
    torch.manual_seed(6)
    config = CLIPVisionConfig(
        hidden_size=20,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        hidden_act="gelu",
    )
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return CLIPVisionModel(config).eval(), processor
