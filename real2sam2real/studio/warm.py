"""Processes that stay warm: each answers questions, one line of JSON each, with one line of JSON.

What needs seconds of imports, or holds a photo ready, is asked again and again without paying for that each time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import IO, Any

from real2sam2real.errors import UserError
from real2sam2real.workfolder.json_values import parse_json

_LAST_WORDS = 4000  # bytes of standard error


class WarmProcess:
    """Asks a process that is started when it is first needed, and again when it has ended. One question at a time.

    Args:
        program: the module that the process runs. It answers each line with `{"answer": values}` or `{"error": text}`.
        does: what it does, for people: "looks at the photo".
        unchanged: what holds after it died over a question, for people.
    """

    def __init__(self, program: str, *, does: str, unchanged: str) -> None:
        self._program, self._does, self._unchanged = program, does, unchanged
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """Of the process, where there is one."""
        return None if self._process is None else self._process.pid

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to a question.

        Raises:
            UserError: it is a refusal, or the process died over it.
        """
        with self._lock:
            told = self._told(json.dumps(question).encode() + b"\n")
        if "error" in told:
            raise UserError(told["error"])
        answer: dict[str, Any] = told["answer"]
        return answer

    def _told(self, line: bytes) -> dict[str, Any]:
        """What the process says; one that has ended since the last question is started again."""
        self._stopped = False
        alive = self._process is not None and self._process.poll() is None
        process = self._process if alive else self._start()
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        answer = b""
        with suppress(OSError):
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        if not answer.endswith(b"\n"):
            process.wait()
            if self._stopped:
                self._drop()
                raise UserError(f"Stopped, as you asked; {self._unchanged}.")
            raise UserError(self._death())
        told: dict[str, Any] = parse_json(answer)
        return told

    def _start(self) -> subprocess.Popen[bytes]:
        self._drop()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        # -P: nothing is imported from the folder that the server was started in.
        command, pipe = [sys.executable, "-P", "-m", self._program], subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._said)
        return self._process

    def _death(self) -> str:
        """Why there is no answer, for people."""
        assert self._process is not None
        assert self._said is not None
        status = self._process.returncode
        self._said.seek(0)
        lines = self._said.read()[-_LAST_WORDS:].decode(errors="replace").splitlines()
        last = next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
        self._drop()
        how = f"signal {-status}, as the system ends one when memory runs out" if status < 0 else f"status {status}"
        return (
            f"the process that {self._does} died ({how}){f': {last}' if last else ''}. "
            f"{self._unchanged[0].upper()}{self._unchanged[1:]}; do it again, and a new one starts"
        )

    def _drop(self) -> None:
        """Close what is left of a process that has ended."""
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            self._process = None
        if self._said is not None:
            self._said.close()
            self._said = None

    def stop(self) -> None:
        """End the process over the question that it works on, if there is one; whoever asked is told."""
        process = self._process
        if process is not None and self._lock.locked():
            self._stopped = True
            process.kill()

    def close(self) -> None:
        """End the process, at once."""
        process = self._process
        if process is not None:
            self._stopped = True
            process.kill()
            with self._lock:  # whoever asked has been told
                process.wait()
                self._drop()
