"""Gives verdicts on generations in a process of its own, which stays warm: `python -m real2sam2real.studio.judging`.

A verdict itself takes a tenth of a second; what it is asked of, torch and diffusers, takes seven seconds to import. It
reads lines of JSON from standard input and answers each with one line on standard output:

    {"folder": path, "options": values}     see `verdict`; without options it only makes itself ready
    {"answer": values} or {"error": text}

It ends with standard input, and when nobody has asked for five minutes, to give back its memory.
"""

from __future__ import annotations

import os
import queue
import traceback
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError, first_line
from real2sam2real.studio.asked import Questions

_IDLE_SECONDS = 300


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """What standard output is told."""
    from real2sam2real.studio.verdict import verdict

    try:
        options = question["options"]
        return {"answer": {} if options is None else verdict(Path(question["folder"]), options)}
    except UserError as error:
        return {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"this machine could not be asked: {type(error).__name__} ({first_line(error)}); try again"}


def main() -> None:
    """Answer the questions of standard input until it ends, or nobody asks."""
    questions = Questions()
    try:
        while (question := questions.next(timeout=_IDLE_SECONDS)) is not None:
            questions.answer(answer(question))
    except queue.Empty:
        os._exit(0)  # the thread that reads would be waited for


if __name__ == "__main__":
    main()
