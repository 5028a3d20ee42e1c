"""From 478 points to the numbers of a mask."""

from digitalmask.anatomy.carrying import carried_on
from digitalmask.anatomy.estimator import MaskEstimator

__all__ = ["MaskEstimator", "carried_on"]
