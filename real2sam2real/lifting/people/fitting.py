"""A body laid onto one person of a photo: pose, shape and place from landmarks, then from the silhouette too.

The frame is the photo's camera (+X right, +Y up, looking along −Z), lengths are metres. Errors across the picture are
counted in the person's own size, so that all persons are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Mask
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.people.body_model import LANDMARKS, PHENOTYPES, BodyModel
from real2sam2real.perceive.body_landmarks import BodyLandmarks

if TYPE_CHECKING:
    import torch

LANDMARK_STEPS, SILHOUETTE_STEPS = 160, 140
FIT_VERTICES = 2500  # of the body, that the silhouette is compared with
OUTLINE_POINTS, INNER_POINTS = 300, 200  # of the mask
LANDMARK_SIGMA = 0.02  # of the person's size: how far off landmarks are
CLOTH_SIGMA = 0.05  # of the person's size: farther outside the body there is hair or cloth, which it need not reach
SPACING = 0.012  # of the person's size: as near a vertex is to any point of the body
CHILD_WORDS = ("child", "kid", "boy", "girl")
# Pairs of landmarks whose directions are compared with those that the network tells, in MediaPipe's numbers.
LIMBS = (
    (11, 12), (23, 24), (11, 23), (12, 24), (11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26),
    (26, 28), (27, 31), (28, 32), (29, 31), (30, 32), (7, 8), (15, 17), (15, 19), (16, 18), (16, 20),
)  # fmt: skip
# What cannot be told without seeing the joint that it hangs on: hands without elbows, feet without knees.
HANGING = {13: (15, 17, 19), 14: (16, 18, 20), 25: (27, 29, 31), 26: (28, 30, 32)}
UNSEEN_LIMB = 0.01  # how much the network's idea of a limb counts that the photo does not show
# How strongly each bone is held at rest.
STIFFNESS = {
    "hips": 0.0, "spine": 1.5, "chest": 1.5, "upper_chest": 1.5, "neck": 1.0, "head": 0.6, "left_clavicle": 4.0,
    "right_clavicle": 4.0, "left_wrist": 0.8, "right_wrist": 0.8, "left_ankle": 0.8, "right_ankle": 0.8,
}  # fmt: skip
LIMB_STIFFNESS, BLIND_STIFFNESS = 0.08, 2.0
# By which landmark it is told how a bone is turned.
MOVES = {
    "left_shoulder": 13, "right_shoulder": 14, "left_elbow": 15, "right_elbow": 16, "left_hip": 25, "right_hip": 26,
    "left_knee": 27, "right_knee": 28,
}  # fmt: skip
# What a shape is without knowledge: mean and standard deviation of each phenotype, 0…1.
PRIORS = {
    "gender": (0.5, 0.35), "age": (0.67, 0.08), "muscle": (0.5, 0.2), "weight": (0.5, 0.25), "height": (0.5, 0.15),
    "proportions": (0.6, 0.25),
}  # fmt: skip
CHILD_AGE, BABY_AGE = 0.25, 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedBody:
    """Where a body came to be."""

    shape: Float  # `(B,)` coefficients of the blend shapes
    rotations: Float  # `(P, 3, 3)` of the bones, along the axes of the body at rest
    translation: Float  # `(3,)` metres, of the hips in the photo's camera frame
    phenotypes: dict[str, float]  # what the shape is of
    landmark_error: float  # mean over the visible landmarks, in pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonSeen:
    """What the photo says about one person."""

    landmarks: BodyLandmarks
    mask: Mask  # `(H, W)` bool
    hidden: Mask  # `(H, W)` bool, what may cover it
    intrinsics: Intrinsics  # of the photo
    word: str = "person"  # what it is called

    def size(self) -> float:
        """How large the person is in the photo, in pixels, by the landmarks: as high as a standing one would be."""
        k = self.intrinsics
        return 1.75 * float(np.sqrt(k.fx * k.fy)) / self.depth()

    def depth(self) -> float:
        """How far away the landmarks are, in metres, by how large their metres are in the photo."""
        seen = self.landmarks
        weight = seen.visibility * self.inside()
        weight = weight / max(float(weight.sum()), 1e-9)
        metres, pixels = seen.points_camera[:, :2] * [1, -1], seen.pixels
        metres = metres - weight @ metres
        pixels = pixels - weight @ pixels
        scale = np.sqrt((weight @ (pixels**2).sum(1)) / max(float(weight @ (metres**2).sum(1)), 1e-9))
        return self.intrinsics.fx / max(float(scale), 1e-6)

    def inside(self) -> Bool:
        """`(33,)` landmarks within the photo."""
        at = self.landmarks.pixels
        return np.asarray(((at >= 0) & (at < [self.intrinsics.width, self.intrinsics.height])).all(axis=1))

    def told(self) -> Bool:
        """`(33,)` landmarks that the photo tells: within it, and so is the joint that they hang on."""
        told = self.inside()
        for joint, hanging in HANGING.items():
            told[list(hanging)] &= told[joint]
        return told


def fit_body(
    body: BodyModel, seen: PersonSeen, advance: Callable[[int, int], None] = lambda done, total: None
) -> FittedBody:
    """Lay a body onto a person; `advance` is told how many steps are done, of how many."""
    import torch

    torch.manual_seed(0)
    fit, done = _BodyFit(body, seen), 0
    for steps, with_silhouette, rate in ((LANDMARK_STEPS, False, 0.04), (SILHOUETTE_STEPS, True, 0.02)):
        optimizer = torch.optim.Adam(fit.parameters(rate))
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [g["lr"] for g in optimizer.param_groups], total_steps=steps, pct_start=0.2
        )
        for _ in range(steps):
            optimizer.zero_grad()
            torch.autograd.backward(fit.loss(with_silhouette))
            optimizer.step()
            schedule.step()
            done += 1
            advance(done, LANDMARK_STEPS + SILHOUETTE_STEPS)
    return fit.result()


class _BodyFit:
    """The unknowns of one fit, and what they cost."""

    def __init__(self, body: BodyModel, seen: PersonSeen) -> None:
        import torch

        self.body, self.seen = body, seen
        self.size, self.depth = seen.size(), seen.depth()
        names = list(LANDMARKS)
        # Vertices that landmarks are means of, then others that the silhouette is compared with.
        used = np.nonzero((body.regressor.abs() > 1e-4).any(0).numpy())[0]
        others = np.random.default_rng(0).choice(len(body.rest), min(FIT_VERTICES, len(body.rest)), replace=False)
        self.small = body.at(np.concatenate([used, others]))
        self.regressor = body.regressor[:, used]
        self.of_landmarks = len(used)
        marks = seen.landmarks
        self.pixels = _tensor(marks.pixels[names])
        self.sure = _tensor((marks.visibility**2 * seen.told())[names])
        self.limbs = torch.tensor([(names.index(a), names.index(b)) for a, b in LIMBS])
        told = (
            _towards(seen) @ (marks.points_camera[[b for _, b in LIMBS]] - marks.points_camera[[a for a, _ in LIMBS]]).T
        )
        self.directions = _tensor((told / np.maximum(np.linalg.norm(told, axis=0), 1e-9)).T)
        lowest = np.minimum(marks.visibility[[a for a, _ in LIMBS]], marks.visibility[[b for _, b in LIMBS]])
        within = seen.told()
        self.limb_sure = _tensor(UNSEEN_LIMB + lowest * np.array([within[a] and within[b] for a, b in LIMBS]))
        self.turns = torch.zeros(len(body.bones), 3)
        self.turns[0] = _tensor(self._first_turn())
        self.turns.requires_grad_()
        self.translation = _tensor(self._first_place()).requires_grad_()
        self.priors = _priors(seen.word)
        self.values = {name: torch.tensor([self.priors[name][0]], requires_grad=True) for name in PHENOTYPES}
        blind = {bone for bone, mark in MOVES.items() if not seen.told()[mark]}
        stiffness = {name: STIFFNESS.get(name, LIMB_STIFFNESS) for name in body.bones}
        self.stiffness = _tensor(np.array([max(k, BLIND_STIFFNESS * (name in blind)) for name, k in stiffness.items()]))
        self.hinges = _hinges(body)
        self.silhouette = _Silhouette(seen, self.size)

    def parameters(self, rate: float) -> list[dict[str, object]]:
        """For an optimiser, with a rate each."""
        return [
            {"params": [self.turns], "lr": rate},
            {"params": [self.translation], "lr": rate * 0.02 * self.depth},
            {"params": list(self.values.values()), "lr": rate * 0.5},
        ]

    def _first_turn(self) -> Float:
        """`(3,)` rotation vector of the body by the directions across and along its trunk."""
        from scipy.spatial.transform import Rotation

        told = dict(zip(LIMBS, self.directions.numpy().astype(np.float64), strict=True))
        pairs = {(11, 12): [-1.0, 0, 0], (23, 24): [-1.0, 0, 0], (11, 23): [0, -1.0, 0], (12, 24): [0, -1.0, 0]}
        rotation, _ = Rotation.align_vectors(np.array([told[p] for p in pairs]), np.array(list(pairs.values())))
        return np.asarray(rotation.as_rotvec())

    def _first_place(self) -> Float:
        """`(3,)` of the hips: where a body of the landmarks' metres would be seen as large as they are."""
        marks, k = self.seen.landmarks, self.seen.intrinsics
        weight = marks.visibility * self.seen.inside() + 1e-6
        middle = (
            weight @ (marks.pixels - (marks.points_camera * [1, -1, 1])[:, :2] * k.fx / self.depth)
        ) / weight.sum()
        return k.unproject(middle, np.array(self.depth))

    def shape(self) -> torch.Tensor:
        """`(B,)` coefficients."""
        return self.body.coefficients({name: value.clamp(0.0, 1.0) for name, value in self.values.items()})

    def loss(self, with_silhouette: bool) -> torch.Tensor:
        """What the present unknowns cost."""
        points, _ = self.small.posed(self.shape(), rotation_matrices(self.turns))
        points = points + (self.translation - self._hips(points))
        marks = self.regressor @ points[: self.of_landmarks]
        off = ((self._project(marks) - self.pixels) / self.size / LANDMARK_SIGMA).square().sum(1)
        cost = (self.sure * (2 * (1 + off).sqrt() - 2)).sum()
        along = marks[self.limbs[:, 1]] - marks[self.limbs[:, 0]]
        cosine = (along * self.directions).sum(1) / along.norm(dim=1).clamp_min(1e-6)
        cost = cost + 12 * (self.limb_sure * (1 - cosine)).sum()
        cost = cost + (self.stiffness[:, None] * self.turns.square()).sum() + self._bent_wrongly()
        for name, (mean, deviation) in self.priors.items():
            cost = cost + 1.5 * ((self.values[name] - mean) / deviation).square().sum()
        if with_silhouette:
            cost = cost + self.silhouette.cost(self._project(points))
        return cost

    def _hips(self, points: torch.Tensor) -> torch.Tensor:
        names = list(LANDMARKS)
        return (self.regressor[[names.index(23), names.index(24)]] @ points[: self.of_landmarks]).mean(0)

    def _project(self, points: torch.Tensor) -> torch.Tensor:
        import torch

        k, depth = self.seen.intrinsics, (-points[:, 2]).clamp_min(0.05)
        return torch.stack([k.cx + k.fx * points[:, 0] / depth, k.cy - k.fy * points[:, 1] / depth], 1)

    def _bent_wrongly(self) -> torch.Tensor:
        """Knees and elbows bend about one axis, one way."""
        import torch

        total = torch.zeros(())
        for bone, axis, aside in self.hinges:
            bend = self.turns[bone] @ axis
            total = total + 20 * (-bend).clamp_min(0).square() + 3 * (self.turns[bone] @ aside).square()
        return total

    def result(self) -> FittedBody:
        """The unknowns as they are now."""
        import torch

        with torch.no_grad():
            shape, rotations = self.shape(), rotation_matrices(self.turns)
            points, placed = self.small.posed(shape, rotations)
            shift = self.translation - self._hips(points)
            marks = self.regressor @ (points + shift)[: self.of_landmarks]
            off = (self._project(marks) - self.pixels).norm(dim=1)
            error = float((off * self.sure).sum() / self.sure.sum().clamp_min(1e-9))
            place = placed[0] + shift
        return FittedBody(
            shape=shape.numpy().astype(np.float64),
            rotations=rotations.numpy().astype(np.float64),
            translation=place.numpy().astype(np.float64),
            phenotypes={name: float(value.detach().clamp(0, 1)) for name, value in self.values.items()},
            landmark_error=error,
        )


