"""What the renderer promises about edges, occlusion, clipping, time, anti-aliasing, colour and threads."""

import hashlib
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import Light, render_frames
from real2sam2real.scene import CameraPath, Entity, Scene


def only(frames):
    (frame,) = frames
    return frame


def triangle_mesh(*corners) -> Mesh:
    """One triangle wound as given; open, for tests of the fill rule alone."""
    return Mesh(vertices=np.array(corners, np.float64), faces=[[0, 1, 2]])


# --- edges -----------------------------------------------------------------------------------------------------------


def test_triangles_that_share_edges_own_every_sample_exactly_once(workshop) -> None:
    """A fan whose corners and edges run through pixel centres."""
    intrinsics = Intrinsics(width=32, height=32, fx=16, fy=16, cx=16, cy=16)
    ring = [(4.5, 4.5), (16.5, 4.5), (28.5, 4.5), (28.5, 16.5), (28.5, 28.5), (16.5, 28.5), (4.5, 28.5), (4.5, 16.5)]
    corners = intrinsics.unproject([(16.5, 16.5), *ring], np.full(9, 2.0))
    owners = np.zeros((32, 32), int)
    for k in range(8):
        mesh = triangle_mesh(corners[0], corners[1 + (k + 1) % 8], corners[1 + k])
        scene = Scene(entities=(workshop.entity(mesh, np.eye(4)),), camera=CameraPath.still(1, intrinsics))
        owners += only(render_frames(scene, width=32, height=32)).ids
    expected = np.zeros((32, 32), int)
    expected[4:28, 4:28] = 1  # top and left edges belong to the square, bottom and right ones do not
    np.testing.assert_array_equal(owners, expected)


@pytest.mark.parametrize("seed", range(6))
def test_a_closed_surface_that_fills_the_view_has_no_cracks(workshop, seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=4)
    matrix = transforms.compose([0, 0, -2.5], turn / np.linalg.norm(turn), rng.uniform(2.0, 2.4, 3))
    scene = workshop.scene([workshop.entity(workshop.sphere(4), matrix)], fov=40)
    for antialias in (False, True):
        frame = only(render_frames(scene, width=200, height=150, antialias=antialias))
        assert (frame.ids == 1).all()
        assert antialias is False or (frame.coverage == 1).all()


# --- occlusion -------------------------------------------------------------------------------------------------------


def test_the_nearer_entity_hides_the_farther_one_whatever_their_order(workshop) -> None:
    near = workshop.entity(workshop.sphere(), workshop.at(0, 0, -3, 0.3), name="near")
    far = workshop.entity(workshop.sphere(), workshop.at(0, 0, -5), name="far")
    one = only(render_frames(workshop.scene([near, far]), width=64, height=48))
    two = only(render_frames(workshop.scene([far, near]), width=64, height=48))
    assert one.ids[24, 32] == 1
    assert {1, 2} <= set(np.unique(one.ids))
    np.testing.assert_array_equal(one.ids, np.array([0, 2, 1])[two.ids])
    np.testing.assert_array_equal(one.normals, two.normals)
    np.testing.assert_array_equal(one.depth, two.depth)


def test_of_two_equal_surfaces_the_first_entity_is_seen(workshop) -> None:
    entities = [workshop.entity(workshop.blob(1), workshop.at(0.2, 0, -3), name=name) for name in ("a", "b")]
    ids = only(render_frames(workshop.scene(entities), width=64, height=48)).ids
    assert set(np.unique(ids)) == {0, 1}


def test_hidden_entities_are_left_out_while_they_are_hidden(workshop) -> None:
    still = workshop.entity(workshop.sphere(), workshop.at(0, 0, -4), frames=5)
    scene = workshop.scene([replace(still, motion=still.motion.hidden(1, 2))])
    seen = [frame.ids.any() for frame in render_frames(scene, width=32, height=24)]
    assert seen == [True, False, False, True, True]


# --- near plane ------------------------------------------------------------------------------------------------------


def test_a_scene_without_entities_is_empty(workshop) -> None:
    frame = only(render_frames(workshop.scene([]), width=8, height=6, color=True, antialias=True, light=Light()))
    assert not frame.ids.any()
    assert not frame.normals.any()
    assert not frame.color.any()
    assert not frame.coverage.any()
    assert np.isinf(frame.depth).all()


