from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.lifting.ground import Ground
from real2sam2real.lifting.kinds import ThingKind, kind_of
from real2sam2real.lifting.plausible import implausible_size
from real2sam2real.lifting.solid import fit_solid, part_spans
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.repair import is_solid
from real2sam2real.scene import Entity, Motion


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("car", "car"),
        ("red car_2", "car"),
        ("Office Chair", "office chair"),
        ("washing machine", "cabinet"),
        ("dining table", "table"),
        ("two cups", "round"),
        ("buses", "truck"),
        ("mask_3", None),
        ("carpet", None),
        ("", None),
    ],
)
def test_a_name_tells_the_kind(name: str, kind: str | None) -> None:
    found = kind_of(name)
    assert (None if found is None else found.name) == kind


def kind(word: str) -> ThingKind:
    found = kind_of(word)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def nothing(ground: Ground) -> np.ndarray:
    return np.zeros((ground.intrinsics.height, ground.intrinsics.width), bool)


@pytest.mark.parametrize("yaw_degrees", [0.0, 40.0, 90.0, -60.0])
def test_a_word_settles_how_deep_a_car_is(yaw_degrees: float, ground: Ground, drawing, nothing) -> None:
    mask = drawing.box(0.0, -2.6, (0.36, 0.3, 0.8), np.radians(yaw_degrees))
    solid = fit_solid(mask, nothing, ground, None, kind("car"))
    assert solid is not None
    assert solid.half_depth / solid.half_width == pytest.approx(4.0 / 1.8, rel=0.35)
    off = np.angle(np.exp(2j * (solid.yaw - np.radians(yaw_degrees)))) / 2  # front and back look alike
    assert abs(off) < np.radians(15)


@pytest.mark.parametrize("pitch_degrees", [8.0, 20.0])
def test_a_rim_tells_from_how_high_it_is_seen(pitch_degrees: float, ground: Ground, drawing_at, nothing) -> None:
    mask = drawing_at(ground.pitched(np.radians(pitch_degrees))).cylinder(0.0, -2.4, 0.3, 0.4)
    guessed = ground.pitched(np.radians(14.0))
    solid = fit_solid(mask, nothing, guessed, None, kind("cup"), pitch_spread=np.radians(8))
    assert solid is not None
    assert abs(np.degrees(solid.pitch_radians) - pitch_degrees) < 5


def test_rays_meet_parts_where_they_are(ground: Ground, drawing, nothing) -> None:
    """Entering and leaving points lie on the part's surface: of a box and of upright and lying columns."""
    solid = fit_solid(drawing.box(0.0, -2.6, (0.5, 0.4, 0.6), 0.3), nothing, ground, None, kind("armchair"))
    assert solid is not None
    pixels = np.stack(np.meshgrid(np.arange(100, 220, 3.0), np.arange(60, 180, 3.0)), axis=-1)
    rays = ground.rays_world(pixels)
    size = np.array([solid.half_width, solid.height, solid.half_depth])
    inverse = np.linalg.inv(solid.world_from_object())
    for word in ("armchair", "table", "cow", "round table"):
        parts = kind(word).parts
        enter, leave = part_spans(solid, parts, rays)
        assert (enter < leave).any()
        for part, near, far in zip(parts, enter, leave, strict=True):
            hit = near < far
            for depth in (near, far):
                points = (rays[hit] * depth[hit][:, None]) @ inverse[:3, :3].T + inverse[:3, 3]
                ranges = np.array([part.x, part.y, part.z])
                at = 2 * (points / size - ranges[:, 0]) / (ranges[:, 1] - ranges[:, 0]) - 1
                if part.round:
                    along = 1 if part.round == "y" else 2
                    across = np.hypot(at[:, 0], at[:, 3 - along])
                    level = np.maximum(across, np.abs(at[:, along]))
                else:
                    level = np.abs(at).max(axis=1)
                assert level == pytest.approx(1, abs=1e-6)


def test_a_table_stands_on_legs(photo, intrinsics: Intrinsics, drawing, covers) -> None:
    top = drawing.box(0.0, -2.6, (0.9, 0.02, 0.6), 0.3, base=0.38)
    legs = np.zeros_like(top)
    c, s = np.cos(0.3), np.sin(0.3)
    for x, z in ((-0.42, -0.27), (-0.42, 0.27), (0.42, -0.27), (0.42, 0.27)):
        legs |= drawing.box(c * x + s * z, -2.6 - s * x + c * z, (0.05, 0.4, 0.05), 0.3)
    scene, _ = lift_photo(photo, {"table": top | legs}, intrinsics, frames=1, pitch_degrees=20.0)
    (table,) = scene.entities
    assert table.provenance["shape"] == "table"
    assert is_solid(table.mesh)
    assert covers(scene)["table"] > 0.93
    width, height, depth = np.ptp(table.mesh.bounds(), axis=0)
    assert max(width, depth) / min(width, depth) == pytest.approx(1.5, rel=0.35)
    # Mostly air: a filled box would have all of it.
    assert table.mesh.volume() < 0.35 * width * height * depth


def test_a_head_stays_on_its_body(photo, intrinsics: Intrinsics) -> None:
    rows, columns = np.mgrid[: intrinsics.height, : intrinsics.width]
    body = (np.abs(columns - 160) < 30) & (rows > 70) & (rows < 180)
    head = np.hypot(rows - 52, columns - 160) < 18
    scene, _ = lift_photo(photo, {"head": head & ~body, "body": body}, intrinsics, frames=1, pitch_degrees=-5.0)
    depths = {e.name: -e.vertices_world(0)[:, 2].mean() for e in scene.entities}
    assert depths["head"] == pytest.approx(depths["body"], rel=0.1)
    assert any("it ends on body" in note for note in scene.entity("head").provenance["notes"])


def test_what_cannot_be_is_said_with_its_sizes(lifted_box: Entity) -> None:
    assert implausible_size(lifted_box) is None
    deep = lifted_box.mesh.vertices * [1.0, 1.0, 8.0]
    message = implausible_size(replace(lifted_box, mesh=replace(lifted_box.mesh, vertices=deep)))
    assert message is not None
    assert "deep" in message
    car = replace(lifted_box, name="car", facing=0.0)
    wide = replace(car, mesh=replace(car.mesh, vertices=car.mesh.vertices * [3.0, 1.0, 0.5]))
    assert "car" in (implausible_size(wide) or "")


@pytest.fixture
def lifted_box() -> Entity:
    corners = np.array(np.meshgrid([-0.5, 0.5], [0.0, 1.0], [-1.0, 1.0])).reshape(3, -1).T
    faces = np.array([[0, 1, 2]], np.int32)
    return Entity(
        name="thing",
        mesh=Mesh(vertices=corners, faces=faces),
        rest_world_from_object=np.eye(4),
        motion=Motion.still(1, np.eye(4)),
    )
