"""A mesh with an animation, from its file to an entity of the photo's scene."""

from pathlib import Path

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.assembling import Surroundings, align_lifted, entity_of
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.perceive.view import PhotoView

LENS = Intrinsics.from_fov(160, 120, horizontal_degrees=50.0)
PLACE = np.array([0.3, -0.2, -7.0])


def nodding(files, path: Path) -> Path:
    """A cube in the photo's camera that turns about its own middle by 90° in a second, and a lid that rises from it."""
    glb = files.glb()
    body = glb.node(mesh=glb.cube(), translation=PLACE.tolist())
    lid = glb.node(mesh=glb.cube(size=0.25), translation=[0, 1.5, 0], root=False)
    glb.builder.root["nodes"][body]["children"] = [lid]
    turn = (body, "rotation", [0.0, 1.0], [files.turn_y(0), files.turn_y(90)])
    glb.clip("nod", turn, (lid, "translation", [0.0, 1.0], [[0, 1.5, 0], [0, 2.5, 0]]))
    return glb.save(path)


@pytest.mark.parametrize("fps", [16.0, 24.0])
def test_the_photo_shows_the_first_frame_and_the_animation_goes_on_from_there(fps, files, tmp_path: Path) -> None:
    lifted = read_mesh_file(nodding(files, tmp_path / "nod.glb"), name="toy", intrinsics=LENS)
    posed = transforms.apply(lifted.camera_from_object, lifted.mesh.vertices)
    outline = outlines_by_nearness({"toy": inverse_depth(posed, lifted.mesh.faces, LENS) > 0})[0]
    around = Surroundings(
        pixels=np.full((120, 160, 3), 128, np.uint8),
        view=PhotoView(intrinsics=LENS),
        world_from_camera=np.eye(4),
        occluder=np.zeros((120, 160), bool),
        max_faces=1000,
        align=False,
    )
    frames = round(fps) + 1
    entity = entity_of(align_lifted(lifted, outline, around, lambda _: None), around, frames=frames, fps=fps)
    assert entity.mesh.is_closed()
    assert entity.motion.frames == frames
    first, half, last = (entity.vertices_world(frame) for frame in (0, frames // 2, frames - 1))
    np.testing.assert_allclose(first, transforms.apply(entity.rest_world_from_object, entity.mesh.vertices), atol=1e-5)
    np.testing.assert_allclose(
        [first.min(axis=0), first.max(axis=0)], [PLACE - 1, np.add(PLACE, [1, 1.75, 1])], atol=1e-5
    )
    assert half[:, 1].max() - PLACE[1] == pytest.approx(2.25, abs=1e-4)
    assert half[:, 0].max() - PLACE[0] == pytest.approx(np.sqrt(2), abs=1e-4)  # 45°: the cube's edge points right
    assert last[:, 1].max() - PLACE[1] == pytest.approx(2.75, abs=1e-4)


def test_an_endless_clip_is_cut_before_memory_is_taken(files, tmp_path: Path) -> None:
    glb = files.glb()
    node = glb.node(mesh=glb.cube())
    glb.clip("aeon", (node, "translation", [0.0, 1e9], [[0, 0, 0], [1e9, 0, 0]]))
    lifted = read_mesh_file(glb.save(tmp_path / "aeon.glb"), name="it")
    assert lifted.motion is not None
    assert lifted.motion.frames == 100_000
    assert any("the first 100,000 were read" in note for note in lifted.notes)
