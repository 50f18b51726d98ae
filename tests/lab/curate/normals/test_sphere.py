"""The sphere names the axes of an estimator, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.lab.curate.normals.sphere import check, sphere


class Known:
    """Knows the sphere, and colours it in a convention of its own that is read as ours."""

    def __init__(self, convention: NormalConvention) -> None:
        self.name = "known"
        self._convention = convention

    def estimate(self, video, ids):
        _, truth, mask = sphere()
        colors = self._convention.encode(truth, mask)
        return np.repeat(NormalConvention().decode(colors, mask)[None], len(video), axis=0)


@pytest.mark.parametrize("preset", ["opengl", "left-up-towards", "opencv"])
def test_names_the_axes_of_every_preset(preset):
    convention = NormalConvention.preset(preset)
    result = check(Known(convention))
    assert result.directions == convention.directions
    assert result.angle < np.degrees(np.arcsin(np.sqrt(3) / 255))
    assert result.right == (preset == "opengl")
    assert ("NOT" in str(result)) != result.right


def test_axes_in_another_order_are_found():
    convention = NormalConvention(directions=("away", "left", "up"))
    assert check(Known(convention)).directions == convention.directions
