"""A patient's loop in real time: what hangs, fails or falls silent lets no camera picture out."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from digitalmask.mask_state import Card
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import LivePipeline, Masker, Tracking, live
from tests.pipeline.doubles import SIZE, Stages, camera_frame, shows_camera


class Doctor:
    """Takes what leaves the loop, with the moment at which it came."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, MaskedFrame]] = []

    def __call__(self, masked: MaskedFrame) -> None:
        self.seen.append((time.monotonic(), masked))

    def since(self, at_s: float) -> list[MaskedFrame]:
        return [masked for seen_at_s, masked in self.seen if seen_at_s >= at_s]


Start = Callable[[Callable[[], Masker]], tuple[LivePipeline, Doctor]]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[LivePipeline] = []
    doctors: list[Doctor] = []

    def run(make: Callable[[], Masker]) -> tuple[LivePipeline, Doctor]:
        doctors.append(Doctor())
        running.append(LivePipeline(make, doctors[-1]))
        return running[-1], doctors[-1]

    yield run
    for pipeline in running:
        pipeline.close()
    for doctor in doctors:
        assert not any(shows_camera(masked) for _, masked in doctor.seen)


def play(pipeline: LivePipeline, seconds: float, rate: float = 30.0) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        pipeline.submit(camera_frame(time.monotonic()))
        time.sleep(1 / rate)


def until(condition: Callable[[], bool], patience_s: float = 5.0) -> None:
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.01)


def play_until_masked(pipeline: LivePipeline, doctor: Doctor, patience_s: float = 5.0) -> None:
    end_s = time.monotonic() + patience_s
    while doctor.seen[-1][1].card is not None:
        assert time.monotonic() < end_s, "the mask did not come back"
        play(pipeline, 0.1)


def hang(stages: Stages, stage: str) -> threading.Event:
    """Let a stage hang until the event is set."""
    go_on = threading.Event()

    def wait() -> None:
        go_on.wait(20)

    stages.before[stage] = wait
    return go_on


@pytest.mark.parametrize("stage", ["track", "estimate", "draw"])
def test_a_stage_that_hangs_fades_to_the_card(stage: str, start: Start) -> None:
    stages = Stages()
    pipeline, doctor = start(stages.masker)
    play(pipeline, 0.4)
    assert doctor.seen[-1][1].card is None
    go_on, hung_at_s = hang(stages, stage), time.monotonic()
    play(pipeline, 1.0)
    shown = doctor.since(hung_at_s + 0.6)
    assert len(shown) >= 3
    assert all(masked.card is Card.FAULT for masked in shown)
    assert pipeline.status().tracking is Tracking.FAULT
    stages.before.clear()
    go_on.set()
    play_until_masked(pipeline, doctor)
    stamps = [masked.clock.pts * masked.clock.time_base for _, masked in doctor.seen]
    assert stamps == sorted(stamps)


def test_a_stage_that_hangs_for_good_is_left_behind(start: Start) -> None:
    stages = Stages()
    pipeline, doctor = start(stages.masker)
    play(pipeline, 0.3)
    go_on = hang(stages, "draw")
    play(pipeline, 0.5)
    stages.before.clear()
    play_until_masked(pipeline, doctor, 8.0)
    go_on.set()


def test_a_camera_that_falls_silent_is_said(start: Start) -> None:
    pipeline, doctor = start(Stages().masker)
    play(pipeline, 0.3)
    until(lambda: doctor.seen[-1][1].card is Card.WAITING)
    assert pipeline.status().tracking is Tracking.WAITING


def test_a_masker_that_cannot_be_made_gives_cards_until_it_can(start: Start) -> None:
    broken = threading.Event()
    broken.set()

    def make() -> Masker:
        if broken.is_set():
            raise RuntimeError("no device")
        return Stages().masker()

    pipeline, doctor = start(make)
    play(pipeline, 0.4)
    assert {masked.card for _, masked in doctor.seen} == {Card.FAULT}
    broken.clear()
    play_until_masked(pipeline, doctor)


def test_a_slow_stage_lowers_the_rate_and_not_the_freshness(start: Start) -> None:
    stages = Stages(before={"track": lambda: time.sleep(0.1)})
    pipeline, doctor = start(stages.masker)
    play(pipeline, 2.0)
    ages_s = [at_s - masked.clock.captured_at_s for at_s, masked in doctor.seen[3:]]
    # A frame waits at most for the one before it: twice 0.1 s and a frame's interval.
    assert max(ages_s) < 0.4
    assert len(ages_s) < 25
    assert pipeline.status().replaced > 20


def test_a_sink_that_fails_does_not_end_the_loop() -> None:
    calls: list[MaskedFrame] = []

    def sink(masked: MaskedFrame) -> None:
        calls.append(masked)
        raise OSError("the sink is full")

    pipeline = LivePipeline(Stages().masker, sink)
    play(pipeline, 0.5)
    pipeline.close()
    assert len(calls) > 5


def test_frames_of_another_size_are_masked_in_theirs(start: Start) -> None:
    pipeline, doctor = start(Stages().masker)
    play(pipeline, 0.2)
    large = (SIZE[0] * 2, SIZE[1] * 2)
    frame: PatientFrame = camera_frame(time.monotonic() + 1, large)
    pipeline.submit(frame)
    until(lambda: (doctor.seen[-1][1].width, doctor.seen[-1][1].height) == large)


def kept(pipeline: LivePipeline, seconds: float) -> float:
    """The share of the camera's frames that comes out, of those of the next seconds."""
    before = pipeline.status()
    play(pipeline, seconds)
    after = pipeline.status()
    return (after.shown - before.shown) / (after.submitted - before.submitted)


def test_where_reading_is_too_slow_every_frame_is_drawn_all_the_same(start: Start) -> None:
    stages = Stages(before={"track": lambda: time.sleep(0.045)})
    pipeline, doctor = start(stages.masker)
    play(pipeline, 0.5)
    assert kept(pipeline, 1.0) < 0.85
    play(pipeline, 3.0)
    assert pipeline.status().level >= 1
    before_s = time.monotonic()
    assert kept(pipeline, 1.0) > 0.85
    assert all(masked.card is None for masked in doctor.since(before_s))


def test_less_is_done_where_all_frames_come_out_but_late(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_IN_TIME_S", 0.02)
    pipeline, _ = start(Stages(before={"draw": lambda: time.sleep(0.025)}).masker)
    play(pipeline, 0.5)
    assert kept(pipeline, 1.0) > 0.9
    play(pipeline, 3.0)
    assert pipeline.status().level >= 1


def test_a_frame_is_drawn_while_the_next_is_read(start: Start) -> None:
    slow = {"track": lambda: time.sleep(0.025), "draw": lambda: time.sleep(0.025)}
    pipeline, _ = start(Stages(before=slow).masker)
    play(pipeline, 0.5)
    # One after the other 20 of 30 frames a second would come out.
    assert kept(pipeline, 1.0) > 0.8
