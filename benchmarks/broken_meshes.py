"""Forty meshes broken in different ways, each with the solid that it should have been.

`detail` says how fine they are: 3 gives about 1,000 triangles each, and one more gives four times as many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from real2sam2real.mesh import Mesh, concatenate


@dataclass(frozen=True, kw_only=True, eq=False)
class Broken:
    """A broken mesh and its truth.

    Attributes:
        mesh: broken.
        truth: closed parts, none within another.
        volume: that the repaired one should have.
        far: how far it may be from the truth's surface and the truth's from it, over the truth's diagonal.
        off: how far its volume may be from `volume`, relative.
    """

    mesh: Mesh
    truth: Mesh
    volume: float
    far: float = 0.01
    off: float = 0.01


def broken_meshes(detail: int = 3) -> dict[str, Broken]:
    """All of them, by name."""
    maker = _Maker(detail)
    cases: dict[str, Broken] = {}
    for group in (maker.holes, maker.windings, maker.crossings, maker.bodies, maker.hidden, maker.bad_faces,
                  maker.sheets, maker.touching, maker.mixed):  # fmt: skip
        cases |= group()
    return cases


def _mesh(shape: trimesh.Trimesh, offset: tuple[float, float, float] = (0, 0, 0)) -> Mesh:
    return Mesh(vertices=shape.vertices + np.array(offset), faces=shape.faces)


def _faces(mesh: Mesh, faces: np.ndarray) -> Mesh:
    return Mesh(vertices=mesh.vertices, faces=faces)


def _moved(mesh: Mesh, *offset: float, size: float = 1.0) -> Mesh:
    return Mesh(vertices=mesh.vertices * size + np.array(offset), faces=mesh.faces)


def _box(low: tuple[float, float, float], high: tuple[float, float, float], times: int = 0) -> Mesh:
    box = trimesh.creation.box(bounds=[low, high])
    for _ in range(times):
        box = box.subdivide()
    return _mesh(box)


def _soup(mesh: Mesh, jitter: float = 0.0) -> Mesh:
    points = mesh.vertices[mesh.faces].reshape(-1, 3)
    points = points + np.random.default_rng(3).normal(size=points.shape) * jitter
    return Mesh(vertices=points, faces=np.arange(len(points)).reshape(-1, 3))


def _grid(surface: np.ndarray) -> Mesh:
    """Triangles over a grid `(rows, columns, 3)` of points."""
    rows, columns = surface.shape[:2]
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    faces = np.concatenate([a + np.array([0, 1, columns]), a + np.array([1, columns + 1, columns])])
    return Mesh(vertices=surface.reshape(-1, 3), faces=faces)


def _tube_through_itself(detail: int) -> Mesh:
    """A closed tube along a figure of eight."""
    along, around = 25 * 2**detail, 3 * 2**detail
    t = np.linspace(0, 2 * np.pi, along, endpoint=False)
    line = np.stack([np.cos(t), 0.6 * np.sin(2 * t), 0.05 * np.sin(3 * t)], axis=1)
    forward = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0)
    side = np.cross(forward, [0, 0, 1])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, forward / np.linalg.norm(forward, axis=1, keepdims=True))
    a = np.linspace(0, 2 * np.pi, around, endpoint=False)[None, :, None]
    points = line[:, None] + 0.12 * (np.cos(a) * side[:, None] + np.sin(a) * up[:, None])
    i, j = np.meshgrid(np.arange(along), np.arange(around), indexing="ij")

    def number(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return (row % along) * around + column % around

    one = np.stack([number(i, j), number(i, j + 1), number(i + 1, j + 1)], axis=-1).reshape(-1, 3)
    two = np.stack([number(i, j), number(i + 1, j + 1), number(i + 1, j)], axis=-1).reshape(-1, 3)
    mesh = Mesh(vertices=points.reshape(-1, 3), faces=np.concatenate([one, two]))
    return mesh if mesh.volume() > 0 else mesh.flipped()


class _Maker:
    def __init__(self, detail: int) -> None:
        self.detail = detail
        self.rng = np.random.default_rng(0)
        self.sphere = _mesh(trimesh.creation.icosphere(subdivisions=detail))
        rings = 4 * 2**detail
        self.torus = _mesh(
            trimesh.creation.torus(major_radius=1, minor_radius=0.3, major_sections=rings, minor_sections=rings // 2)
        )
        self.box = _box((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5), detail)

    def some(self, mesh: Mesh, share: float) -> np.ndarray:
        return self.rng.random(len(mesh.faces)) < share

    def of_sphere(self, mesh: Mesh, far: float = 0.01, off: float = 0.01) -> Broken:
        return Broken(mesh=mesh, truth=self.sphere, volume=self.sphere.volume(), far=far, off=off)

    def union(self, parts: list[Mesh], volume: float, mesh: Mesh | None = None, far: float = 0.01) -> Broken:
        whole = concatenate(parts)
        return Broken(mesh=whole if mesh is None else mesh, truth=whole, volume=volume, far=far)

    def holes(self) -> dict[str, Broken]:
        s, t = self.sphere, self.torus
        middle = s.vertices[s.faces].mean(axis=1)
        cap = _faces(s, s.faces[middle[:, 2] < 0.6])
        bowl = np.pi * 1.6**2 * (3 - 1.6) / 3  # of a unit ball up to 0.6
        flat = Mesh(vertices=s.vertices * [1, 1, 1] - [0, 0, 1] * np.maximum(s.vertices[:, 2:] - 0.6, 0), faces=s.faces)
        return {
            "one hole": self.of_sphere(_faces(s, s.faces[10:]), 0.02, 0.02),
            "many small holes": self.of_sphere(_faces(s, s.faces[~self.some(s, 0.05)]), 0.05, 0.03),
            "large round hole": Broken(mesh=cap, truth=flat, volume=bowl, far=0.08, off=0.06),
            "holes in a ring": Broken(
                mesh=_faces(t, t.faces[~self.some(t, 0.03)]), truth=t, volume=t.volume(), far=0.03, off=0.03
            ),
        }

    def windings(self) -> dict[str, Broken]:
        s, t = self.sphere, self.torus
        front = s.vertices[s.faces].mean(axis=1)[:, 0] > 0
        return {
            "faces turned at random": self.of_sphere(_turned(s, self.some(s, 0.3))),
            "half turned": self.of_sphere(_turned(s, front)),
            "inside out": self.of_sphere(s.flipped()),
            "ring turned at random": Broken(mesh=_turned(t, self.some(t, 0.4)), truth=t, volume=t.volume()),
        }

    def crossings(self) -> dict[str, Broken]:
        s, tube = self.sphere, _tube_through_itself(self.detail)
        spike, points = s.vertices.copy(), s.vertices
        spike[np.argmax(points[:, 2]), 2] = -1.7
        noisy = points * (1 + self.rng.normal(size=(len(points), 1)) * 0.02)
        noisy = noisy + self.rng.normal(size=points.shape) * 0.25 / 2**self.detail
        ends = [_box((-1, -0.2, -0.2), (1, 0.2, 0.2), 2), _box((-0.2, -1, -0.19), (0.2, 1, 0.21), 2)]
        cross = 2 * 2 * 0.4 * 0.4 - 0.4 * 0.4 * 0.39
        return {
            "tube through itself": Broken(mesh=tube, truth=tube, volume=abs(tube.volume()), far=0.06, off=0.05),
            "spike through the back": self.of_sphere(Mesh(vertices=spike, faces=s.faces), 0.3, 0.05),
            "crumpled": self.of_sphere(Mesh(vertices=noisy, faces=s.faces), 0.06, 0.06),
            "bars across": self.union(ends, cross, far=0.15),
        }

    def bodies(self) -> dict[str, Broken]:
        s = self.sphere
        lens = np.pi * (4 + 0.9) * (2 - 0.9) ** 2 / 12
        pair = [s, _moved(s, 0.9, 0, 0)]
        third = [s, _moved(s, 1.5, 0, 0), _moved(s, 3.0, 0, 0)]
        thin = np.pi * (4 + 1.5) * (2 - 1.5) ** 2 / 12
        legs = [_box((x, -1, z), (x + 0.08, 0.05, z + 0.08), 1) for x in (0, 0.9) for z in (0, 0.9)]
        seat = _box((-0.02, 0, -0.02), (1, 0.1, 1), 2)
        chair = 4 * 0.08 * 0.08 + 1.02 * 1.02 * 0.1
        dust = [_moved(s, *(2 * self.rng.normal(size=3) + [0, 0, 5]), size=0.01) for _ in range(6)]
        apart = [seat, *[_moved(leg, 0, -0.06, 0) for leg in legs]]
        return {
            "two that overlap": self.union(pair, 2 * s.volume() - lens, far=0.25),
            "three in a row": self.union(third, 3 * s.volume() - 2 * thin, far=0.15),
            "chair of five boxes": self.union([seat, *legs], chair, far=0.04),
            "legs a little apart": self.union(apart, 1.02 * 1.02 * 0.1 + 4 * 0.08 * 0.08 * 1.05),
            "dust about it": self.of_sphere(concatenate([s, *dust])),
        }

    def hidden(self) -> dict[str, Broken]:
        s, box = self.sphere, self.box
        inner = _moved(s, 0, 0, 0, size=0.9)
        low = s.vertices[s.faces].mean(axis=1)[:, 2] < -0.99
        both = concatenate([_faces(s, s.faces[~low]), _faces(inner, inner.faces[~low]).flipped()])
        neck = _ring_between(both)
        equator = np.abs(s.vertices[:, 2]) < 1e-9
        rim = np.nonzero(equator)[0][np.argsort(np.arctan2(*s.vertices[equator, :2].T))]
        disk = np.stack([rim, np.roll(rim, -1), np.full(len(rim), len(s.vertices))], axis=-1)
        wall = Mesh(vertices=np.concatenate([s.vertices, [[0, 0, 0.0]]]), faces=np.concatenate([s.faces, disk]))
        u = np.linspace(-0.4, 0.4, 6)
        sheet = _grid(np.stack([*np.meshgrid(u, u), np.zeros((6, 6))], axis=-1))
        boxes = [box, _moved(box, 1, 0, 0)]
        return {
            "shell within, wound inward": self.of_sphere(concatenate([s, inner.flipped()]), 0.06),
            "shell within, wound outward": self.of_sphere(concatenate([s, inner]), 0.06),
            "double shell with a neck": self.of_sphere(neck, 0.06, 0.04),
            "wall across": self.of_sphere(wall),
            "loose sheet within": self.of_sphere(concatenate([s, sheet])),
            "wall between two boxes": Broken(
                mesh=_welded(concatenate(boxes)), truth=_box((-0.5, -0.5, -0.5), (1.5, 0.5, 0.5)), volume=2.0
            ),
        }

    def bad_faces(self) -> dict[str, Broken]:
        s, box = self.sphere, self.box
        f, n = s.faces, len(s.vertices)
        tips = np.concatenate([s.vertices, [[1.1, 0, 0], [0, 1.1, 0], [0, 0, 1.2]]])
        fins = [[f[0, 0], f[0, 1], n], [f[40, 0], f[40, 1], n + 1], [f[40, 0], f[40, 1], n + 2]]
        flat = [[f[3, 0], f[3, 0], f[3, 1]], [5, 5, 5]]
        return {
            "double faces": self.of_sphere(_faces(s, np.concatenate([f, f[:90], f[:50, ::-1]]))),
            "fins": self.of_sphere(Mesh(vertices=tips, faces=np.concatenate([f, fins]))),
            "faces without area": self.of_sphere(_faces(s, np.concatenate([f, flat])[3:]), 0.02, 0.02),
            "corners in one line": Broken(mesh=_halved(box, close=True), truth=box, volume=1.0),
            "T-junctions": Broken(mesh=_halved(box, close=False), truth=box, volume=1.0),
            "soup": self.of_sphere(_soup(s)),
            "soup with jitter": self.of_sphere(_soup(s, 3e-8)),
        }

    def sheets(self) -> dict[str, Broken]:
        count = 4 * 2**self.detail
        u, v = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count))
        wavy = _grid(np.stack([u, v, 0.1 * np.sin(4 * u)], axis=-1))
        upright = _grid(np.stack([0 * u, v, u], axis=-1))
        half = np.linspace(0, 2 * np.pi, 4 * count)[:, None]
        w = np.array([[-0.3, 0.0, 0.3]])
        strip = np.stack(
            [
                (1 + w * np.cos(half / 2)) * np.cos(half),
                (1 + w * np.cos(half / 2)) * np.sin(half),
                w * np.sin(half / 2),
            ],
            axis=-1,
        )
        area = np.hypot(1, 0.4 * np.cos(4 * np.linspace(-1, 1, 2000))).mean() * 4
        thick = 0.012 * np.linalg.norm(np.ptp(wavy.vertices, axis=0))
        return {
            "open sheet": Broken(mesh=wavy, truth=wavy, volume=area * thick, far=0.02, off=0.1),
            "two sheets crossed": self._sheets([wavy, upright], 2 * 4 * 0.012 * 3),
            "Möbius strip": self._sheets([_welded(_grid(strip))], 2 * np.pi * 0.6 * 0.012 * 2.5),
        }

    def _sheets(self, parts: list[Mesh], volume: float) -> Broken:
        whole = concatenate(parts)
        return Broken(mesh=whole, truth=whole, volume=volume, far=0.03, off=0.8)

    def touching(self) -> dict[str, Broken]:
        box, s = self.box, self.sphere
        cone = trimesh.creation.cone(radius=0.5, height=1, sections=24)
        tips = [_mesh(cone), Mesh(vertices=cone.vertices * [1, 1, -1] + [0, 0, 2], faces=cone.faces[:, ::-1])]
        return {
            "boxes on one edge": self.union(
                [box, _moved(box, 1, 1, 0)], 2.0, _welded(concatenate([box, _moved(box, 1, 1, 0)]))
            ),
            "tip on tip": self.union(tips, 2 * float(cone.volume), _welded(concatenate(tips))),
            "ball on a box": self.union([box, _moved(s, 0, 0, 1.49)], 1 + s.volume(), far=0.04),
        }

    def mixed(self) -> dict[str, Broken]:
        s = self.sphere
        torn = _turned(_faces(s, s.faces[~self.some(s, 0.03)]), np.zeros(1, bool))
        turned = _turned(torn, self.some(torn, 0.3))
        legs = [_box((x, -1, z), (x + 0.08, 0.05, z + 0.08), 1) for x in (0, 0.9) for z in (0, 0.9)]
        seat = _box((-0.02, 0, -0.02), (1, 0.1, 1), 3)
        parts = [seat, *legs]
        chair = 4 * 0.08 * 0.08 + 1.02 * 1.02 * 0.1
        ripped = concatenate([_faces(part, part.faces[1:]) for part in parts])
        inner = _moved(s, 0.02, 0, 0, size=0.85)
        everything = concatenate([turned, inner, _moved(s, 0, 0, 4, size=0.008)])
        doubled = _faces(everything, np.concatenate([everything.faces, everything.faces[::7, ::-1]]))
        return {
            "soup, torn and turned": self.of_sphere(_soup(turned), 0.05, 0.03),
            "torn chair": self.union(parts, chair, _soup(ripped), far=0.04),
            "torn ring within a ball": self.of_sphere(
                concatenate([torn, _moved(_faces(self.torus, self.torus.faces[5:]), 0, 0, 0, size=0.5)]), 0.05, 0.03
            ),
            "all at once": self.of_sphere(_soup(doubled), 0.08, 0.04),
        }


def _turned(mesh: Mesh, chosen: np.ndarray) -> Mesh:
    return _faces(mesh, np.where(chosen[:, None], mesh.faces[:, ::-1], mesh.faces))


def _welded(mesh: Mesh) -> Mesh:
    """One vertex per place: what touches is joined."""
    places, number = np.unique(np.round(mesh.vertices, 9), axis=0, return_inverse=True)
    return Mesh(vertices=places, faces=number.reshape(-1)[mesh.faces])


def _ring_between(shells: Mesh) -> Mesh:
    """The two rims of a double shell joined: a vessel with a wall, whose hollow is open by a narrow neck."""
    edges = shells.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    known = {(a, b) for a, b in edges.tolist()}
    rim = [(a, b) for a, b in edges.tolist() if (b, a) not in known]
    outer = [(a, b) for a, b in rim if np.linalg.norm(shells.vertices[a]) > 0.95]
    half = len(shells.vertices) // 2
    walls = [t for a, b in outer for t in ([b, a, a + half], [b, a + half, b + half])]
    return _faces(shells, np.concatenate([shells.faces, walls]))


def _halved(mesh: Mesh, *, close: bool) -> Mesh:
    """Some faces cut in two at the middle of an edge, their neighbours not; `close` lays a flat face between."""
    vertices, faces = mesh.vertices.tolist(), mesh.faces.tolist()
    for f in range(0, len(mesh.faces), 9):
        a, b, c = mesh.faces[f].tolist()
        vertices.append(((mesh.vertices[a] + mesh.vertices[b]) / 2).tolist())
        middle = len(vertices) - 1
        faces[f] = [a, middle, c]
        faces += [[middle, b, c], *([[a, b, middle]] if close else [])]
    return Mesh(vertices=np.array(vertices), faces=np.array(faces))
