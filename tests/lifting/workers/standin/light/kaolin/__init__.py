"""Needed by SAM 3D Objects, and by nothing here."""
