"""Edits made in the real Blender, filmed by Cycles and by our renderer.

    R2S2R_BLENDER_PYTHON=blender/bin/python python benchmarks/blender_edits.py
    R2S2R_BLENDER_PYTHON=blender/bin/python python benchmarks/blender_edits.py --own-meshes    # table of docs/meshes.md

Each edit of `blender_side.py` is made on a saved scene, exported over its `scene.glb` as docs/gltf.md says, loaded, and
drawn. Printed for each, as a row of the table in docs/gltf.md: how far the sides of an object's bounding box and its
centroid are from Cycles' (pixels of 240 x 180, the largest over objects and frames); the mean angle between normals
where both see the object, but for the pixels beside another id in either picture (the worst object); and what was said
on loading, but for what was added and repaired. With `--own-meshes`, objects are exported as files for `--mesh`, lifted
where they stood, and the mean angle is printed for every kind of file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from scipy import ndimage

from real2sam2real.arrays import Float, Int
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.corner_normals import with_corner_normals
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo
from real2sam2real.rendering import render_frames
from real2sam2real.run.directing import open_scene
from real2sam2real.run.lifting import lift
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.folder import save_scene

WIDTH, HEIGHT, FRAMES, FPS, FILMED = 240, 180, 9, 16, (0, 3, 6, 8)
ROUTINE = re.compile("counts as added|welded|hole|overlap|inside out")
SIDE = Path(__file__).with_name("blender_side.py")
OWN_MESHES = (("glb", 40_000), ("obj", 40_000), ("ply", 40_000), ("stl", 40_000), ("glb", 400))
"""Kinds of file, and `--max-faces`."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far our film of an edit is from Cycles'."""

    pixels: float  # largest distance of an object's centroid or bounding box; infinite where one sees it alone
    degrees: dict[str, float]  # mean angle of normals, by object
    notes: tuple[str, ...]


def base_scene() -> Scene:
    """A box with hard edges and a smooth ball before a camera that rises while its lens zooms."""
    box, ball = trimesh.creation.box((1, 1, 1)), trimesh.creation.icosphere(subdivisions=3)
    entities = []
    for name, made, at, size in (("box", box, (-1, 0, -4), 1.0), ("ball", ball, (1, 0, -4.5), 0.5)):
        pose = transforms.compose(at, [1, 0, 0, 0], size)
        mesh, _ = with_corner_normals(Mesh(vertices=made.vertices, faces=made.faces.astype(np.int32)), None)
        entities.append(Entity(name=name, mesh=mesh, rest_world_from_object=pose, motion=Motion.still(FRAMES, pose)))
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=60)
    rise = np.stack([transforms.compose([0, 0.05 * k, 0], [1, 0, 0, 0]) for k in range(FRAMES)])
    camera = CameraPath(world_from_camera=rise, intrinsics=lens, zoom=np.linspace(1, 1.2, FRAMES))
    return Scene(entities=tuple(entities), camera=camera, photo=np.zeros((HEIGHT, WIDTH, 3), np.uint8), fps=FPS)


def films(blender: str, folder: Path, names: list[str]) -> list[str]:
    """Have Blender make, export and film edits, all of them by default; gives their names."""
    save_scene(base_scene(), folder / "base")
    shutil.copy(folder / "base" / "scene.glb", folder / "scene.glb")
    done = subprocess.run([blender, str(SIDE), str(folder), *names], capture_output=True, text=True, check=False)
    made = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("filmed ")]
    if done.returncode:
        raise SystemExit(f"Blender failed after {made}: {done.stderr[-3000:]}")
    return made


def compare(folder: Path, name: str) -> Agreement:
    """The scene with an edit, loaded and drawn, beside Cycles' pictures."""
    scene_folder = folder / f"{name}.scene"
    shutil.copytree(folder / "base", scene_folder, dirs_exist_ok=True)
    shutil.copy(folder / f"{name}.glb", scene_folder / "scene.glb")
    scene, notes = open_scene(scene_folder)
    truth = np.load(folder / f"{name}.npy")
    names = json.loads((folder / f"{name}.json").read_text())
    height, width = truth.shape[1:3]
    frames = list(render_frames(scene, width=width, height=height, frames=FILMED))
    return agreement(scene, [f.ids for f in frames], [f.normals for f in frames], truth, names, notes)


