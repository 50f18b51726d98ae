"""What a server does beside answering: the jobs of its workspaces, and the previews that follow their documents."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LifterOptions
from real2sam2real.studio.generate_options import generate_options
from real2sam2real.studio.jobs import Job, JobRunner
from real2sam2real.studio.making import ESTIMATE, RUN
from real2sam2real.studio.previews import PreviewKeeper, state_options
from real2sam2real.studio.takes import read_takes
from real2sam2real.studio.warm import WarmProcess
from real2sam2real.studio.workspaces import Workspace, Workspaces

_LONGEST_NAME = 120
_JUDGING = "real2sam2real.studio.judging"


class Activity:
    """Jobs and previews of one server.

    Args:
        workspaces: of the server.
        previews: whether they follow the documents, where a person has not switched that off.
        program: the module that jobs run.
        lifter: where lifters of other environments run, as the command that started the server says.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        *,
        previews: bool = True,
        program: str = "real2sam2real.studio.job",
        lifter: LifterOptions | None = None,
    ) -> None:
        self.lifter = lifter or LifterOptions()
        self._workspaces, self._previews = workspaces, previews
        self._lock = threading.Lock()
        self.runner = JobRunner(self.tell_jobs, program=program)
        self._judge = WarmProcess(_JUDGING, does="knows what this machine can do", unchanged="nothing is changed")

    def previews_of(self, workspace: Workspace) -> PreviewKeeper:
        """What keeps the preview of a workspace up to date; from the first call on it does."""
        with self._lock:
            found = workspace.parts.get(__name__)
            if found is None:
                found = workspace.parts[__name__] = PreviewKeeper(
                    workspace.id, workspace.document, self.runner, follows=self._previews
                )
        assert isinstance(found, PreviewKeeper)
        return found

    def tell_jobs(self, identity: str) -> None:
        """Tell a workspace's pages of its jobs."""
        for workspace in self._workspaces.open():
            if workspace.id == identity:
                workspace.document.tell("jobs", [job.message() for job in self.runner.of(identity)])

    def tell_takes(self, workspace: Workspace) -> None:
        """Tell a workspace's pages of its takes."""
        workspace.document.tell("takes", [take.message() for take in read_takes(workspace.folder)])

    def start_generation(self, workspace: Workspace, options: dict[str, Any]) -> Job:
        """Queue a generation of the document as it is now.

        Args:
            workspace: of the document.
            options: of the page: `generate`, see `generate_options`; `size` and `name`, or None.

        Raises:
            UserError: an option cannot be used, or there is no scene.
        """
        chosen = options.get("generate", {})
        generate_options(chosen)
        texts = {name: options.get(name) or None for name in ("size", "name")}
        for name, text in texts.items():
            if text is not None and not (isinstance(text, str) and len(text) <= _LONGEST_NAME):
                raise UserError(f"the {name} of a generation is a short text, not {str(text)[:60]!r}")

        def finish(result: Any) -> None:
            self.previews_of(workspace).made_anew()
            self.tell_takes(workspace)

        title = f"Generate {texts['name']}" if texts["name"] else "Generate"
        return self.runner.submit(
            Job(
                workspace=workspace.id,
                folder=workspace.folder,
                kind="generate",
                title=title,
                options={**state_options(workspace.document), "generate": chosen, **texts},
                revision=workspace.document.revision,
                picture_file=workspace.folder / RUN / ESTIMATE,
                finish=finish,
            )
        )

    def start_preview(self, workspace: Workspace, options: dict[str, Any]) -> Job:
        """Queue a preview that a person asks for, a `draft` or all of it.

        Raises:
            UserError: there is no scene.
        """
        keeper, draft = self.previews_of(workspace), options.get("draft") is True
        return self.runner.submit(
            Job(
                workspace=workspace.id,
                folder=workspace.folder,
                kind="preview",
                title="Draft preview" if draft else "Preview",
                options={**state_options(workspace.document), "draft": draft},
                revision=workspace.document.revision,
                finish=lambda result: keeper.made_anew(),
            )
        )

    def verdict(self, folder: Path, options: dict[str, Any] | None) -> dict[str, Any]:
        """What this machine says of a generation, see `verdict.verdict`; without options it is only made ready to say.

        Raises:
            UserError: the process that says it died.
        """
        return self._judge.answer({"folder": str(folder), "options": options})

    def close(self) -> None:
        """End all jobs."""
        for workspace in self._workspaces.open():
            if __name__ in workspace.parts:
                self.previews_of(workspace).close()
        self._judge.close()
        self.runner.close()
