"""What the server tells the page, as JSON values; `studio/src/types.ts` is the other side."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.run.directing import along_notes
from real2sam2real.run.scene_data import motion_data, scene_data
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import Shot
from real2sam2real.studio.marking import marking_of, marks_data
from real2sam2real.studio.photo import photo_size
from real2sam2real.studio.workspaces import Workspace


def shot_notes(scene: Scene, shot: Shot, directed: Scene) -> list[str]:
    """What a shot does that it does not say."""
    return along_notes(scene, shot, directed)


@lru_cache(maxsize=8)
def _kept_scene_data(name: str, scene: Scene) -> dict[str, Any]:
    return scene_data(name, scene)


def document_data(workspace: Workspace) -> dict[str, Any]:
    """All that a page shows of a document, but for the meshes."""
    document = workspace.document
    with document.lock:
        state, history, found = document.state, document.history, document.scene()
        size, shot, (directed, problem) = photo_size(workspace), document.shot(), document.directed()
        motion, notes = None, [*([workspace.source_note] if workspace.source_note else []), *document.problems.values()]
        marking = marking_of(workspace)
        try:
            marks = marks_data(marking)
        except UserError as error:
            marks, notes = marks_data(None), [*notes, str(error)]
        if found is not None:
            notes += found[1]
            if directed is None:
                notes.append(f"The shot does not fit the scene: {problem}")
            else:
                motion = motion_data(directed, shot_notes(found[0], shot, directed))
        return {
            "id": workspace.id,
            "name": workspace.name,
            "revision": document.revision,
            "undo": history.undo,
            "redo": history.redo,
            "photo": size and {"width": size[0], "height": size[1], "shrink": marking.shrink if marking else 1.0},
            **marks,
            "scene": None if found is None else _kept_scene_data(str(state.scene), found[0]),
            "shot": shot.to_data(),
            "motion": motion,
            "notes": notes,
            "sourceChanged": workspace.source_note is not None,
            "page": document.page(),
        }
