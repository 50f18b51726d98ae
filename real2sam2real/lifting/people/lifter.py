"""A person of a photo as a closed, clothed body with a skin: landmarks, fit, clothes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from real2sam2real.arrays import Float, Float32, Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.kinds import kind_of
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.outline import Outline
from real2sam2real.lifting.people.body_model import BodyModel, load_body_model, pose_bones
from real2sam2real.lifting.people.clothing import ClothTarget, clothed
from real2sam2real.lifting.people.coloring import person_colors
from real2sam2real.lifting.people.fitting import FittedBody, PersonSeen, fit_body
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.perceive.body_landmarks import BodyLandmarkNet

LIFTER = "people"
LEAST_PRESENCE = 0.3
LEAST_HEIGHT = 48  # pixels: of smaller people no landmarks can be told


class NoPersonError(UserError):
    """No body can be fitted; --lifter NAME=embedded lifts by the silhouette."""


def is_person(word: str) -> bool:
    """Whether a name or word says that something is a person whose body this lifter knows."""
    kind = kind_of(word)
    lifeless = {"statue", "doll", "figure"} & set(word.lower().replace("_", " ").replace("-", " ").split())
    return kind is not None and kind.name == "person" and not lifeless


def lift_person(
    pixels: UInt8,
    outline: Outline,
    intrinsics: Intrinsics,
    occluder: Mask,
    word: str,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> LiftedMesh:
    """The person whom `outline` shows in the photo `(H, W, 3)` uint8 sRGB.

    `occluder` `(H, W)` bool hides people and is none itself. The mesh is in the photo's camera frame, in metres.
    `advance` is told how many steps are done, of how many.

    Raises:
        MissingPartError: Anny is not installed.
        NoPersonError: no person is seen there.
    """
    if max(outline.height, outline.width) < LEAST_HEIGHT:
        raise NoPersonError(f"'{outline.name}' is {outline.height} pixels high, too small to tell the joints of a body")
    body = load_body_model()
    marks = BodyLandmarkNet.load().find(pixels, outline.mask)
    if marks.presence < LEAST_PRESENCE:
        raise NoPersonError(
            f"'{outline.name}' does not look like a person (sure by {marks.presence:.0%}, {LEAST_PRESENCE:.0%} needed)"
        )
    hidden = (outline.hidden | occluder) & ~outline.mask
    seen = PersonSeen(landmarks=marks, mask=outline.mask, hidden=hidden, intrinsics=intrinsics, word=word)
    fitted = fit_body(body, seen, advance)
    bare, skin = placed_body(body, fitted)
    target = ClothTarget.of(outline.mask, hidden, intrinsics, bare)
    vertices = clothed(bare, body.faces, body.bare, target)
    colors = person_colors(vertices, body.faces, body.mirrored, pixels, outline.mask, hidden, intrinsics)
    return LiftedMesh(
        name=outline.name,
        mesh=Mesh(vertices=vertices, faces=body.faces, vertex_colors=colors),
        camera_from_object=np.eye(4),
        intrinsics=intrinsics,
        on_mask=True,
        skin=skin,
        provenance={
            "lifter": LIFTER,
            "phenotypes": {name: round(value, 3) for name, value in fitted.phenotypes.items()},
            "landmark_error_px": round(fitted.landmark_error, 2),
        },
        notes=(f"a body fitted to its joints ({fitted.landmark_error:.0f} px off in the mean), clothed by its mask",),
    )


def placed_body(body: BodyModel, fitted: FittedBody) -> tuple[Float, Skin]:
    """The fitted body's vertices `(V, 3)` in the photo's camera frame, and the skin that moves them on from there."""
    import torch

    with torch.no_grad():
        shape, rotations = (torch.tensor(x, dtype=torch.float32) for x in (fitted.shape, fitted.rotations))
        posed, heads = body.posed(shape, rotations)
        turned, _ = pose_bones(body.heads, rotations, body.parents)
    shift = fitted.translation - heads[0].numpy()
    weights: Float32 = body.weights.numpy()
    skin = Skin(
        bones=body.bones,
        parents=body.parents,
        heads=heads.numpy().astype(np.float64) + shift,
        weights=weights,
        axes=joint_axes(body, turned.numpy().astype(np.float64)),
    )
    return posed.numpy().astype(np.float64) + shift, skin


def joint_axes(body: BodyModel, turned: Float) -> Float:
    """`(P, 3, 3)` as of `Skin.axes`, of a body whose bones are turned by `(P, 3, 3)`.

    At rest a body faces +Z: limbs go forward about −X, knees back and the trunk forward about +X.
    """
    axes = np.zeros((len(body.bones), 3, 3))
    heads = body.heads.numpy().astype(np.float64)
    for bone, (name, parent) in enumerate(zip(body.bones, body.parents, strict=True)):
        side, _, joint = name.partition("_")
        out = {"left": 1.0, "right": -1.0}.get(side)
        child = next((k for k, above in enumerate(body.parents) if above == bone), None)
        along = np.array([0.0, 1.0, 0.0]) if child is None or out is None else heads[child] - heads[bone]
        flexing = np.array([1.0 if out is None or joint == "knee" else -1.0, 0.0, 0.0])
        if joint == "elbow":
            flexing = np.cross(heads[bone] - heads[parent], [0.0, 0.0, 1.0])
        aside = np.array([0.0, 0.0, -1.0 if out is None else out])
        axes[bone] = np.stack([flexing, aside, along])
        axes[bone] = axes[bone] @ turned[max(parent, 0)].T
    return np.asarray(axes / np.linalg.norm(axes, axis=-1, keepdims=True))
