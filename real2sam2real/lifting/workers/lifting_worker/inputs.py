"""Reading a request, and the pictures that lifters without a mask of their own want to see."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.workers.there.failures import WorkerError

from .protocol import ERROR, MESH, PROTOCOL, REQUEST, RESULT, RESULTS


@dataclass(frozen=True)
class RequestedEntity:
    """One object to lift."""

    name: str  # as the user calls it
    folder: Path  # where its result goes
    mask: Path  # file of its mask
    digest: str  # of everything that its result depends on

    @property
    def is_finished(self) -> bool:
        """Whether the result that is there is the one that is asked for."""
        path = self.folder / RESULT
        if not path.is_file() or not (self.folder / MESH).is_file():
            return False
        try:
            return bool(json.loads(path.read_text(encoding="utf-8"))["digest"] == self.digest)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False  # damaged

    @property
    def has_failed(self) -> bool:
        """Whether an error is written down in place of a result."""
        return (self.folder / ERROR).is_file()


@dataclass(frozen=True)
class Inputs:
    """What a lifter sees of one entity."""

    photo: NDArray[np.uint8]  # `(H, W, 3)` uint8 sRGB
    mask: NDArray[np.bool_]  # `(H, W)` bool
    # `(H, W, 3)` float32 in the frame that this lifter expects, NaN where unknown; or None
    pointmap: NDArray[np.float32] | None
    intrinsics: dict[str, float]  # width, height, fx, fy, cx, cy in pixels; pixel centres at +0.5
    seed: int  # of the random numbers


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    folder: Path  # of the request and its results
    lifter: str  # which one
    seed: int  # of the random numbers
    settings: dict[str, Any]  # code, weights, device: see the other side's LifterEnvironment
    intrinsics: dict[str, float]  # of the photo
    entities: tuple[RequestedEntity, ...]  # in the order in which they are lifted

    @property
    def code(self) -> Path | None:
        """Clone of the lifter's repository."""
        return self.path("code")

    def path(self, name: str) -> Path | None:
        """A setting that is a path, or None."""
        value = self.settings.get(name)
        return Path(value).expanduser() if value else None

    def inputs(self, entity: RequestedEntity) -> Inputs:
        """Read what the lifter sees of an entity."""
        pointmap = self.folder / "request" / "pointmap.npy"
        return Inputs(
            photo=np.load(self.folder / "request" / "photo.npy", allow_pickle=False),
            mask=np.load(entity.mask, allow_pickle=False),
            pointmap=np.load(pointmap, allow_pickle=False) if pointmap.is_file() else None,
            intrinsics=self.intrinsics,
            seed=self.seed,
        )


def read_request(folder: Path) -> Request:
    """Read a request; a WorkerError where it is of another protocol."""
    data = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    if data["protocol"] != PROTOCOL:
        raise WorkerError("request", f"the request speaks protocol {data['protocol']}, this worker {PROTOCOL}")
    results, request = folder / RESULTS, folder / "request"
    entities = tuple(
        RequestedEntity(**{**entity, "folder": results / entity["folder"], "mask": request / entity["mask"]})
        for entity in data["entities"]
    )
    told = {name: data[name] for name in ("lifter", "seed", "settings", "intrinsics")}
    return Request(folder=folder, entities=entities, **told)


def cutout(photo: NDArray[np.uint8], mask: NDArray[np.bool_], margin: float) -> NDArray[np.uint8]:
    """A square around the masked object: `(S, S, 4)` uint8, opaque on the object, white and transparent elsewhere.

    The margin on each side is a share of the object's longer side.
    """
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    side = int(np.ceil(max(height, width) * (1 + 2 * margin)))
    picture = np.full((side, side, 4), 255, np.uint8)
    picture[..., 3] = 0
    y, x = (side - height) // 2, (side - width) // 2
    inside = mask[top : top + height, left : left + width]
    window = picture[y : y + height, x : x + width]
    window[inside, :3] = photo[top : top + height, left : left + width][inside]
    window[inside, 3] = 255
    return picture
