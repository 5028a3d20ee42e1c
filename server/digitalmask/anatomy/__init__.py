"""From 478 points to the numbers of a mask."""

from digitalmask.anatomy.estimator import MaskEstimator

__all__ = ["MaskEstimator"]
