"""NormalCrafter, run in its own environment."""

from real2sam2real.lab.curate.normals.normalcrafter.estimator import FOLDER_VARIABLE, PYTHON_VARIABLE, NormalCrafter

__all__ = ["FOLDER_VARIABLE", "PYTHON_VARIABLE", "NormalCrafter"]
