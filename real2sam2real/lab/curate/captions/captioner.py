"""What captioning a clip takes and gives, whoever does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from real2sam2real.arrays import UInt8


class Captioner(Protocol):
    """Says in words what a clip shows.

    Attributes:
        name: by which `load_captioner` knows it.
    """

    name: str

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """One caption, a single line.

        Args:
            video: `(T, H, W, 3)` uint8 sRGB.
            labels: what each instance is, by its id.

        Raises:
            UserError: there is nothing to say about this clip.
        """
        ...
