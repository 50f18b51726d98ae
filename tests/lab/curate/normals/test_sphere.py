"""The sphere names the axes of an estimator, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest

from real2sam2real.control.coding import NormalCoding
from real2sam2real.lab.curate.normals.sphere import check, sphere


class Known:
    """Knows the sphere, and colours it in a coding of its own that is read as ours."""

    def __init__(self, coding: NormalCoding) -> None:
        self.name = "known"
        self._coding = coding

    def estimate(self, video, ids):
        _, truth, mask = sphere()
        colors = self._coding.encode(truth, mask)
        return np.repeat(NormalCoding().decode(colors, mask)[None], len(video), axis=0)


@pytest.mark.parametrize("preset", ["opengl", "left-up-towards", "opencv"])
def test_names_the_axes_of_every_preset(preset):
    coding = NormalCoding.preset(preset)
    result = check(Known(coding))
    assert result.directions == coding.directions
    assert result.angle < coding.max_error_degrees
    assert result.right == (preset == "opengl")
    assert ("NOT" in str(result)) != result.right


def test_axes_in_another_order_are_found():
    coding = NormalCoding(directions=("away", "left", "up"))
    assert check(Known(coding)).directions == coding.directions
