"""The cards, and the fade between mask and card."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.rendering import draw_card, fade
from digitalmask.rendering.backdrop import backdrop

CLOCK = FrameClock(1.0, 90_000, Fraction(1, 90_000))


@pytest.mark.parametrize("card", list(Card))
@pytest.mark.parametrize("size", [(160, 120), (640, 480), (360, 640), (1920, 1080)])
def test_a_card_of_any_size_says_something(card: Card, size: tuple[int, int]) -> None:
    frame = draw_card(card, size, CLOCK)
    assert frame.card is card
    assert (frame.width, frame.height) == size
    assert frame.clock is CLOCK
    ink = frame.rgb.max(-1) < 110
    rows, columns = np.nonzero(ink)
    assert len(rows) > 0.002 * size[0] * size[1]
    # The sentence stands whole inside the picture, below its middle.
    assert columns.min() > 0
    assert columns.max() < size[0] - 1
    assert size[1] / 2 < rows.min()
    assert rows.max() < size[1] - 1


def test_cards_differ_and_another_sentence_can_be_said() -> None:
    size = (640, 480)
    pictures = [draw_card(card, size, CLOCK).rgb for card in Card]
    pictures.append(draw_card(Card.FAULT, size, CLOCK, "Please wait").rgb)
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert (one != other).any()


def test_a_card_is_drawn_without_opengl() -> None:
    script = """
import sys
sys.modules["glcontext"] = None
from fractions import Fraction
from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.rendering.cards import draw_card
print(draw_card(Card.LOST, (320, 240), FrameClock(0.0, 0, Fraction(1, 30))).rgb.shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "(240, 320, 3)"


def test_a_fade_runs_from_the_mask_to_the_card() -> None:
    size = (64, 48)
    mask = MaskedFrame(CLOCK, np.full((48, 64, 3), 10, np.uint8))
    card = draw_card(Card.LOST, size, FrameClock(0.0, 0, Fraction(1, 30)))
    assert (fade(mask, card, 0.0).rgb == mask.rgb).all()
    assert fade(mask, card, 0.0).card is None
    half = fade(mask, card, 0.5)
    assert np.abs(half.rgb.astype(int) - (10 + card.rgb.astype(int)) // 2).max() <= 1
    whole = fade(mask, card, 1.0)
    assert (whole.rgb == card.rgb).all()
    assert whole.card is Card.LOST
    assert half.clock is CLOCK
    assert whole.clock is CLOCK


def test_the_backdrop_cannot_be_written_over() -> None:
    with pytest.raises(ValueError, match="read-only"):
        backdrop((64, 48))[0, 0] = 0
