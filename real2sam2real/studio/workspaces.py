"""All workspaces of a server: which there are, and those that are open, by ids that are no paths."""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.studio.document import HISTORY, StudioDocument
from real2sam2real.studio.errors import not_found
from real2sam2real.studio.history import History
from real2sam2real.studio.working_files import SCENE
from real2sam2real.studio.workspace import (
    RECORD_FILE,
    WorkspaceRecord,
    create_workspace,
    is_workspace,
    read_workspace,
    source_note,
    taken_over,
)
from real2sam2real.workfolder.lock import locked
from real2sam2real.workfolder.records import write_json

_UNNAMED = "photo"
_LONGEST_NAME = 60


@dataclass(kw_only=True)
class Workspace:
    """One that is open; its folder is locked."""

    id: str
    folder: Path
    record: WorkspaceRecord
    document: StudioDocument
    holders: ExitStack
    source_note: str | None = None  # where the source has changed since it was taken over
    parts: dict[str, Any] = field(default_factory=dict)  # what other modules keep with it, by the module's name

    @property
    def name(self) -> str:
        """For people."""
        return self.record.name

    def take_over(self, base: int) -> None:
        """Take the scene over again from what the workspace was made from; from a run, its shot too.

        Raises:
            UserError: it is a photo, is gone, or cannot be read.
            RefusedError: the document went on since `base`.
        """
        with tempfile.TemporaryDirectory() as aside:
            record, shot = taken_over(self.record, Path(aside) / SCENE)
            self.document.commit("Take over again", scene=Path(aside) / SCENE, shot=shot, base=base)
        write_json(self.folder / RECORD_FILE, asdict(record))
        self.record, self.source_note = record, None


class Workspaces:
    """Those below one folder, and those that were named."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lock = threading.RLock()
        self._open: dict[str, Workspace] = {}
        self._known: dict[str, Path] = {}  # outside of `home`
        self._copied: set[str] = set()

    def identify(self, folder: Path) -> str:
        """The id of a workspace's folder, the same in every server."""
        return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]

    def folders(self) -> dict[str, Path]:
        """All workspaces by their ids."""
        inside = sorted(self.home.iterdir()) if self.home.is_dir() else []
        found = {self.identify(path): path for path in inside if not path.name.startswith(".") and is_workspace(path)}
        return self._known | found

    def listed(self) -> list[dict[str, Any]]:
        """For the start screen, the last changed first."""
        rows = []
        for identity, folder in self.folders().items():
            try:
                name = read_workspace(folder).name
            except (UserError, OSError):
                name = f"{folder.name} (damaged)"
            changed = max(path.stat().st_mtime for path in (folder / RECORD_FILE, folder / HISTORY) if path.exists())
            told = datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
            rows.append({"id": identity, "name": name, "changed": told, "hasScene": (folder / SCENE).is_dir()})
        return sorted(rows, key=lambda row: str(row["changed"]), reverse=True)

    def get(self, identity: str) -> Workspace:
        """An open workspace; it is opened if need be.

        Raises:
            RefusedError: there is none.
            UserError: another server holds it, or a file of it is damaged.
        """
        with self.lock:
            if identity not in self._open:
                folder = self.folders().get(identity)
                if folder is None:
                    raise not_found("workspace")
                self._open[identity] = _opened(identity, folder)
            return self._open[identity]

    def open(self) -> list[Workspace]:
        """Those that are open."""
        with self.lock:
            return list(self._open.values())

    def add(self, target: Path, out: Path | None = None) -> str:
        """Open what a command names: a workspace, or what one is made from; again where one was made from it before.

        Returns:
            The workspace's id.

        Raises:
            UserError: it cannot be used.
        """
        with self.lock:
            if is_workspace(target):
                folder = target
            else:
                folder = out or self._made_from(target) or self.free_folder(target.resolve().stem)
                if not is_workspace(folder):
                    create_workspace(target, folder)
            identity = self.identify(folder)
            self._known[identity] = folder
            self.get(identity)
            return identity

    def _made_from(self, source: Path) -> Path | None:
        """The workspace that was made from a source last, if there is one."""
        found = []
        for folder in self.folders().values():
            try:
                record = read_workspace(folder)
            except (UserError, OSError):
                continue
            if record.source.path == str(source.resolve()):
                found.append((record.made, folder))
        return max(found)[1] if found else None

    def create(self, photo: Path, name: str) -> str:
        """Make a workspace of a photo that the page sent; returns its id.

        Raises:
            UserError: it is no photo.
        """
        stem = name.rpartition("/")[2].rpartition("\\")[2]
        stem = stem.rpartition(".")[0] or stem or _UNNAMED
        with self.lock:
            folder = self.free_folder(stem)
            create_workspace(photo, folder, name=stem[:_LONGEST_NAME])
            return self.identify(folder)

    def free_folder(self, name: str) -> Path:
        """A folder in `home` that is not there yet, called much like `name`."""
        plain = re.sub(r"[^\w .-]", "_", name).strip(" .")[:_LONGEST_NAME] or _UNNAMED
        folder, number = self.home / plain, 2
        while folder.exists():
            folder, number = self.home / f"{plain}-{number}", number + 1
        return folder

    def close(self) -> None:
        """Let go of all."""
        with self.lock:
            for workspace in self._open.values():
                workspace.holders.close()
            self._open.clear()


def _opened(identity: str, folder: Path) -> Workspace:
    holders = ExitStack()
    try:
        holders.enter_context(locked(folder))
        record = read_workspace(folder)
        try:
            history = History.open(folder / HISTORY)
        except FileNotFoundError:
            raise UserError(
                f"{folder} has no journal (history/now.json); {RECORD_FILE} alone is no workspace"
            ) from None
        document, note = StudioDocument(folder, history), source_note(record)
        return Workspace(
            id=identity, folder=folder, record=record, document=document, holders=holders, source_note=note
        )
    except BaseException:
        holders.close()
        raise
