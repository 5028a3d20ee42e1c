"""One process for the networks of all rooms: batches, nobody waits, and nobody falls with it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from digitalmask import shared_process
from digitalmask.errors import AssetError, TrackingError
from digitalmask.tracking import sessions
from digitalmask.tracking.inference_process import InferenceProcess, connect
from digitalmask.tracking.networks import Networks, cpu_networks, networks_on, with_spare
from digitalmask.tracking.sessions import make_session
from tests.processes import children
from tests.tracking.doubles import ChosenNetwork, chosen_networks

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create")

FAIL, HANG = -1.0, -2.0


class Echo:
    """Says of each face the sum of its points, and how many were in the batch."""

    def __init__(self, batch_s: float) -> None:
        self._batch_s = batch_s

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        time.sleep(self._batch_s)
        if (values == FAIL).any():
            raise TrackingError("a face network failed (CUDA)")
        if (values == HANG).any():
            time.sleep(60.0)
        answer = np.zeros((len(values), 52), np.float32)
        answer[:, 0] = values.reshape(len(values), -1).sum(axis=1)
        answer[:, 1] = len(values)
        return [answer]


def make_echo(batch_ms: str = "0") -> Networks:
    """What the process makes its networks with."""
    echo = Echo(float(batch_ms) / 1e3)
    return Networks.of(lambda _kind: echo, lambda: "test")


def make_real() -> Networks:
    return networks_on(sessions.CPU, "gpu", make_session, (1, 4))


def make_none() -> Networks:
    raise AssetError("the network is not here")


Start = Callable[..., InferenceProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[InferenceProcess] = []

    def run(make: Callable[..., Networks], *options: str) -> InferenceProcess:
        running.append(InferenceProcess(make, *options))
        return running[-1]

    yield run
    for process in running:
        process.close()


@pytest.fixture(scope="module")
def quick() -> Iterator[InferenceProcess]:
    """One that no test harms."""
    with closing(InferenceProcess(make_echo)) as process:
        yield process


def face(number: float) -> NDArray[np.float32]:
    points = np.zeros((1, 146, 2), np.float32)
    points[0, 0, 0] = number
    return points


def said(networks: Networks, number: float) -> tuple[float, int]:
    """What comes back for this face, and how many were in its batch."""
    (answer,) = networks.blendshapes.run(face(number))
    assert answer.shape == (1, 52)
    return float(answer[0, 0]), int(answer[0, 1])


def child() -> psutil.Process:
    """The one that was started last."""
    return children("inference_process")[-1]


def until(condition: Callable[[], bool], patience_s: float = 15.0) -> None:
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.02)


def test_rooms_that_ask_at_once_are_answered_together_each_its_own(start: Start) -> None:
    process = start(make_echo, "5")
    batches: list[int] = []

    def room(networks: Networks, first: int) -> None:
        for number in range(first, first + 10):
            answer, batch = said(networks, float(number))
            assert answer == number
            batches.append(batch)

    rooms = [connect(process.address) for _ in range(40)]
    threads = [
        threading.Thread(target=room, args=(networks, 100 * place))
        for place, networks in enumerate(rooms)
    ]
    started_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(batches) == 400  # no room failed
    assert np.median(batches) > 10
    assert max(batches) <= 32
    assert time.monotonic() - started_s < 1.5  # one by one it would be 2 s


def test_a_room_that_is_alone_is_not_kept_waiting(quick: InferenceProcess) -> None:
    networks = connect(quick.address)
    taken_ms = []
    for number in range(300):
        started_s = time.perf_counter()
        assert said(networks, float(number)) == (number, 1)
        taken_ms.append((time.perf_counter() - started_s) * 1e3)
    # There and back through two processes; a wait for others would come on top.
    assert np.quantile(taken_ms, 0.2) < 1.0


def test_a_room_that_ends_in_the_middle_disturbs_nobody(quick: InferenceProcess) -> None:
    staying, going = connect(quick.address), connect(quick.address)
    assert said(going, 1.0) == (1.0, 1)
    del going
    for number in range(20):
        assert said(staying, float(number)) == (number, 1)
    assert quick.provider == staying.provider == "test"


@pytest.mark.parametrize("fault", [FAIL, HANG])
def test_a_room_goes_on_where_the_process_fails_and_comes_back(
    fault: float, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_process, "_HANGS_S", 0.5)
    process = start(make_echo)
    first = child()
    now_s = [0.0]
    networks = with_spare(
        lambda: connect(process.address),
        chosen_networks(ChosenNetwork(7.0), "CPU"),
        now_s=lambda: now_s[0],
    )
    assert said(networks, 1.0) == (1.0, 1)
    assert networks.provider == "test"
    started_s = time.monotonic()
    assert said(networks, fault)[0] == 7.0
    assert time.monotonic() - started_s < 0.3
    assert networks.provider == "CPU"

    def again() -> bool:
        now_s[0] += 100.0
        return said(networks, 2.0)[0] == 2.0

    until(again)
    assert networks.provider == "test"
    assert child().pid != first.pid


def test_it_stays_the_same_while_the_relay_asks_whether_it_lives(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_process, "_ASK_ALIVE_S", 0.05)
    networks, first = connect(start(make_echo).address), child()
    for number in range(20):
        assert said(networks, float(number)) == (number, 1)
        time.sleep(0.02)
    assert child().pid == first.pid


def test_a_process_that_is_killed_is_started_again(start: Start) -> None:
    process = start(make_echo)
    networks, killed = connect(process.address), child()
    killed.kill()
    with pytest.raises(TrackingError, match="inference process"):
        said(networks, 1.0)

    def again() -> bool:
        try:
            return said(connect(process.address), 3.0) == (3.0, 1)
        except TrackingError:
            return False

    until(again)
    assert child().pid != killed.pid


def test_what_keeps_it_from_starting_is_said_in_its_own_words() -> None:
    with pytest.raises(TrackingError, match="the network is not here"):
        InferenceProcess(make_none)


def test_it_ends_with_its_relay_and_leaves_nothing(start: Start) -> None:
    process = start(make_echo)
    other, folder = child(), os.path.dirname(process.address)  # noqa: PTH120
    assert os.stat(folder).st_mode & 0o077 == 0  # noqa: PTH116
    process.close()
    assert not other.is_running() or other.status() == psutil.STATUS_ZOMBIE
    assert not os.path.exists(folder)  # noqa: PTH110
    with pytest.raises(TrackingError, match="cannot be reached"):
        connect(process.address)


@pytest.mark.models
def test_the_networks_say_through_it_what_they_say_here(start: Start) -> None:
    remote, here = connect(start(make_real).address), cpu_networks()
    random = np.random.default_rng(0)
    crop = random.integers(0, 256, (1, 256, 256, 4), np.uint8)
    planes = random.uniform(-1, 1, (1, 3, 128, 128)).astype(np.float32)
    points = random.uniform(0, 300, (1, 146, 2)).astype(np.float32)
    for there, own, values in (
        (remote.landmarks, here.landmarks, crop),
        (remote.detector, here.detector, planes),
        (remote.blendshapes, here.blendshapes, points),
        (remote.eyes, here.eyes, random.integers(0, 256, (1, 2, 56, 80, 3), np.uint8)),
    ):
        for one, other in zip(there.run(values), own.run(values), strict=True):
            np.testing.assert_allclose(one.reshape(-1), other.reshape(-1), atol=2e-3, rtol=1e-4)
