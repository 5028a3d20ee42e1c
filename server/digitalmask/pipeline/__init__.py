"""One patient's loop: frames in, masks or cards out."""
