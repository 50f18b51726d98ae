import numpy as np

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.embedded import lift_photo


def test_a_pole_is_about_as_thick_as_it_is_wide() -> None:
    """An outline fourteen times as high as wide leaves its depth open; a wall seen end-on is a bad guess."""
    mask = np.zeros((240, 200), bool)
    mask[30:226, 93:107] = True
    pixels = np.random.default_rng(0).integers(0, 256, (240, 200, 3), dtype=np.uint8)
    lens = Intrinsics.from_fov(200, 240, horizontal_degrees=45)
    entity = lift_photo(pixels, {"pole": mask}, lens, frames=1, fps=16.0)[0].entity("pole")
    width, _, depth = np.ptp(entity.mesh.bounds(), axis=0)
    assert entity.mesh.is_closed()
    assert 0.4 < depth / width < 2.5
