"""Load and save camera paths of any format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file, replacing_folder
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths import arrays, colmap, nerf
from real2sam2real.scene.paths.track import CameraTrack, read_lines
from real2sam2real.scene.paths.trajectories import (
    REALESTATE_COLUMNS,
    TUM_COLUMNS,
    read_realestate,
    read_tum,
    write_realestate,
    write_tum,
)
from real2sam2real.scene.retime import sampled_camera
from real2sam2real.scene.units import nearest

FORMATS = ("colmap", "colmap-binary", "tum", "realestate10k", "nerf", "numpy", "gltf")
_BY_SUFFIX = {".json": "nerf", ".npz": "numpy", ".npy": "numpy", ".glb": "gltf", ".gltf": "gltf", ".tum": "tum"}
_READERS = {
    "colmap": colmap.read, "colmap-binary": colmap.read, "tum": read_tum, "realestate10k": read_realestate,
    "nerf": nerf.read, "numpy": arrays.read,
}  # fmt: skip
_WRITERS = {"tum": write_tum, "realestate10k": write_realestate, "nerf": nerf.write, "numpy": arrays.write}


def load_camera_path(
    path: Path | str,
    *,
    intrinsics: Intrinsics | None = None,
    format: str | None = None,
    frames: int | None = None,
    align_first_frame: bool = True,
) -> CameraPath:
    """Read a camera path.

    Args:
        path: a file, or a COLMAP folder.
        intrinsics: image size for formats that have none (RealEstate10K), and all of it for those that know none
            (TUM). Intrinsics that the file states in full win.
        format: one of `FORMATS`; by default told by the name and the first line.
        frames: number of frames to sample, evenly in the file's time from its first to its last pose: positions
            linearly, rotations along the shorter arc, focal lengths geometrically. By default one frame per pose.
        align_first_frame: express all poses relative to the first one, which becomes the identity. Otherwise the
            file's world is kept, whatever its up direction is.

    Returns:
        Poses with this project's camera axes, in the file's unit. The intrinsics are those of the first frame.

    Raises:
        UserError: the file cannot be read (file and line are named), or intrinsics are needed and not known.
    """
    path = Path(path)
    name = _format_of(path) if format is None else _known_format(format)
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    if name == "gltf":
        loaded = _load_gltf(path, intrinsics)
        places = np.linspace(0, loaded.frames - 1, frames or loaded.frames)
    else:
        track = _READERS[name](path)
        loaded = _camera_path(track, intrinsics, path)
        places = _places(track, frames or loaded.frames)
    if frames is not None:
        loaded = sampled_camera(loaded, places)
    if not align_first_frame:
        return loaded
    first = transforms.invert_rigid(loaded.world_from_camera[0])
    aligned = first @ loaded.world_from_camera
    aligned[0] = np.eye(4)
    return CameraPath(world_from_camera=aligned, intrinsics=loaded.intrinsics, zoom=loaded.zoom)


def save_camera_path(
    path: Path | str, camera_path: CameraPath, *, format: str | None = None, fps: float = 16.0
) -> None:
    """Write a camera path, whole or not at all.

    Args:
        path: a file; a folder for COLMAP.
        camera_path: poses and focal lengths. TUM keeps the poses alone; RealEstate10K all but the image size.
        format: one of `FORMATS`; by default told by the suffix (none: a COLMAP folder in text; .txt: TUM).
        fps: gives formats with time stamps their times.

    Raises:
        UserError: an unknown format, or a place that cannot be written.
    """
    path = Path(path)
    name = _known_format(format) if format else _BY_SUFFIX.get(path.suffix.lower(), "tum" if path.suffix else "colmap")
    if not fps > 0:
        raise UserError(f"fps is {fps}; give a frame rate above 0")
    try:
        if name.startswith("colmap"):
            _save_colmap(path, camera_path, binary=name == "colmap-binary")
        elif name == "gltf":
            _save_gltf(path, camera_path, fps)
        else:
            with replacing_file(path) as temporary:
                _WRITERS[name](temporary, camera_path, fps)
    except OSError as error:
        raise UserError(f"{path}: cannot write the camera path ({error.strerror})") from error


def _save_colmap(folder: Path, path: CameraPath, *, binary: bool) -> None:
    """A folder with other things in it is not replaced."""
    names = {f"{stem}.{suffix}" for stem in ("cameras", "images", "points3D") for suffix in ("txt", "bin")}
    if folder.exists() and (not folder.is_dir() or any(entry.name not in names for entry in folder.iterdir())):
        raise UserError(f"{folder}: it exists and holds more than a COLMAP model; choose a folder of its own")
    with replacing_folder(folder) as temporary:
        colmap.write(temporary, path, binary=binary)


def _known_format(name: str) -> str:
    if name not in FORMATS:
        raise UserError(f"unknown camera-path format '{name}'{nearest(name, FORMATS)} (formats: {', '.join(FORMATS)})")
    return name


def _format_of(path: Path) -> str:
    """The format by name or by the first line that says something."""
    if colmap.model_folder(path) is not None:
        return "colmap"
    if path.is_dir():
        raise UserError(f"{path}: this folder holds no COLMAP model (images.txt or images.bin); name a file in it")
    if path.suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix.lower()]
    columns = [len(line.replace(",", " ").split()) for _, line in read_lines(path) if line][:2]
    if columns[-1:] == [REALESTATE_COLUMNS]:
        return "realestate10k"
    if columns[:1] == [TUM_COLUMNS]:
        return "tum"
    raise UserError(
        f"{path}: cannot tell which camera-path format this is: TUM has 8 columns, RealEstate10K an address and then "
        f"{REALESTATE_COLUMNS}; name it (formats: {', '.join(FORMATS)})"
    )


def _camera_path(track: CameraTrack, given: Intrinsics | None, path: Path) -> CameraPath:
    """Attach intrinsics: the file's own, else the given ones."""
    if track.intrinsics is None:
        if given is None:
            raise UserError(f"{path}: the file knows no focal length; give the photo's intrinsics with it")
        return CameraPath(
            world_from_camera=track.world_from_camera, intrinsics=given, zoom=np.ones(len(track.world_from_camera))
        )
    own, width, height = track.intrinsics, track.width, track.height
    if width is None or height is None:
        if given is None:
            raise UserError(f"{path}: the lens is in fractions of the image, whose size is not in the file; give it")
        width, height = given.width, given.height
        own = own * np.array([width, height, width, height], np.float64)
        own[:, 1] = np.where(np.isnan(own[:, 1]), own[:, 0], own[:, 1])  # square pixels
    first = own[0]
    zoom = own[:, 0] / first[0]
    drift = np.abs(own[:, 2:] - first[2:]).max(initial=0.0)
    if drift > 0.01 * max(width, height):
        raise UserError(f"{path}: the principal point moves by {drift:.3g} pixels; a camera path holds it still")
    if np.abs(own[:, 1] / first[1] / zoom - 1).max() > 0.01:
        raise UserError(f"{path}: the ratio of fx and fy changes along the path; a camera path keeps it")
    fx, fy, cx, cy = (float(value) for value in first)
    intrinsics = Intrinsics(width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy)
    return CameraPath(world_from_camera=track.world_from_camera, intrinsics=intrinsics, zoom=zoom)


def _places(track: CameraTrack, frames: int) -> np.ndarray:
    """`(frames,)` places on the track, in poses counted from 0, evenly spaced in its time."""
    last = len(track.world_from_camera) - 1
    if track.seconds is None:
        return np.linspace(0, last, frames)
    times = np.linspace(track.seconds[0], track.seconds[-1], frames)
    return np.interp(times, track.seconds, np.arange(last + 1))


def _load_gltf(path: Path, intrinsics: Intrinsics | None) -> CameraPath:
    from real2sam2real.scene.gltf import load_glb

    camera = load_glb(path).camera
    if camera is None:
        raise UserError(f"{path}: the file holds no perspective camera")
    if intrinsics is None:
        raise UserError(f"{path}: glTF cameras have no image size; give the photo's intrinsics with the file")
    return camera.path(intrinsics.width, intrinsics.height)


def _save_gltf(path: Path, camera_path: CameraPath, fps: float) -> None:
    from real2sam2real.scene.gltf import save_glb
    from real2sam2real.scene.scene import Scene

    if path.suffix.lower() != ".glb":
        raise UserError(f"{path}: glTF camera paths are written as .glb; give the file that suffix")
    save_glb(Scene(entities=(), camera=camera_path, fps=fps), path)
