"""How normals are encoded as video, the control folder, motion transfer. Conventions: docs/conventions.md."""

from real2sam2real.control.folder import Control, save_control, write_control
from real2sam2real.control.normal_convention import PRESETS, NormalConvention
from real2sam2real.control.reading import open_control, read_control
from real2sam2real.control.transfer import fit_photo, transfer_control

__all__ = [
    "PRESETS",
    "Control",
    "NormalConvention",
    "fit_photo",
    "open_control",
    "read_control",
    "save_control",
    "transfer_control",
    "write_control",
]
