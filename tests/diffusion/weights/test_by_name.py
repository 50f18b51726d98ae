"""Published weights by their names on the hub: huggingface_hub's own code against a hub on this machine."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from real2sam2real.diffusion.checkpoints import OFFICIAL_SETTINGS, find_checkpoint, load_settings
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline, locate
from real2sam2real.diffusion.options import DEFAULT_BASE, OFFICIAL_ADAPTER, ModelOptions
from real2sam2real.diffusion.weights.adapter_file import LORA_FILE, POSE_FILE, read_adapter
from real2sam2real.diffusion.weights.base import find_adapter
from real2sam2real.errors import MissingPartError, UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ORIGINAL_BASE = "Wan-AI/Wan2.2-Animate-14B"


class Hub:
    """Folders as repositories, by the four routes that a download takes.

    Attributes:
        sent: each file that was asked for, with the byte from which.
        cut: a file whose next answer ends in the middle.
        dead: a file that is not given.
    """

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders, self.sent, self.cut, self.dead = folders, [], "", ""

    def listing(self, repo: str) -> list[dict]:
        folder = self.folders[repo]
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [
            {"type": "file", "path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "oid": "0" * 40}
            for path in files
        ]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.split("?")[0]
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/\w+", path):
            repo = match[1]
            body = {"id": repo, "sha": COMMIT, "siblings": []} if match[2] == "revision" else self.listing(repo)
            return self._send(request, json.dumps(body).encode(), {"Content-Type": "application/json"})
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/\w+/(.+)", path)
        name = match[2]
        if name == self.dead and request.command == "GET":
            return request.send_error(503)
        content = (self.folders[match[1]] / name).read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        first = int(match[1]) if (match := re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))) else 0
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if request.command == "GET":
            self.sent.append((name, first))
        return self._send(request, content[first:], headers, part=name, status=206 if first else 200)

    def _send(self, request, content: bytes, headers: dict[str, str], part: str = "", status: int = 200) -> None:
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command == "GET":
            if part and part == self.cut:
                content, self.cut = content[: len(content) // 2], ""
                request.close_connection = True
            request.wfile.write(content)


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            hub.answer(self)

        do_HEAD = do_GET  # noqa: N815  http.server looks for this name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hub(layouts, tmp_path, monkeypatch):
    """The published repositories, tiny, with what else lies in them; the suite's own switch is off meanwhile."""
    adapter = tmp_path / "adapter"
    inner = adapter / "checkpoint-infer"
    inner.mkdir(parents=True)
    pair = {"lora_A.weight": torch.ones(64, 128), "lora_B.weight": torch.ones(128, 64)}
    save_file({f"blocks.0.self_attn.q.{key}": value for key, value in pair.items()}, inner / LORA_FILE)
    save_file({"weight": torch.ones(128, 4, 1, 2, 2), "bias": torch.ones(128)}, inner / POSE_FILE)
    original = Path(shutil.copytree(layouts.original, tmp_path / "original"))
    index = original / "diffusion_pytorch_model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    weight_map |= {key: "diffusion_pytorch_model-face.safetensors" for key in weight_map if key.startswith("face_")}
    index.write_text(json.dumps({"weight_map": weight_map}))
    for extra in (
        adapter / "teaser.mp4",
        original / "assets.png",
        original / "diffusion_pytorch_model-face.safetensors",
    ):
        extra.write_text("a gigabyte that nobody reads")
    made = Hub({OFFICIAL_ADAPTER: adapter, DEFAULT_BASE: layouts.diffusers, ORIGINAL_BASE: original})
    with serving(made) as address:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
        huggingface_hub.utils.disable_progress_bars()
        yield made
    huggingface_hub.utils.enable_progress_bars()


