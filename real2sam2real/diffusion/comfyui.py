"""The workflow that runs the method in ComfyUI with its own nodes alone, in both of its formats.

A workflow is one list of nodes: the format of its editor (drag it onto the window) and that of its API are two ways to
write it. See docs/comfyui.md for what must match.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.diffusion.sampling import Solver, Spacing

_HUB = "https://huggingface.co/Comfy-Org/{}/resolve/main/split_files/{}/{}"
_SAMPLERS: dict[Solver, str] = {"euler": "euler", "unipc": "uni_pc"}
# Which of ComfyUI's schedulers gives our noise levels.
_SCHEDULERS: dict[Spacing, str] = {"scheduler": "normal", "even": "simple"}
_NOTE = """**Real2SAM2Real with ComfyUI's own nodes**

1. Put `{lora}` into `ComfyUI/models/loras`, `{photo}` and `{normals}` into `ComfyUI/input`.
2. The other models belong into the folders of `ComfyUI/models` that their loaders read.
3. Keep the LoRA's strength at 1, the shift at {shift:g}, and nothing at `face_video`.

The normals must be coloured as the adapter was trained ({convention})."""


@dataclass(frozen=True, kw_only=True)
class ComfyuiShot:
    """What a workflow is about, with the names of files as ComfyUI's folders have them."""

    lora: str  # of the adapter's one file
    photo: str = "source_image.png"
    normals: str = "normals.mp4"
    prompt: str = ""
    negative_prompt: str = ""
    width: int  # pixels, as the height
    height: int
    frames: int  # 4k + 1
    fps: float
    settings: CheckpointSettings  # of the adapter
    shift: float


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A node of ComfyUI as its editor wants it described."""

    takes: Mapping[str, str] = field(default_factory=dict)  # names and types of inputs that are connected
    gives: tuple[str, ...] = ()  # types of its outputs
    widgets: tuple[str, ...] = ()  # names of its values, in the editor's order
    models: tuple[str, str] | None = None  # repository and folder of the model that the first value names


# What the editor alone keeps beside a node's values.
_EDITORS_OWN = {"control_after_generate": "fixed", "upload": "image"}
_CONDITIONING, _REPACKAGED = "CONDITIONING", "Wan_2.1_ComfyUI_repackaged"
_KINDS: dict[str, _Kind] = {
    "UNETLoader": _Kind(
        gives=("MODEL",),
        widgets=("unet_name", "weight_dtype"),
        models=("Wan_2.2_ComfyUI_Repackaged", "diffusion_models"),
    ),
    "LoraLoaderModelOnly": _Kind(takes={"model": "MODEL"}, gives=("MODEL",), widgets=("lora_name", "strength_model")),
    "ModelSamplingSD3": _Kind(takes={"model": "MODEL"}, gives=("MODEL",), widgets=("shift",)),
    "CLIPLoader": _Kind(
        gives=("CLIP",), widgets=("clip_name", "type", "device"), models=(_REPACKAGED, "text_encoders")
    ),
    "CLIPTextEncode": _Kind(takes={"clip": "CLIP"}, gives=(_CONDITIONING,), widgets=("text",)),
    "VAELoader": _Kind(gives=("VAE",), widgets=("vae_name",), models=(_REPACKAGED, "vae")),
    "CLIPVisionLoader": _Kind(gives=("CLIP_VISION",), widgets=("clip_name",), models=(_REPACKAGED, "clip_vision")),
    "LoadImage": _Kind(gives=("IMAGE", "MASK"), widgets=("image", "upload")),
    "CLIPVisionEncode": _Kind(
        takes={"clip_vision": "CLIP_VISION", "image": "IMAGE"}, gives=("CLIP_VISION_OUTPUT",), widgets=("crop",)
    ),
    "LoadVideo": _Kind(gives=("VIDEO",), widgets=("file", "upload")),
    "GetVideoComponents": _Kind(takes={"video": "VIDEO"}, gives=("IMAGE", "AUDIO", "FLOAT")),
    "WanAnimateToVideo": _Kind(
        takes={
            "positive": _CONDITIONING,
            "negative": _CONDITIONING,
            "vae": "VAE",
            "clip_vision_output": "CLIP_VISION_OUTPUT",
            "reference_image": "IMAGE",
            "face_video": "IMAGE",
            "pose_video": "IMAGE",
            "background_video": "IMAGE",
            "character_mask": "MASK",
            "continue_motion": "IMAGE",
        },
        gives=(_CONDITIONING, _CONDITIONING, "LATENT", "INT", "INT", "INT"),
        widgets=("width", "height", "length", "batch_size", "continue_motion_max_frames", "video_frame_offset"),
    ),
    "KSampler": _Kind(
        takes={"model": "MODEL", "positive": _CONDITIONING, "negative": _CONDITIONING, "latent_image": "LATENT"},
        gives=("LATENT",),
        widgets=("seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    ),
    "TrimVideoLatent": _Kind(takes={"samples": "LATENT", "trim_amount": "INT"}, gives=("LATENT",)),
    "VAEDecode": _Kind(takes={"samples": "LATENT", "vae": "VAE"}, gives=("IMAGE",)),
    "CreateVideo": _Kind(takes={"images": "IMAGE", "audio": "AUDIO"}, gives=("VIDEO",), widgets=("fps",)),
    # Newer versions call the codec `format.codec`, older ones `codec`; each passes over what it does not know.
    "SaveVideo": _Kind(takes={"video": "VIDEO"}, widgets=("filename_prefix", "format", "codec")),
}


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A node of the workflow; an input that is a pair comes from that node's output of that number."""

    number: int
    kind: str
    title: str
    column: int  # of the editor's window
    inputs: Mapping[str, Any]


