"""The glTF 2.0 file format: container, accessors, nodes, animation, materials, triangles. Extensions: docs/gltf.md."""
