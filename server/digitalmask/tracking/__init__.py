"""Finds and follows the patient's face."""
