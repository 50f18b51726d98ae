"""Weights and packages made by others: found here or on the hub, loaded whole, or said to be missing and how to get.

`hub` finds files and folders, `packages` finds Python packages, `models` loads what transformers knows.
"""
