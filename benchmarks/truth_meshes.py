"""Real meshes by which lifting is measured: where each is from, under which terms, what it shows; and some made here.

Nothing of it is in this repository. Clone the repositories named below into one folder each, called OWNER+NAME, put the
wheels of the two packages beside them (`pip download --no-deps pybullet robosuite`), and run

    python benchmarks/truth_meshes.py FOLDER_OF_CLONES FOLDER_OF_MESHES

Terms, as their authors state them: Quaternius' and Kenney's models are CC0; `common-3d-test-models` collects research
models that are free to measure with; robosuite is MIT, the data of pybullet is zlib or CC0.
"""

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import manifold3d
import numpy as np

from real2sam2real.mesh import Mesh

QUATERNIUS, KENNEY = "trebeljahr+quaternius-showcase", "adentranter+tcwg-the-game"
RACING, TESTS = "KenneyNL+Starter-Kit-Racing", "alecjacobson+common-3d-test-models"
ROOM = "public/glb/house_interior_pack/"

# How high a photographer's camera stands above things of a kind: degrees of elevation over the object's middle.
ELEVATION = {"low": 5.0, "street": 9.0, "room": 17.0, "table": 22.0}


@dataclass(frozen=True, kw_only=True)
class TruthMesh:
    """A mesh to measure by."""

    name: str
    kind: str  # what the table sums up
    word: str  # how a person would call it; the entity's name in the lift with words
    source: str  # OWNER+NAME of a clone, or the package whose wheel holds it
    path: str
    view: str = "room"  # a key of ELEVATION
    turn: float = 0.0  # degrees about the vertical that bring its front to +Z
    up: str = "y"  # the axis that points up
    boxy: bool = False  # whether a carpenter would start from a box
    held_out: bool = False  # looked at only at the end of tuning


def _q(name: str, kind: str, word: str, file: str, **more: object) -> TruthMesh:
    return TruthMesh(name=name, kind=kind, word=word, source=QUATERNIUS, path=f"public/glb/{file}.glb", **more)  # type: ignore[arg-type]


def _r(name: str, kind: str, word: str, **more: object) -> TruthMesh:
    return _q(name.lower(), kind, word, f"house_interior_pack/{name}", **more)


def _k(name: str, kind: str, word: str, **more: object) -> TruthMesh:
    path = f"public/models/{name}.glb"
    return TruthMesh(name=Path(name).name.lower(), kind=kind, word=word, source=KENNEY, path=path, **more)  # type: ignore[arg-type]


def _t(name: str, kind: str, word: str, **more: object) -> TruthMesh:
    return TruthMesh(name=Path(name).stem, kind=kind, word=word, source=TESTS, path=f"data/{name}", **more)  # type: ignore[arg-type]


def _wheel(package: str, path: str, name: str, kind: str, word: str, **more: object) -> TruthMesh:
    return TruthMesh(name=name, kind=kind, word=word, source=package, path=path, **more)  # type: ignore[arg-type]