def test_what_is_behind_the_camera_is_not_seen(workshop) -> None:
    scene = workshop.scene([workshop.entity(workshop.sphere(), workshop.at(0, 0, 4))])
    assert not only(render_frames(scene, width=32, height=24)).ids.any()


def test_a_camera_inside_a_mesh_looks_through_it(workshop) -> None:
    shell = workshop.entity(workshop.sphere(), workshop.at(0, 0, 0, 2.0), name="shell")
    beyond = workshop.entity(workshop.sphere(), workshop.at(0, 0, -6), name="beyond")
    frame = only(render_frames(workshop.scene([shell, beyond]), width=64, height=48))
    alone = only(render_frames(workshop.scene([beyond]), width=64, height=48))
    assert set(np.unique(frame.ids)) == {0, 2}
    np.testing.assert_array_equal(frame.ids > 0, alone.ids > 0)
    np.testing.assert_array_equal(frame.normals, alone.normals)


def test_ground_under_the_camera_reaches_exactly_to_the_horizon(workshop) -> None:
    """Two triangles that reach far behind the camera: clipped, and with the right depth everywhere."""
    slab = workshop.entity(workshop.box(2e4, 1.0, 2e4), workshop.at(0, -2.0, 0))  # its top lies 1.5 below the eye
    scene = workshop.scene([slab], width=64, height=64, fov=90)
    frame = only(render_frames(scene, width=64, height=64))
    rows = (np.arange(64) + 0.5 - 32) / 32
    np.testing.assert_array_equal(frame.ids, np.repeat((rows > 0)[:, None], 64, axis=1))
    np.testing.assert_allclose(frame.depth[32:], np.repeat((1.5 / rows[32:])[:, None], 64, axis=1), rtol=1e-5)


def test_a_camera_that_almost_touches_a_surface_sees_only_it(workshop) -> None:
    """Corners project far outside what integers can hold, and are clipped to a guard band."""
    wall = workshop.entity(workshop.box(100, 100, 1), workshop.at(0, 0, -0.5002))
    frame = only(render_frames(workshop.scene([wall]), width=64, height=48))
    assert (frame.ids == 1).all()
    np.testing.assert_allclose(frame.depth, 2e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [1e-8, 1e12, 1e100])
def test_absurd_sizes_are_no_error(workshop, size: float) -> None:
    shells = [
        workshop.entity(workshop.blob(k), workshop.at(0, 0, -1.5 * size, [size, size, 1.0]), name=f"blob{k}")
        for k in range(3)
    ]
    frame = only(render_frames(workshop.scene(shells), width=16, height=12, color=True, antialias=True, light=Light()))
    assert np.isfinite(frame.normals).all()
    assert (frame.ids <= 3).all()


# --- shape -----------------------------------------------------------------------------------------------------------


def test_depth_and_normals_of_a_sphere(workshop) -> None:
    scene = workshop.scene([workshop.entity(workshop.sphere(5), workshop.at(0, 0, -4))], width=65, height=65)
    frame = only(render_frames(scene, width=65, height=65))
    assert frame.depth[32, 32] == pytest.approx(3, abs=2e-3)
    np.testing.assert_allclose(frame.normals[32, 32], [0, 0, 1], atol=2e-3)
    top, left = np.argwhere(frame.ids)[0], np.argwhere(frame.ids.T)[0]
    assert frame.normals[top[0], top[1], 1] > 0.8  # the sphere's upper rim faces up
    assert frame.normals[left[1], left[0], 0] < -0.8  # and its left rim faces left
    lengths = np.linalg.norm(frame.normals, axis=-1)
    np.testing.assert_allclose(lengths, frame.ids > 0, atol=1e-6)


def test_normals_of_a_stretched_sphere_are_those_of_an_ellipsoid(workshop) -> None:
    axes = np.array([1.5, 0.4, 0.8])
    scene = workshop.scene([workshop.entity(workshop.sphere(5), workshop.at(0, 0, -4, axes))])
    frame = only(render_frames(scene, width=64, height=48))
    rows, columns = np.nonzero(frame.ids)
    intrinsics = scene.camera.intrinsics
    points = intrinsics.unproject(np.stack([columns + 0.5, rows + 0.5], axis=1), frame.depth[rows, columns]) - [
        0,
        0,
        -4,
    ]
    gradient = points / axes**2
    gradient /= np.linalg.norm(gradient, axis=1, keepdims=True)
    assert np.sum(gradient * frame.normals[rows, columns], axis=1).min() > 0.9995


