"""A live privacy filter for telemedicine: patients are seen as a digital mask."""

__version__ = "0.1.0"
