"""TripoSG and Step1X-3D: one picture of the object in, its shape out; no pose."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.workers.there.checks import choose_device, require_attribute, require_parameters, versions
from real2sam2real.workers.there.failures import WorkerError, importing

from .checks import find_weights
from .inputs import Inputs, Request, cutout
from .outputs import Lifted

STEPS = 50


class ImageToShape:
    """What both adapters share: a diffusion pipeline that is one class of one module of the lifter's clone."""

    title = ""
    module = ""
    pipeline_name = ""
    weights = ""  # on the hub
    marker = ""  # a file in the folder of the weights
    beside = ""  # that folder in the clone
    margin = 0.0  # around the object, as a share of its longer side
    guidance_scale = 0.0
    on_cpu = False

    def __init__(self, request: Request) -> None:
        self.request = request
        self.pipeline: Any = None

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device."""
        with importing(self.module.split(".")[0]):
            module = importlib.import_module(self.module)
        self.pipeline_class = require_attribute(module, self.pipeline_name)
        wanted = ("image", "guidance_scale", "num_inference_steps", "generator")
        require_parameters(self.pipeline_class.__call__, wanted, f"{self.pipeline_name}.__call__")
        self.found = find_weights(self.request, self.weights, self.marker, self.beside)
        self.device = choose_device(self.request.settings["device"], cpu_will_do=self.on_cpu)
        clone = Path(str(module.__file__)).resolve().parents[self.module.count(".")]
        return versions(self.request.code or clone, ("torch", "diffusers"))

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one entity."""
        import torch

        generator = torch.Generator(device=self.device).manual_seed(inputs.seed)
        settings = {"num_inference_steps": STEPS, "guidance_scale": self.guidance_scale, "generator": generator}
        vertices, faces, key = self.shape(cutout(inputs.photo, inputs.mask, self.margin), settings)
        if vertices is None or faces is None:
            raise WorkerError("cannot-lift", f"{self.title} found no surface")
        return Lifted(vertices=np.asarray(vertices), faces=np.asarray(faces), keys=(key,))

    def shape(self, picture: np.ndarray[Any, Any], settings: dict[str, Any]) -> tuple[Any, Any, str]:
        """Call the pipeline: vertices and faces, None where it finds none, and the key of its output."""
        raise NotImplementedError


class TripoSG(ImageToShape):
    """The mask takes the place of its background removal, whose weights are not free to use."""

    title = "TripoSG"
    module = "triposg.pipelines.pipeline_triposg"
    pipeline_name = "TripoSGPipeline"
    weights, marker, beside = "VAST-AI/TripoSG", "model_index.json", "pretrained_weights/TripoSG"
    margin, guidance_scale, on_cpu = 0.1, 7.0, True  # the margin is its own script's

    def load(self) -> None:
        """Load the pipeline once; it wants a folder."""
        import torch

        folder = self.found
        if isinstance(folder, str):
            from huggingface_hub import snapshot_download

            folder = Path(snapshot_download(folder))
        dtype = torch.float32 if self.device == "cpu" else torch.float16
        self.pipeline = self.pipeline_class.from_pretrained(str(folder)).to(self.device, dtype)

    def shape(self, picture: np.ndarray[Any, Any], settings: dict[str, Any]) -> tuple[Any, Any, str]:
        """The object on white."""
        from PIL import Image

        return *self.pipeline(image=Image.fromarray(picture).convert("RGB"), **settings).samples[0], "samples"


class Step1x3d(ImageToShape):
    """Its geometry stage; its texture stage is not used."""

    title = "Step1X-3D"
    module = "step1x3d_geometry.models.pipelines.pipeline"
    pipeline_name = "Step1X3DGeometryPipeline"
    subfolder = "Step1X-3D-Geometry-1300m"
    weights, marker = "stepfun-ai/Step1X-3D", f"{subfolder}/model_index.json"
    margin, guidance_scale = 0.05, 7.5

    def load(self) -> None:
        """Load the pipeline once."""
        loaded = self.pipeline_class.from_pretrained(str(self.found), subfolder=self.subfolder)
        self.pipeline = loaded.to(self.device)

    def shape(self, picture: np.ndarray[Any, Any], settings: dict[str, Any]) -> tuple[Any, Any, str]:
        """The object with an alpha channel; the pipeline refuses pictures in memory, so it gets a file."""
        from PIL import Image

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object.png"
            Image.fromarray(picture).save(path)
            meshes = self.pipeline(str(path), **settings).mesh
        mesh = meshes[0] if meshes else None
        return getattr(mesh, "vertices", None), getattr(mesh, "faces", None), "mesh"
