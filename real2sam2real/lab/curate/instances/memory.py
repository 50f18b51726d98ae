"""Marks followed by a model with a memory of what it has seen: SAM 2.1's, and the same part of SAM 3.

Transformers' own processors of these models need torchvision, whose wheels must match torch's to the build. What they
do to a clip and to its marks is done here, as they do it (transformers 5, `Sam2VideoProcessor`).

Shape legend: T frames, H height, W width in pixels of the clip; S side of the model's square picture; h w the model's
low resolution (a quarter of S).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.instances.interface import Box, InstancePrompt, Instances, check_prompts
from real2sam2real.perceive.segment.preprocessing import ImagePreprocessor
from real2sam2real.pretrained.models import transformers_class

if TYPE_CHECKING:
    import torch


_CORNERS = (2, 3)  # labels of a box's upper left and lower right corner among points
_INSIDE = 0.5  # share of a pixel of the model's picture from which a mask has it


class MemoryFollower:
    """Follows boxes and masks through a clip, both ways from the frame that is marked."""

    def __init__(self, model: Any, session: str, preprocessor: ImagePreprocessor, device: torch.device) -> None:
        """Use a loaded model.

        Args:
            model: a `Sam2VideoModel` or a `Sam3TrackerVideoModel` in float32, on `device`.
            session: name of the class of transformers that holds what the model has seen of a clip.
            preprocessor: how its pictures are made.
            device: where it computes.

        Raises:
            MissingPartError: transformers is too old to know the session.
            UserError: model and preprocessor are of different sizes.
        """
        side = checked_side(model, preprocessor)
        self.model, self.preprocessor, self.device = model, preprocessor, device
        self._side, self._session_class = side, transformers_class(session)

    def track(self, video: UInt8, prompts: Sequence[InstancePrompt]) -> Instances:
        """See `InstanceTracker`. A pixel that several instances claim goes to the one with the largest logit."""
        check_prompts(video, prompts)
        if not prompts:
            raise UserError("nothing is marked; draw a box around each instance that is to be followed")
        ids = np.zeros(video.shape[:3], np.uint8)
        best = np.zeros(video.shape[:3], np.float32)
        pictures = clip_pictures(self.preprocessor, video)
        for frame in sorted({prompt.frame for prompt in prompts}):
            there = {number: prompt for number, prompt in enumerate(prompts, 1) if prompt.frame == frame}
            for at, number, logits in self.followed(video, frame, there, pictures):
                over = logits > best[at]
                ids[at][over] = number
                best[at] = np.maximum(best[at], logits)
        return Instances(ids=ids, labels={number: prompt.label for number, prompt in enumerate(prompts, 1)})

    def followed(
        self,
        video: UInt8,
        frame: int,
        prompts: Mapping[int, InstancePrompt],
        pictures: Sequence[torch.Tensor] | None = None,
    ) -> Iterator[tuple[int, int, Float32]]:
        """What is marked on one frame, followed both ways.

        Args:
            video: `(T, H, W, 3)` uint8 sRGB.
            frame: the one that is marked.
            prompts: by the ids that they shall have.
            pictures: of `clip_pictures`, where they are at hand.

        Yields:
            A frame's index, an instance's id, and its logits `(H, W)` float32, above 0 inside. The marked frame comes
            once, or twice alike.
        """
        height, width = video.shape[1:3]
        pictures = pictures or clip_pictures(self.preprocessor, video)
        session = new_session(self._session_class, pictures, (height, width), self.device)
        for number, prompt in prompts.items():
            self._add(session, frame, number, prompt, (height, width))
        self.model(inference_session=session, frame_idx=frame)
        for reverse in (False, True) if frame else (False,):
            walk = self.model.propagate_in_video_iterator(session, start_frame_idx=frame, reverse=reverse)
            for output in walk:
                logits = logits_at_clip_size(output.pred_masks[:, 0], height, width)
                for number, each in zip(session.obj_ids, logits, strict=True):
                    yield output.frame_idx, int(number), each

    def _add(self, session: Any, frame: int, number: int, prompt: InstancePrompt, size: tuple[int, int]) -> None:
        index = session.obj_id_to_idx(number)
        if prompt.mask is not None:
            session.add_mask_inputs(index, frame, _mask_picture(prompt.mask, self._side))
        else:
            assert prompt.box is not None  # a mark has either
            session.add_point_inputs(index, frame, _corners(prompt.box, size, self._side))
        session.obj_with_new_inputs = [*session.obj_with_new_inputs, number]


def checked_side(model: Any, preprocessor: ImagePreprocessor) -> int:
    """Side of the model's square picture.

    Raises:
        UserError: the preprocessor makes pictures of another size.
    """
    side = int(model.config.image_size)
    if (preprocessor.height, preprocessor.width) != (side, side):
        raise UserError(f"this model is made for {side}×{side} pixels, but its folder says {preprocessor}")
    return side


def clip_pictures(preprocessor: ImagePreprocessor, video: UInt8) -> list[torch.Tensor]:
    """What the model sees of a clip `(T, H, W, 3)` uint8 sRGB: for each frame `(3, S, S)` float32, on the CPU."""
    return [preprocessor.picture(each)[0] for each in video]


def new_session(
    session_class: Any, pictures: Sequence[torch.Tensor], size: tuple[int, int], device: torch.device
) -> Any:
    """A session of transformers over pictures of `clip_pictures` of a clip of `size` H, W; nothing is said of it yet.

    The pictures stay on the CPU until their turn; the model computes on `device`.
    """
    import torch

    session = session_class(
        video_height=size[0],
        video_width=size[1],
        inference_device=device,
        inference_state_device=device,
        video_storage_device="cpu",
        dtype=torch.float32,
    )
    for picture in pictures:
        session.add_new_frame(picture)
    return session


def logits_at_clip_size(logits: torch.Tensor, height: int, width: int) -> Float32:
    """Low-resolution logits `(N, h, w)` as `(N, height, width)` float32 on the CPU, interpolated."""
    import torch

    large = torch.nn.functional.interpolate(
        logits[None].float(), size=(height, width), mode="bilinear", align_corners=False
    )
    return np.asarray(large[0].cpu().numpy(), np.float32)


def _corners(box: Box, size: tuple[int, int], side: int) -> dict[str, torch.Tensor]:
    """A box as two points with labels: `(1, 1, 2, 2)` float32 x, y in pixels of the picture, `(1, 1, 2)` int32."""
    import torch

    scale = torch.tensor([side / size[1], side / size[0]])
    points = torch.tensor(box, dtype=torch.float32).reshape(1, 1, 2, 2) * scale
    return {"point_coords": points, "point_labels": torch.tensor([[_CORNERS]], dtype=torch.int32)}


def _mask_picture(mask: Bool, side: int) -> torch.Tensor:
    """A mask `(H, W)` as the model takes it: `(1, 1, S, S)` float32, 0 or 1."""
    import torch

    whole = torch.from_numpy(np.asarray(mask, np.float32))[None, None]
    resized = torch.nn.functional.interpolate(
        whole, size=(side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return (resized >= _INSIDE).float()
