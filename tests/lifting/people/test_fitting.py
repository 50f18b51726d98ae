"""A body laid onto landmarks, on a body of our own, without Anny."""

import numpy as np
import pytest
import torch

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.people import fitting
from real2sam2real.lifting.people.body_model import LANDMARKS, BodyModel
from real2sam2real.perceive.body_landmarks import BodyLandmarks

CAMERA = Intrinsics.from_fov(400, 600, horizontal_degrees=40)
# Joints of a body that stands with its arms aside: bone, parent, place of its left one or middle.
JOINTS = {
    "hips": ("", (0, 0, 0)), "chest": ("hips", (0, 0.25, 0)), "head": ("chest", (0, 0.55, 0)),
    "left_shoulder": ("chest", (0.18, 0.45, 0)), "left_elbow": ("left_shoulder", (0.4, 0.25, 0)),
    "left_wrist": ("left_elbow", (0.6, 0.05, 0.02)), "left_hip": ("hips", (0.1, -0.02, 0)),
    "left_knee": ("left_hip", (0.12, -0.45, 0.02)), "left_ankle": ("left_knee", (0.12, -0.85, 0)),
}  # fmt: skip
OF_JOINT = {
    "left_eye": ("head", (0.03, 0.7, 0.1)), "left_ear": ("head", (0.08, 0.68, 0)), "nose": ("head", (0, 0.67, 0.12)),
    "finger5-1.L": ("left_wrist", (0.66, 0.0, -0.02)), "finger2-1.L": ("left_wrist", (0.66, 0.0, 0.05)),
    "left_heel": ("left_ankle", (0.12, -0.92, -0.05)), "left_big_toe": ("left_ankle", (0.12, -0.92, 0.18)),
}  # fmt: skip


def _other(name: str) -> str:
    return name.replace("left", "right").replace(".L", ".R")


def stick_body() -> BodyModel:
    """One vertex for each landmark, one blend shape that makes everything larger."""
    joints = dict(JOINTS)
    places = {**{name: (name, place) for name, (_, place) in JOINTS.items()}, **OF_JOINT}
    for name, (parent, (x, y, z)) in JOINTS.items():
        if name.startswith("left"):
            joints[_other(name)] = (_other(parent), (-x, y, z))
    for name, (bone, (x, y, z)) in list(places.items()):
        if _other(name) != name:
            places[_other(name)] = (_other(bone), (-x, y, z))
    bones = tuple(joints)
    heads = torch.tensor([joints[bone][1] for bone in bones], dtype=torch.float32)
    rest = torch.tensor([places[name][1] for name in LANDMARKS.values()], dtype=torch.float32)
    owner = [bones.index(places[name][0]) for name in LANDMARKS.values()]
    count = len(rest)
    return BodyModel(
        rest=rest, shapes=rest[None] * 0.2, heads=heads, head_shapes=heads[None] * 0.2,
        weights=torch.eye(len(bones))[owner], bones=bones,
        parents=tuple(bones.index(joints[bone][0]) if joints[bone][0] else -1 for bone in bones),
        faces=np.zeros((0, 3), np.int32), regressor=torch.eye(count), bare=np.zeros(count, bool),
        mirrored=np.arange(count), coefficients=lambda values: values["height"] - 0.5,
    )  # fmt: skip


def seen_body(body: BodyModel, turns: dict[str, list[float]], *, cut: float = np.inf) -> fitting.PersonSeen:
    """What the network would say of a pose, 4 m in front of the camera; the photo ends at row `cut`."""
    vectors = torch.zeros(len(body.bones), 3)
    for name, vector in turns.items():
        vectors[body.bones.index(name)] = torch.tensor(vector)
    points = body.posed(torch.zeros(1), fitting.rotation_matrices(vectors))[0].numpy().astype(np.float64)
    placed = points + np.array([0.2, 0.1, -4.0])
    names = list(LANDMARKS)
    pixels, metres, visibility = np.zeros((33, 2)), np.zeros((33, 3)), np.zeros(33)
    pixels[names], metres[names] = CAMERA.project(placed)[0], points
    visibility[names] = (pixels[names, 1] < cut) * 0.99
    mask = np.zeros((600, 400), bool)
    for x, y in pixels[names].astype(int):
        mask[max(0, y - 9) : y + 9, max(0, x - 9) : x + 9] = True
    marks = BodyLandmarks(pixels=pixels, visibility=visibility, points_camera=metres, presence=1.0)
    return fitting.PersonSeen(landmarks=marks, mask=mask, hidden=np.zeros_like(mask), intrinsics=CAMERA)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "LANDMARK_STEPS", 70)
    monkeypatch.setattr(fitting, "SILHOUETTE_STEPS", 10)


def test_it_finds_the_pose_that_made_the_landmarks() -> None:
    body = stick_body()
    pose = {
        "hips": [0.0, 0.6, 0.1],
        "left_elbow": [0.0, -1.0, 0.0],
        "right_hip": [-0.7, 0.0, 0.0],
        "right_knee": [0.9, 0.0, 0.0],
    }
    told: list[int] = []
    fitted = fitting.fit_body(body, seen_body(body, pose), lambda done, total: told.append(total - done))
    assert fitted.landmark_error < 4
    assert abs(fitted.translation[2] + 4.0) < 0.4
    knee = fitted.rotations[body.bones.index("right_knee")]
    bent = np.degrees(np.arccos((np.trace(knee) - 1) / 2))
    assert 20 < bent < 75
    assert knee[2, 1] > 0.3, "it bends backwards"
    assert told[-1] == 0


def test_what_is_cut_off_does_not_pull() -> None:
    body = stick_body()
    seen = seen_body(body, {"hips": [0.0, -0.4, 0.0]}, cut=330)
    seen.landmarks.pixels[25:33] = [20, 700]  # what the network makes up beyond the border
    fitted = fitting.fit_body(body, seen)
    assert fitted.landmark_error < 4
    assert abs(np.degrees(np.arctan2(fitted.rotations[0][0, 2], fitted.rotations[0][2, 2])) + 23) < 8
