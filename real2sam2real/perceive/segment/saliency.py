"""U²-Net (Qin et al., 2020), its small form, through OpenCV: what stands out in a picture, pixel by pixel.

Its weights come with the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import cv2
import numpy as np

from real2sam2real.arrays import Float32, UInt8

SIDE = 320  # pixels of the picture that the network looks at
_MEAN = np.array((0.485, 0.456, 0.406), np.float32)  # of sRGB 0…1
_DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


@dataclass(frozen=True, eq=False)
class SaliencyNet:
    """The network, loaded."""

    net: Any  # of cv2.dnn

    @classmethod
    def load(cls) -> SaliencyNet:
        """From the package."""
        weights = resources.files("real2sam2real").joinpath("assets", "u2netp", "u2netp.onnx").read_bytes()
        return cls(cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8)))

    def look(self, pixels: UInt8, *, mirrored: bool = False) -> Float32:
        """`(H, W)` float32 0…1 for pixels `(H, W, 3)` uint8 sRGB; what stands out most is 1, what least is 0.

        `mirrored` looks at the mirror image, and answers for the picture as it is.
        """
        small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        if mirrored:
            small = small[:, ::-1]
        small = (small / max(float(small.max()), 1e-6) - _MEAN) / _DEVIATION
        self.net.setInput(np.ascontiguousarray(small.transpose(2, 0, 1)[None]))
        seen = self.net.forward(self.net.getUnconnectedOutLayersNames()[0])[0, 0].astype(np.float32)
        seen = (seen - seen.min()) / max(float(np.ptp(seen)), 1e-8)
        if mirrored:
            seen = seen[:, ::-1]
        seen = cv2.resize(np.ascontiguousarray(seen), pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        return np.clip(seen, 0, 1).astype(np.float32, copy=False)