MESHES = (
    _k("sedan", "car", "car", view="street", boxy=True),
    _k("suv", "car", "car", view="street", boxy=True),
    _k("hatchback-sports", "car", "car", view="street", boxy=True, held_out=True),
    _k("taxi", "car", "taxi", view="street", boxy=True),
    _t("beetle.obj", "car", "car", view="street", boxy=True, held_out=True),
    _k("delivery", "truck", "truck", view="street", boxy=True),
    _k("garbage-truck", "truck", "truck", view="street", boxy=True, held_out=True),
    _k("van", "truck", "van", view="street", boxy=True),
    TruthMesh(name="motorcycle", kind="motorcycle", word="motorcycle", source=RACING,
              path="models/vehicle-motorcycle.glb", view="street"),
    _r("Chair_1", "chair", "chair", boxy=True),
    _r("Chair_2", "chair", "chair", boxy=True, held_out=True),
    _r("Chair_4", "chair", "chair", boxy=True),
    _k("GLTF format/chairDesk", "chair", "chair"),
    _r("Stool", "chair", "stool"),
    _r("Couch_Medium1", "sofa", "couch", boxy=True),
    _r("Couch_Large2", "sofa", "sofa", boxy=True, held_out=True),
    _r("Bed_King", "sofa", "bed", boxy=True),
    _r("Bed_Single", "sofa", "bed", boxy=True, held_out=True),
    _r("Drawer_1", "cabinet", "drawer", boxy=True),
    _r("Kitchen_Fridge", "cabinet", "fridge", boxy=True),
    _r("Bathroom_WashingMachine", "cabinet", "washing machine", boxy=True),
    _r("Bookshelf", "cabinet", "bookshelf", boxy=True, held_out=True),
    _k("GLTF format/televisionModern", "screen", "tv", boxy=True),
    _k("GLTF format/laptop", "screen", "laptop", view="table", boxy=True, held_out=True),
    _r("Table_RoundSmall", "table", "table"),
    _k("GLTF format/sideTable", "table", "table", boxy=True),
    _r("Bathroom_Toilet", "bathroom", "toilet"),
    _r("Bathroom_Bathtub", "bathroom", "bathtub", boxy=True),
    _q("bottle", "round", "bottle", "survival_pack/WaterBottle_1", view="table"),
    _wheel("robosuite", "robosuite/models/assets/objects/meshes/can.stl", "can", "round", "can", view="table", up="z"),
    _q("pot", "round", "pot", "survival_pack/Pot", view="table"),
    _q("chalice", "round", "cup", "rpg_items_pack/Chalice", view="table"),
    _r("Trashcan_Cylindric", "round", "trash can", held_out=True),
    _q("potion", "round", "vase", "rpg_items_pack/Potion2_Filled", view="table", held_out=True),
    _wheel("pybullet", "pybullet_data/soccerball.obj", "ball", "round", "ball"),
    _wheel("robosuite", "robosuite/models/assets/objects/meshes/milk.stl", "milk", "box", "box", view="table", up="z",
           boxy=True),
    _wheel("robosuite", "robosuite/models/assets/objects/meshes/cereal.stl", "cereal", "box", "box", view="table",
           up="z", boxy=True, held_out=True),
    _t("cow.obj", "animal", "cow", view="street", turn=-90),
    _t("spot.obj", "animal", "cow", view="street", turn=180),
    _q("horse", "animal", "horse", "animals_pack/Horse", view="street"),
    _q("husky", "animal", "dog", "animals_pack/Husky", view="street", held_out=True),
    _t("stanford-bunny.obj", "animal", "rabbit", view="table"),
    _wheel("pybullet", "pybullet_data/duck.obj", "duck", "animal", "duck", view="table"),
    _q("man", "person", "person", "modular_men/Casual", view="low"),
    _q("woman", "person", "woman", "modular_women/Formal", view="low", held_out=True),
    _q("worker", "person", "man", "modular_men/Worker", view="low"),
    _t("homer.obj", "person", "man", view="low"),
    _t("nefertiti.obj", "head", "bust", view="low", up="z", held_out=True),
    _t("suzanne.obj", "head", "head", view="low"),
    _q("helmet", "head", "helmet", "single_knight_pack/Helmet1", view="table"),
    _t("teapot.obj", "object", "teapot", view="table"),
    _q("backpack", "object", "backpack", "survival_pack/Backpack", view="room"),
    _r("Light_Floor1", "thin", "lamp"),
    _r("Houseplant_1", "thin", "plant", held_out=True),
    _k("GLTF format/pottedPlant", "thin", "plant"),
)  # fmt: skip


