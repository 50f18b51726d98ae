"""The photo's camera: intrinsics, depth, gravity, unit and ground, estimated or as given. See docs/camera.md."""
