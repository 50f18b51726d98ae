"""Stand-in for notebook/inference.py: signatures, output keys, shapes and frames of the real one (November 2025)."""

import os

os.environ["CUDA_HOME"] = os.environ["CONDA_PREFIX"]
os.environ["LIDRA_SKIP_INIT"] = "true"

import kaolin  # noqa: F401
import numpy as np
import sam3d_objects  # noqa: F401
import torch
from standin_script import FOLDER, misbehave, record, told, truth


class Mesh:
    """As trimesh has it: float64 vertices, int64 faces, colours with alpha."""

    class visual:  # noqa: N801
        kind = "vertex"

    def __init__(self, vertices, faces, vertex_colors):
        self.vertices, self.faces = vertices, faces
        self.visual = type("visual", (), {"kind": "vertex", "vertex_colors": vertex_colors})


class Inference:
    """Loads a pipeline by its configuration."""

    def __init__(self, config_file: str, compile: bool = False):
        record(load=config_file, cuda_home=os.environ["CUDA_HOME"])
        print("Loading model weights...")
        misbehave("load")

    def merge_mask_to_rgba(self, image, mask):
        mask = mask.astype(np.uint8) * 255
        return np.concatenate([image[..., :3], mask[..., None]], axis=-1)

    def __call__(self, image, mask, seed=None, pointmap=None) -> dict:
        rgba = self.merge_mask_to_rgba(image, mask)
        assert rgba.dtype == np.uint8
        area = int(mask.sum())
        record(area=area, seed=seed, pointmap=None if pointmap is None else [str(pointmap.dtype), *pointmap.shape])
        if pointmap is not None:
            np.save(FOLDER / "pointmap_received.npy", pointmap.to("cpu").numpy())
        print("\r 4%|#   | 1/25\r100%|####| 25/25", end="")
        misbehave(area)
        known = truth(area)
        # The mesh is Z-up and is given away Y-up; the pose belongs to the former (postprocessing_utils.to_glb).
        vertices = known["vertices_zup"] @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
        colors = np.concatenate([known["colors"], np.full((len(vertices), 1), 255, np.uint8)], axis=1)
        glb = Mesh(vertices, known["faces"].astype(np.int64), colors)
        rotation, translation, scale = (known[name] for name in ("rotation", "translation", "scale"))
        if told(area) == "nan":
            scale = scale * np.nan
        output = {
            "rotation": torch.tensor(rotation[None]).to("cuda" if torch.cuda.is_available() else "cpu"),
            "translation": torch.tensor(translation[None]),
            "scale": torch.tensor(np.full((1, 3), scale)),
            "coords": None,
            "glb": None if told(area) == "no mesh" else glb,
            "gs": None,
            "gaussian": [None],
            "mesh": [None],
            "pointmap": None,
            "pointmap_colors": None,
        }
        if told("keys") == "renamed":
            output["rot_wxyz"] = output.pop("rotation")
        return output


if "OLD_VERSION" in os.environ:
    Inference.__call__ = lambda self, image, mask, seed=None: {}
