"""What there is on this machine to cut out, to see depth and to lift, and what each says where it is missing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from real2sam2real.errors import UserError, require
from real2sam2real.lifting.options import LifterOptions
from real2sam2real.lifting.people.body_model import EXTRA, is_installed
from real2sam2real.lifting.people.lifter import LIFTER as PEOPLE
from real2sam2real.lifting.workers.catalogue import LIFTERS
from real2sam2real.lifting.workers.lifter import probe
from real2sam2real.perceive.camera.depth_pro import DEFAULT_MODEL as DEPTH_PRO
from real2sam2real.perceive.camera.moge import DEFAULT_MODEL as MOGE
from real2sam2real.perceive.camera.moge import INSTALL as INSTALL_MOGE
from real2sam2real.perceive.segment.nanodet import SYNONYMS, WORDS
from real2sam2real.perceive.segment.options import DETECTOR, SAM2, SAM3
from real2sam2real.pretrained.hub import find_file, find_folder
from real2sam2real.pretrained.models import transformers_class


def marking_choices(environments: LifterOptions) -> dict[str, Any]:
    """`MarkingChoices` of the page's types.ts. Nothing is loaded or downloaded; to ask lifters takes seconds.

    Args:
        environments: where lifters of other environments run, as the command that started the studio says.
    """
    with ThreadPoolExecutor(len(LIFTERS)) as pool:
        foreign = list(pool.map(lambda name: _foreign(name, environments), LIFTERS))
    return {
        "segmenters": [
            _ready("embedded", "The package's own networks", "boxes, points and 80 words"),
            _ready("grabcut", "Colours alone (GrabCut)", "boxes and points, no words"),
            _asked("sam2", "SAM 2.1", _find_sam2),
            _asked("sam3", "SAM 3", _find_sam3),
        ],
        "lifters": [
            _ready("embedded", "Embedded", "solids and silhouettes, no download"),
            {
                "name": PEOPLE,
                "title": "People",
                "ready": is_installed(),
                "says": "bodies that can be posed" if is_installed() else f"not installed: pip install '{EXTRA}'",
            },
            *foreign,
        ],
        "depths": [
            _ready("none", "None", "distances from the objects' feet"),
            _asked("moge", "MoGe-2", _find_moge),
            _asked("depth-pro", "Depth Pro (research only)", _find_depth_pro),
        ],
        "words": sorted({*WORDS, *SYNONYMS}),
    }


def _ready(name: str, title: str, says: str) -> dict[str, Any]:
    return {"name": name, "title": title, "ready": True, "says": says}


def _asked(name: str, title: str, find: Callable[[], object]) -> dict[str, Any]:
    try:
        find()
    except UserError as error:
        return {"name": name, "title": title, "ready": False, "says": str(error)}
    return _ready(name, title, "installed")


def _foreign(name: str, environments: LifterOptions) -> dict[str, Any]:
    try:
        says = probe(name, environments.environment_of(name, offline=True))
    except UserError as error:
        return {"name": name, "title": LIFTERS[name].title, "ready": False, "says": str(error)}
    return _ready(name, LIFTERS[name].title, says)


def _find_sam2() -> None:
    find_folder(SAM2, offline=True)  # files first: to ask transformers is to import it, which takes seconds
    find_folder(DETECTOR, offline=True)
    transformers_class("Sam2Model")


def _find_sam3() -> None:
    find_folder(SAM3, offline=True)
    find_folder(SAM2, offline=True)
    transformers_class("Sam3Model")


def _find_moge() -> None:
    require("moge", f"MoGe-2 is not installed: {INSTALL_MOGE}")
    find_file(MOGE, "model.pt", offline=True)


def _find_depth_pro() -> None:
    find_folder(DEPTH_PRO, offline=True)
    transformers_class("DepthProForDepthEstimation")
