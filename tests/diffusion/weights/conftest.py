"""One tiny random Wan-Animate, with all its companions, written in every layout that is accepted."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import pytest
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanAnimateTransformer3DModel
from safetensors.torch import save_file

from real2sam2real.diffusion.weights import keys
from real2sam2real.diffusion.weights.base import find_base

LATENT, TEXT, WIDTH, IMAGE = 4, 32, 128, 32
T5 = "models_t5_umt5-xxl-enc-bf16.pth"
CLIP = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"


@pytest.fixture(scope="session")
def original_names():
    """The inverse of diffusers' converter, face branch included."""
    return to_original_names


@dataclass(frozen=True)
class Layouts:
    """Where the one model was written."""

    diffusers: Path
    sharded: Path
    no_index: Path
    original: Path
    single: Path
    gguf: dict[str, Path]


@pytest.fixture(scope="session")
def wan():
    """Diffusers' own class, with weights that float16 holds exactly and a face branch that does something."""
    torch.manual_seed(3)
    model = WanAnimateTransformer3DModel(
        num_attention_heads=1,
        attention_head_dim=128,
        in_channels=2 * LATENT + 4,
        latent_channels=LATENT,
        out_channels=LATENT,
        text_dim=TEXT,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
        image_dim=IMAGE,
        added_kv_proj_dim=WIDTH,
        motion_encoder_channel_sizes={str(2**power): 8 for power in range(2, 11)},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=8,
        face_encoder_hidden_dim=8,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    )
    return model.half().float().eval()


@pytest.fixture(scope="session")
def inputs():
    """Inputs of one transformer pass; diffusers' class takes the last 512 tokens of the context as text."""
    generator = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.randn(*shape, generator=generator)

    return {
        "hidden_states": rand(1, 2 * LATENT + 4, 3, 4, 4),
        "timestep": torch.tensor([700.0]),
        "encoder_hidden_states": rand(1, 512, TEXT),
        "pose_hidden_states": rand(1, LATENT, 2, 4, 4),
        "encoder_hidden_states_image": rand(1, 5, IMAGE),
    }


@pytest.fixture(scope="session")
def expected(wan, inputs):
    """What the model answers with its face branch silenced."""
    silent = WanAnimateTransformer3DModel.from_config(wan.config)
    silent.load_state_dict(wan.state_dict())
    for adapter in silent.face_adapter:
        torch.nn.init.zeros_(adapter.to_out.weight)
        torch.nn.init.zeros_(adapter.to_out.bias)
    with torch.no_grad():
        return silent.eval()(**inputs, face_pixel_values=torch.zeros(1, 3, 5, 16, 16), return_dict=False)[0]


def to_original_names(state):
    """The original checkpoint's names and tensors of a diffusers state: the inverse of diffusers' converter."""
    face = [
        (r"^motion_encoder\.motion_synthesis_weight$", "motion_encoder.dec.direction.weight"),
        (r"^motion_encoder\.conv_in\.weight", "motion_encoder.enc.net_app.convs.0.0.weight"),
        (r"^motion_encoder\.conv_in\.act_fn\.bias", "motion_encoder.enc.net_app.convs.0.1.bias"),
        (r"^motion_encoder\.conv_out\.weight", "motion_encoder.enc.net_app.convs.8.weight"),
        (r"^motion_encoder\.motion_network", "motion_encoder.enc.fc"),
        (r"^face_encoder\.(conv\d)(_local)?\.", r"face_encoder.\1\2.conv."),
        (r"^face_adapter\.(\d+)\.to_q\.", r"face_adapter.fuser_blocks.\1.linear1_q."),
        (r"^face_adapter\.(\d+)\.to_out\.", r"face_adapter.fuser_blocks.\1.linear2."),
        (r"^face_adapter\.(\d+)\.norm_([qk])\.", r"face_adapter.fuser_blocks.\1.\2_norm."),
    ]
    original = {}
    for key, value in state.items():
        if not keys.is_face_branch(key):
            original[keys.to_original(key)] = value
        elif match := re.match(r"face_adapter\.(\d+)\.to_k\.(\w+)", key):
            joint = torch.cat([value, state[f"face_adapter.{match[1]}.to_v.{match[2]}"]])
            original[f"face_adapter.fuser_blocks.{match[1]}.linear1_kv.{match[2]}"] = joint
        elif not re.match(r"face_adapter\.\d+\.to_v\.", key):
            name = next((re.sub(old, new, key) for old, new in face if re.match(old, key)), key)
            shaped = value.reshape(1, -1, 1, 1) if name.endswith("convs.0.1.bias") else value
            original[name] = shaped
    return original


