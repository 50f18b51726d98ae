"""Stand-in for the geometry stage of Step1X-3D: signatures and output of the real one."""

import numpy as np
import PIL.Image
from standin_script import misbehave, record, truth


class Step1X3DGeometryPipeline:
    """One picture file in, one mesh out."""

    @classmethod
    def from_pretrained(cls, model_path, subfolder=".", **kwargs):
        record(load=model_path, subfolder=subfolder)
        misbehave("load")
        return cls()

    def to(self, device):
        return self

    def __call__(
        self,
        image,
        label=None,
        caption=None,
        num_inference_steps: int = 30,
        timesteps=None,
        num_meshes_per_prompt: int = 1,
        guidance_scale: float = 7.5,
        generator=None,
        **further,
    ):
        if isinstance(image, PIL.Image.Image):
            raise ValueError("Input image must be a `torch.Tensor` or `PIL.Image.Image`.")
        picture = PIL.Image.open(image)
        assert picture.mode == "RGBA"
        area = int((np.asarray(picture)[..., 3] > 0).sum())
        record(area=area, seed=generator.initial_seed())
        misbehave(area)
        known = truth(area)
        mesh = type("Trimesh", (), {"vertices": known["vertices"], "faces": known["faces"]})
        return type("Step1X3DGeometryPipelineOutput", (), {"image": picture, "mesh": [mesh]})
