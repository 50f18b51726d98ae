"""A small scene, a workspace of it, and a client that asks as the page does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.scene import Entity, Scene
from real2sam2real.studio.requests import Gate
from real2sam2real.studio.routing import Studio
from real2sam2real.studio.server import build_app
from real2sam2real.studio.workspaces import Workspaces

TOKEN, HOST = "the-token", "127.0.0.1:8016"
BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


def box(name: str, x: float, z: float) -> Entity:
    rest = np.eye(4)
    rest[:3, 3] = x, -1.0, z
    mesh = Mesh(vertices=BOX, faces=FACES)
    mask = np.zeros((48, 64), bool)
    column = round(32 + x * 10)
    mask[20:30, column : column + 8] = True
    return Entity(name=name, mesh=mesh, rest_world_from_object=rest, motion=Motion.still(1, rest), mask=mask)


def two_boxes() -> Scene:
    """Two boxes on the ground before a camera that looks along −Z, in a photo of 64×48 pixels."""
    lens = Intrinsics.from_fov(64, 48, horizontal_degrees=60)
    camera = CameraPath(world_from_camera=np.eye(4)[None], intrinsics=lens, zoom=np.ones(1))
    photo = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    entities = (box("car", -1.0, -6.0), box("man", 1.5, -5.0))
    return Scene(entities=entities, camera=camera, photo=photo, ground_y=-1.0)


class Page:
    """Asks a server in this process as the page does."""

    def __init__(self, studio: Studio, client: TestClient, identity: str | None) -> None:
        self.studio, self.client, self.id = studio, client, identity

    def raw(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Host": HOST, **more.pop("headers", {})}
        return self.client.request(method, f"/{TOKEN}/{path}", headers=headers, **more)

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.raw(method, f"api/w/{self.id}/{path}", **({} if body is None else {"json": body}))
        assert answer.status_code == status, answer.text
        return answer.json()

    def document(self) -> Any:
        return self.ask("GET", "document")

    def edit(self, base: int, shot: Any, label: str = "Edit", status: int = 200, **more: Any) -> Any:
        return self.ask("POST", "edit", {"base": base, "label": label, "shot": shot, **more}, status)


@contextmanager
def open_page(home: Path, target: Path | None, *, previews: bool = False) -> Iterator[Page]:
    """A server below `home`, a target opened as the command opens it; `previews` made by themselves if asked."""
    studio = Studio(workspaces=Workspaces(home), previews=previews)
    studio.opened = None if target is None else studio.workspaces.add(target)
    gate = Gate(build_app(studio), token=TOKEN, hosts=[HOST])
    with TestClient(gate, base_url=f"http://{HOST}", raise_server_exceptions=False) as client:
        yield Page(studio, client, studio.opened)
