"""Where a lifter runs: this machine, or another one behind ssh. Files go there and come back; a command starts it."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import replacing_folder
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.lifting.workers.lifting_worker.protocol import ERROR, MESH, RESULT, RESULTS
from real2sam2real.workers.sending import find_python, surroundings, variables
from real2sam2real.workfolder.archives import read_tar

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15")
SSH_FAILED = 255
_FILES = {RESULT, MESH, ERROR}
_START = b"@results\n"
_LONGEST_GREETING = 2**20


def host_for(folder: Path, options: LifterEnvironment, title: str) -> WorkerHost:
    """The machine that options speak of, for the request in `folder`.

    Raises:
        MissingPartError: no Python is named, or there is none.
    """
    if options.python is None:
        raise MissingPartError(
            f"{title} runs in an environment of its own: say which Python that is with --lifter-python PATH. "
            "docs/lifters.md tells how to set it up"
        )
    if options.host is None:
        return WorkerHost(folder, find_python(options.python, title, "--lifter-python"), options)
    return SshHost(folder, options.host, options.python, options)


class WorkerHost:
    """A machine and the Python there: this machine."""

    def __init__(self, folder: Path, python: str, options: LifterEnvironment) -> None:
        self.folder = folder
        self.python = python
        self.options = options

    def send(self) -> None:
        """Bring request and worker there; here they are already."""

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Python, worker, folder."""
        folder = self.folder.absolute()
        return [self.python, str(folder / "worker"), str(folder), *arguments]

    def environment(self) -> dict[str, str]:
        """Ours, without what makes another Python believe that it is ours."""
        return dict(surroundings(**variables(offline=self.options.offline)))

    def fetch(self) -> None:
        """Bring the results here and leave nothing there; here they are already."""


class SshHost(WorkerHost):
    """Another machine, reached by ssh with a key; it needs a shell, tar and gzip."""

    def __init__(self, folder: Path, host: str, python: str, options: LifterEnvironment) -> None:
        super().__init__(folder, python, options)
        self.host = host
        name = hashlib.sha256((folder / "request" / "request.json").read_bytes()).hexdigest()[:16]
        self.there = f"~/.cache/real2sam2real/lift-{name}"

    def send(self) -> None:
        """Pack request and worker and unpack them there; results of an earlier, broken connection stay."""
        there = shell_path(self.there)
        script = (
            f"umask 077 && mkdir -p {there}/results && cd {there} && rm -rf request worker && tar xzf - "
            "&& echo 'in place'"
        )
        with tempfile.TemporaryFile() as packed:
            with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
                for name in ("request", "worker"):
                    archive.add(self.folder / name, arcname=name)
            packed.seek(0)
            self._run(script, stdin=packed, doing="sending the request to")

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Python there; the shell around it tells by its own status which signal has ended it."""
        told = variables(offline=self.options.offline)
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in told.items())
        words = " ".join(shlex.quote(argument) for argument in arguments)
        there = shell_path(self.there)
        return self._ssh(
            f"cd && python={shell_path(self.python)} && "  # paths that are not absolute start at home
            '{ [ ! -d "$python" ] || python="$python/bin/python"; } && '
            f'{settings} "$python" {there}/worker {there} {words}; exit $?'
        )

    def environment(self) -> dict[str, str]:
        """Ours: this is about ssh."""
        return dict(os.environ)

    def fetch(self) -> None:
        """Unpack the results here, each as a whole, then remove the folder there."""
        there = shell_path(self.there)
        with tempfile.TemporaryFile() as received, tempfile.TemporaryFile() as packed:
            script = f"cd {there} && echo {_START.decode().strip()} && tar czf - {RESULTS}"
            self._run(script, stdout=received, doing="fetching the results from")
            _copy_archive(received, packed)
            try:
                _unpack(packed, self.folder / RESULTS)
            except (ValueError, OSError) as error:
                raise UserError(
                    f"the results from {self.host} came back damaged ({error}); they are still there in {self.there}: "
                    "the same command fetches them again"
                ) from None
        self._run(f"rm -rf {there}", doing="cleaning up on")

    def _ssh(self, script: str) -> list[str]:
        # The login shell over there may be any; sh is asked for by name, and gets the script as one word.
        return [*SSH, "--", self.host, f"sh -c {shlex.quote(script)}"]

    def _run(self, script: str, *, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None, doing: str) -> None:
        try:
            done = subprocess.run(
                self._ssh(script),
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self.options.timeout,
                check=False,
            )
        except FileNotFoundError:
            raise MissingPartError("there is no ssh on this machine; install OpenSSH's client") from None
        except subprocess.TimeoutExpired:
            raise UserError(f"{doing} {self.host} took more than {self.options.timeout:g} seconds") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
            raise unreachable(self.host, doing, said[-1] if said else f"status {done.returncode}")


def unreachable(host: str, doing: str, said: str) -> UserError:
    """The message for a connection that failed."""
    return UserError(
        f"{doing} {host} failed: {said}. Try `ssh -o BatchMode=yes {host} true`, which must work without a question: "
        "keys are set up with ssh-copy-id, names and ports in ~/.ssh/config. The same command goes on where it stopped"
    )


def shell_path(path: str) -> str:
    """A path as a word of sh, with a leading `~/` left to that shell's own home."""
    if path == "~" or path.startswith("~/"):
        return f'"$HOME"{shlex.quote(path[1:])}' if len(path) > 2 else '"$HOME"'
    return shlex.quote(path)


def _copy_archive(received: IO[bytes], packed: IO[bytes]) -> None:
    """Leave out what the shell over there has printed of its own before the archive, from its start-up files."""
    received.seek(0)
    greeting, marker, _ = received.read(_LONGEST_GREETING).partition(_START)
    received.seek(len(greeting) + len(marker))
    shutil.copyfileobj(received, packed)
    packed.seek(0)


def _unpack(packed: IO[bytes], results: Path) -> None:
    """Take result files out of an archive that another machine made; anything else in it is left alone."""
    with tempfile.TemporaryDirectory() as temporary:
        for member, content in read_tar(packed, gzipped=True):
            parts = PurePosixPath(member).parts
            if len(parts) == 3 and parts[0] == RESULTS and parts[2] in _FILES and not parts[1].startswith("."):
                (Path(temporary) / parts[1]).mkdir(exist_ok=True)
                (Path(temporary) / parts[1] / parts[2]).write_bytes(content)
        for found in sorted(Path(temporary).iterdir()):
            with replacing_folder(results / found.name) as folder:
                shutil.copytree(found, folder, dirs_exist_ok=True)
