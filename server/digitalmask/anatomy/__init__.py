"""From 478 points to the numbers of a mask."""
