"""Finds and follows the patient's face."""

from digitalmask.tracking.networks import Networks, load_networks
from digitalmask.tracking.observation import FaceObservation
from digitalmask.tracking.tracker import FaceTracker

__all__ = ["FaceObservation", "FaceTracker", "Networks", "load_networks"]
