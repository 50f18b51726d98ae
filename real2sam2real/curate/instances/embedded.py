"""Follows marked instances without a network."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from real2sam2real.curate.instances.interface import Bool, Instances, Mark, UInt8, check_marks
from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import mask_from_box


class EmbeddedTracker:
    """See `InstanceTracker`."""

    name = "embedded"

    def track(self, video: UInt8, marks: Sequence[Mark]) -> Instances:
        """See `InstanceTracker`."""
        check_marks(video, marks)
        if not marks:
            raise UserError("nothing is marked; draw a box around each instance that is to be followed")
        ids = np.zeros(video.shape[:3], np.uint8)
        for number, mark in enumerate(marks, 1):
            start = mark.mask if mark.mask is not None else mask_from_box(video[mark.frame], mark.box or (0, 0, 0, 0))
            ids[mark.frame][start] = number
            for step in (1, -1):
                mask: Bool = start
                last = len(video) if step > 0 else -1
                for at in range(mark.frame + step, last, step):
                    mask = _warped(video[at - step], video[at], mask)
                    ids[at][mask] = number
        return Instances(ids=ids, labels={k: mark.label for k, mark in enumerate(marks, 1)})


def _warped(before: UInt8, after: UInt8, mask: Bool) -> Bool:
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(
        cv2.cvtColor(after, cv2.COLOR_RGB2GRAY), cv2.cvtColor(before, cv2.COLOR_RGB2GRAY), None
    )
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    return np.asarray(
        cv2.remap(mask.astype(np.float32), columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR) > 0.5
    )