@pytest.fixture
def reconfigured(tmp_path):
    """The base in a folder, whose transformer's config says other things, and nothing of keys that begin so."""

    def read(folder, change, without=()):
        source = find_base(folder)
        config = json.loads(source.transformer_config.read_text())
        kept = {key: value for key, value in config.items() if not key.startswith(tuple(without))}
        (tmp_path / "config.json").write_text(json.dumps(kept | change))
        return replace(source, transformer_config=tmp_path / "config.json")

    return read


def original_config(config) -> dict:
    """The original `config.json` of a transformer with diffusers' config."""
    return {
        "_class_name": "WanAnimateModel",
        "cross_attn_norm": True,
        "dim": config.num_attention_heads * config.attention_head_dim,
        "eps": config.eps,
        "ffn_dim": config.ffn_dim,
        "freq_dim": config.freq_dim,
        "in_dim": config.in_channels,
        "model_type": "i2v",
        "num_heads": config.num_attention_heads,
        "num_layers": config.num_layers,
        "out_dim": config.out_channels,
        "text_len": 512,
    }


def save_shards(tensors, folder: Path, *, index: bool, parts: int = 3) -> None:
    """Split by key over numbered files, as savers do."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(tensors)
    where = {}
    for part in range(parts):
        file = f"diffusion_pytorch_model-{part + 1:05d}-of-{parts:05d}.safetensors"
        mine = {name: tensors[name].contiguous() for name in names[part::parts]}
        save_file(mine, folder / file, {"format": "pt"})
        where |= dict.fromkeys(mine, file)
    if index:
        text = json.dumps({"metadata": {}, "weight_map": where})
        (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(text)


def save_gguf(tensors, path: Path, kind: gguf.GGMLQuantizationType, *, flatten_5d: bool) -> None:
    """As ComfyUI-GGUF's converter writes: matrices quantised, everything else float32."""
    writer = gguf.GGUFWriter(path, arch="wan")
    for key, tensor in tensors.items():
        values = tensor.float().numpy()
        of_kind = kind if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        if values.ndim > 4 and flatten_5d:
            writer.add_array(f"comfy.gguf.orig_shape.{key}", [int(size) for size in values.shape])
            values = values.reshape(-1, 32)
            of_kind = kind
        if values.ndim > 4:
            writer.add_tensor(key, values)
        else:
            writer.add_tensor(key, gguf.quants.quantize(values, of_kind), raw_dtype=of_kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def companions(tmp_path_factory):
    """Tiny VAE, umT5 with tokenizer, and CLIP, in diffusers' layout and in the original one."""
    root = tmp_path_factory.mktemp("companions")
    ours, original = root / "diffusers", root / "original"
    original.mkdir()
    _write_vae(ours, original)
    _write_text_encoder(ours, original)
    _write_image_encoder(ours, original)
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(ours / "scheduler")
    (ours / "model_index.json").write_text(json.dumps({"_class_name": "WanAnimatePipeline"}))
    return ours, original


def _write_vae(ours: Path, original: Path) -> None:
    torch.manual_seed(4)
    vae = AutoencoderKLWan(base_dim=8, z_dim=16)
    vae.save_pretrained(ours / "vae")
    torch.save({vae_original_name(key): value for key, value in vae.state_dict().items()}, original / "Wan2.1_VAE.pth")


def vae_original_name(key: str) -> str:
    """Wan 2.1's name of a tensor of diffusers' VAE."""
    key = re.sub(
        r"decoder\.up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"decoder.upsamples.{4 * int(m[1]) + int(m[2])}", key
    )
    key = re.sub(r"decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda m: f"decoder.upsamples.{4 * int(m[1]) + 3}", key)
    for old, new in (
        ("mid_block.resnets.0", "middle.0"),
        ("mid_block.attentions.0", "middle.1"),
        ("mid_block.resnets.1", "middle.2"),
        ("encoder.down_blocks", "encoder.downsamples"),
        ("coder.conv_in.", "coder.conv1."),
        ("coder.norm_out.", "coder.head.0."),
        ("coder.conv_out.", "coder.head.2."),
        ("conv_shortcut", "shortcut"),
    ):
        key = key.replace(old, new)
    if re.match(r"(post_)?quant_conv", key):
        return key.replace("post_quant_conv", "conv2").replace("quant_conv", "conv1")
    if "middle.1" in key or "head" in key or re.match(r"..coder\.conv1", key):
        return key
    for old, new in (
        ("norm1", "residual.0"),
        ("conv1", "residual.2"),
        ("norm2", "residual.3"),
        ("conv2", "residual.6"),
    ):
        key = key.replace(f".{old}.", f".{new}.")
    return key


def _write_text_encoder(ours: Path, original: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

    torch.manual_seed(5)
    config = UMT5Config(vocab_size=20, d_model=TEXT, d_kv=8, d_ff=48, num_layers=2, num_heads=3)
    encoder = UMT5EncoderModel(config)
    encoder.save_pretrained(ours / "text_encoder")
    names = {
        "shared": "token_embedding",
        "encoder.final_layer_norm": "norm",
        "layer.0.layer_norm": "norm1",
        "layer.1.layer_norm": "norm2",
        "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
        "layer.0.SelfAttention": "attn",
        "layer.1.DenseReluDense.wi_0": "ffn.gate.0",
        "layer.1.DenseReluDense.wi_1": "ffn.fc1",
        "layer.1.DenseReluDense.wo": "ffn.fc2",
        "encoder.block": "blocks",
    }
    state = {}
    for key, value in encoder.state_dict().items():
        if key == "encoder.embed_tokens.weight":
            continue
        for new, old in names.items():
            key = key.replace(new, old)
        state[key] = value
    torch.save(state, original / T5)
    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "cup": 4}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", eos_token="</s>")
    tokenizer.save_pretrained(ours / "tokenizer")
    tokenizer.save_pretrained(original / "google" / "umt5-xxl")


def _write_image_encoder(ours: Path, original: Path) -> None:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(6)
    config = CLIPVisionConfig(
        hidden_size=160,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        hidden_act="gelu",
    )
    encoder = CLIPVisionModel(config)
    for parameter in encoder.parameters():  # away from the zeros and ones that many start as
        parameter.data += 0.1 * torch.randn_like(parameter)
    encoder.save_pretrained(ours / "image_encoder")
    CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(
        ours / "image_processor"
    )
    found = {key.removeprefix("vision_model."): value for key, value in encoder.state_dict().items()}
    state = {
        "visual.cls_embedding": found["embeddings.class_embedding"].reshape(1, 1, -1),
        "visual.pos_embedding": found["embeddings.position_embedding.weight"][None],
        "visual.patch_embedding.weight": found["embeddings.patch_embedding.weight"],
        "visual.head": torch.randn(160, 32),
        "textual.token_embedding.weight": torch.randn(20, 16),
        "log_scale": torch.ones([]),
    }
    for kind in ("weight", "bias"):
        state[f"visual.pre_norm.{kind}"] = found[f"pre_layrnorm.{kind}"]
        state[f"visual.post_norm.{kind}"] = found[f"post_layernorm.{kind}"]
        for layer in range(2):
            new, old = f"encoder.layers.{layer}", f"visual.transformer.{layer}"
            joint = [found[f"{new}.self_attn.{name}_proj.{kind}"] for name in "qkv"]
            state[f"{old}.attn.to_qkv.{kind}"] = torch.cat(joint)
            state[f"{old}.attn.proj.{kind}"] = found[f"{new}.self_attn.out_proj.{kind}"]
            state[f"{old}.norm1.{kind}"] = found[f"{new}.layer_norm1.{kind}"]
            state[f"{old}.norm2.{kind}"] = found[f"{new}.layer_norm2.{kind}"]
            state[f"{old}.mlp.0.{kind}"] = found[f"{new}.mlp.fc1.{kind}"]
            state[f"{old}.mlp.2.{kind}"] = found[f"{new}.mlp.fc2.{kind}"]
    torch.save(state, original / CLIP)


@pytest.fixture(scope="session")
def layouts(wan, companions, tmp_path_factory):
    """The model in every layout; nothing in a test may change these files."""
    root = tmp_path_factory.mktemp("layouts")
    ours, original = companions
    state = wan.state_dict()
    names = to_original_names(state)
    shutil.copytree(ours, root / "diffusers")
    wan.save_pretrained(root / "diffusers" / "transformer")
    for folder, index in (("sharded", True), ("no_index", False)):
        shutil.copytree(ours, root / folder)
        save_shards(state, root / folder / "transformer", index=index)
        shutil.copy(root / "diffusers" / "transformer" / "config.json", root / folder / "transformer")
    shutil.copytree(original, root / "original")
    save_shards(names, root / "original", index=True)
    (root / "original" / "config.json").write_text(json.dumps(original_config(wan.config)))
    shutil.copytree(original, root / "alone")
    single = root / "alone" / "wan2.2_animate_14B.safetensors"
    save_file({f"model.diffusion_model.{key}": value.contiguous() for key, value in names.items()}, single)
    written = {}
    for kind, flat in (("F32", False), ("F16", False), ("BF16", False), ("Q8_0", False), ("Q4_0", True)):
        written[kind] = root / f"animate-{kind}.gguf"
        matrices = {key: value for key, value in names.items() if value.ndim in (1, 2, 3, 5)}
        usable = {key: value for key, value in matrices.items() if not keys.is_face_branch(key)}
        save_gguf(usable, written[kind], gguf.GGMLQuantizationType[kind], flatten_5d=flat)
    return Layouts(
        diffusers=root / "diffusers",
        sharded=root / "sharded",
        no_index=root / "no_index",
        original=root / "original",
        single=single,
        gguf=written,
    )
