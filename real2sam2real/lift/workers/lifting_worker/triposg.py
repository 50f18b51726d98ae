"""TripoSG: shape from one picture of the object on white; no pose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .checks import choose_device, require_attribute, require_parameters, versions
from .failures import LiftingError, importing
from .inputs import Inputs, Request, cutout
from .outputs import Lifted

WEIGHTS = "VAST-AI/TripoSG"
MARGIN = 0.1  # around the object, as its own script leaves


class TripoSG:
    """Adapter of TripoSG. The mask takes the place of its background removal, whose weights are not free to use."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.pipeline: Any = None

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device."""
        with importing("triposg"):
            import triposg.pipelines.pipeline_triposg as module
        self.pipeline_class = require_attribute(module, "TripoSGPipeline")
        wanted = ("image", "num_inference_steps", "guidance_scale", "generator")
        require_parameters(self.pipeline_class.__call__, wanted, "TripoSGPipeline.__call__")
        self.weights = _weights(self.request)
        self.device = choose_device(self.request.settings["device"], cpu_will_do=True)
        return versions(self.request.code or Path(module.__file__).resolve().parents[2], ("torch", "diffusers"))

    def load(self) -> None:
        """Load the pipeline once."""
        import torch

        folder = self.weights
        if isinstance(folder, str):
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(folder))
        dtype = torch.float32 if self.device == "cpu" else torch.float16
        self.pipeline = self.pipeline_class.from_pretrained(str(folder)).to(self.device, dtype)

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one entity."""
        import torch
        from PIL import Image

        picture = cutout(inputs.photo, inputs.mask, MARGIN)
        output = self.pipeline(
            image=Image.fromarray(np.ascontiguousarray(picture[..., :3])),
            generator=torch.Generator(device=self.device).manual_seed(inputs.seed),
            num_inference_steps=50,
            guidance_scale=7.0,
        )
        vertices, faces = output.samples[0]
        if vertices is None or faces is None:
            raise LiftingError("cannot-lift", "TripoSG found no surface")
        return Lifted(vertices=np.asarray(vertices), faces=np.asarray(faces), keys=("samples",))


def _weights(request: Request) -> Path | str:
    """A folder, or a name on the hub."""
    given = request.path("weights")
    if given is None:
        beside = request.code / "pretrained_weights" / "TripoSG" if request.code else None
        return beside if beside is not None and beside.is_dir() else WEIGHTS
    if given.is_dir():
        if not (given / "model_index.json").is_file():
            missing = given / "model_index.json"
            raise LiftingError("weights", f"{missing} is missing", missing=str(missing))
        return given
    if given.is_absolute() or len(given.parts) != 2:
        raise LiftingError("weights", f"{given} is missing", missing=str(given))
    return str(request.settings["weights"])
