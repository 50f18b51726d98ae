"""Names for NumPy arrays by their kind of number. What an array means (shape, frame, unit) stands where it is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Mask = Bool  # `(H, W)`, True on the object
UInt8 = NDArray[np.uint8]
UInt32 = NDArray[np.uint32]
