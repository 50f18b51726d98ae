"""glTF in and out: `save_glb` and `load_glb`. How scenes map to glTF: docs/gltf.md."""

from real2sam2real.mesh.gltf.animation import Playback
from real2sam2real.scene.gltf.cameras import GltfCamera
from real2sam2real.scene.gltf.reader import GltfScene, load_glb
from real2sam2real.scene.gltf.writer import parents, save_glb, split_at_seams

__all__ = ["GltfCamera", "GltfScene", "Playback", "load_glb", "parents", "save_glb", "split_at_seams"]
