"""How true the mask is, measured by eyes that are not its own."""
