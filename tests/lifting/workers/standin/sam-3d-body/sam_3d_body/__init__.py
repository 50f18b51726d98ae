"""Stand-in for SAM 3D Body: signatures, output keys, shapes and frames of the real one (November 2025)."""

import os

import numpy as np
import torch
from standin_script import misbehave, record, told, truth

__all__ = ["SAM3DBodyEstimator", "load_sam_3d_body", "load_sam_3d_body_hf"]


class _Model:
    device = "cuda"

    class head_pose:  # noqa: N801
        faces = torch.from_numpy(np.zeros((0, 3), np.int64))


def load_sam_3d_body(checkpoint_path: str = "", device: str = "cuda", mhr_path: str = ""):
    """Model and its configuration."""
    record(load=checkpoint_path, mhr=mhr_path, device=device, cards=os.environ.get("CUDA_VISIBLE_DEVICES"))
    misbehave("load")
    return _Model(), {}


def load_sam_3d_body_hf(repo_id, **kwargs):
    """The same from the hub, where nobody has been let in."""

    class GatedRepoError(OSError):
        """As huggingface_hub has it."""

    raise GatedRepoError(f"401 Client Error. Access to model {repo_id} is restricted.")


class SAM3DBodyEstimator:
    """Bodies of the people in boxes."""

    def __init__(self, sam_3d_body_model, model_cfg, human_detector=None, human_segmentor=None, fov_estimator=None):
        self.model = sam_3d_body_model

    def process_one_image(
        self,
        img,
        bboxes=None,
        masks=None,
        cam_int=None,
        det_cat_id: int = 0,
        bbox_thr: float = 0.5,
        nms_thr: float = 0.3,
        use_mask: bool = False,
        inference_type: str = "full",
    ):
        height, width = img.shape[:2]
        boxes = bboxes.reshape(-1, 4)
        masks = masks.reshape(-1, height, width, 1).astype(np.uint8)
        camera = cam_int.to("cpu").numpy()
        assert camera.shape == (1, 3, 3)
        assert len(boxes) == len(masks) == 1
        area = int(masks.sum())
        record(area=area, box=boxes[0].tolist(), camera=camera[0].tolist(), use_mask=use_mask)
        misbehave(area)
        if told(area) == "nobody":
            return []
        known = truth(area)
        self.faces = known["faces"].astype(np.int64)
        return [
            {
                "bbox": boxes[0],
                "focal_length": np.float32(told("focal") or camera[0, 0, 0]),
                "pred_vertices": known["vertices_opencv"].astype(np.float32),
                "pred_cam_t": known["translation"].astype(np.float32),
                "pred_keypoints_2d": np.zeros((70, 2), np.float32),
                "mask": masks[0],
            }
        ]
