"""Runs inside VBench's own environment (Python 3.10 or newer, its package `vbench`) and talks in files.

This folder is copied beside every request, with `real2sam2real.workers.there`, and imports nothing else of the package
that it comes from: the standard library, `vbench` and what that needs, and itself.
"""
