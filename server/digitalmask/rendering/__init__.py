"""Draws the mask from a `MaskState`, and the cards that stand in its place.

Reaches the state and the head alone; nothing here can get at the camera's picture.
"""

from digitalmask.rendering.cards import draw_card, fade
from digitalmask.rendering.complexion import IRISES, SKINS, Complexion
from digitalmask.rendering.composition import Composer, DrawnHead
from digitalmask.rendering.drawing_context import DrawingContext
from digitalmask.rendering.identity import Identity, MaskCamera
from digitalmask.rendering.inset import Inset
from digitalmask.rendering.mask_renderer import MaskRenderer, mask_camera

__all__ = [
    "IRISES",
    "SKINS",
    "Complexion",
    "Composer",
    "DrawingContext",
    "DrawnHead",
    "Identity",
    "Inset",
    "MaskCamera",
    "MaskRenderer",
    "draw_card",
    "fade",
    "mask_camera",
]
