"""Patients who do not exist, drawn by a path of their own, with all that they do known exactly."""

from digitalmask.simulation.patient import SimulatedPatient
from digitalmask.simulation.pose import Droop, EyePose, PatientPose

__all__ = ["Droop", "EyePose", "PatientPose", "SimulatedPatient"]
