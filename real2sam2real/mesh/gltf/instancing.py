"""EXT_mesh_gpu_instancing: many copies of one mesh below a node become nodes of their own."""

from __future__ import annotations

from typing import Any

from real2sam2real.mesh.gltf.accessors import read_floats
from real2sam2real.mesh.gltf.container import Document

MOST_COPIES = 10_000  # of all meshes; far more than a scene can hold, and few enough to count


def expand_instances(document: Document) -> None:
    """Give every copy a node below the one that is drawn many times, which keeps its own transform and children.

    Raises:
        UserError: the attributes do not fit each other, or there are too many copies.
    """
    nodes = document.root.array("nodes")
    copies = 0
    for number in range(len(nodes)):
        element = document.element("nodes", number)
        extension = element.extension("EXT_mesh_gpu_instancing")
        if extension is None or not element.has("mesh"):
            continue
        attributes = extension.child("attributes")
        columns: dict[str, Any] = {}
        for name, kind in (("TRANSLATION", "VEC3"), ("ROTATION", "VEC4"), ("SCALE", "VEC3")):
            index = attributes.index(name, "accessors")
            if index is not None:
                columns[name.lower()] = read_floats(document, index, kind).tolist()
        counts = {len(column) for column in columns.values()}
        if len(counts) != 1:
            element.fail("its instances have no, or not equally many, places, rotations and scales")
        copies += (count := counts.pop())
        if copies > MOST_COPIES:
            element.fail(f"the file draws more than {MOST_COPIES:,} copies of its meshes", "export fewer of them")
        shared = {key: element.value.pop(key) for key in ("mesh", "weights") if element.has(key)}
        name = element.value.get("name") or f"object {number + 1}"
        children = element.value.setdefault("children", [])
        for k in range(count):
            pose = {key: column[k] for key, column in columns.items()}
            children.append(len(nodes))
            nodes.append({"name": f"{name} {k + 1}", **shared, **pose})