@pytest.mark.parametrize("axis", range(3))
def test_a_mirrored_symmetric_body_looks_the_same(workshop, axis: int) -> None:
    mirror = np.ones(3)
    mirror[axis] = -1
    plain, mirrored = (
        only(render_frames(workshop.scene([workshop.entity(workshop.sphere(3), workshop.at(0.3, 0.2, -3, scale))]),
                           width=64, height=48))
        for scale in (np.ones(3), mirror)
    )  # fmt: skip
    np.testing.assert_array_equal(plain.ids, mirrored.ids)
    np.testing.assert_allclose(plain.depth[plain.ids > 0], mirrored.depth[plain.ids > 0], rtol=1e-4)
    np.testing.assert_allclose(plain.normals, mirrored.normals, atol=1e-3)


def test_deformed_vertices_render_like_a_mesh_made_of_them(workshop) -> None:
    mesh = workshop.blob(2)
    bent = (mesh.vertices * [1.3, 0.6, 1.0]).astype(np.float32)
    still = workshop.entity(mesh, workshop.at(0, 0, -3))
    deforming = replace(still, motion=replace(still.motion, vertices_object=bent[None]))
    rigid = workshop.entity(replace(mesh, vertices=bent), workshop.at(0, 0, -3))
    one, two = (only(render_frames(workshop.scene([entity]), width=64, height=48)) for entity in (deforming, rigid))
    np.testing.assert_array_equal(one.normals, two.normals)
    np.testing.assert_array_equal(one.depth, two.depth)


def test_zoom_is_a_longer_focal_length(workshop) -> None:
    scene = workshop.jumble(7, frames=2)
    zoomed = replace(scene, camera=replace(scene.camera, zoom=np.array([1.0, 2.0])))
    intrinsics = scene.camera.intrinsics.zoomed(2.0)
    longer = replace(scene, camera=replace(scene.camera, intrinsics=intrinsics))
    first, second = render_frames(zoomed, width=64, height=48)
    plain = next(render_frames(scene, width=64, height=48))
    expected = list(render_frames(longer, width=64, height=48))[1]
    np.testing.assert_array_equal(first.ids, plain.ids)
    np.testing.assert_array_equal(second.ids, expected.ids)
    np.testing.assert_array_equal(second.normals, expected.normals)


def test_degenerate_triangles_change_nothing(workshop) -> None:
    mesh = workshop.sphere()
    v = mesh.vertices
    middle = (v[mesh.faces[0, 0]] + v[mesh.faces[0, 1]]) / 2
    needle = [mesh.faces[0, 0], mesh.faces[0, 1], len(v)]
    broken = Mesh(
        vertices=np.concatenate([v, [middle]]), faces=np.concatenate([mesh.faces, [[0, 0, 5], [7, 7, 7], needle]])
    )
    plain, other = (
        only(render_frames(workshop.scene([workshop.entity(m, workshop.at(0, 0, -3))]), width=64, height=48))
        for m in (mesh, broken)
    )
    np.testing.assert_array_equal(plain.ids, other.ids)
    np.testing.assert_allclose(plain.normals, other.normals, atol=1e-6)


def test_a_mesh_seen_smaller_than_a_pixel_is_no_error(workshop) -> None:
    scene = workshop.scene([workshop.entity(workshop.sphere(3), workshop.at(0, 0, -1e6))])
    frame = only(render_frames(scene, width=63, height=47))
    assert frame.ids.sum() <= 1


# --- anti-aliasing ---------------------------------------------------------------------------------------------------


def test_antialiasing_keeps_ids_crisp_and_coverage_soft(workshop) -> None:
    scene = workshop.jumble(15)
    soft = only(render_frames(scene, width=64, height=48, antialias=True))
    crisp = only(render_frames(scene, width=64, height=48))
    assert set(np.unique(soft.ids)) <= set(range(5))
    assert np.mean(soft.ids != crisp.ids) < 0.03
    assert set(np.unique(soft.coverage)) == {0, 0.25, 0.5, 0.75, 1}
    assert (soft.coverage[soft.ids > 0] >= 0.5).all()
    assert (np.isfinite(soft.depth) == (soft.ids > 0)).all()
    np.testing.assert_allclose(np.linalg.norm(soft.normals, axis=-1), soft.coverage > 0, atol=1e-6)


