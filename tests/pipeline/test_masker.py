"""The synchronous core fails closed, whatever breaks, and comes back by itself."""

import logging
from itertools import pairwise

import numpy as np
import pytest

from digitalmask.mask_state import Card
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.pipeline import Masker, Tracking
from digitalmask.rendering import draw_card
from tests.pipeline.doubles import SIZE, SKIN, Stages, camera_frame, fails, shows_camera

STEP_S = 1 / 30


def is_card(masked: MaskedFrame, card: Card) -> bool:
    drawn = draw_card(card, (masked.width, masked.height), masked.clock)
    return masked.card is card and bool(np.array_equal(masked.rgb, drawn.rgb))


def is_mask(masked: MaskedFrame) -> bool:
    return masked.card is None and bool((masked.rgb == SKIN).all())


def follow(masker: Masker, start_s: float, seconds: float) -> list[MaskedFrame]:
    count = round(seconds / STEP_S)
    frames = [masker.mask(camera_frame(start_s + number * STEP_S)) for number in range(count)]
    assert not any(shows_camera(frame) for frame in frames)
    return frames


def test_a_face_that_is_followed_is_drawn_at_once_with_its_own_clock() -> None:
    masker = Stages().masker()
    frame = camera_frame(1.0)
    masked = masker.mask(frame)
    assert is_mask(masked)
    assert masked.clock == frame.clock
    assert masker.follow(frame).tracking is Tracking.FOLLOWING


def test_without_a_face_the_card_asks_for_it() -> None:
    masker = Stages(face=False).masker()
    assert is_card(masker.mask(camera_frame(1.0)), Card.NO_FACE)
    assert masker.follow(camera_frame(1.1)).tracking is Tracking.WAITING


@pytest.mark.parametrize("confidence", [0.0, 0.49, float("nan")])
def test_an_unsure_fit_is_not_drawn(confidence: float) -> None:
    masker = Stages(confidence=confidence).masker()
    assert is_card(masker.mask(camera_frame(1.0)), Card.NO_FACE)


def test_a_lost_face_is_held_for_150_ms_then_fades_to_the_card_within_200_ms() -> None:
    stages = Stages()
    masker = stages.masker()
    masker.mask(camera_frame(0.0))
    stages.face = False
    shown = {ms: masker.mask(camera_frame(ms / 1000)) for ms in range(10, 500, 10)}
    assert masker.follow(camera_frame(0.51)).tracking is Tracking.LOST
    assert all(is_mask(shown[ms]) for ms in range(10, 150, 10))
    assert all(shown[ms].card is Card.LOST for ms in range(170, 500, 10))
    assert all(is_card(shown[ms], Card.LOST) for ms in range(360, 500, 10))
    card = draw_card(Card.LOST, SIZE, shown[360].clock).rgb.astype(int)
    far = [np.abs(shown[ms].rgb - card).mean() for ms in range(160, 360, 10)]
    assert all(later <= earlier for earlier, later in pairwise(far))
    assert not any(shows_camera(frame) for frame in shown.values())


def test_a_face_that_comes_back_fades_in() -> None:
    stages = Stages()
    masker = stages.masker()
    masker.mask(camera_frame(0.0))
    stages.face = False
    assert is_card(follow(masker, STEP_S, 1.0)[-1], Card.LOST)
    stages.face = True
    frames = follow(masker, 1.1, 0.5)
    assert frames[0].card is Card.LOST
    assert is_mask(frames[-1])
    assert masker.follow(camera_frame(1.7)).tracking is Tracking.FOLLOWING


def test_a_long_loss_forgets_the_patient() -> None:
    stages = Stages()
    masker = stages.masker()
    masker.mask(camera_frame(0.0))
    stages.face = False
    follow(masker, STEP_S, 2.5)
    assert stages.resets == 0
    follow(masker, 2.6, 1.0)
    assert stages.resets > 0


@pytest.mark.parametrize("stage", ["track", "estimate", "draw"])
def test_a_stage_that_raises_gives_the_card_and_recovers_by_itself(stage: str) -> None:
    stages = Stages()
    masker = stages.masker()
    masker.mask(camera_frame(0.0))
    stages.before[stage] = fails
    frames = follow(masker, STEP_S, 0.3)
    assert all(is_card(frame, Card.FAULT) for frame in frames)
    # Tracker and estimator; a mask that was not drawn is no fault of theirs.
    assert stages.resets >= 2 or stage == "draw"
    del stages.before[stage]
    assert is_mask(masker.mask(camera_frame(1.0)))


def test_a_lost_renderer_is_closed_and_made_anew() -> None:
    stages = Stages()
    masker = stages.masker()
    masker.mask(camera_frame(0.0))
    stages.before["draw"] = fails
    masker.mask(camera_frame(STEP_S))
    del stages.before["draw"]
    assert is_mask(masker.mask(camera_frame(2 * STEP_S)))
    assert (stages.renderers, stages.closed) == (2, 1)


def test_a_renderer_that_cannot_be_made_gives_the_card_until_it_can() -> None:
    stages = Stages(before={"renderer": fails})
    masker = stages.masker()
    assert is_card(masker.mask(camera_frame(0.0)), Card.FAULT)
    stages.before.clear()
    assert is_mask(masker.mask(camera_frame(STEP_S)))


def test_a_stage_that_cannot_even_be_reset_gives_the_card() -> None:
    stages = Stages(before={"track": fails, "reset": fails})
    masker = stages.masker()
    assert is_card(masker.mask(camera_frame(0.0)), Card.FAULT)


def test_a_reset_that_fails_after_a_long_loss_gives_the_card() -> None:
    stages = Stages()
    masker = stages.masker()
    masker.mask(camera_frame(0.0))
    stages.face = False
    stages.before["reset"] = fails
    assert is_card(masker.mask(camera_frame(5.0)), Card.FAULT)


def test_a_fault_is_logged_once_and_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stages = Stages(before={"track": fails})
    with caplog.at_level(logging.DEBUG):
        follow(stages.masker(), 0.0, 0.3)
    assert [record.getMessage().count("StageError") for record in caplog.records] == [1]
    assert "quote" not in caplog.text


def test_an_odd_frame_gives_an_even_mask() -> None:
    masked = Stages().masker().mask(camera_frame(0.0, (161, 121)))
    assert (masked.width, masked.height) == (160, 120)
