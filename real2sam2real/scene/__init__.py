"""The editable 3D cache: scenes, entities, motions, camera paths, shot files, glTF."""

from real2sam2real.scene.background import BackgroundRelief
from real2sam2real.scene.billboard import Billboard
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.motion import Keyframe, Motion
from real2sam2real.scene.scene import Entity, Scene

__all__ = ["BackgroundRelief", "Billboard", "CameraPath", "Entity", "Keyframe", "Motion", "Scene"]
