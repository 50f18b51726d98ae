"""The layer contract: rooms import upwards only, and nothing heavy loads before it is needed."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "real2sam2real"
ARCHITECTURE = PACKAGE.parent / "docs" / "architecture.md"
# The table of the page is the contract, from the top down. `lab` is four rooms under one roof, `api` a module.
ROOMS = re.findall(r"^\| `([\w.]+)` \|", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
LEAVES = {"arrays", "errors", "files", "options"}
# The procedural world makes training data and ground truth; what cleans real clips must not know it.
FORBIDDEN = {("lab.curate", "lab.synth")}
HEAVY = {
    "accelerate", "av", "cv2", "diffusers", "fast_simplification", "huggingface_hub", "manifold3d", "numba", "peft",
    "PIL", "ray", "scipy", "torch", "transformers",
}  # fmt: skip
SOURCES = sorted(PACKAGE.rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported_modules(path: Path) -> set[str]:
    """Absolute names of everything a file imports, at any depth of its code, also for the types alone."""
    package = ["real2sam2real", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], node.module or ""]).rstrip(".")
            base = base if node.level else node.module
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def room_of(parts: Sequence[str]) -> str:
    """The room of a module or file, by the parts of its name below the package."""
    return ".".join(parts[:2]) if parts[0] == "lab" else parts[0]


def rooms_used(path: Path) -> set[str]:
    parts = [name.split(".") for name in imported_modules(path)]
    return {room_of(p[1:]) for p in parts if p[0] == "real2sam2real" and len(p) > 1} & {*ROOMS, *LEAVES}


def test_every_folder_of_the_package_is_a_known_room() -> None:
    inside = [path.relative_to(PACKAGE).parts for path in SOURCES if len(path.relative_to(PACKAGE).parts) > 1]
    assert {room_of(parts) for parts in inside if parts != ("lab", "__init__.py")} == {*ROOMS} - {"api"}
    assert {path.stem for path in PACKAGE.glob("*.py")} == {*LEAVES, "__init__", "__main__", "api"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_upwards(path: Path) -> None:
    used = rooms_used(path)
    parts = path.relative_to(PACKAGE).parts
    if parts in {("__init__.py",), ("__main__.py",)}:
        return  # the package's face names its homes for type checkers, and loads them when they are used; `python -m`
    if parts[0].removesuffix(".py") in LEAVES:
        assert not used & {*ROOMS}, f"{path.name} is shared by all rooms and may use none"
        return
    if parts == ("lab", "__init__.py"):
        assert not used
        return
    room = room_of((parts[0].removesuffix(".py"), *parts[1:]))
    below = {other for other in used & {*ROOMS} if ROOMS.index(other) > ROOMS.index(room)}
    assert not below, f"{room} stands above {', '.join(sorted(below))} and may not import it"
    assert not {(room, other) for other in used} & FORBIDDEN


def test_no_module_imports_itself_round_a_corner() -> None:
    assert not circles({name_of(path): modules_used(path) for path in SOURCES[1:]})


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def name_of(path: Path) -> str:
    parts = ["real2sam2real", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(source) for source in SOURCES}


def modules_used(path: Path) -> set[str]:
    """The package's modules that a file imports; a name's parent packages are no import of their own."""
    found = imported_modules(path) & MODULES
    inner = {name for name in found if any(other.startswith(f"{name}.") for other in found)}
    return found - inner - {name_of(path)}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (strongly connected components of more than one)."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    reach = {name: reached(name) for name in graph}
    groups = {tuple(sorted(o for o in reach[name] if name in reach[o])) for name in graph if name in reach[name]}
    return [list(group) for group in sorted(groups)]


READERS = {"json.load", "json.loads", "tarfile.open", "yaml.compose", "yaml.load", "yaml.parse", "yaml.safe_load"}
HOMES = {
    "workfolder/json_values.py", "workfolder/archives.py", "workfolder/yaml_text.py",
    "lifting/workers/lifting_worker/inputs.py",  # runs in lifters' own environments, without the package
    "lab/evaluate/vbench_worker/main.py",  # in VBench's, as well
}  # fmt: skip


def reads(path: Path) -> set[str]:
    """The readers of JSON, YAML and tars that a file calls, but for those that write."""
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    writing = {"w", "w:gz"}
    return {
        ast.unparse(call.func)
        for call in calls
        if not writing & {value.value for value in ast.walk(call) if isinstance(value, ast.Constant)}
    } & READERS


def test_json_yaml_and_tars_are_read_within_limits() -> None:
    """At one home each, which knows limits of size and depth."""
    assert {path.relative_to(PACKAGE).as_posix() for path in SOURCES if reads(path)} == HOMES


def test_a_class_name_is_used_once() -> None:
    homes: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())
    assert not {name: where for name, where in homes.items() if len(where) > 1}


@pytest.mark.parametrize("path", [p for p in SOURCES if "geometry" in p.parts], ids=lambda path: path.name)
def test_geometry_needs_numpy_alone(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported_modules(path)}
    assert tops <= {*sys.stdlib_module_names, "numpy", "real2sam2real"}


def modules_loaded_by(code: str) -> set[str]:
    """Top-level packages in sys.modules after running `code` in a fresh interpreter."""
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import real2sam2real", "import real2sam2real.geometry, real2sam2real.scene"])
def test_importing_the_package_is_cheap(code: str) -> None:
    assert not modules_loaded_by(code) & HEAVY


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["generate", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"from real2sam2real.cli.main import main\ntry: main({arguments})\nexcept SystemExit as e: assert not e.code"
    assert not modules_loaded_by(code) & {*HEAVY, "numpy"}
