"""Networks and data files: where they are, and that they are whole."""
