"""SAM 3D Objects: `notebook/inference.py` of its repository."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.workers.there.checks import (
    choose_device,
    require_attribute,
    require_files,
    require_parameters,
    versions,
)
from real2sam2real.workers.there.failures import WorkerError, importing

from .checks import require_keys
from .inputs import Inputs, Request
from .outputs import Lifted

POSE = ("rotation", "translation", "scale")


class Sam3d:
    """Adapter of SAM 3D Objects.

    Its pose stays as it is given: a quaternion `wxyz` for row vectors, in the PyTorch3D camera, of the Z-up frame that
    belongs to the Y-up mesh.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.model: Any = None

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device."""
        _act_as_activated()
        code = self.request.code or _clone()
        script = code / "notebook" / "inference.py"
        if not script.is_file():
            raise WorkerError(
                "code", f"{script} is missing: the folder is not a clone of SAM 3D Objects", missing=str(script)
            )
        with importing(str(script)):
            module = _module_at(script)
        self.inference = require_attribute(module, "Inference")
        require_parameters(self.inference.__init__, ("config_file", "compile"), "Inference")
        require_parameters(self.inference.__call__, ("image", "mask", "seed", "pointmap"), "Inference.__call__")
        self.config = _config(self.request.path("weights"), code)
        choose_device(self.request.settings["device"], cpu_will_do=False)
        return versions(code, ("sam3d_objects", "torch", "pytorch3d", "kaolin"))

    def load(self) -> None:
        """Load the pipeline once."""
        self.model = self.inference(str(self.config), compile=False)

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one entity."""
        import torch

        pointmap = None if inputs.pointmap is None else torch.from_numpy(inputs.pointmap)
        output = self.model(inputs.photo, inputs.mask, seed=inputs.seed, pointmap=pointmap)
        require_keys(output, ("glb", *POSE), "SAM 3D Objects")
        mesh = output["glb"]
        if mesh is None:
            raise WorkerError("cannot-lift", "SAM 3D Objects made no mesh of it (its pipeline decodes splats alone?)")
        return Lifted(
            vertices=np.asarray(mesh.vertices),
            faces=np.asarray(mesh.faces),
            colors=_colors(mesh),
            pose={name: _numbers(output[name]) for name in POSE},
            keys=tuple(sorted(output)),
        )


def _clone() -> Path:
    """Where the package is installed from, found without importing it: that is for its own script to do."""
    spec = importlib.util.find_spec("sam3d_objects")
    if spec is None or spec.origin is None:
        raise WorkerError("import", "No module named 'sam3d_objects'", missing="sam3d_objects")
    return Path(spec.origin).resolve().parents[1]


def _act_as_activated() -> None:
    """Set what its code reads of conda's variables, as if its environment were activated.

    Kernels are compiled on first use with the tools of the environment's `bin` and of CUDA_HOME, which its code sets to
    CONDA_PREFIX. The caller may stand in another conda environment, whose variables are inherited and wrong here.
    """
    os.environ["CONDA_PREFIX"] = str(_toolkit())
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")])


def _toolkit() -> Path:
    """Where the CUDA compiler is: a conda environment has its own, any other uses the machine's."""
    inside, found = Path(sys.prefix), shutil.which("nvcc")
    named = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    on_path = [Path(found).resolve().parents[1]] if found else []
    places = [inside, *named, *on_path, Path("/usr/local/cuda")]
    return next((place for place in places if (place / "bin" / "nvcc").is_file()), inside)


def _module_at(script: Path) -> Any:
    spec = importlib.util.spec_from_file_location("sam3d_objects_inference", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _config(weights: Path | None, code: Path) -> Path:
    """Path of `pipeline.yaml`, once every file that it names is there."""
    folder = weights or code / "checkpoints" / "hf"
    nested = [folder / "pipeline.yaml", folder / "checkpoints" / "pipeline.yaml"]
    config = folder if folder.suffix == ".yaml" else next((path for path in nested if path.is_file()), nested[0])
    require_files([config])
    named = re.findall(r"^\s*\w+_(?:config|ckpt)_path:\s*([^\s#]+)", config.read_text(encoding="utf-8"), re.MULTILINE)
    require_files(config.parent / name.strip("'\"") for name in named if name not in ("null", "~"))
    return config


def _colors(mesh: Any) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    if mesh.visual.kind != "vertex":
        return None
    colors = np.asarray(mesh.visual.vertex_colors)
    return colors[:, :3].astype(np.uint8) if len(colors) == len(mesh.vertices) else None


def _numbers(tensor: Any) -> list[float]:
    return np.asarray(tensor.detach().cpu().numpy(), np.float64).reshape(-1).tolist()