# --- colour ----------------------------------------------------------------------------------------------------------


def textured(workshop, texture: np.ndarray) -> Entity:
    """A big box whose front face shows the texture once, upright, over 4×4 units."""
    mesh = workshop.box(4, 4, 4)
    corners = mesh.vertices[mesh.faces]
    uvs = np.stack([(corners[..., 0] + 2) / 4, (2 - corners[..., 1]) / 4], axis=-1)
    return workshop.entity(replace(mesh, corner_uvs=uvs, texture=texture), workshop.at(0, 0, -4))


def test_colors_come_from_texture_then_vertices_then_grey(workshop) -> None:
    grey = workshop.box(4, 4, 4)
    painted = replace(grey, vertex_colors=np.full((8, 3), (10, 200, 30), np.uint8))
    flat = textured(workshop, np.full((3, 5, 3), (250, 128, 7), np.uint8))
    both = replace(flat, mesh=replace(flat.mesh, vertex_colors=painted.vertex_colors))
    expected = {"grey": (128, 128, 128), "painted": (10, 200, 30), "textured": (250, 128, 7), "both": (250, 128, 7)}
    things = {
        "grey": workshop.entity(grey, workshop.at(0, 0, -4)),
        "painted": workshop.entity(painted, workshop.at(0, 0, -4)),
        "textured": flat,
        "both": both,
    }
    for name, thing in things.items():
        frame = only(render_frames(workshop.scene([thing]), width=16, height=12, color=True))
        assert (frame.color == expected[name]).all(), name
    assert only(render_frames(workshop.scene([flat]), width=16, height=12)).color is None


def test_a_texture_is_upright_and_sharp_where_texels_are_pixels(workshop) -> None:
    texture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    scene = workshop.scene([textured(workshop, texture)], width=64, height=64, fov=90)
    frame = only(render_frames(scene, width=64, height=64, color=True))
    np.testing.assert_array_equal(frame.color, texture)


def test_a_minified_texture_is_averaged_and_not_picked_from(workshop) -> None:
    checks = np.repeat(np.indices((256, 256)).sum(axis=0)[..., None] % 2 * 255, 3, axis=2).astype(np.uint8)
    scene = workshop.scene([textured(workshop, checks)], width=32, height=32, fov=90)
    frame = only(render_frames(scene, width=32, height=32, color=True))
    assert np.abs(frame.color.astype(int) - 128).max() <= 1


def test_light_shades_by_the_angle_and_adds_highlights(workshop) -> None:
    scene = workshop.scene([workshop.entity(workshop.sphere(4), workshop.at(0, 0, -3))])
    towards_eye = Light(direction_world=(0, 0, 1), ambient=0.25, diffuse=0.75)
    frame = only(render_frames(scene, width=64, height=48, color=True, light=towards_eye))
    seen = frame.ids > 0
    expected = 128 * (0.25 + 0.75 * np.maximum(frame.normals[..., 2], 0))
    np.testing.assert_allclose(frame.color[seen, 0], expected[seen], atol=0.51)
    shiny = only(render_frames(scene, width=64, height=48, color=True, light=replace(towards_eye, specular=1.0)))
    assert shiny.color[24, 32, 0] == 255
    assert (shiny.color >= frame.color).all()


def test_light_stays_in_the_world_when_the_camera_turns(workshop) -> None:
    scene = workshop.scene([workshop.entity(workshop.sphere(4), workshop.at(0, 0, 0))])
    light = Light(direction_world=(0, 0, 1), ambient=0, diffuse=1)
    front = CameraPath.still(1, scene.camera.intrinsics, transforms.look_at([0, 0, 4], [0, 0, 0]))
    back = CameraPath.still(1, scene.camera.intrinsics, transforms.look_at([0, 0, -4], [0, 0, 0]))
    bright, dark = (
        only(render_frames(scene, width=64, height=48, color=True, light=light, camera=camera))
        for camera in (front, back)
    )
    assert bright.color[24, 32, 0] >= 127
    assert dark.color[24, 32, 0] == 0


