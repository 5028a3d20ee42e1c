"""Tracking ahead gives what tracking in turn gives, and passes faults on in their turn."""

from collections.abc import Iterator

import numpy as np
import pytest

from digitalmask.mask_state import Card, MaskState
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Masker, make_film_masker, make_masker
from digitalmask.pipeline.track_ahead import TrackAhead
from digitalmask.simulation import SimulatedPatient
from tests.pipeline.doubles import Stages, camera_frame, fails


@pytest.fixture
def stages() -> Stages:
    return Stages()


@pytest.fixture
def ahead(stages: Stages) -> Iterator[TrackAhead]:
    ahead = TrackAhead(stages)
    yield ahead
    ahead.close()


def test_frames_are_answered_in_turn_begun_or_not(ahead: TrackAhead) -> None:
    frames = [camera_frame(number / 30) for number in range(4)]
    for frame in frames[:3]:
        ahead.begin(frame)
    told: list[object] = [ahead.track(frame) for frame in frames]
    assert told == [frame.clock for frame in frames]


def test_a_fault_comes_with_the_frame_whose_it_is(stages: Stages, ahead: TrackAhead) -> None:
    masker = Masker(ahead, stages, stages.renderer)
    frames = [camera_frame(number / 30) for number in range(3)]
    ahead.begin(frames[0])
    assert masker.mask(frames[0]).card is None
    assert masker.state is not None
    stages.before["track"] = fails
    ahead.begin(frames[1])
    assert masker.mask(frames[1]).card is Card.FAULT
    assert masker.state is None
    stages.before.clear()
    assert masker.mask(frames[2]).card is None
    assert stages.resets == 2


@pytest.mark.gl
@pytest.mark.models
def test_the_mask_is_the_same_as_in_turn() -> None:
    patient = SimulatedPatient()
    pictures = [patient.frame(number / 15, (320, 240)) for number in range(8)]
    patient.close()
    frames = [
        PatientFrame(camera_frame(number / 15).clock, rgb) for number, rgb in enumerate(pictures)
    ]
    masker, ahead = make_film_masker("cpu")()
    for frame in frames:
        ahead.begin(frame)
    begun = [(masker.mask(frame).rgb, numbers(masker.state)) for frame in frames]
    ahead.close()
    masker.close()
    masker = make_masker("cpu")()
    in_turn = [(masker.mask(frame).rgb, numbers(masker.state)) for frame in frames]
    masker.close()
    for (mask, state), (other_mask, other_state) in zip(begun, in_turn, strict=True):
        assert state == other_state
        assert np.array_equal(mask, other_mask)


def numbers(state: MaskState | None) -> tuple[object, ...]:
    assert state is not None
    return state.left, state.right, state.rotation.tolist(), state.expression.tolist()
