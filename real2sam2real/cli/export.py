"""For other programs: `r2s2r export comfyui`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from real2sam2real.options import OptionalPath


@dataclass(frozen=True, kw_only=True)
class ExportComfyui:
    """Write an adapter as one file that ComfyUI loads with its own nodes, and the workflow that runs it.

    Beside NAME.safetensors come NAME_workflow.json, to drag onto ComfyUI's window, and NAME_api.json, for its API;
    docs/comfyui.md says where the files belong.
    """

    adapter: Annotated[Positional[str], arg(metavar="ADAPTER")]
    """The adapter's folder or file, or its name on the hub, such as JiayiWuLeo/Real2SAM2Real."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="NAME.safetensors")]
    """Where its weights go."""
    control: Annotated[OptionalPath, arg(metavar="CONTROL", help_behavior_hint="")] = None
    """A control folder: its photo and normals are written too, and the workflow gets its prompt, size and length."""
    offline: bool = False
    """Never reach for the network."""

    def execute(self) -> None:
        """Write the files and print where they are."""
        from real2sam2real.run.exporting import export_for_comfyui

        written, notes = export_for_comfyui(self.adapter, self.out, control=self.control, offline=self.offline)
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        for path in written:
            print(path)


COMMANDS = {"comfyui": ExportComfyui}