class _Silhouette:
    """The mask, to be covered by a body and not to be left by it."""

    def __init__(self, seen: PersonSeen, size: float) -> None:
        free = ~(seen.mask | seen.hidden)
        self.left, self.top, crop = _window(seen.mask, round(0.2 * size))
        self.step = max(1, round(size / 400))
        outside = cv2.distanceTransform(np.pad(free, 1)[1:-1, 1:-1].astype(np.uint8), cv2.DIST_L2, 5)
        outside = outside[crop][:: self.step, :: self.step]
        self.outside = _tensor(outside / size)[None, None]
        self.size = size
        height, width = seen.mask.shape
        inner = seen.mask & (
            cv2.distanceTransform(np.pad(seen.mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1] > 2
        )
        random = np.random.default_rng(0)
        outline = seen.mask & ~cv2.erode(seen.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        beside = cv2.dilate(seen.hidden.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
        beside[[0, 1, -2, -1]] = True
        beside[:, [0, 1, -2, -1]] = True
        points = []
        for where, count in ((outline & ~beside, OUTLINE_POINTS), (inner, INNER_POINTS)):
            at = np.argwhere(where)[:, ::-1] + 0.5
            points.append(at[random.permutation(len(at))[:count]])
        self.points = _tensor(np.concatenate(points))
        self.bounds = (width, height)

    def cost(self, pixels: torch.Tensor) -> torch.Tensor:
        """Of a body whose vertices are seen at `pixels` `(N, 2)`."""
        import torch

        height, width = self.outside.shape[-2:]
        at = (pixels - torch.tensor([self.left, self.top])) / self.step
        grid = (at / torch.tensor([width, height]) * 2 - 1)[None, None]
        beyond = torch.nn.functional.grid_sample(self.outside, grid, padding_mode="border", align_corners=False)[
            0, 0, 0
        ]
        left_mask = (beyond / 0.01).square()
        within = ((pixels >= 0) & (pixels < torch.tensor(self.bounds))).all(1)
        left = (within * (2 * (1 + left_mask).sqrt() - 2)).mean()
        away = (torch.cdist(self.points, pixels).min(1).values / self.size - SPACING).clamp_min(0) / CLOTH_SIGMA
        bare = (away.square() / (1 + away.square())).mean()
        return 60 * left + 150 * bare


def _window(mask: Mask, margin: int) -> tuple[int, int, tuple[slice, slice]]:
    rows, columns = np.nonzero(mask)
    top, left = max(0, int(rows.min()) - margin), max(0, int(columns.min()) - margin)
    return left, top, (slice(top, int(rows.max()) + margin), slice(left, int(columns.max()) + margin))


def _tensor(values: Float) -> torch.Tensor:
    import torch

    return torch.tensor(np.asarray(values), dtype=torch.float32)


def rotation_matrices(vectors: torch.Tensor) -> torch.Tensor:
    """`(P, 3, 3)` of rotation vectors `(P, 3)` in radians."""
    import torch

    x, y, z = vectors.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    return torch.linalg.matrix_exp(cross)


def _towards(seen: PersonSeen) -> Float:
    """`(3, 3)`: the network takes the middle of its picture for the camera's axis; this turns that to where it is."""
    from scipy.spatial.transform import Rotation

    middle = seen.landmarks.pixels[[11, 12, 23, 24]].mean(axis=0)
    ray = seen.intrinsics.unproject(middle, np.array(1.0))
    rotation, _ = Rotation.align_vectors((ray / np.linalg.norm(ray))[None], np.array([[0, 0, -1.0]]))
    return np.asarray(rotation.as_matrix())


def _priors(word: str) -> Mapping[str, tuple[float, float]]:
    """Of the shape of what is called so."""
    words = set(word.lower().replace("_", " ").replace("-", " ").split())
    if words & {"baby", "toddler"}:
        return {**PRIORS, "age": (BABY_AGE, 0.1)}
    if words & set(CHILD_WORDS):
        return {**PRIORS, "age": (CHILD_AGE, 0.12)}
    if words & {"man"}:
        return {**PRIORS, "gender": (0.0, 0.1)}
    if words & {"woman"}:
        return {**PRIORS, "gender": (1.0, 0.1)}
    return PRIORS


def _hinges(body: BodyModel) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
    """Of each knee and elbow: its number, the axis about which it bends, and the one about which it does not."""
    found = []
    for side in ("left", "right"):
        for joint, above, forward in (("knee", "hip", -1.0), ("elbow", "shoulder", 1.0)):
            names = (f"{side}_{joint}", f"{side}_{above}")
            if not set(names) <= set(body.bones):
                continue
            bone, upper = (body.bones.index(name) for name in names)
            along = (body.heads[bone] - body.heads[upper]).numpy().astype(np.float64)
            axis = np.cross(along, [0.0, 0.0, forward])
            axis /= np.linalg.norm(axis)
            aside = np.cross(axis, along / np.linalg.norm(along))
            found.append((bone, _tensor(axis), _tensor(aside)))
    return found
