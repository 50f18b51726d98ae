from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import render_frames
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import CameraPath, Entity, Keyframe, Motion, Scene

WIDTH, HEIGHT, FRAMES = 96, 54, 5
INTRINSICS = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=60)
POSE = transforms.look_at((0, 1.4, 0), (0, 0.3, -5))
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4]]
)
FACES = np.concatenate([FACES, [[1, 5, 7], [1, 7, 3]]])


def box(name, color, x, z, **options):
    rest = np.eye(4)
    rest[:3, 3] = (x, 0, z)
    mesh = Mesh(vertices=CORNERS, faces=FACES, vertex_colors=np.full((8, 3), color, np.uint8))
    return Entity(name=name, mesh=mesh, rest_world_from_object=rest, motion=Motion.still(FRAMES, rest), **options)


@pytest.fixture(scope="module")
def scene():
    """A red and a blue box on grainy grey ground under a light sky; the photo is what the renderer sees of them."""
    entities = (box("red", (200, 20, 20), -1.1, -4.5), box("blue", (20, 20, 200), 0.9, -6))
    camera = CameraPath.still(FRAMES, INTRINSICS, POSE)
    empty = Scene(entities=entities, camera=camera, ground_y=0.0, photo_world_from_camera=POSE)
    background = np.full((HEIGHT, WIDTH, 3), 120.0)
    background[:10] = 220
    background += np.random.default_rng(0).normal(0, 5, background.shape)
    seen = next(render_frames(empty, width=WIDTH, height=HEIGHT, color=True, antialias=True))
    share = seen.coverage[..., None]
    return replace(empty, photo=np.clip(background * (1 - share) + seen.color * share, 0, 255).round().astype(np.uint8))


def moved(scene, name, offset):
    start = scene.entity(name).rest_world_from_object[:3, 3]
    keys = [Keyframe(frame=0, translation=tuple(start)), Keyframe(frame=4, translation=tuple(start + offset))]
    return scene.with_motion(name, Motion.from_keyframes(keys, FRAMES))


def turned(scene, degrees, offset=(0, 0, 0)):
    poses = []
    for fraction in np.linspace(0, 1, FRAMES):
        turn = transforms.compose(
            np.multiply(offset, fraction), quaternions.from_axis_angle((0, 1, 0), np.radians(degrees * fraction))
        )
        poses.append(turn @ POSE)
    return replace(scene, camera=replace(scene.camera, world_from_camera=np.array(poses)))


def draw(scene, width=WIDTH, height=HEIGHT):
    return np.stack(list(preview_frames(scene, width=width, height=height)))


def is_red(picture):
    return (picture[..., 0] > 150) & (picture[..., 1] < 90)


def is_blue(picture):
    return (picture[..., 2] > 150) & (picture[..., 1] < 90)


def test_a_shot_in_which_nothing_happens_is_the_photo(scene):
    np.testing.assert_array_equal(draw(scene), np.broadcast_to(scene.photo, (FRAMES, *scene.photo.shape)))


@pytest.mark.parametrize("edit", ["object", "camera"])
def test_a_shot_that_starts_at_rest_starts_with_the_photo(scene, edit):
    shot = moved(scene, "red", (0.8, 0, 0.5)) if edit == "object" else turned(scene, 20, (1.0, 0.2, 0.3))
    frames = draw(shot)
    np.testing.assert_array_equal(frames[0], scene.photo)
    assert (np.abs(frames[-1].astype(int) - scene.photo) > 20).mean() > 0.03


def test_a_moved_object_is_in_its_new_place_and_gone_from_the_old_one(scene):
    shot = moved(scene, "red", (0.9, 0, 1.0))
    frames = draw(shot)
    truth = list(render_frames(shot, width=WIDTH, height=HEIGHT))
    for frame, true in zip(frames, truth, strict=True):
        red = is_red(frame)
        there = true.ids == 1
        assert (red & there).sum() / (red | there).sum() > 0.93
    untouched = np.ones((HEIGHT, WIDTH), bool)
    untouched[:, 10:80] = False
    np.testing.assert_array_equal(
        frames[:, untouched], np.broadcast_to(scene.photo[untouched], (5, untouched.sum(), 3))
    )