def _nodes(shot: ComfyuiShot) -> Iterator[_Node]:
    settings, number = shot.settings, iter(range(1, 100))

    def node(column: int, kind: str, title: str, **inputs: Any) -> _Node:
        return _Node(number=next(number), kind=kind, title=title, column=column, inputs=inputs)

    def out(of: _Node, output: int = 0) -> tuple[int, int]:
        return of.number, output

    base = node(0, "UNETLoader", "Base", unet_name="wan2.2_animate_14B_bf16.safetensors", weight_dtype="default")
    text = node(0, "CLIPLoader", "Text encoder", clip_name="umt5_xxl_fp16.safetensors", type="wan", device="default")
    vae = node(0, "VAELoader", "Autoencoder", vae_name="wan_2.1_vae.safetensors")
    vision = node(0, "CLIPVisionLoader", "Image encoder", clip_name="clip_vision_h.safetensors")
    photo = node(0, "LoadImage", "Photo", image=shot.photo)
    video = node(0, "LoadVideo", "Normals", file=shot.normals)
    lora = node(1, "LoraLoaderModelOnly", "Real2SAM2Real", model=out(base), lora_name=shot.lora, strength_model=1.0)
    shift = node(1, "ModelSamplingSD3", "Shift", model=out(lora), shift=shot.shift)
    positive = node(1, "CLIPTextEncode", "Prompt", clip=out(text), text=shot.prompt)
    negative = node(1, "CLIPTextEncode", "Negative prompt", clip=out(text), text=shot.negative_prompt)
    # The whole photo, as the base was trained.
    crop = "none" if settings.resize_without_crop else "center"
    seen = node(1, "CLIPVisionEncode", "Photo for the encoder", clip_vision=out(vision), image=out(photo), crop=crop)
    normals = node(1, "GetVideoComponents", "Frames of the normals", video=out(video))
    animate = node(
        2, "WanAnimateToVideo", "Photo and normals (no face video)",
        positive=out(positive), negative=out(negative), vae=out(vae), clip_vision_output=out(seen),
        reference_image=out(photo), pose_video=out(normals), width=shot.width, height=shot.height, length=shot.frames,
        batch_size=1, continue_motion_max_frames=5, video_frame_offset=0,
    )  # fmt: skip
    sampler = node(
        3, "KSampler", "Denoise",
        model=out(shift), positive=out(animate), negative=out(animate, 1), latent_image=out(animate, 2), seed=0,
        steps=settings.steps, cfg=settings.guidance_scale, sampler_name=_SAMPLERS[settings.solver],
        scheduler=_SCHEDULERS[settings.spacing], denoise=1.0,
    )  # fmt: skip
    trim = node(3, "TrimVideoLatent", "Without the photo's frame", samples=out(sampler), trim_amount=out(animate, 3))
    decode = node(3, "VAEDecode", "Decode", samples=out(trim), vae=out(vae))
    create = node(3, "CreateVideo", "Video", images=out(decode), fps=shot.fps)
    save = node(
        3, "SaveVideo", "Save",
        video=out(create), filename_prefix="video/real2sam2real", format="auto", codec="auto",
        **{"format.codec": "auto"},
    )  # fmt: skip
    yield from (base, text, vae, vision, photo, video, lora, shift, positive, negative, seen, normals, animate)
    yield from (sampler, trim, decode, create, save)


