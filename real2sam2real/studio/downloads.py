"""Files of a workspace for the browser, from a fixed list of names; nothing else is reached."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from real2sam2real.errors import UserError
from real2sam2real.scene.gltf import save_glb
from real2sam2real.studio.errors import not_found
from real2sam2real.studio.making import RUN
from real2sam2real.studio.workspaces import Workspace

_AT_ONCE = 1 << 20
_VIDEOS = ("preview.mp4", "normals.mp4", "generated.mp4")


def download(workspace: Workspace, name: str) -> Response:
    """A file by its name; videos answer requests for a range.

    Raises:
        RefusedError: there is no such name, or the file is not made yet.
        UserError: the shot does not fit the scene.
    """
    if name in _VIDEOS:
        return FileResponse(_made(workspace.folder / RUN / name), media_type="video/mp4")
    if name not in _OTHERS:
        raise not_found("file")
    return _OTHERS[name](workspace)


def _made(path: Path) -> Path:
    if not path.exists():
        raise not_found(f"{path.name} yet: make a preview or generate first, so nothing")
    return path


def _shot(workspace: Workspace) -> Response:
    return PlainTextResponse(workspace.document.state.shot, media_type="application/yaml")


def _scene(workspace: Workspace) -> Response:
    """The scene under the shot, as it is now."""
    directed, problem = workspace.document.directed()
    if directed is None:
        raise UserError(problem or "there is no scene yet; lift the photo's objects first")
    with tempfile.NamedTemporaryFile(suffix=".glb", delete=False) as file:
        path = Path(file.name)
    try:
        save_glb(directed, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return FileResponse(path, media_type="model/gltf-binary", background=BackgroundTask(path.unlink, missing_ok=True))


def _control(workspace: Workspace) -> Response:
    folder = _made(workspace.folder / RUN / "control")
    return StreamingResponse(zipped(folder), media_type="application/zip")


def _page(workspace: Workspace) -> Response:
    """The page of the run: with scripts of its own, so it is saved and not shown at this address."""
    return FileResponse(_made(workspace.folder / RUN / "index.html"), media_type="text/html", filename="page.html")


_OTHERS: dict[str, Callable[[Workspace], Response]] = {
    "shot.yaml": _shot, "scene.glb": _scene, "control.zip": _control, "page.html": _page,
}  # fmt: skip


class _Outlet:
    """Where a zip file is written to, and taken from piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep some bytes."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        """What was written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def zipped(folder: Path) -> Iterator[bytes]:
    """A folder as a zip file, piece by piece; its videos and pictures are packed already, so they are stored."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
            info = zipfile.ZipInfo.from_file(path, (Path(folder.name) / path.relative_to(folder)).as_posix())
            with path.open("rb") as source, archive.open(info, "w") as target:
                while piece := source.read(_AT_ONCE):
                    target.write(piece)
                    yield outlet.taken()
    yield outlet.taken()