def test_an_object_that_rests_shows_the_photos_own_pixels(scene):
    special = scene.photo.copy()
    blue = is_blue(special)
    special[blue] += np.random.default_rng(1).integers(0, 40, (blue.sum(), 3)).astype(np.uint8)
    frames = draw(moved(replace(scene, photo=special), "red", (-0.5, 0, 0)))
    np.testing.assert_array_equal(frames[-1][blue], special[blue])


def test_a_hidden_object_leaves_only_while_it_is_hidden(scene):
    shot = scene.with_motion("blue", scene.entity("blue").motion.hidden(2, 3))
    frames = draw(shot)
    for number in (0, 1, 4):
        np.testing.assert_array_equal(frames[number], scene.photo)
    for number in (2, 3):
        assert not is_blue(frames[number]).any()
        assert is_red(frames[number]).sum() == is_red(scene.photo).sum()


def test_a_removed_object_is_gone_from_every_frame_and_from_behind_the_others(scene):
    frames = draw(turned(scene.without("blue"), 10))
    assert not is_blue(frames).any()
    assert is_red(frames[0]).sum() == is_red(scene.photo).sum()


def test_a_removed_object_with_a_mask_uses_the_mask(scene):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:30, 70:80] = True
    marked = scene.photo.copy()
    marked[mask] = (0, 255, 0)
    shot = replace(scene, photo=marked).with_entity(replace(scene.entity("blue"), mask=mask)).without("blue")
    frame = draw(shot)[0]
    assert not ((frame[..., 1] > 200) & (frame[..., 0] < 50)).any()
    assert is_blue(frame).any()  # the mask is what the photo shows of it, whatever the mesh says


def test_an_added_object_appears_over_the_photo(scene):
    shot = scene.duplicated("red", "second", (2.2, 0, 0.5))
    frame = draw(shot)[0]
    true = next(render_frames(shot, width=WIDTH, height=HEIGHT)).ids
    assert is_red(frame)[true == 3].mean() > 0.9
    assert is_red(frame)[true == 1].mean() > 0.9
    hidden = shot.with_motion("second", shot.entity("second").motion.hidden(0, 4))
    np.testing.assert_array_equal(draw(hidden)[0], scene.photo)


def test_a_moved_object_darkens_the_ground_below_it(scene):
    frame = draw(scene.duplicated("red", "second", (2.0, 0, 1.5)))[0].astype(int)
    darker = ~is_red(frame) & ((frame - scene.photo).max(axis=-1) < -10)
    rows, columns = np.nonzero(darker)
    assert len(rows) > 20
    assert rows.min() > 20
    assert columns.min() > 40  # the first box rests, so its surroundings stay as they are
    floating = draw(scene.duplicated("red", "second", (2.0, 3.0, 1.5)))[0].astype(int)
    ground = np.zeros((HEIGHT, WIDTH), bool)
    ground[40:] = True
    np.testing.assert_array_equal(floating[ground], scene.photo[ground])


def test_the_shadow_of_a_hidden_object_leaves_what_hides_it_as_it_is(scene):
    shot = scene.duplicated("red", "second", (0, 0, -0.9))  # right behind, and hidden but for its top
    red = next(render_frames(scene, width=WIDTH, height=HEIGHT)).ids == 1
    frame = draw(shot)[0]
    truth = next(render_frames(shot, width=WIDTH, height=HEIGHT)).ids
    own = red & (truth == 1)
    np.testing.assert_array_equal(frame[own], scene.photo[own])
    beside = (truth == 0) & ~red
    assert (scene.photo[beside].astype(int) - frame[beside]).max() > 5  # and it does throw one


def test_no_frame_has_black_holes_however_the_camera_turns(scene):
    for degrees in (40, 90, 180, 300):
        frames = draw(turned(scene, degrees, (1.0, 1.0, -2.0)))
        assert frames.max(axis=-1).min() > 25, degrees


def test_a_turning_camera_sees_the_exact_homography(scene):
    """Without translation the background is K R K⁻¹ of the photo, whatever stands where."""
    smooth = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    smooth[..., 0] = np.linspace(40, 215, WIDTH)
    smooth[..., 1] = np.linspace(215, 40, HEIGHT)[:, None]
    shot = turned(replace(scene, photo=smooth, entities=()), 8)
    frame = draw(shot)[-1].astype(float)
    rotation = (transforms.invert_rigid(POSE) @ shot.camera.world_from_camera[-1])[:3, :3]
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = INTRINSICS.unproject(np.stack([x, y], axis=-1), np.ones(x.shape)) @ rotation.T
    pixels, _ = INTRINSICS.project(rays)
    expected_red = 40 + 175 * (pixels[..., 0] - 0.5) / (WIDTH - 1)
    expected_green = 215 - 175 * (pixels[..., 1] - 0.5) / (HEIGHT - 1)
    inside = ((pixels > 2) & (pixels < (WIDTH - 2, HEIGHT - 2))).all(axis=-1)
    assert inside.mean() > 0.6
    assert np.abs(frame[..., 0] - expected_red)[inside].max() < 2.5
    assert np.abs(frame[..., 1] - expected_green)[inside].max() < 2.5


