"""Draws the mask and the cards."""
