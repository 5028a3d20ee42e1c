"""The mask's colours and its size are chosen, and do not follow the camera."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import load_head
from digitalmask.cli.mask import add_complexion
from digitalmask.mask_state import neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import Drawer, Follower, Masker, make_masker
from digitalmask.rendering import IRISES, SKINS, Complexion, MaskRenderer
from digitalmask.rendering.identity import IRIS, SKIN
from digitalmask.simulation import SimulatedPatient
from digitalmask.simulation.conversation import pose_at
from digitalmask.tracking import FaceTracker, load_networks
from digitalmask.tracking.observation import FaceObservation

pytestmark = pytest.mark.gl
SIZE = (640, 480)
Picture = NDArray[np.uint8]


def clock(number: int) -> FrameClock:
    return FrameClock(number / 30, number, Fraction(1, 30))


def seen(complexion: Complexion) -> dict[str, NDArray[np.float64]]:
    """The mean colour of skin and irises of a calm mask."""
    renderer = MaskRenderer(load_head(), complexion=complexion)
    rgb = renderer.draw(neutral_state(), SIZE, clock(0)).rgb
    part = renderer.draw_identity(neutral_state(), SIZE).part
    renderer.close()
    return {"skin": rgb[part == SKIN].mean(axis=0), "iris": rgb[np.isin(part, IRIS)].mean(axis=0)}


def test_each_skin_and_each_iris_looks_its_own_and_changes_nothing_else() -> None:
    plain = seen(Complexion())
    for skin in list(SKINS)[1:]:
        other = seen(Complexion(skin=skin))
        assert np.abs(other["skin"] - plain["skin"]).max() > 25
        assert np.abs(other["iris"] - plain["iris"]).max() < 3
    for eyes in list(IRISES)[1:]:
        other = seen(Complexion(eyes=eyes))
        assert np.abs(other["iris"] - plain["iris"]).max() > 8
        assert np.abs(other["skin"] - plain["skin"]).max() < 1


def test_the_commands_offer_the_whole_list() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_complexion(parser)
    offered = {action.dest: action.choices for action in parser._actions}
    assert offered["skin"] == tuple(SKINS)
    assert offered["eyes"] == tuple(IRISES)
    chosen = parser.parse_args([])
    assert Complexion(chosen.skin, chosen.eyes) == Complexion()


class Remembering:
    """A tracker that sees in every picture what it saw in the first."""

    def __init__(self, observation: FaceObservation) -> None:
        self._observation = observation

    def track(self, frame: PatientFrame) -> FaceObservation:
        return replace(self._observation, captured_at_s=frame.clock.captured_at_s)

    def reset(self) -> None:
        pass


@pytest.mark.models
def test_differently_coloured_patients_of_one_state_are_one_picture() -> None:
    patient = SimulatedPatient(3)
    picture = patient.frame(0.0, SIZE)
    patient.close()
    observation = FaceTracker(load_networks("cpu")).track(PatientFrame.of_rgb(clock(0), picture))
    assert observation is not None
    head = load_head()

    def masked(paint: Callable[[Picture], Picture]) -> Picture:
        follower = Follower(Remembering(observation), MaskEstimator(head))
        masker = Masker(follower, Drawer(lambda: MaskRenderer(head)))
        frames = [PatientFrame.of_rgb(clock(number), paint(picture)) for number in range(3)]
        shown = [masker.mask(frame, SIZE) for frame in frames][-1]
        masker.close()
        assert shown.card is None
        return shown.rgb

    as_is = masked(lambda seen: seen)
    for paint in (
        lambda seen: np.asarray(cv2.convertScaleAbs(seen, alpha=0.35), np.uint8),  # a dark skin
        lambda seen: np.asarray(seen[:, :, ::-1], np.uint8),  # a blue one, blue eyes and room
        lambda seen: np.asarray(255 - seen, np.uint8),
    ):
        np.testing.assert_array_equal(masked(paint), as_is)


@pytest.mark.models
def test_near_or_far_the_mask_is_of_one_size_and_stands_in_the_middle() -> None:
    patient = SimulatedPatient(3)
    make = make_masker("cpu")
    boxes = []
    for away_mm in (-130.0, 0.0, 250.0):
        masker = make()
        pose = pose_at(0.0)
        pose = replace(pose, offset_mm=(0.0, 0.0, -away_mm))
        for number in range(20):
            masked = masker.mask(PatientFrame.of_rgb(clock(number), patient.draw(pose, SIZE)), SIZE)
        assert masked.card is None
        columns = np.flatnonzero((masked.rgb[240].astype(int) @ [1, 0, -1]) > 12)  # warm: skin
        boxes.append((np.ptp(columns), columns.mean()))
        masker.close()
    patient.close()
    widths, middles = np.array(boxes).T
    assert np.ptp(widths) < 0.03 * widths.mean()
    assert np.ptp(middles) < 0.02 * SIZE[0]
