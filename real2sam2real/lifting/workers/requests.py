"""What is asked of a lifter, and the folder that asks it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_folder
from real2sam2real.lifting.workers import lifting_worker
from real2sam2real.lifting.workers.catalogue import LifterFacts
from real2sam2real.lifting.workers.conventions import pytorch3d_pointmap
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.lifting.workers.lifting_worker.inputs import RequestedEntity
from real2sam2real.lifting.workers.lifting_worker.protocol import PROTOCOL, REQUEST, RESULTS
from real2sam2real.perceive.view import PhotoView
from real2sam2real.workers.sending import write_worker


@dataclass(frozen=True, kw_only=True, eq=False)
class LiftRequest:
    """Objects of one photo.

    Raises:
        UserError: sizes differ, a mask is empty, or nothing is asked for.
    """

    pixels: UInt8  # `(H, W, 3)` uint8 sRGB, at the working size
    masks: Mapping[str, Bool]  # `(H, W)` bool per entity, what is seen of it
    view: PhotoView  # the photo's camera at the same size; its depth, where there is one, fixes scale and focal length
    folder: Path  # keeps request, results and log; the same folder again goes on where it stopped

    def __post_init__(self) -> None:
        size = self.pixels.shape[:2]
        if not self.masks:
            raise UserError("there is no mask, so there is nothing to lift")
        if (self.view.intrinsics.height, self.view.intrinsics.width) != size:
            raise UserError(f"the view's camera is not that of a photo of {size[1]}×{size[0]} pixels")
        for name, mask in self.masks.items():
            if mask.shape != size:
                raise UserError(f"the mask of {name} is {mask.shape[1]}×{mask.shape[0]} pixels, the photo {size[::-1]}")
            if not mask.any():
                raise UserError(f"the mask of {name} is empty")


def tasks_of(request: LiftRequest, facts: LifterFacts, options: LifterEnvironment) -> list[RequestedEntity]:
    """The entities with their digests, of photo, mask, intrinsics, depth, lifter, seed, settings, but not the host."""
    shared = hashlib.sha256(json.dumps(_head(request, facts, options), sort_keys=True).encode())
    shared.update(np.ascontiguousarray(request.pixels).tobytes())
    pointmap = _pointmap(request, facts)
    if pointmap is not None:
        shared.update(pointmap.tobytes())
    tasks = []
    for number, (name, mask) in enumerate(request.masks.items()):
        own = shared.copy()
        own.update(name.encode() + np.packbits(mask).tobytes())
        digest = own.hexdigest()
        folder = request.folder / RESULTS / f"{re.sub(r'[^A-Za-z0-9_]+', '_', name)[:40]}-{digest[:12]}"
        mask_file = request.folder / "request" / f"mask_{number:03d}.npy"
        tasks.append(RequestedEntity(name=name, folder=folder, mask=mask_file, digest=digest))
    return tasks


def write_request(
    request: LiftRequest, facts: LifterFacts, options: LifterEnvironment, tasks: Sequence[RequestedEntity]
) -> None:
    """Write request and worker into the request's folder, for these entities alone."""
    pointmap = _pointmap(request, facts)
    with replacing_folder(request.folder / "request") as folder:
        np.save(folder / "photo.npy", request.pixels)
        if pointmap is not None:
            np.save(folder / "pointmap.npy", pointmap)
        for task in tasks:
            np.save(folder / task.mask.name, request.masks[task.name])
        entities = [{**vars(task), "folder": task.folder.name, "mask": task.mask.name} for task in tasks]
        data = {**_head(request, facts, options), "entities": entities}
        (folder / Path(REQUEST).name).write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
    write_worker(request.folder / "worker", lifting_worker)


def write_probe(folder: Path, facts: LifterFacts, options: LifterEnvironment) -> None:
    """Write a request without entities: it asks whether the environment works."""
    (folder / "request").mkdir(parents=True, exist_ok=True)
    data = {**_settings(facts, options), "intrinsics": {}, "entities": []}
    (folder / REQUEST).write_text(json.dumps(data), encoding="utf-8")
    write_worker(folder / "worker", lifting_worker)


def _pointmap(request: LiftRequest, facts: LifterFacts) -> Float32 | None:
    if not facts.takes_pointmap or request.view.points_camera is None:
        return None
    return pytorch3d_pointmap(request.view.points_camera)


def _head(request: LiftRequest, facts: LifterFacts, options: LifterEnvironment) -> dict[str, object]:
    return {**_settings(facts, options), "intrinsics": asdict(request.view.intrinsics)}


def _settings(facts: LifterFacts, options: LifterEnvironment) -> dict[str, object]:
    settings = {"code": options.code, "weights": options.weights, "device": options.device}
    return {"protocol": PROTOCOL, "lifter": facts.name, "seed": options.seed, "settings": settings}