@pytest.mark.parametrize(
    "wrong", [{"direction_world": (0, 0, 0)}, {"ambient": -1}, {"diffuse": np.nan}, {"direction_world": (0, np.inf, 0)}]
)
def test_impossible_lights_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="light"):
        Light(**wrong)


# --- the iterator ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"color": True, "light": Light(), "antialias": True}])
def test_the_number_of_threads_changes_no_bit(workshop, options) -> None:
    scene = workshop.jumble(30, frames=7)
    runs = [list(render_frames(scene, width=61, height=47, threads=threads, **options)) for threads in (1, 2, 5)]
    for other in runs[1:]:
        for a, b in zip(runs[0], other, strict=True):
            for name in ("normals", "ids", "depth", "color", "coverage"):
                one, two = getattr(a, name), getattr(b, name)
                assert (one is None and two is None) or one.tobytes() == two.tobytes(), name


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_come_in_the_order_asked_for(workshop, threads: int) -> None:
    scene = workshop.jumble(30, frames=6)
    every = list(render_frames(scene, width=32, height=24))
    wanted = [5, 0, 0, 3, 2, 1, 4, 5]
    some = list(render_frames(scene, width=32, height=24, frames=wanted, threads=threads))
    assert len({frame.ids.tobytes() for frame in every}) > 1
    for number, frame in zip(wanted, some, strict=True):
        np.testing.assert_array_equal(frame.depth, every[number].depth)
    assert list(render_frames(scene, width=32, height=24, frames=[])) == []


def test_frames_own_their_arrays_and_rendering_may_stop_early(workshop) -> None:
    scene = workshop.jumble(30, frames=9)
    frames = render_frames(scene, width=32, height=24, threads=2)
    first, second = islice(frames, 2)
    kept = second.ids.copy()
    first.ids[:] = 9
    frames.close()
    np.testing.assert_array_equal(second.ids, kept)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "0×48"),
        ({"height": 9000}, "64×9000"),
        ({"frames": [0, 3]}, "frame 3"),
        ({"frames": [-1]}, "frame -1"),
        ({"threads": 0}, "0 threads"),
    ],
)
def test_misuse_is_refused_before_the_first_frame(workshop, options, message: str) -> None:
    scene = workshop.jumble(30, frames=3)
    with pytest.raises(ValueError, match=message):
        render_frames(scene, **{"width": 64, "height": 48, **options})


def test_a_camera_path_of_another_length_is_refused(workshop) -> None:
    scene = workshop.jumble(30, frames=3)
    with pytest.raises(ValueError, match="2 frames but the scene has 3"):
        render_frames(scene, width=8, height=8, camera=CameraPath.still(2, scene.camera.intrinsics))


def test_a_golden_frame_does_not_drift(workshop) -> None:
    """If a change is meant to alter pictures, look at them and replace the digests."""
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    painted = Mesh(vertices=corners, faces=faces, vertex_colors=np.uint8(127.5 + 127.5 * corners))
    texture = np.indices((8, 8, 1)).sum(axis=0).repeat(3, axis=2).astype(np.uint8) * np.uint8([17, 9, 5])
    covered = Mesh(
        vertices=corners, faces=faces, corner_uvs=np.tile([[0.0, 0], [1, 0], [0, 1]], (8, 1, 1)), texture=texture
    )
    left = transforms.compose([-0.7, 0.1, -3], [0.9, 0.3, 0.3, 0.1], [1, 0.7, -1])
    right = transforms.compose([0.6, 0, -2.5], [0.8, -0.1, 0.5, 0.3], 0.8)
    scene = workshop.scene([workshop.entity(painted, left), workshop.entity(covered, right, name="other")])
    light = Light(specular=0.5)
    frame = only(render_frames(scene, width=64, height=48, color=True, antialias=True, light=light))
    coarse = np.round(frame.normals * 100).astype(np.int8)
    digests = [hashlib.sha256(array.tobytes()).hexdigest()[:16] for array in (frame.ids, coarse, frame.color)]
    assert digests == ["39169ff3a624fe76", "29a57d95e292dbc2", "1069302583f00783"]