@pytest.mark.parametrize("base", [DEFAULT_BASE, ORIGINAL_BASE])
def test_the_published_weights_load_by_name_and_then_offline(hub, base):
    options = ModelOptions(checkpoint=OFFICIAL_ADAPTER, base=base)
    located = locate(options)
    assert located.folder.name == "checkpoint-infer"
    assert located.settings == OFFICIAL_SETTINGS
    assert located.base.layout == ("diffusers" if base == DEFAULT_BASE else "original")
    adapter, weight = located.adapters[0].read()
    assert (weight, {pair.scale for pair in adapter.low_rank.values()}) == (1.0, {0.5})
    sent = [name for name, _ in hub.sent]
    assert len(sent) == len(set(sent))
    assert {"teaser.mp4", "assets.png", "diffusion_pytorch_model-face.safetensors"}.isdisjoint(sent)
    hub.folders.clear()  # the network is gone
    assert locate(ModelOptions(checkpoint=OFFICIAL_ADAPTER, base=base, offline=True)) == located
    assert len(hub.sent) == len(sent)


def test_python_takes_the_same_name(hub, layouts):
    pipeline = Real2Sam2RealPipeline.from_pretrained(OFFICIAL_ADAPTER, base=layouts.diffusers)
    by_default = Real2Sam2RealPipeline.from_pretrained(OFFICIAL_ADAPTER)
    for loaded in (pipeline, by_default):
        assert loaded.resize_without_crop
        assert float(loaded.transformer.pose_patch_embedding.weight.float().mean()) == 1.0


def test_a_cut_connection_goes_on_at_its_byte_and_a_stopped_download_with_its_file(hub):
    lora, pose = (f"checkpoint-infer/{name}" for name in (LORA_FILE, POSE_FILE))
    hub.cut = lora
    read_adapter(find_adapter(OFFICIAL_ADAPTER))
    assert sorted(hub.sent) == [(lora, 0), (lora, 32_000), (pose, 0)]
    shutil.rmtree(constants.HF_HUB_CACHE)
    hub.sent.clear()
    hub.dead = lora
    with pytest.raises(MissingPartError, match=f"hf download {OFFICIAL_ADAPTER}.*0.5 to 1 GB"):
        find_adapter(OFFICIAL_ADAPTER)
    with pytest.raises(MissingPartError, match=rf"in part only: .*{LORA_FILE}.*no download was allowed"):
        find_adapter(OFFICIAL_ADAPTER, offline=True)
    hub.dead = ""
    read_adapter(find_adapter(OFFICIAL_ADAPTER))
    assert sorted(hub.sent) == [(lora, 0), (pose, 0)]


def test_a_folder_in_a_repository_and_a_file_can_be_named(hub):
    folder = find_adapter(f"{OFFICIAL_ADAPTER}/checkpoint-infer")
    assert folder == find_checkpoint(OFFICIAL_ADAPTER)
    assert find_adapter(f"{OFFICIAL_ADAPTER}/checkpoint-infer/{LORA_FILE}") == folder / LORA_FILE


def test_a_download_that_an_older_library_takes_for_whole_is_noticed(hub, monkeypatch):
    folder = find_adapter(OFFICIAL_ADAPTER)
    (folder / LORA_FILE).unlink()
    monkeypatch.setattr(
        "huggingface_hub._snapshot_download._raise_if_incomplete_snapshot", lambda **_: None, raising=False
    )
    with pytest.raises(MissingPartError, match=f"in part only, without {LORA_FILE}"):
        find_adapter(OFFICIAL_ADAPTER, offline=True)


def test_the_folder_that_their_download_script_fills_is_taken_as_it_is(hub):
    there = hub.folders[OFFICIAL_ADAPTER]
    assert find_checkpoint(there) == there / "checkpoint-infer"
    assert load_settings(find_checkpoint(there)) == OFFICIAL_SETTINGS
    shutil.copytree(there / "checkpoint-infer", there / "checkpoint-3000")
    with pytest.raises(UserError, match=r"several adapters \(checkpoint-3000, checkpoint-infer\); name one"):
        find_checkpoint(there)
