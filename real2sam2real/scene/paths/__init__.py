"""Camera paths from and for other programs; each format's conventions are in docs/camera-paths.md."""

from real2sam2real.scene.paths.files import FORMATS, load_camera_path, save_camera_path

__all__ = ["FORMATS", "load_camera_path", "save_camera_path"]
