"""The studio's side of the warm process that looks at photos; see `cutting`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from real2sam2real.studio.warm import WarmProcess

_PROGRAM = "real2sam2real.studio.cutting"


class Cutter(WarmProcess):
    """The process that looks at photos.

    Args:
        program: the module that it runs.
    """

    def __init__(self, program: str = _PROGRAM) -> None:
        super().__init__(program, does="looks at the photo", unchanged="what is marked is as it was")

    def ask(self, kind: str, photo: Path, kept: Path, segmenter: str = "embedded", **question: Any) -> dict[str, Any]:
        """The answer to a question about a photo; see `cutting`.

        Args:
            kind: of the question.
            photo: its file.
            kept: folder for masks that were cut out before.
            segmenter: what cuts objects out.
            question: what this kind needs, as JSON values.

        Raises:
            UserError: the answer is a refusal, or the process died over it.
        """
        return self.answer({"ask": kind, "photo": str(photo), "kept": str(kept), "segmenter": segmenter, **question})
