import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.depth_fields import half_thickness
from real2sam2real.lifting.ground import Ground, estimate_ground
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.lifting.sheets import two_sheets
from real2sam2real.lifting.solid import fit_solid
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.decimation import decimate


def sheet_mesh(field: np.ndarray, thickness: float = 1.0) -> Mesh:
    sheets = two_sheets(field)
    flat = np.concatenate([sheets.inside, sheets.inside, sheets.contour])[:, ::-1] * [1.0, -1.0]
    n = len(sheets.inside)
    z = np.concatenate([np.full(n, thickness), np.full(n, -thickness), np.zeros(len(sheets.contour))])
    return Mesh(vertices=np.column_stack([flat, z]), faces=sheets.faces)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), smooth=st.floats(0.0, 2.0))
def test_sheets_are_closed_and_outward_over_any_field(seed: int, smooth: float) -> None:
    field = np.random.default_rng(seed).normal(size=(14, 17))
    field = ndimage.gaussian_filter(field, smooth) if smooth > 0.3 else field
    field[[0, -1]] = field[:, [0, -1]] = -1
    field[6, 6] = 1.0
    mesh = sheet_mesh(field)
    assert mesh.is_closed()
    assert mesh.volume() > 0


def test_the_contour_is_finer_than_the_grid() -> None:
    rows, columns = np.mgrid[:40, :40]
    radius = 12.3
    sheets = two_sheets(radius - np.hypot(rows - 20.2, columns - 19.7))
    distance = np.hypot(*(sheets.contour - [20.2, 19.7]).T)
    assert np.abs(distance - radius).max() < 0.1


def test_a_field_must_be_padded() -> None:
    with pytest.raises(ValueError, match="pad"):
        two_sheets(np.ones((5, 5)))
    with pytest.raises(ValueError, match="empty"):
        two_sheets(-np.ones((5, 5)))


def test_a_limb_becomes_round_and_a_plate_does_not_become_a_balloon() -> None:
    limb = np.zeros((60, 200), bool)
    limb[20:40] = True
    middle = half_thickness(np.pad(limb, 4))[4 + 20 : 4 + 40, 100]
    assert middle.max() == pytest.approx(0.42 * 20 * np.tanh(0.95 * 10 / (0.42 * 20)), rel=0.1)
    assert (np.diff(middle[:10]) >= -1e-9).all()
    assert middle[0] < 0.5 * middle[9]
    plate = np.pad(np.ones((100, 100), bool), 4)
    assert half_thickness(plate).max() < 0.45 * 100
    assert half_thickness(plate)[~plate].max() == 0


def test_ground_points_lie_on_the_ground_and_on_their_ray(ground: Ground) -> None:
    pixels = np.array([[10.0, 150.0], [300.0, 199.0], [160.0, 120.0]])
    points = ground.points_world(pixels)
    assert points[:, 1] == pytest.approx([-1, -1, -1])
    back, depth = ground.intrinsics.project(points @ ground.world_from_camera[:3, :3])
    assert back == pytest.approx(pixels)
    assert (depth > 0).all()
    assert np.isfinite(ground.points_world([[160.0, -500.0]])).all()  # above the horizon


def test_the_pitch_is_found_from_sizes(ground: Ground, drawing) -> None:
    places = [(-0.5, -2.0), (0.4, -2.3), (0.0, -3.0), (-0.8, -3.6), (0.8, -4.4)]
    rows = [np.nonzero(drawing.box(x, z, (0.25, 0.3, 0.25)).any(axis=1))[0] for x, z in places]
    found = estimate_ground(ground.intrinsics, [r[-1] + 1 for r in rows], [np.ptp(r) + 1 for r in rows])
    assert np.degrees(found.pitch_radians) == pytest.approx(20, abs=5)


def test_a_given_pitch_is_used_and_checked(intrinsics: Intrinsics) -> None:
    assert estimate_ground(intrinsics, [150], [20], pitch_degrees=33.0).pitch_radians == pytest.approx(np.radians(33))
    with pytest.raises(UserError, match="pitch"):
        estimate_ground(intrinsics, [150], [20], pitch_degrees=95.0)


def test_every_contact_lies_below_the_assumed_horizon(intrinsics: Intrinsics) -> None:
    for bottom in (30, 100, 190):
        found = estimate_ground(intrinsics, [bottom], [20])
        assert found.rays_world([160.0, bottom])[1] < 0


def test_a_cylinder_is_told_from_a_box(ground: Ground, drawing) -> None:
    nothing = np.zeros((ground.intrinsics.height, ground.intrinsics.width), bool)
    round_one = fit_solid(drawing.cylinder(0.1, -2.2, 0.3, 0.5), nothing, ground)
    square_one = fit_solid(drawing.box(0.1, -2.4, (0.5, 0.4, 0.9), 0.6), nothing, ground)
    assert round_one is not None
    assert square_one is not None
    assert round_one.profile.name == "cylinder"
    assert square_one.profile.name == "box"
    assert max(round_one.misfit, square_one.misfit) < 0.02
    assert round_one.center == pytest.approx([0.1, -1, -2.2], abs=0.15)
    assert 2 * round_one.half_width == pytest.approx(0.6, rel=0.2)
    assert square_one.height == pytest.approx(0.4, rel=0.3)


def test_the_long_axis_of_a_box_is_found(ground: Ground, drawing) -> None:
    nothing = np.zeros((ground.intrinsics.height, ground.intrinsics.width), bool)
    for yaw in (-0.7, 0.5, 1.2):
        solid = fit_solid(drawing.box(0.0, -2.4, (0.45, 0.35, 1.1), yaw), nothing, ground)
        assert solid is not None
        long_axis = solid.yaw if solid.half_depth > solid.half_width else solid.yaw + np.pi / 2
        assert abs(np.angle(np.exp(2j * (long_axis - yaw)))) / 2 < np.radians(20)


def test_nearer_objects_come_first_and_things_on_things_before_them() -> None:
    far, near, cup = np.zeros((3, 100, 100), bool)
    far[10:40, 10:40] = True
    near[30:80, 20:90] = True
    near[40:60, 40:70] = False
    cup[40:60, 40:70] = True
    order = [outline.name for outline in outlines_by_nearness({"far": far, "near": near, "cup": cup})]
    assert order == ["cup", "near", "far"]


def test_decimation_keeps_thin_things_closed() -> None:
    field = -np.ones((120, 120))
    field[10:110, 10:13] = field[10:13, 10:110] = field[40:80, 40:80] = field[13:110:6, 13:40] = 1
    mesh = sheet_mesh(field)
    smaller = decimate(mesh, len(mesh.faces) // 4, shape_only=True)
    assert smaller.is_closed()
    assert len(smaller.faces) <= len(mesh.faces) // 4 * 1.01
    assert smaller.volume() == pytest.approx(mesh.volume(), rel=0.05)
    with pytest.raises(ValueError, match="closed"):
        decimate(Mesh(vertices=mesh.vertices, faces=mesh.faces[1:]), 10)