def agreement(
    scene: Scene, ids: list[Int], normals: list[Float], truth: Float, names: list[str], notes: list[str]
) -> Agreement:
    """Of our pictures with Cycles', `(T, H, W, 3)`, in which object k of `names` has the number k + 1."""
    true_ids = np.rint(truth[..., 2] / 4).astype(int)
    # Cycles' camera looks along its +Z
    true_normals = np.stack([truth[..., 0] - 2, truth[..., 1] - 2, 4 * true_ids - truth[..., 2]], axis=-1)
    pixels, angles = 0.0, {}
    for name in {*names, *scene.names}:
        ours = [i == scene.names.index(name) + 1 if name in scene.names else i < 0 for i in ids]
        theirs = [t == names.index(name) + 1 if name in names else t < 0 for t in true_ids]
        pixels = max(pixels, *(_apart(*pair) for pair in zip(ours, theirs, strict=True)))
        found = []
        for mine, true, mine_of, true_of in zip(ours, theirs, normals, true_normals, strict=True):
            both = ndimage.binary_erosion(mine & true)
            cosine = (mine_of * true_of).sum(axis=-1)[both] / np.linalg.norm(true_of, axis=-1)[both]
            found.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        if sum(map(len, found)):
            angles[name] = float(np.concatenate(found).mean())
    return Agreement(pixels=pixels, degrees=angles, notes=tuple(notes))


def _apart(mine: Int, true: Int) -> float:
    """Pixels between centroids or sides of the boxes of two masks `(H, W)`, whichever is more."""
    if not mine.any() and not true.any():
        return 0.0
    if not mine.any() or not true.any():
        return float("inf") if max(mine.sum(), true.sum()) > 12 else 0.0
    found = []
    for mask in (mine, true):
        y, x = np.nonzero(mask)
        found.append(np.array([x.mean(), y.mean(), x.min(), x.max(), y.min(), y.max()]))
    return float(np.abs(found[0] - found[1]).max())


def own_mesh_row(folder: Path, name: str) -> str:
    """The mean angle of an object's normals to Cycles', lifted from each of `OWN_MESHES`, as a line of a table."""
    truth = np.load(folder / f"{name}.npy")[:1]
    names = json.loads((folder / f"{name}.json").read_text())
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    angles = []
    for kind, faces in OWN_MESHES:
        options = LiftOptions(
            mesh=(f"{names[0]}={folder / name}.{kind}",), mesh_frame="camera-opengl", align=False, contact="off",
            billboards=False, max_faces=faces,
        )  # fmt: skip
        view = ViewOptions(fov=60, pitch=0)
        scene, _ = lift(Photo(pixels=pixels), {names[0]: truth[0, ..., 2] > 2}, view=view, options=options)
        frame = next(render_frames(scene, width=WIDTH, height=HEIGHT, frames=[0]))
        found = agreement(scene, [frame.ids], [frame.normals], truth, names, [])
        angles.append(f"{found.degrees[names[0]]:.2f}°")
    return " | ".join([f"| {name.replace('_', ' ')}", *angles]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edits", nargs="*", help="names of edits; all by default")
    parser.add_argument("--own-meshes", action="store_true", help="files for --mesh in place of edits")
    parser.add_argument("-o", "--output", type=Path, help="keep what Blender and we made here")
    options = parser.parse_args()
    blender = os.environ.get("R2S2R_BLENDER_PYTHON")
    if not blender:
        raise SystemExit("R2S2R_BLENDER_PYTHON names no Python that has bpy; docs/gltf.md says how to get one")
    with tempfile.TemporaryDirectory() as made_here:
        folder = options.output or Path(made_here)
        folder.mkdir(parents=True, exist_ok=True)
        if options.own_meshes:
            print("| | " + " | ".join(f"{kind.upper()}, {faces:,}" for kind, faces in OWN_MESHES) + " |")
            print("|---" * (1 + len(OWN_MESHES)) + "|")
            for name in films(blender, folder, ["own_meshes"]):
                print(own_mesh_row(folder, name), flush=True)
            return
        print("| edit | pixels | normals | said on loading |\n|---|---|---|---|")
        for name in films(blender, folder, options.edits):
            print(row(name, compare(folder, name)))


def row(name: str, found: Agreement) -> str:
    """An edit's line of the table."""
    said = "; ".join(note for note in found.notes if not ROUTINE.search(note))
    apart = "sees another object" if np.isinf(found.pixels) else f"{found.pixels:.1f}"
    return f"| {name.replace('_', ' ')} | {apart} | {max(found.degrees.values()):.2f}° | {said} |"


if __name__ == "__main__":
    main()
