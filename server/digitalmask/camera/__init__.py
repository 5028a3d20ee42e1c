"""A webcam, masked, that other programs take for a camera."""