def api_workflow(shot: ComfyuiShot) -> dict[str, Any]:
    """The workflow as ComfyUI's `/prompt` takes it (its value for the key `prompt`), by node number."""

    def value(given: Any) -> Any:
        return [str(given[0]), given[1]] if isinstance(given, tuple) else given

    return {
        str(node.number): {
            "class_type": node.kind,
            "inputs": {name: value(given) for name, given in node.inputs.items()},
            "_meta": {"title": node.title},
        }
        for node in _nodes(shot)
    }


def editor_workflow(shot: ComfyuiShot) -> dict[str, Any]:
    """The workflow as ComfyUI's editor saves and loads it, laid out in columns, with a note on what must match."""
    nodes, below = list(_nodes(shot)), [0, 0, 0, 0]
    drawn: dict[int, dict[str, Any]] = {}
    links: list[list[Any]] = []
    for order, node in enumerate(nodes):
        kind = _KINDS[node.kind]
        height = 60 + 26 * (len(kind.takes) + len(kind.widgets)) + 240 * (node.kind in ("LoadImage", "LoadVideo"))
        entry = drawn[node.number] = _drawn(node, kind, order, (420 * node.column, below[node.column]), height)
        below[node.column] += height + 50
        for slot, place in enumerate(entry["inputs"]):
            if isinstance(given := node.inputs.get(place["name"]), tuple):
                place["link"] = len(links) + 1
                source = drawn[given[0]]["outputs"][given[1]]
                source["links"].append(place["link"])
                links.append([place["link"], *given, node.number, slot, place["type"]])
    colors = zip(("red", "green", "blue"), shot.settings.normal_convention.directions, strict=True)
    told = ", ".join(f"{color} = {where}" for color, where in colors)
    text = _NOTE.format(lora=shot.lora, photo=shot.photo, normals=shot.normals, shift=shot.shift, convention=told)
    note = _drawn(
        _Node(number=len(nodes) + 1, kind="MarkdownNote", title="Read me", column=2, inputs={}),
        _Kind(),
        len(nodes),
        (840, below[2]),
        320,
    )
    return {
        "last_node_id": len(nodes) + 1,
        "last_link_id": len(links),
        "nodes": [*drawn.values(), note | {"widgets_values": [text]}],
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }


def _drawn(node: _Node, kind: _Kind, order: int, at: tuple[int, int], height: int) -> dict[str, Any]:
    """A node as the editor has it, its connections still open."""
    inputs: list[dict[str, Any]] = [{"name": name, "type": type_, "link": None} for name, type_ in kind.takes.items()]
    if node.kind == "TrimVideoLatent":  # a value that is connected
        inputs[1]["widget"] = {"name": "trim_amount"}
    values = [node.inputs.get(name, _EDITORS_OWN.get(name)) for name in kind.widgets]
    properties: dict[str, Any] = {"Node name for S&R": node.kind}
    if kind.models is not None:
        url = _HUB.format(*kind.models, values[0])
        properties["models"] = [{"name": values[0], "url": url, "directory": kind.models[1]}]
    return {
        "id": node.number,
        "type": node.kind,
        "pos": list(at),
        "size": [360, height],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": inputs,
        "outputs": [{"name": type_, "type": type_, "links": []} for type_ in kind.gives],
        "title": node.title,
        "properties": properties,
        "widgets_values": values if node.kind != "TrimVideoLatent" else [0],
    }
