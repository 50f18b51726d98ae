"""Mesh files of the user's own, one module a format: OBJ, PLY, STL."""
