"""Cameras of a glTF file and the paths they make at an image size: glTF knows angles, a CameraPath knows pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.mesh.gltf.nodes import NodeTree
from real2sam2real.scene.camera_path import CameraPath


@dataclass(frozen=True, kw_only=True, eq=False)
class GltfCamera:
    """A perspective camera over T frames."""

    name: str  # the node's name
    world_from_camera: Float  # `(T, 4, 4)` float64 rigid poses; looks along its −Z with +Y up
    vertical_fov_radians: Float  # `(T,)` float64
    aspect_ratio: float | None  # width over height of the view, or None where the file leaves it open; a hint only

    @property
    def moves(self) -> bool:
        """Whether its pose or its field of view changes."""
        angles = self.vertical_fov_radians
        return bool(np.any(self.world_from_camera != self.world_from_camera[0]) or np.any(angles != angles[0]))

    def path(self, width: int, height: int, intrinsics: Intrinsics | None = None) -> CameraPath:
        """The camera's path for images of `width × height` pixels: the vertical field of view is what counts.

        `intrinsics` are those at zoom 1, with a principal point and pixel shape that glTF cannot hold; by default those
        of the first frame, with square pixels and the principal point in the centre.
        """
        focal = height / 2 / np.tan(self.vertical_fov_radians / 2)
        if intrinsics is None:
            intrinsics = Intrinsics.from_focal(width, height, float(focal[0]))
        zoom = focal / intrinsics.resized(width, height).fy
        return CameraPath(
            world_from_camera=self.world_from_camera, intrinsics=intrinsics.resized(width, height), zoom=zoom
        )


def read_cameras(tree: NodeTree) -> list[GltfCamera]:
    """Every perspective camera of the shown scene, in file order; orthographic ones are left out with a note.

    Raises:
        UserError: a camera has no usable field of view or stands nowhere.
    """
    document = tree.document
    cameras: list[GltfCamera] = []
    for node in sorted(tree.order):
        element = tree.elements[node]
        index = element.index("camera", "cameras")
        if index is None:
            continue
        camera = document.element("cameras", index)
        if camera.text("type", "perspective") != "perspective" or not camera.has("perspective"):
            document.note(f"{camera.label} is not a perspective camera; it was left out")
            continue
        lens = camera.child("perspective")
        track = tree.animations.pointers.get(f"/cameras/{index}/perspective/yfov")
        still = np.full(len(tree.seconds), lens.number("yfov"))
        angles = still if track is None else track.at(tree.seconds, snap=tree.snap)[:, 0]
        if np.any(angles <= 1e-6) or np.any(angles >= np.pi - 1e-6):
            camera.fail(f"its field of view 'yfov' is {angles[0]:g} radians", "give an angle between 0 and π")
        aspect = lens.number("aspectRatio") if lens.has("aspectRatio") else None
        if aspect is not None and not 1e-3 <= aspect <= 1e3:
            camera.fail(f"its 'aspectRatio' is {aspect:g}")
        cameras.append(
            GltfCamera(
                name=tree.name(node) or f"camera {len(cameras) + 1}",
                world_from_camera=_rigid(tree, node),
                vertical_fov_radians=angles,
                aspect_ratio=aspect,
            )
        )
    return cameras


def _rigid(tree: NodeTree, node: int) -> Float:
    """`(T, 4, 4)`: the node's world without scale or shear."""
    pose, parent = tree.pose(node), tree.parents[node]
    if pose is not None and (parent is None or tree.still(parent)):
        return transforms.compose(pose.translation, pose.rotation_wxyz)
    world = tree.world(node).copy()
    try:
        translation, rotation, _ = transforms.decompose(world)
    except ValueError:
        tree.elements[node].fail("its transform flattens space, so the camera looks nowhere", "give it a scale of 1")
    return transforms.compose(translation, rotation)
