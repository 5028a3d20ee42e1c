"""The real stages, with the networks in the process that serves all rooms."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

import pytest

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Masker, make_drawer, make_follower
from digitalmask.simulation import SimulatedPatient
from digitalmask.tracking import sessions
from digitalmask.tracking.inference_process import InferenceProcess, shared_inference
from digitalmask.tracking.networks import Networks, networks_on
from digitalmask.tracking.sessions import make_session
from tests.processes import children

pytestmark = [
    pytest.mark.gl,
    pytest.mark.models,
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create"),
]


def make_networks() -> Networks:
    """What the process makes: as on a GPU, on the CPU."""
    return replace(networks_on(sessions.CPU, "gpu", make_session, (1,)), where=lambda: "GPU")


@pytest.fixture
def process() -> Iterator[InferenceProcess]:
    with closing(InferenceProcess(make_networks)) as running:
        yield running


def test_a_patient_is_masked_through_it_and_without_it(process: InferenceProcess) -> None:
    patient = SimulatedPatient()
    masker = Masker(make_follower("cpu", process.address)(), make_drawer()())

    def frame(number: int) -> PatientFrame:
        clock = FrameClock(number / 30, 3000 * number, Fraction(1, 90000))
        return PatientFrame.of_rgb(clock, patient.frame(number / 30, (320, 240)))

    try:
        # The first frames may find the process busy; they are masked all the same.
        shown = [masker.mask(frame(number)) for number in range(5)]
        assert masker.provider.networks in ("GPU", "CPU")
        assert f", OpenGL on {masker.provider.drawing}" in str(masker.provider)
        for each in children("inference_process"):
            each.kill()
            each.wait()
        shown += [masker.mask(frame(number)) for number in range(5, 10)]
        assert [each.card for each in shown] == [None] * 10
        assert masker.provider.networks == "CPU"
    finally:
        masker.close()
        patient.close()


def test_without_a_gpu_each_room_has_networks_of_its_own() -> None:
    with shared_inference("cpu") as inference:
        assert inference is None
