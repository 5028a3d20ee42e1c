"""One process that draws for all rooms: nobody waits, and nobody falls with another's fault."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.assets.head import load_head
from digitalmask.errors import ContextLostError, RenderingError
from digitalmask.mask_state import Card, MaskState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.opengl import EglDevice
from digitalmask.pipeline import Drawer, Follower, Sighting, Tracking
from digitalmask.pipeline.drawing_device import DrawingDevice
from digitalmask.pipeline.drawing_process import (
    Context,
    DrawingProcess,
    RoomRenderer,
    RoomsContext,
    make_contexts,
    shared_drawing,
)
from digitalmask.pipeline.masker_process import MaskerProcess
from digitalmask.rendering import Complexion, DrawnHead, Inset, MaskRenderer
from tests.pipeline.doubles import Stages, camera_frame
from tests.processes import children

pytestmark = [
    pytest.mark.gl,
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create"),
]
SIZE = (320, 240)
GPU = EglDevice(0, "NVIDIA H100", software=False, nvidia=True)
# What a state's confidence says to the doubles below, which real renderers do not look at.
BREAKS, LOSES, ENDS = 0.9, 0.8, 0.7


class Faulty:
    """A real renderer that does what a state tells it to."""

    def __init__(self, renderer: RoomRenderer) -> None:
        self._renderer = renderer

    def begin(self, state: MaskState, size: tuple[int, int]) -> DrawnHead:
        if state.confidence == BREAKS:
            raise ValueError("a message that may quote anything")
        if state.confidence == LOSES:
            raise ContextLostError("OpenGL's context was lost")
        if state.confidence == ENDS:
            os.abort()
        return self._renderer.begin(state, size)

    def end(self, into: NDArray[np.uint8]) -> object:
        return self._renderer.end(into)

    def close(self) -> None:
        self._renderer.close()


class FaultyContext(RoomsContext):
    def renderer(self, inset: Inset, complexion: Complexion) -> RoomRenderer:
        return Faulty(super().renderer(inset, complexion))


def make_faulty() -> DrawingDevice[Context]:
    """What the process draws with."""
    return DrawingDevice(lambda _index: FaultyContext(0), [GPU])


def make_none() -> DrawingDevice[Context]:
    def fail(_index: int) -> Context:
        raise RenderingError("eglInitialize failed")

    return DrawingDevice(fail, [GPU])


def make_follower() -> Callable[[], Follower]:
    """What a room's process that reads makes its half of."""
    return Stages().follower


def make_drawer(*_look: str) -> Callable[[], Drawer]:
    """What a room draws with by itself: a picture of one colour."""
    return Stages().drawer


@pytest.fixture
def process() -> Iterator[DrawingProcess]:
    with closing(DrawingProcess(make_faulty)) as running:
        yield running


@pytest.fixture(scope="module")
def quiet() -> Iterator[DrawingProcess]:
    """One that no test harms; it draws as it does on a GPU, in software where there is none."""
    with closing(DrawingProcess(make_contexts, "anywhere")) as running:
        yield running


def sighting(
    at_s: float, size: tuple[int, int] = SIZE, confidence: float = 1.0, **changed: object
) -> Sighting:
    state = replace(neutral_state(at_s), confidence=confidence, **changed)  # type: ignore[arg-type]
    clock = FrameClock(at_s, round(90_000 * at_s), Fraction(1, 90_000))
    return Sighting(clock, size, Tracking.FOLLOWING, state)


def mask(drawer: Drawer, at_s: float, confidence: float = 1.0) -> MaskedFrame:
    return drawer.draw(sighting(at_s, confidence=confidence))


def until_masked(draw: Callable[[float], MaskedFrame], patience_s: float = 20.0) -> int:
    """How many cards come before the next mask."""
    for number in range(round(patience_s / 0.05)):
        if draw(10.0 + number * 0.05).card is None:
            return number
        time.sleep(0.05)
    raise AssertionError("no mask came in time")


LOOKS = [
    (("none", "light", "neutral"), (320, 240)),
    (("eyes", "dark", "green"), (480, 360)),
    (("none", "medium", "blue"), (240, 320)),
    (("eyes", "light", "brown"), (160, 120)),
]


