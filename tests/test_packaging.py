"""What is shipped: the wheel and the source distribution hold the code and its assets, and nothing else."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "real2sam2real"
LARGEST_WHEEL_BYTES = 80 * 2**20
IMPORT_NAMES = {
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "fast-simplification": "fast_simplification",
}
OPTIONAL = {
    "OpenEXR",
    "anny",
    "bitsandbytes",
    "ftfy",
    "gguf",
    "huggingface_hub",
    "matplotlib",
    "peft",
    "pycolmap",
    "ray",
    "scenedetect",
    "torchao",
    "transformers",
}  # the extra `train`, and said so where it is used
IN_OTHER_ENVIRONMENTS = {"normalcrafter", "sam_3d_body", "step1x3d_geometry", "triposg"}  # imported by workers alone
PERMISSIVE = re.compile(r"\b(BSD|MIT|MIT-CMU|Apache|MPL-2\.0)\b")


def shipped_files() -> set[str]:
    """What belongs into a distribution: every source and asset of the package, relative to the root."""
    files = [PACKAGE / "py.typed", *PACKAGE.rglob("*.py"), *(p for p in (PACKAGE / "assets").rglob("*") if p.is_file())]
    return {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """File names in a wheel and a source distribution built from a copy of the checkout, by kind."""
    copy = tmp_path_factory.mktemp("build") / "project"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "runs", "checkpoints", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    script = (
        "import zlib\n"
        "deflate = zlib.compressobj\n"
        "zlib.compressobj = lambda level=0, *others: deflate(0, *others)\n"  # weights hardly shrink, and it takes long
        "import setuptools.build_meta as b; b.build_sdist('out'); b.build_wheel('out')"
    )
    subprocess.run([sys.executable, "-c", script], cwd=copy, check=True, capture_output=True)
    (wheel,) = (copy / "out").glob("*.whl")
    (sdist,) = (copy / "out").glob("*.tar.gz")
    assert wheel.stat().st_size < LARGEST_WHEEL_BYTES
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    return {"wheel": in_wheel, "sdist": in_sdist}


def test_wheel_holds_code_and_assets_alone(distributions: dict[str, set[str]]) -> None:
    packed = {name for name in distributions["wheel"] if ".dist-info/" not in name}
    assert packed == shipped_files()
    assert any(name.endswith("/licenses/LICENSE") for name in distributions["wheel"])


def test_sdist_holds_what_the_wheel_is_built_from(distributions: dict[str, set[str]]) -> None:
    around = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    packed = {name for name in distributions["sdist"] if ".egg-info/" not in name}
    assert packed == shipped_files() | around


NEEDED_BY_OTHERS: set[str] = set()
"""Optional for a library we import, and needed for what we ask of it: diffusers' mixed-precision loading."""


def requirements() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {re.match(r"[\w-]+", line).group() for line in project["dependencies"]}


def test_every_dependency_is_imported_and_every_import_declared() -> None:
    tops = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                tops.add(node.module.split(".")[0])
    declared = {IMPORT_NAMES.get(name, name) for name in requirements()} - NEEDED_BY_OTHERS
    assert tops - {*sys.stdlib_module_names, "real2sam2real", *OPTIONAL, *IN_OTHER_ENVIRONMENTS} == declared


@pytest.mark.parametrize("name", sorted(requirements()))
def test_dependency_is_permissively_licensed(name: str) -> None:
    about = metadata.metadata(name)
    classified = [line for line in about.get_all("Classifier") or [] if line.startswith("License")]
    stated = about.get("License-Expression") or "; ".join(classified) or about.get("License") or ""
    assert PERMISSIVE.search(stated), stated
    assert "GPL" not in stated
