"""Stand-in for TripoSG: signatures and output of the real one."""

import numpy as np
from standin_script import FOLDER, misbehave, record, told, truth


class TripoSGPipeline:
    """One picture in, one surface out."""

    @classmethod
    def from_pretrained(cls, folder):
        record(load=folder)
        misbehave("load")
        return cls()

    def to(self, device, dtype):
        record(device=device, dtype=np.dtype(dtype).name)
        return self

    def __call__(
        self,
        image,
        num_inference_steps: int = 50,
        num_tokens: int = 2048,
        timesteps=None,
        guidance_scale: float = 7.0,
        num_shapes_per_prompt: int = 1,
        generator=None,
        latents=None,
        use_flash_decoder: bool = True,
        return_dict: bool = True,
    ):
        assert image.mode == "RGB"
        image.save(FOLDER / "picture.png")
        area = int(np.any(np.asarray(image) != 255, axis=-1).sum())
        record(area=area, seed=generator.initial_seed())
        misbehave(area)
        known = truth(area)
        found = (None, None) if told(area) == "nobody" else (known["vertices"].astype(np.float32), known["faces"])
        return type("TripoSGPipelineOutput", (), {"samples": [found], "meshes": []})
