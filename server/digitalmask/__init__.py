"""A live privacy filter for telemedicine: patients are seen as a digital mask."""

import os

__version__ = "0.1.0"

# ONNX Runtime from 1.29 on reports to its makers which networks run here, and keeps a file for it,
# unless this is set before it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