def test_rooms_that_draw_at_once_each_get_what_they_would_draw_alone(
    quiet: DrawingProcess,
) -> None:
    head = load_head()
    shown: dict[int, list[MaskedFrame]] = {}

    def room(place: int) -> None:
        look, size = LOOKS[place]
        drawer = quiet.drawer(*look)
        offset = (4.0 * place, 2.0)
        # The first pictures of four rooms at once can take longer than a room waits.
        until_masked(lambda at_s: drawer.draw(sighting(at_s, size, offset_mm=offset)))
        # A larger picture halfway through, for which a room's memory is made anew.
        sizes = [size] * 5 + [(1280, 720)] + [size] * 5
        shown[place] = [
            drawer.draw(sighting(number / 30, each, offset_mm=offset))
            for number, each in enumerate(sizes)
        ]
        drawer.close()

    threads = [threading.Thread(target=room, args=(place,)) for place in range(len(LOOKS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, (look, size) in enumerate(LOOKS):
        assert [each.card for each in shown[place]] == [None] * 11
        alone = MaskRenderer(head, Inset(look[0]), complexion=Complexion(*look[1:]))
        state = replace(neutral_state(), offset_mm=(4.0 * place, 2.0))
        for masked in (shown[place][0], shown[place][5], shown[place][10]):
            expected = alone.draw(state, (masked.width, masked.height), masked.clock)
            np.testing.assert_array_equal(masked.rgb, expected.rgb)
        assert (shown[place][-1].width, shown[place][-1].height) == size
        alone.close()


def test_a_picture_that_was_given_stays_as_it_was(quiet: DrawingProcess) -> None:
    drawer = quiet.drawer()
    first = mask(drawer, 1.0)
    before = first.rgb.copy()
    drawer.draw(sighting(1.1, offset_mm=(30.0, 0.0)))
    np.testing.assert_array_equal(first.rgb, before)
    drawer.close()


def test_a_room_that_leaves_disturbs_nobody(quiet: DrawingProcess) -> None:
    staying, going = quiet.drawer(), quiet.drawer()
    assert mask(going, 1.0).card is None
    assert mask(staying, 1.0).card is None
    going.close()
    assert [mask(staying, 1.1 + number / 30).card for number in range(5)] == [None] * 5


def test_a_state_that_cannot_be_drawn_is_one_rooms_card_alone(process: DrawingProcess) -> None:
    well, ill = process.drawer(), process.drawer()
    for number in range(6):
        assert mask(ill, 1 + number / 30, BREAKS).card is Card.FAULT
        assert mask(well, 1 + number / 30).card is None
    assert mask(ill, 2.0).card is None
    assert not process.given_up


def test_a_context_that_is_lost_is_made_anew_with_a_card_between(process: DrawingProcess) -> None:
    losing, other = process.drawer(), process.drawer()
    assert mask(losing, 1.0).card is None
    assert mask(other, 1.0).card is None
    before = children("drawing_process")
    assert mask(losing, 1.1, LOSES).card is Card.FAULT
    assert mask(other, 1.2).card is None
    assert mask(losing, 1.2).card is None
    assert children("drawing_process") == before, "in the same process"


def test_a_process_that_is_killed_comes_back_with_cards_between(process: DrawingProcess) -> None:
    drawers = [process.drawer() for _ in range(2)]
    assert [mask(each, 1.0).card for each in drawers] == [None, None]
    killed = children("drawing_process")[-1]
    killed.kill()
    killed.wait()
    assert [mask(each, 1.1).card for each in drawers] == [Card.FAULT, Card.FAULT]
    for each in drawers:
        until_masked(lambda at_s, drawer=each: mask(drawer, at_s))  # type: ignore[misc]
    assert not process.given_up


@pytest.mark.parametrize(("fault", "said"), [(LOSES, "fails again and again"), (ENDS, "3 times")])
def test_a_device_that_is_given_up_leaves_each_room_to_draw_by_itself(
    fault: float,
    said: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("digitalmask.shared_process._FIRST_PAUSE_S", 0.05)
    caplog.set_level(logging.WARNING)
    look = (f"{__name__}:make_drawer", "none", "light", "neutral")
    process = DrawingProcess(make_faulty)
    masker = MaskerProcess((f"{__name__}:make_follower",), look, process)
    try:
        assert str(masker.provider).endswith("OpenGL on NVIDIA H100")
        frame = camera_frame(1.0, SIZE)
        first = masker.draw(masker.follow(frame))
        assert first.card is None
        assert masker.stage_ms.keys() >= {"track", "draw"}
        ends_s = time.monotonic() + 40.0
        while not process.given_up:
            masker.draw(sighting(2.0, confidence=fault))
            assert time.monotonic() < ends_s
            time.sleep(0.02)

        def draw(at_s: float) -> MaskedFrame:
            try:
                return masker.draw(sighting(at_s))
            except Exception:  # noqa: BLE001 - what the pipeline makes a card of
                return MaskedFrame(first.clock, first.rgb, Card.FAULT)

        until_masked(draw)
        assert str(masker.provider).endswith("OpenGL on software")
    finally:
        masker.close()
        process.close()
    log = caplog.text + capfd.readouterr().err
    assert log.count(said) == 1
    assert "quote anything" not in log


def test_a_device_on_which_nothing_can_be_drawn_is_said_in_its_own_words() -> None:
    with pytest.raises(RenderingError, match="eglInitialize"):
        DrawingProcess(make_none)


def test_without_a_gpu_each_room_draws_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    software = EglDevice(0, "software", software=True, nvidia=False)
    monkeypatch.setattr("digitalmask.pipeline.drawing_process.egl_devices", lambda: (software,))
    with shared_drawing() as drawing:
        assert drawing is None


def test_it_ends_with_its_relay(process: DrawingProcess) -> None:
    other = children("drawing_process")[-1]
    process.close()
    assert not other.is_running()
    assert mask(process.drawer(), 1.0).card is Card.FAULT