def made() -> dict[str, tuple[TruthMesh, Mesh]]:
    """Simple solids for who has no meshes: a car, a chair, a table, a monitor, a cup and a person of simple parts."""
    box, cylinder = _box, _cylinder
    car = [box(1.8, 0.65, 4.4, y=0.3), box(1.5, 0.6, 2.2, y=0.95, z=-0.2)]
    car += [cylinder(0.32, 0.25, x=x, y=0.32, z=z, lying=True) for x in (-0.8, 0.8) for z in (-1.4, 1.4)]
    chair = [box(0.45, 0.05, 0.45, y=0.42), box(0.45, 0.5, 0.05, y=0.45, z=-0.2)]
    chair += [box(0.05, 0.43, 0.05, x=x, z=z) for x in (-0.19, 0.19) for z in (-0.19, 0.19)]
    table = [box(1.4, 0.06, 0.8, y=0.7)]
    table += [box(0.07, 0.72, 0.07, x=x, z=z) for x in (-0.62, 0.62) for z in (-0.32, 0.32)]
    monitor = [box(0.6, 0.36, 0.04, y=0.12), box(0.06, 0.2, 0.04, z=-0.03), box(0.24, 0.02, 0.2)]
    cup = [cylinder(0.05, 0.11)]
    person = [box(0.4, 0.6, 0.22, y=0.85), cylinder(0.1, 0.24, y=1.5), cylinder(0.06, 0.1, y=1.42)]
    person += [box(0.14, 0.88, 0.16, x=x) for x in (-0.11, 0.11)]
    person += [box(0.1, 0.65, 0.1, x=x, y=0.8) for x in (-0.25, 0.25)]
    parts = {
        "made_car": (car, "car", "car", "street", True),
        "made_chair": (chair, "chair", "chair", "room", True),
        "made_table": (table, "table", "table", "room", True),
        "made_monitor": (monitor, "screen", "monitor", "table", True),
        "made_cup": (cup, "round", "cup", "table", False),
        "made_person": (person, "person", "person", "low", False),
    }
    result = {}
    for name, (solids, kind, word, view, boxy) in parts.items():
        truth = TruthMesh(name=name, kind=kind, word=word, source="made", path="", view=view, boxy=boxy)
        result[name] = (truth, _united(solids))
    return result


def _box(width: float, height: float, depth: float, *, x: float = 0, y: float = 0, z: float = 0) -> manifold3d.Manifold:
    return manifold3d.Manifold.cube((width, height, depth)).translate((x - width / 2, y, z - depth / 2))


def _cylinder(
    radius: float, height: float, *, x: float = 0, y: float = 0, z: float = 0, lying: bool = False
) -> manifold3d.Manifold:
    solid = manifold3d.Manifold.cylinder(height, radius, radius, 48, lying)
    return solid.rotate((0, 90, 0) if lying else (-90, 0, 0)).translate((x, y, z))


def _united(solids: list[manifold3d.Manifold]) -> Mesh:
    result = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add).to_mesh()
    return Mesh(vertices=np.asarray(result.vert_properties)[:, :3].astype(np.float64), faces=result.tri_verts)


def _git(clone: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", clone, *arguments], capture_output=True, check=True).stdout


def collect(clones: Path, folder: Path) -> None:
    """Copy the meshes out of clones and wheels into a folder, each under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for mesh in MESHES:
        target = folder / (mesh.name + Path(mesh.path).suffix)
        wheels = list(clones.glob(f"{mesh.source}-*.whl"))
        if wheels:
            data = zipfile.ZipFile(wheels[0]).read(mesh.path)
        else:
            clone = next((p for p in (clones / mesh.source / "repo", clones / mesh.source) if p.is_dir()), None)
            if clone is None:
                sys.exit(f"{mesh.name}: there is neither a clone nor a wheel of {mesh.source} in {clones}")
            data = _git(clone, "show", f"HEAD:{mesh.path}")
            beside = f"{Path(mesh.path).parent}/Textures/"  # where Kenney's models have their colours
            for texture in _git(clone, "ls-tree", "--name-only", "HEAD", beside).decode().split("\n"):
                if texture.endswith(".png"):
                    (folder / "Textures").mkdir(exist_ok=True)
                    (folder / "Textures" / Path(texture).name).write_bytes(_git(clone, "show", f"HEAD:{texture}"))
        target.write_bytes(data)
        print(f"{target.name}: {len(data):,} bytes from {mesh.source}")


if __name__ == "__main__":
    collect(Path(sys.argv[1]), Path(sys.argv[2]))
