"""ComfyUI's side of test_comfyui.py, a process of its own: its loaders, node and model, its check of a workflow.

Started in a ComfyUI checkout with the file of what it is given (see there) and the file to write.
"""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

given, result = sys.argv[1:]
sys.argv = [sys.argv[0], "--cpu"]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.model_management  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.utils  # noqa: E402
import folder_paths  # noqa: E402
import nodes  # noqa: E402
import torch  # noqa: E402


class KnownLatents:
    """An autoencoder that gives known latents in the order in which the node encodes: photo, normals, grey."""

    def __init__(self, latents):
        self.latents, self.seen = latents, []

    def encode(self, pixels):
        self.seen.append((pixels.shape, pixels.min().item(), pixels.max().item()))
        return self.latents.pop(0)


def velocity(patcher, inputs, out):
    """What the model answers to the conditions that WanAnimateToVideo makes."""
    model = patcher.model
    vae = KnownLatents([model.process_latent_out(inputs[name].clone()) for name in ("photo", "pose", "grey")])
    node = nodes.NODE_CLASS_MAPPINGS["WanAnimateToVideo"]
    text = [[inputs["text"], {}]]
    made = node.execute(
        positive=text, negative=text, vae=vae, width=inputs["width"], height=inputs["height"],
        length=inputs["frames"], batch_size=1, continue_motion_max_frames=5, video_frame_offset=0,
        reference_image=inputs["pixels"][:1], pose_video=inputs["pixels"],
        clip_vision_output=SimpleNamespace(penultimate_hidden_states=inputs["image"]),
    ).result  # fmt: skip
    positive, latent = made[0][0], made[2]["samples"]
    out["encoded"], out["trim"], out["latent"] = vae.seen, made[3], tuple(latent.shape)
    comfy.model_management.load_models_gpu([patcher])
    conditions = model.extra_conds(noise=latent, device="cpu", cross_attn=positive[0], **positive[1])
    with torch.no_grad():
        clean = model.apply_model(inputs["noisy"], inputs["level"], **{k: v.cond for k, v in conditions.items()})
    return (inputs["noisy"] - clean) / inputs["level"].reshape(-1, 1, 1, 1, 1)


async def main():
    inputs, out = torch.load(given), {}
    folder = Path(given).parent
    for name in ("nodes_wan", "nodes_video", "nodes_model_advanced"):
        await nodes.load_custom_node(str(Path("comfy_extras", f"{name}.py").resolve()), module_parent="comfy_extras")
    base = comfy.sd.load_diffusion_model(inputs["base"], model_options={"dtype": torch.float32})
    shifted = nodes.NODE_CLASS_MAPPINGS["ModelSamplingSD3"]().patch(base, shift=5.0)[0]
    sampling = shifted.get_model_object("model_sampling")
    for name, steps in (("normal", 25), ("simple", 4)):
        out[name] = comfy.samplers.calculate_sigmas(sampling, name, steps)
    out["base"] = velocity(shifted, inputs, out)
    for lora in inputs["loras"]:
        tensors = comfy.utils.load_torch_file(lora)
        patched, _ = comfy.sd.load_lora_for_models(shifted, None, tensors, 1.0, 0.0)
        out[lora] = velocity(patched, inputs, out)
    folder_paths.set_input_directory(str(folder))
    for kind in ("diffusion_models", "loras", "text_encoders", "vae", "clip_vision"):
        folder_paths.add_model_folder_path(kind, str(folder / kind), is_default=True)
    import execution

    out["valid"] = await execution.validate_prompt("1", json.loads((folder / "toy_api.json").read_text()), None)
    torch.save(out, result)


asyncio.run(main())
