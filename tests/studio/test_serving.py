"""The real process: its address, its ports, and its end."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil

from real2sam2real.studio.document import StudioDocument
from real2sam2real.studio.events import event_stream

STUDIO = [sys.executable, "-m", "real2sam2real", "studio"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A server in a process of its own; gives it, its page's address, and what it said before."""
    process = subprocess.Popen(
        [*STUDIO, "--no-browser", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=ENVIRONMENT,
    )  # fmt: skip
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:
            if found := re.search(r"The studio is at (http://\S+)", line):
                yield process, found[1], said
                return
            said.append(line)
        raise AssertionError("".join(said))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_serves_and_ends_while_a_page_listens(scene_folder: Path, tmp_path: Path) -> None:
    with server(tmp_path, str(scene_folder), "--port", "0") as (process, address, said):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
        assert said == []
        assert b'"version"' in urllib.request.urlopen(f"{address}api/status").read()
        identity = re.search(rb'"open":"(\w+)"', urllib.request.urlopen(f"{address}api/status").read())
        assert identity is not None
        events = urllib.request.urlopen(f"{address}api/w/{identity[1].decode()}/events")
        assert events.readline() == b"event: document\n"
        body = json.dumps({"kind": "preview", "options": {}}).encode()
        place = f"{address}api/w/{identity[1].decode()}/"
        urllib.request.urlopen(urllib.request.Request(f"{place}jobs", body, {"Content-Type": "application/json"}))
        urllib.request.urlopen(f"{place}generate")  # a verdict is made ready for
        working = psutil.Process(process.pid).children(recursive=True)
        assert len(working) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        _, left = psutil.wait_procs(working, timeout=10)
        assert left == []
    assert (tmp_path / "studio" / "street" / "shot.yaml").is_file()


def test_a_page_that_leaves_takes_its_waiting_along() -> None:
    """No task of its event stream is left pending, which asyncio would complain about in the terminal."""

    async def leave() -> None:
        document = cast("StudioDocument", SimpleNamespace(listeners=[], revision=0))
        events = event_stream(document, asyncio.Event()).body_iterator
        assert "event: document" in str(await anext(events))
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert document.listeners == []

    with ThreadPoolExecutor(1) as elsewhere:  # the browser's driver keeps a loop running in the tests' own thread
        elsewhere.submit(lambda: asyncio.run(leave())).result()


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        answer = subprocess.run(
            [*STUDIO, "--port", str(taken)], cwd=tmp_path, capture_output=True, text=True, check=False,
            env=ENVIRONMENT,
        )  # fmt: skip
    assert answer.returncode == 2
    assert f"cannot listen at 127.0.0.1, port {taken}: Address already in use; choose another --port" in answer.stderr


def test_other_addresses_are_warned_of(tmp_path: Path) -> None:
    with server(tmp_path, "--host", "0.0.0.0", "--port", "0") as (_, address, said):
        assert "warning: the studio listens at 0.0.0.0" in "".join(said)
        assert b'"workspaces":[]' in urllib.request.urlopen(f"{address}api/status").read()


def test_a_killed_server_loses_nothing_that_it_answered(scene_folder: Path, tmp_path: Path) -> None:
    with server(tmp_path, str(scene_folder), "--port", "0") as (process, address, _):
        status = json.load(urllib.request.urlopen(f"{address}api/status"))
        place = f"{address}api/w/{status['open']}/"
        document = json.load(urllib.request.urlopen(f"{place}document"))
        for angle in range(4):
            shot = {**document["shot"], "camera": [{"pan": f"{angle + 1} deg"}]}
            body = json.dumps({"base": document["revision"], "label": "Pan", "shot": shot}).encode()
            request = urllib.request.Request(f"{place}edit", body, {"Content-Type": "application/json"})
            document = json.load(urllib.request.urlopen(request))
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server(tmp_path, str(scene_folder), "--port", "0") as (_, address, _):
        again = json.load(urllib.request.urlopen(f"{address}api/w/{status['open']}/document"))
    assert {key: again[key] for key in ("shot", "revision", "undo", "motion")} == {
        key: document[key] for key in ("shot", "revision", "undo", "motion")
    }
