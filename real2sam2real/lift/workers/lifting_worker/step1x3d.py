"""Step1X-3D: shape from one picture with an alpha channel; no pose."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .checks import choose_device, require_attribute, require_parameters, versions
from .failures import LiftingError, importing
from .inputs import Inputs, Request, cutout
from .outputs import Lifted

WEIGHTS = "stepfun-ai/Step1X-3D"
SUBFOLDER = "Step1X-3D-Geometry-1300m"
MARGIN = 0.05


class Step1x3d:
    """Adapter of Step1X-3D's geometry stage; its texture stage is not used."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.pipeline: Any = None

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device."""
        with importing("step1x3d_geometry"):
            import step1x3d_geometry.models.pipelines.pipeline as module
        self.pipeline_class = require_attribute(module, "Step1X3DGeometryPipeline")
        wanted = ("image", "guidance_scale", "num_inference_steps", "generator")
        require_parameters(self.pipeline_class.__call__, wanted, "Step1X3DGeometryPipeline.__call__")
        self.weights = _weights(self.request)
        self.device = choose_device(self.request.settings["device"], cpu_will_do=False)
        return versions(self.request.code or Path(module.__file__).resolve().parents[3], ("torch", "diffusers"))

    def load(self) -> None:
        """Load the pipeline once."""
        self.pipeline = self.pipeline_class.from_pretrained(self.weights, subfolder=SUBFOLDER).to(self.device)

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one entity. The pipeline refuses pictures in memory, so it gets a file."""
        import torch
        from PIL import Image

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object.png"
            Image.fromarray(cutout(inputs.photo, inputs.mask, MARGIN)).save(path)
            output = self.pipeline(
                str(path),
                guidance_scale=7.5,
                num_inference_steps=50,
                generator=torch.Generator(device=self.device).manual_seed(inputs.seed),
            )
        mesh = output.mesh[0] if output.mesh else None
        if mesh is None:
            raise LiftingError("cannot-lift", "Step1X-3D found no surface")
        return Lifted(vertices=np.asarray(mesh.vertices), faces=np.asarray(mesh.faces), keys=("mesh",))


def _weights(request: Request) -> str:
    """A folder, or a name on the hub."""
    given = request.path("weights")
    if given is None:
        return WEIGHTS
    if given.is_dir():
        missing = given / SUBFOLDER / "model_index.json"
        if not missing.is_file():
            raise LiftingError("weights", f"{missing} is missing", missing=str(missing))
        return str(given)
    if given.is_absolute() or len(given.parts) != 2:
        raise LiftingError("weights", f"{given} is missing", missing=str(given))
    return str(request.settings["weights"])
