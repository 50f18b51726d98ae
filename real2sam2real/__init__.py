"""One photo in, a video out that its user directs like a film set.

The functions and types of `__all__` are the package's face; each is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from real2sam2real.api import direct, generate, lift, load_scene, preview, render, save_scene
    from real2sam2real.control.folder import Control
    from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
    from real2sam2real.errors import UserError
    from real2sam2real.geometry.camera import Intrinsics
    from real2sam2real.lifting.options import LiftOptions
    from real2sam2real.mesh.mesh import Mesh
    from real2sam2real.perceive.camera.options import ViewOptions
    from real2sam2real.scene.camera_path import CameraPath
    from real2sam2real.scene.motion import Keyframe, Motion
    from real2sam2real.scene.scene import Entity, Scene
    from real2sam2real.scene.shot import Shot

__version__ = "0.1.0"

_HOMES = {
    "CameraPath": "scene.camera_path",
    "Control": "control.folder",
    "Entity": "scene.scene",
    "Intrinsics": "geometry.camera",
    "Keyframe": "scene.motion",
    "LiftOptions": "lifting.options",
    "Mesh": "mesh.mesh",
    "Motion": "scene.motion",
    "Real2Sam2RealPipeline": "diffusion.loading",
    "Scene": "scene.scene",
    "Shot": "scene.shot",
    "UserError": "errors",
    "ViewOptions": "perceive.camera.options",
    "direct": "api",
    "generate": "api",
    "lift": "api",
    "load_scene": "api",
    "preview": "api",
    "render": "api",
    "save_scene": "api",
}

__all__ = [  # noqa: RUF022 - in the order of use
    "lift", "direct", "render", "preview", "generate", "load_scene", "save_scene",
    "Scene", "Entity", "Motion", "Keyframe", "CameraPath", "Shot", "Mesh", "Intrinsics", "Control",
    "LiftOptions", "ViewOptions", "Real2Sam2RealPipeline", "UserError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'real2sam2real' has no attribute '{name}'")
    return getattr(importlib.import_module(f"real2sam2real.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