def test_the_ground_moves_as_a_plane(scene):
    """A dot painted on the ground of the photo is drawn where the moved camera sees that point of the ground."""
    point = np.array([0.1, 0.0, -3.0])
    pixel, _ = INTRINSICS.project(transforms.apply(transforms.invert_rigid(POSE), point[None]))
    marked = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    column, row = np.floor(pixel[0]).astype(int)
    marked[row - 1 : row + 2, column - 1 : column + 2] = (250, 250, 0)
    shot = turned(replace(scene, photo=marked, entities=()), 6, (0.5, 0.1, 0.0))
    frame = draw(shot)[-1]
    yellow = (frame[..., 0] > 180) & (frame[..., 2] < 80)
    found = np.argwhere(yellow).mean(axis=0)[::-1] + 0.5
    expected, _ = INTRINSICS.project(
        transforms.apply(transforms.invert_rigid(shot.camera.world_from_camera[-1]), point[None])
    )
    assert np.linalg.norm(found - (expected[0] + [column, row] + 0.5 - pixel[0])) < 1.5
    far = replace(shot, ground_y=None)  # without a ground all is far away, and only the turn moves it
    yellow_far = (draw(far)[-1][..., 0] > 180) & (draw(far)[-1][..., 2] < 80)
    assert np.linalg.norm(np.argwhere(yellow_far).mean(axis=0)[::-1] + 0.5 - expected[0]) > 4


def test_another_size_is_the_same_picture(scene):
    large = draw(moved(scene, "red", (0.9, 0, 1.0)), 2 * WIDTH, 2 * HEIGHT)[-1]
    small = draw(moved(scene, "red", (0.9, 0, 1.0)))[-1]
    shrunk = large.reshape(HEIGHT, 2, WIDTH, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 4


def test_the_same_shot_gives_the_same_frames(scene):
    shot = turned(moved(scene, "red", (0.9, 0, 1.0)).without("blue"), 15, (0.5, 0, 0))
    np.testing.assert_array_equal(draw(shot), draw(shot))


def test_a_deforming_object_is_drawn_deformed(scene):
    entity = scene.entity("red")
    bent = np.broadcast_to(entity.mesh.vertices, (FRAMES, 8, 3)).astype(np.float32).copy()
    bent[2:, :, 1] *= 1.5
    shot = scene.with_motion("red", replace(entity.motion, vertices_object=bent))
    frames = draw(shot)
    np.testing.assert_array_equal(frames[1], scene.photo)
    assert is_red(frames[3]).sum() > 1.3 * is_red(scene.photo).sum()


def test_what_cannot_be_previewed_is_refused_before_the_first_frame(scene):
    with pytest.raises(UserError, match="no photo"):
        preview_frames(replace(scene, photo=None), width=WIDTH, height=HEIGHT)
    with pytest.raises(ValueError, match="0×5"):
        preview_frames(scene, width=0, height=5)
    wrong = replace(scene.entity("red"), mask=np.zeros((3, 4), bool))
    with pytest.raises(UserError, match="mask of 'red' is 4×3"):
        preview_frames(scene.with_entity(wrong), width=WIDTH, height=HEIGHT)


def test_an_empty_scene_and_an_object_that_the_photo_never_shows(scene):
    empty = replace(scene, entities=())
    np.testing.assert_array_equal(draw(empty)[-1], scene.photo)
    assert draw(turned(empty, 30, (1, 0, 1))).shape == (FRAMES, HEIGHT, WIDTH, 3)
    behind = replace(scene, entities=(*scene.entities, box("behind", (0, 255, 0), 0, 5)))
    np.testing.assert_array_equal(draw(behind)[-1], scene.photo)
    np.testing.assert_array_equal(draw(behind.without("behind"))[-1], scene.photo)
