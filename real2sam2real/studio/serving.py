"""The process of the studio: port, token, and an end within two seconds of Ctrl-C."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path

import uvicorn

from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LifterOptions
from real2sam2real.run.compiling import compile_beside, compile_kernels
from real2sam2real.studio.marking import marking_of
from real2sam2real.studio.requests import Gate
from real2sam2real.studio.routing import Studio
from real2sam2real.studio.server import build_app
from real2sam2real.studio.workspaces import Workspaces

PORT = 8016
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TRIES = 20
_GRACE_SECONDS = 1


def serve(
    target: Path | None,
    out: Path | None,
    *,
    home: Path,
    host: str,
    port: int | None,
    browser: bool,
    lifter: LifterOptions,
) -> None:
    """Serve the studio until it is interrupted; prints the address of its page.

    Args:
        target: a photo, a scene folder, a run folder or a workspace to open; the start screen alone if None.
        out: the workspace's folder; one below `home` by the target's name unless given.
        home: the folder of workspaces.
        host: the address to listen at.
        port: or None for `PORT`, and the next free one where that is taken.
        browser: open the page in the browser.
        lifter: where lifters of other environments run.

    Raises:
        UserError: the target cannot be opened, or the port is taken.
    """
    studio = Studio(workspaces=Workspaces(home), lifter=lifter)
    try:
        if target is not None:
            studio.opened = studio.workspaces.add(target, out)
        with _listening(host, port) as listener:
            _serve(studio, listener, host, browser=browser)
    finally:
        studio.workspaces.close()


def _serve(studio: Studio, listener: socket.socket, host: str, *, browser: bool) -> None:
    token, port = secrets.token_urlsafe(24), listener.getsockname()[1]
    names = {host, *(_LOOPBACK if host in _LOOPBACK or host in ("0.0.0.0", "::") else ())}
    if host in ("0.0.0.0", "::"):
        names |= {socket.gethostname(), *_own_addresses()}
    hosts = [f"{f'[{name}]' if ':' in name else name}:{port}" for name in names]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/{token}/"
    if host not in _LOOPBACK:
        print(
            f"warning: the studio listens at {host}. Whoever in the network learns the address below can read and "
            "change the workspaces, and nothing is encrypted; without --host only this machine can",
            file=sys.stderr,
        )
    compile_beside()
    threading.Thread(target=compile_kernels, daemon=True).start()  # or the first exact frame would wait for it
    print(f"The studio is at {address}\nCtrl-C ends it; everything is saved as it is made.", flush=True)
    _look_at_photo(studio)
    if browser:
        webbrowser.open(address)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        Gate(build_app(studio), token=token, hosts=hosts),
        log_config=None, access_log=False, ws="none", server_header=False, lifespan="on",
        timeout_graceful_shutdown=_GRACE_SECONDS, h11_max_incomplete_event_size=65536,
    )  # fmt: skip
    server = _Server(config, studio)
    server.run(sockets=[listener])
    studio.workspaces.close()
    # Everything is on disk and nobody waits for a thread: to take the interpreter apart would only take time, on a busy
    # machine five seconds.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _look_at_photo(studio: Studio) -> None:
    """Begin while the browser opens: somebody will soon draw a box."""
    workspace = None if studio.opened is None else studio.workspaces.get(studio.opened)
    marking = None if workspace is None or workspace.document.state.scene else marking_of(workspace)

    def look() -> None:
        with suppress(UserError):  # told when somebody asks
            if marking is not None:
                marking.warm_up()

    threading.Thread(target=look, daemon=True).start()


class _Server(uvicorn.Server):
    """Ends the jobs at once, and tells the streams of events, which would be waited for otherwise."""

    def __init__(self, config: uvicorn.Config, studio: Studio) -> None:
        super().__init__(config)
        self.studio = studio

    def handle_exit(self, sig: int, frame: object) -> None:
        self.should_exit = True
        self.studio.end()
        # In a thread: what a signal interrupts may hold the locks of the jobs.
        threading.Thread(target=self.studio.activity.close, daemon=True).start()


def _listening(host: str, port: int | None) -> socket.socket:
    """A socket that listens at a port, or at the next free one where none was asked for."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    wanted = [port] if port is not None else [*range(PORT, PORT + _TRIES), 0]
    for number in wanted:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen()  # so that a browser that is opened at once waits, and is not refused
        except OSError as error:
            listener.close()
            if port is not None or not _is_taken(error):
                raise UserError(
                    f"cannot listen at {host}, port {number}: {error.strerror}; choose another --port"
                ) from error
            continue
        except OverflowError:
            listener.close()
            raise UserError(f"--port {number} is no port; ports are 1 to 65535") from None
        if port is None and number != PORT:
            print(f"Port {PORT} is taken by another program; this one listens at {listener.getsockname()[1]}.")
        return listener
    raise AssertionError  # the system always has a free port


def _is_taken(error: OSError) -> bool:
    import errno

    return error.errno in (errno.EADDRINUSE, errno.EACCES)


def _own_addresses() -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)}
    except OSError:
        return set()
