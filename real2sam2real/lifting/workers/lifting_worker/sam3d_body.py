"""SAM 3D Body: people, in the OpenCV camera."""

from __future__ import annotations

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

from .checks import find_weights, require_keys
from .inputs import Inputs, Request
from .outputs import Lifted

WEIGHTS = "facebook/sam-3d-body-dinov3"


class Sam3dBody:
    """Vertices, translation and focal length stay as they are given."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.estimator: Any = None

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device."""
        with importing("sam_3d_body"):
            import sam_3d_body
        self.estimator_class = require_attribute(sam_3d_body, "SAM3DBodyEstimator")
        wanted = ("img", "bboxes", "masks", "cam_int", "use_mask")
        require_parameters(self.estimator_class.process_one_image, wanted, "SAM3DBodyEstimator.process_one_image")
        self.weights = _weights(self.request)
        is_local = isinstance(self.weights, tuple)
        self.loader = require_attribute(sam_3d_body, "load_sam_3d_body" if is_local else "load_sam_3d_body_hf")
        if isinstance(self.weights, tuple):
            require_parameters(self.loader, ("checkpoint_path", "device", "mhr_path"), "load_sam_3d_body")
            require_files(self.weights)
        self.device = choose_device(self.request.settings["device"], cpu_will_do=True)
        code = self.request.code or Path(sam_3d_body.__file__).resolve().parents[1]
        return versions(code, ("sam_3d_body", "torch"))

    def load(self) -> None:
        """Load the model once, without its detector, segmentor and focal length estimator: those are given."""
        if isinstance(self.weights, str):
            model, config = self.loader(self.weights, device=self.device)
        else:
            checkpoint, mhr = self.weights
            model, config = self.loader(checkpoint_path=str(checkpoint), device=self.device, mhr_path=str(mhr))
        self.estimator = self.estimator_class(sam_3d_body_model=model, model_cfg=config)

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one person."""
        import torch

        k = inputs.intrinsics
        camera = np.array([[[k["fx"], 0, k["cx"]], [0, k["fy"], k["cy"]], [0, 0, 1]]], np.float32)
        people = self.estimator.process_one_image(
            inputs.photo,
            bboxes=_box(inputs.mask),
            masks=inputs.mask[None].astype(np.uint8),
            cam_int=torch.from_numpy(camera),
            use_mask=True,
        )
        if not people:
            raise WorkerError("cannot-lift", "SAM 3D Body found no person in the mask; it lifts people alone")
        person = people[0]
        require_keys(person, ("pred_vertices", "pred_cam_t", "focal_length"), "SAM 3D Body")
        return Lifted(
            vertices=np.asarray(person["pred_vertices"]),
            faces=np.asarray(self.estimator.faces),
            pose={
                "cam_t": np.asarray(person["pred_cam_t"], np.float64).reshape(-1).tolist(),
                "focal_length": float(np.asarray(person["focal_length"]).reshape(-1)[0]),
            },
            keys=tuple(sorted(person)),
        )


def _weights(request: Request) -> tuple[Path, Path] | str:
    """Checkpoint and body model on disk, or a name on the hub."""
    given = request.path("weights")
    if given is not None and given.suffix == ".ckpt":
        return given, given.parent / "assets" / "mhr_model.pt"
    found = find_weights(request, WEIGHTS, "model.ckpt", "checkpoints/sam-3d-body-dinov3")
    return found if isinstance(found, str) else (found / "model.ckpt", found / "assets" / "mhr_model.pt")


def _box(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """`(1, 4)`: left, top, right, bottom in pixels."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float32)
