"""A webcam that comes and goes: its masks are shown, else the card, and never its picture."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from digitalmask.camera.feed import CameraFeed
from digitalmask.errors import MediaError
from digitalmask.mask_state import Card
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from tests.camera.pipewire_session import until
from tests.pipeline.doubles import SIZE, Stages, camera_frame, shows_camera


class Screen:
    """A virtual camera that keeps what it is sent."""

    device = "screen"

    def __init__(self) -> None:
        self.seen: list[MaskedFrame] = []
        self.broken = self.closed = False

    def send(self, masked: MaskedFrame) -> None:
        if self.broken:
            raise MediaError("it has ended")
        self.seen.append(masked)

    def close(self) -> None:
        self.closed = True


class Socket:
    """Where a webcam is plugged in."""

    def __init__(self) -> None:
        self.plugged = threading.Event()

    def frames(self) -> Iterator[PatientFrame]:
        for _ in itertools.count():
            if not self.plugged.is_set():
                raise MediaError("the webcam has gone")
            yield camera_frame(time.monotonic(), (320, 240))
            time.sleep(1 / 30)


@pytest.fixture
def socket() -> Socket:
    return Socket()


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = Screen()
    yield screen
    assert screen.closed
    assert {(each.width, each.height) for each in screen.seen} == {SIZE}
    assert not any(shows_camera(each) for each in screen.seen)


@pytest.fixture
def feed(socket: Socket, screen: Screen) -> Iterator[CameraFeed]:
    feed = CameraFeed(socket.frames, Stages().masker, screen, SIZE)
    yield feed
    feed.close()


def test_the_card_is_shown_until_a_webcam_is_there_and_when_it_has_gone(
    feed: CameraFeed, socket: Socket, screen: Screen
) -> None:
    until(lambda: bool(screen.seen))
    assert {each.card for each in screen.seen} == {Card.WAITING}
    assert feed.status().webcam == "the webcam has gone"
    socket.plugged.set()
    until(lambda: screen.seen[-1].card is None)
    assert feed.status().webcam == ""
    socket.plugged.clear()
    until(lambda: screen.seen[-1].card is Card.WAITING)
    assert feed.status().webcam == "the webcam has gone"
    socket.plugged.set()
    until(lambda: screen.seen[-1].card is None)
    status = feed.status()
    assert 0 < status.masks < status.shown == len(screen.seen)
    assert status.lag_ms < 500


def test_a_fault_of_the_webcam_is_told_by_its_kind_alone(screen: Screen) -> None:
    def frames() -> Iterator[PatientFrame]:
        raise ValueError("a message that may quote anything")
        yield camera_frame(0.0)

    feed = CameraFeed(frames, Stages().masker, screen, SIZE)
    until(lambda: bool(screen.seen))
    assert feed.status().webcam == "the webcam failed (ValueError)"
    feed.close()


def test_a_virtual_camera_that_ends_ends_the_feed(
    feed: CameraFeed, socket: Socket, screen: Screen
) -> None:
    socket.plugged.set()
    until(lambda: bool(screen.seen))
    screen.broken = True
    until(lambda: not feed.wait(0.05))
    assert str(feed.failure) == "it has ended"
