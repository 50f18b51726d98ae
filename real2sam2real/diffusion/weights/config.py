"""The transformer's config, from diffusers' `config.json`, or from the shapes of the weights and the original one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from real2sam2real.diffusion.prompts import TEXT_TOKENS
from real2sam2real.diffusion.weights.files import list_some
from real2sam2real.errors import UserError
from real2sam2real.workfolder import json_values

Config = dict[str, Any]
HEAD_DIM = 128  # of every published Wan model, for files without a config; the shapes of the weights do not tell it
ARCHITECTURES = ("WanAnimateTransformer3DModel", "Real2Sam2RealTransformer3DModel")

# Fields that both classes know under one name.
_SHARED = (
    "patch_size",
    "num_attention_heads",
    "attention_head_dim",
    "latent_channels",
    "text_dim",
    "freq_dim",
    "ffn_dim",
    "num_layers",
    "cross_attn_norm",
    "qk_norm",
    "eps",
    "image_dim",
    "added_kv_proj_dim",
    "rope_max_seq_len",
)
_IMAGE, _ADDED = "condition_embedder.image_embedder.ff.net.0.proj.weight", "blocks.0.attn2.add_k_proj.weight"
_NO_NORMALS = (
    ". It is of another Wan model, such as Wan-Animate-2 or image-to-video, which has no place to add normals to; the "
    "base is Wan2.2-Animate-14B"
)
_FACE_FIELDS = ("motion_", "face_", "inject_face_")


def config_from_diffusers(path: Path) -> Config:
    """Our config from the `config.json` of a transformer in diffusers' layout.

    What the file leaves out has diffusers' default. Fields of the face and motion branch are passed over; any other
    field that this transformer does not have must say that its part is absent.

    Raises:
        UserError: the file cannot be read, or describes another architecture.
    """
    values = read_json(path)
    name = values.get("_class_name")
    if name not in ARCHITECTURES:
        raise UserError(
            f"{path} describes a {name or 'model without a name'}; needed is a {' or a '.join(ARCHITECTURES)}"
        )
    if "quantization_config" in values:
        raise UserError(
            f"{path} is of quantised weights, which cannot take adapters; give the base in full precision and choose "
            "the quantisation by the memory plan"
        )
    given = {key: value for key, value in values.items() if not key.startswith(("_", *_FACE_FIELDS))}
    if isinstance(given.get("patch_size"), list):
        given["patch_size"] = tuple(given["patch_size"])
    if name == "Real2Sam2RealTransformer3DModel":
        config, unknown = given, sorted(given.keys() - {*_SHARED, "prediction"})
    else:
        config, unknown = _from_wan_animate(path, given), sorted(given)
    if unknown:
        raise UserError(f"{path} has fields that this transformer does not know: {list_some(unknown)}")
    return config


def _from_wan_animate(path: Path, given: Config) -> Config:
    """Our config; takes the fields that it understands out of `given`."""
    from diffusers import WanAnimateTransformer3DModel

    signature = inspect.signature(WanAnimateTransformer3DModel.__init__).parameters
    config = {key: given.pop(key, signature[key].default) for key in _SHARED}
    channels = given.pop("in_channels", None)
    if config["latent_channels"] is None and channels is not None:
        config["latent_channels"] = (channels - 4) // 2
    latent = config["latent_channels"]
    if channels not in (None, 2 * latent + 4) or given.pop("out_channels", None) not in (None, latent):
        raise UserError(f"{path}: the channels are not those of Wan-Animate (2 × {latent} + 4 in, {latent} out)")
    if given.pop("pos_embed_seq_len", None) is not None:
        raise UserError(f"{path}: image position embeddings (pos_embed_seq_len) belong to another Wan model")
    return config


def config_from_shapes(shapes: Mapping[str, tuple[int, ...]], file: Path, told: Path | None = None) -> Config:
    """Our config from the shapes of the weights, by our names; for layouts other than diffusers'.

    Args:
        shapes: by our parameter names.
        file: named in messages.
        told: the original `config.json`, for what the shapes do not tell; None where there is none.

    Raises:
        UserError: weights that tell the architecture are missing, are not those of a Wan-Animate transformer, or
            contradict `told`.
    """
    needed = (
        "patch_embedding.weight",
        "pose_patch_embedding.weight",
        "condition_embedder.text_embedder.linear_1.weight",
        "condition_embedder.time_embedder.linear_1.weight",
        "blocks.0.ffn.net.0.proj.weight",
    )
    what = "a Wan-Animate transformer"
    missing = [key for key in needed if key not in shapes]
    if missing:
        other = _NO_NORMALS if missing == ["pose_patch_embedding.weight"] else ""
        raise UserError(f"{file} does not hold {what}: missing {list_some(missing)}{other}")
    optional = [key for key in (_IMAGE, _ADDED) if key in shapes]
    for key in (*needed, *optional):
        check_shape(file, what, key, shapes[key], dimensions=5 if "patch" in key else 2)
    width, _, *patch = shapes["patch_embedding.weight"]
    values = {} if told is None else read_json(told)
    heads = values.get("num_heads", max(1, width // HEAD_DIM))
    if not isinstance(heads, int) or heads < 1 or width % heads or (told is None and width % HEAD_DIM):
        expected = f"{HEAD_DIM}·n" if told is None else f"a multiple of the {heads!r:.20} heads in {told.name}"
        raise UserError(
            f"{file} does not hold {what}: patch_embedding.weight is {shapes['patch_embedding.weight']}, with "
            f"{expected} outputs expected"
        )
    image, added = shapes.get(_IMAGE), shapes.get(_ADDED)
    config = {
        "patch_size": tuple(patch),
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "latent_channels": shapes["pose_patch_embedding.weight"][1],
        "text_dim": shapes["condition_embedder.text_embedder.linear_1.weight"][1],
        "freq_dim": shapes["condition_embedder.time_embedder.linear_1.weight"][1],
        "ffn_dim": shapes["blocks.0.ffn.net.0.proj.weight"][0],
        "num_layers": count_layers(shapes, r"blocks\.(\d+)\.", file),
        "cross_attn_norm": "blocks.0.norm2.weight" in shapes,
        "image_dim": None if image is None else image[1],
        "added_kv_proj_dim": None if added is None else added[1],
    }
    return config if told is None else config | _from_original(told, values, config)


def _from_original(path: Path, values: Config, config: Config) -> Config:
    """What the original `config.json` adds to the `config` by the shapes, once the two agree."""
    latent = config["latent_channels"]
    by_shapes = {
        "dim": config["num_attention_heads"] * config["attention_head_dim"],
        "in_dim": 2 * latent + 4,
        "out_dim": latent,
        "patch_size": list(config["patch_size"]),
        "text_len": TEXT_TOKENS,
        "qk_norm": True,
        "window_size": [-1, -1],  # attention over everything
        **{key: config[key] for key in ("ffn_dim", "freq_dim", "num_layers", "text_dim", "cross_attn_norm")},
    }
    for key, expected in by_shapes.items():
        if values.get(key, expected) != expected:
            raise UserError(
                f"{path} says {key} {values[key]!r:.80}, where this transformer and its weights have {expected}"
            )
    epsilon = values.get("eps", 1e-6)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise UserError(f"{path} says eps {epsilon!r:.80}, which is no small number")
    return {"eps": epsilon}


def check_shape(file: Path, what: str, key: str, shape: tuple[int, ...], dimensions: int) -> None:
    """See that a tensor has a number of dimensions, none of them empty, before a model is built to its sizes.

    Raises:
        UserError: it has not; the `file` does not hold `what`.
    """
    if len(shape) != dimensions or 0 in shape:
        raise UserError(f"{file} does not hold {what}: {key} is {shape}, with {dimensions} sizes above zero expected")


def count_layers(keys: Iterable[str], pattern: str, file: Path) -> int:
    """How many layers the keys name, whose numbers are the group of `pattern`.

    Raises:
        UserError: a number is left out, so that the file is not whole, or none is there.
    """
    numbers = {match[1] for key in keys if (match := re.match(pattern, key))}
    absent = next((k for k in range(len(numbers)) if str(k) not in numbers), None)
    if absent is not None or not numbers:
        strangest = max(numbers, key=lambda text: (len(text), text), default="nothing")
        raise UserError(f"{file} is not whole: it has layer {strangest[:20]}, but no layer {absent or 0}")
    return len(numbers)


def read_json(path: Path) -> Config:
    """A config's values.

    Raises:
        UserError: the file cannot be read or is no config.
    """
    try:
        values = json_values.read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be used: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is no config")
    return values
