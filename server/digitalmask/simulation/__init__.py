"""A patient who does not exist, drawn by a path of its own."""
