"""The cards that stand in the mask's place; drawn without OpenGL, so that nothing can stop them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.rendering.backdrop import backdrop

_SILHOUETTE = (138, 150, 159)
_INK = (52, 62, 70)
_PLATE = (245, 247, 248)


def _wrapped(
    sentence: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float
) -> str:
    lines: list[str] = []
    for word in sentence.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return "\n".join(lines)


@lru_cache(maxsize=32)
def _card_rgb(sentence: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    card = Image.fromarray(backdrop(size))
    # A head and shoulders, four times over-drawn for smooth edges.
    unit = min(height, 1.1 * width) * 0.9
    grain = 4 if width * height < 1_000_000 else 2
    shape = Image.new("L", (width * grain, height * grain))
    pen = ImageDraw.Draw(shape)
    centre_x, top = width / 2, height * 0.40 - unit * 0.30

    def oval(x: float, y: float, half_width: float, half_height: float) -> None:
        box = [x - half_width, y - half_height, x + half_width, y + half_height]
        pen.ellipse([value * grain for value in box], fill=255)

    head_y = top + unit * 0.2
    oval(centre_x, head_y, unit * 0.135, unit * 0.178)
    pen.rounded_rectangle(
        [
            (centre_x - unit * 0.06) * grain,
            (head_y + unit * 0.10) * grain,
            (centre_x + unit * 0.06) * grain,
            (head_y + unit * 0.27) * grain,
        ],
        unit * 0.03 * grain,
        fill=255,
    )
    oval(centre_x, head_y + unit * 0.42, unit * 0.29, unit * 0.19)
    shape = shape.resize(size, Image.Resampling.BOX)
    fall = np.clip((head_y + unit * 0.42 - np.arange(height)) / (unit * 0.26), 0, 1)[:, None]
    mask = Image.fromarray((np.asarray(shape) * fall * 0.55).astype(np.uint8))
    soft = mask.filter(ImageFilter.GaussianBlur(max(unit * 0.004, 0.5)))
    card.paste(_SILHOUETTE, (0, 0), soft)
    # The sentence on a light plate below.
    font = ImageFont.load_default(max(10.0, min(unit * 0.062, width * 0.052)))
    pen = ImageDraw.Draw(card, "RGBA")
    text = _wrapped(sentence, font, width * 0.84)
    middle = (width / 2, height * 0.80)
    left, upper, right, lower = pen.multiline_textbbox(
        middle, text, font=font, anchor="mm", align="center"
    )
    pad_x, pad_y = unit * 0.06, unit * 0.035
    pen.rounded_rectangle(
        [left - pad_x, upper - pad_y, right + pad_x, lower + pad_y],
        (lower - upper) / 2 + pad_y if "\n" not in text else unit * 0.05,
        fill=(*_PLATE, 190),
    )
    pen.multiline_text(middle, text, font=font, anchor="mm", align="center", fill=_INK)
    rgb = np.array(card)
    rgb.setflags(write=False)
    return rgb


def draw_card(
    card: Card, size: tuple[int, int], clock: FrameClock, sentence: str | None = None
) -> MaskedFrame:
    """A calm card, `size` (width, height) in pixels; needs no OpenGL and is kept once drawn.

    sentence: said instead of the card's own.
    """
    return MaskedFrame(clock, _card_rgb(sentence or card.value, size), card)


def fade(mask: MaskedFrame, card: MaskedFrame, share: float) -> MaskedFrame:
    """From the mask (share 0) to the card (share 1), both of one size; the mask's clock is kept."""
    weight = round(256 * min(max(share, 0.0), 1.0))
    if weight == 256:
        return MaskedFrame(mask.clock, card.rgb, card.card)
    if weight == 0:
        return mask
    mixed = mask.rgb.astype(np.uint16) * (256 - weight) + card.rgb.astype(np.uint16) * weight
    return MaskedFrame(mask.clock, (mixed >> 8).astype(np.uint8), card.card)
