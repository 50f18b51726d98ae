"""Runs inside a lifter's own environment (Python 3.10 or newer, NumPy, the lifter's packages) and talks in files.

This folder is copied beside every request, with `real2sam2real.workers.there`, and imports nothing else of the package
that it comes from: the standard library, NumPy, the lifter's own packages and itself.
"""
