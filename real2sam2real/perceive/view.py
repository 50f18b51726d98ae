"""What the photo says about its camera and the world in front of it: intrinsics, depth, gravity, unit and ground.

On disk it is a folder with `view.json` and `points.npy`, written whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.errors import UserError
from real2sam2real.files import existing_file, refuse_if_system, replacing_folder
from real2sam2real.geometry import Intrinsics
from real2sam2real.workfolder.json_values import read_json, typed
from real2sam2real.workfolder.records import WRONG_VALUES, reason_of

Unit = Literal["metre", "unit"]
FORMAT, VERSION = "real2sam2real photo view", 1
DESCRIPTION, POINTS = "view.json", "points.npy"


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """The points p with `normal · p = offset`, in the photo's camera frame (+X right, +Y up, looking along −Z)."""

    normal: Float  # `(3,)` float64 unit vector; of a ground plane, it points up, to the camera's side
    offset: float  # in the view's unit; negative where the camera stands above the plane


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoView:
    """The photo's camera and what is known of the world that it sees. Frames as in docs/conventions.md."""

    intrinsics: Intrinsics  # of the photo at its working size
    # `(H, W, 3)` float32, what each pixel shows, in the camera frame and in `unit`; NaN where that is unknown (sky).
    # None without a depth estimator.
    points_camera: Float32 | None = None
    # `(3,)` float64 unit vector against gravity, in the camera frame; None when it is not known
    up_camera: Float | None = None
    # the plane that things stand on, in the camera frame; None when none is seen. Its normal is `up_camera` or close to
    # it.
    ground: Plane | None = None
    unit: Unit = "unit"  # "metre" where a metric estimator says so
    # how each of them was found: JSON values, kept in scene.json
    provenance: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # the same in words, for people


def save_view(path: Path, view: PhotoView) -> None:
    """Write a view to the folder `path`, in place of what was there. Frames are those of docs/conventions.md.

    Args:
        path: the folder; `points.npy` in it is `(H, W, 3)` float32, there only where the view has points.
        view: what to keep.
    """
    ground, up = view.ground, view.up_camera
    described = {
        "format": FORMAT,
        "version": VERSION,
        "intrinsics": asdict(view.intrinsics),
        "up_camera": None if up is None else up.tolist(),
        "ground": None if ground is None else {"normal": ground.normal.tolist(), "offset": ground.offset},
        "unit": view.unit,
        "has_points": view.points_camera is not None,
        "provenance": view.provenance,
        "notes": list(view.notes),
    }
    with replacing_folder(path) as folder:
        text = json.dumps(described, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        if view.points_camera is not None:
            np.save(folder / POINTS, view.points_camera.astype(np.float32, copy=False), allow_pickle=False)


def load_view(path: Path) -> PhotoView:
    """Read what `save_view` wrote, bit for bit.

    Raises:
        UserError: there is none, it is damaged, or another version wrote it.
    """
    if not (path / DESCRIPTION).is_file():
        raise UserError(f"there is no view of a photo in '{path}'")
    try:
        return _view_of(path, read_json(path / DESCRIPTION, finite=True))
    except (*WRONG_VALUES, OSError, EOFError) as error:
        refuse_if_system(error, path)
        raise UserError(f"the view in '{path}' is damaged ({reason_of(error)}); delete it, and it is made again") from (
            error
        )


def _view_of(path: Path, described: Any) -> PhotoView:
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise UserError(f"'{path / DESCRIPTION}' is no view of a photo")
    if described.get("version") != VERSION:
        raise UserError(
            f"the view in '{path}' has version {str(described.get('version'))[:40]} and this program reads {VERSION}; "
            "delete it, and it is made again"
        )
    intrinsics = typed(Intrinsics, described["intrinsics"], "intrinsics")
    up, ground = described["up_camera"], described["ground"]
    points = np.load(existing_file(path / POINTS), allow_pickle=False) if described["has_points"] else None
    if points is not None and (points.shape != (intrinsics.height, intrinsics.width, 3) or points.dtype != np.float32):
        raise ValueError(f"{POINTS} holds {points.dtype} {points.shape}, not the photo's points")
    return PhotoView(
        intrinsics=intrinsics,
        points_camera=points,
        up_camera=None if up is None else _vector(up),
        ground=None if ground is None else Plane(normal=_vector(ground["normal"]), offset=float(ground["offset"])),
        unit="metre" if described["unit"] == "metre" else "unit",
        provenance=typed(dict[str, Any], described["provenance"], "provenance"),
        notes=typed(tuple[str, ...], described["notes"], "notes"),
    )


def _vector(values: list[float]) -> Float:
    vector = np.asarray(values, np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise ValueError(f"{values} is no direction in space")
    return vector
