"""Surface normals of a clip, by estimators that all answer in our axes."""

from real2sam2real.lab.curate.normals.estimator import ESTIMATORS, NormalEstimator, load_estimator

__all__ = ["ESTIMATORS", "NormalEstimator", "load_estimator"]
