"""The user's own meshes: glTF, OBJ, PLY and STL files in, `LiftedMesh` out; and their animation in the shot.

What is read and how frames are decided: docs/meshes.md.
"""

from real2sam2real.lift.mesh_files.frames import FRAMES, Frame
from real2sam2real.lift.mesh_files.playing import entity_motion
from real2sam2real.lift.mesh_files.reading import mesh_extensions, read_mesh_file

__all__ = ["FRAMES", "Frame", "entity_motion", "mesh_extensions", "read_mesh_file"]
