"""Frames, the one-frame slot between stages, and reading and writing of media files."""
