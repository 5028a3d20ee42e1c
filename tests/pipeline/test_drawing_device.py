"""A device that fails is tried again, then given up for the next one, with cards in between."""

import logging

import pytest

from digitalmask.errors import RenderingError
from digitalmask.mask_state import neutral_state
from digitalmask.opengl import EglDevice
from digitalmask.pipeline.drawing_device import DrawingDevice, watched
from digitalmask.pipeline.stages import Renderer
from tests.pipeline.doubles import SIZE, Stages, camera_frame

GPU = EglDevice(0, "NVIDIA H200", software=False, nvidia=True)
SOFTWARE = EglDevice(1, "software", software=True, nvidia=False)


class Machine:
    """Devices that a test breaks and repairs; a room that draws as `Masker` does."""

    def __init__(self, *devices: EglDevice) -> None:
        self.at_s = 0.0
        self.broken: set[int] = set()
        self.cannot_make: set[int] = set()
        self.made: list[int] = []
        self.closed = 0
        self.device = DrawingDevice(self.make, devices, lambda: self.at_s)
        self.renderer: Renderer | None = None

    def make(self, index: int) -> Renderer:
        if index in self.cannot_make:
            raise RenderingError("eglInitialize failed")
        self.made.append(index)
        stages = Stages(before={"draw": lambda: self.fail_on(index)})
        stages.close = self.count_closed  # type: ignore[method-assign]
        return stages

    def count_closed(self) -> None:
        self.closed += 1

    def fail_on(self, index: int) -> None:
        if index in self.broken:
            raise RenderingError("OpenGL's context was lost")

    def draws(self) -> bool:
        """Whether this frame is a mask; else it is a card."""
        self.at_s += 1 / 30
        try:
            self.renderer = self.renderer or watched(self.device)
            self.renderer.draw(neutral_state(), SIZE, camera_frame(self.at_s).clock)
        except RenderingError:
            if self.renderer is not None:
                self.renderer.close()
            self.renderer = None
            return False
        return True


def test_a_context_that_is_lost_is_made_anew_on_the_same_device(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine(GPU, SOFTWARE)
    assert machine.draws()
    with caplog.at_level(logging.WARNING):
        machine.broken = {0}
        assert not machine.draws()
        machine.broken = set()
        assert machine.draws()
    assert machine.made == [0, 0]
    assert machine.closed == 1
    assert machine.device.name == "NVIDIA H200"
    assert not caplog.records


def test_a_device_that_is_gone_is_given_up_for_software_within_a_tenth_of_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine(GPU, SOFTWARE)
    assert machine.draws()
    machine.broken, machine.cannot_make = {0}, {0}
    with caplog.at_level(logging.WARNING):
        assert [machine.draws() for _ in range(5)] == [False, False, False, True, True]
    assert machine.device.name == "software"
    assert [record.getMessage() for record in caplog.records] == [
        "drawing on NVIDIA H200 failed 3 times; masks are drawn on software from now on"
    ]


def test_a_device_that_draws_and_fails_in_turn_is_given_up_too() -> None:
    machine = Machine(GPU, SOFTWARE)
    for _ in range(3):
        machine.broken = set()
        assert machine.draws()
        machine.broken = {0}
        assert not machine.draws()
    assert machine.device.name == "software"


def test_failures_that_lie_far_apart_are_forgiven() -> None:
    machine = Machine(GPU, SOFTWARE)
    for _ in range(8):
        machine.broken = set()
        assert machine.draws()
        machine.broken = {0}
        assert not machine.draws()
        machine.at_s += 40.0
    assert machine.device.name == "NVIDIA H200"


def test_the_last_device_is_tried_for_ever() -> None:
    machine = Machine(SOFTWARE)
    machine.cannot_make = {1}
    assert not any(machine.draws() for _ in range(10))
    machine.cannot_make = set()
    assert machine.draws()


def test_without_a_device_making_one_says_what_is_missing() -> None:
    machine = Machine()
    machine.cannot_make = {0}
    with pytest.raises(RenderingError, match="eglInitialize"):
        watched(machine.device)
