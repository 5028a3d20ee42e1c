"""One process that runs the networks of every room on a GPU.

Each room masks in processes of its own (`pipeline/masker_process.py`), since Python's lock lets one
process work for a few rooms only. Were the networks in each of them too, the GPU would hold as many
contexts, which take turns and cannot share a batch. So they are here, once: the rooms send crops
and points and get points and scores back. A crop is the patient's face: nothing of it is kept or
said here. There is one thread. It takes the requests that are there, runs them as one batch,
answers, and takes what has come meanwhile. It waits for nobody: while a batch runs, the next one
gathers.

Where it ends, hangs or never starts, every room goes on with networks of its own on the CPU, within
the same frame (`networks.with_spare`), and comes back when it has been started again.
"""

import contextlib
import mmap
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import TrackingError
from digitalmask.shared_process import Caller, Callers, Line, SharedProcess, run_shared
from digitalmask.tracking.device_network import BATCHES
from digitalmask.tracking.networks import (
    KINDS,
    FaceNetwork,
    Kind,
    Networks,
    cpu_networks,
    device_networks,
    do_without_gpu,
    wants_gpu,
    with_spare,
)

# What one face's request and answer hold, by network.
_GIVEN: dict[Kind, tuple[tuple[int, ...], type[np.generic]]] = {
    "detector": ((3, 128, 128), np.float32),
    "landmarks": ((256, 256, 4), np.uint8),
    "blendshapes": ((146, 2), np.float32),
    "eyes": ((2, 56, 80, 3), np.uint8),
}
_ANSWERED: dict[Kind, tuple[tuple[int, ...], ...]] = {
    "detector": ((896, 16), (896, 1)),
    "landmarks": ((1, 1, 1434), (1, 1, 1), (1,)),
    "blendshapes": ((52,),),
    "eyes": ((2, 54),),
}
_ANSWERS_AT = 1 << 18  # in a room's memory, behind the largest request
_MEMORY_BYTES = 1 << 19
ANSWER_S = 0.1  # less than after which a frame is taken for hanging


class _Memory:
    """One room's request and answer, shared by both processes."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._given = {
            kind: np.ndarray(shape, element, memory) for kind, (shape, element) in _GIVEN.items()
        }
        self._answered: dict[Kind, list[NDArray[np.float32]]] = {}
        for kind, shapes in _ANSWERED.items():
            place, self._answered[kind] = _ANSWERS_AT, []
            for shape in shapes:
                self._answered[kind].append(np.ndarray(shape, np.float32, memory, place))
                place += 4 * prod(shape)

    def given(self, kind: Kind) -> NDArray[Any]:
        """A view of the request."""
        return self._given[kind]

    def answered(self, kind: Kind) -> list[NDArray[np.float32]]:
        """Views of the answer."""
        return self._answered[kind]


@contextlib.contextmanager
def shared_inference(choice: str) -> Iterator["InferenceProcess | None"]:
    """The process for all rooms on a GPU; None where each room has networks of its own.

    Errors: ConfigurationError where a GPU that was asked for cannot be had.
    """
    process = None
    if wants_gpu(choice):
        try:
            process = InferenceProcess(device_networks, choice)
        except TrackingError as error:
            do_without_gpu(choice, error)
    try:
        yield process
    finally:
        if process is not None:
            process.close()


def room_networks(address: str) -> Networks:
    """A room's: those of the process that listens there, and its own on the CPU as spare.

    Errors: AssetError where a network was not fetched, TrackingError where one cannot be loaded.
    """
    return with_spare(lambda: connect(address), cpu_networks())


# The room's side.


def connect(address: str, patience_s: float = ANSWER_S) -> Networks:
    """The networks of the process that listens there; a room's thread owns what it gets.

    Errors: TrackingError where nobody listens, and from `run` where no answer comes in time.
    """
    room = _Room(address, patience_s)
    return Networks.of(lambda kind: _Remote(room, kind), lambda: room.provider)


class _Room:
    """The connection of one room. One thread at a time."""

    def __init__(self, address: str, patience_s: float) -> None:
        try:
            self._line = Line(address, _MEMORY_BYTES, patience_s)
        except OSError as error:
            raise TrackingError("the inference process cannot be reached") from error
        self._memory = _Memory(self._line.memory)
        self.provider = self._line.said.decode("utf-8")

    def run(self, kind: Kind, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        self._memory.given(kind)[...] = values[0]
        try:
            self._line.ask(bytes([KINDS.index(kind)]))
        except OSError as error:
            raise TrackingError("the inference process does not answer") from error
        return [each[None].copy() for each in self._memory.answered(kind)]


class _Remote:
    def __init__(self, room: _Room, kind: Kind) -> None:
        self._room, self._kind = room, kind

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        return self._room.run(self._kind, values)


# The process.


def serve() -> None:
    """Answer requests until the relay has gone; end where a network fails: a GPU's fault stays."""
    run_shared(_Owner)


class _Owner:
    """Owns the networks; its one thread does everything."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    @property
    def provider(self) -> str:
        """On what the networks run."""
        return self._networks.provider

    def work(self, listener: socket.socket) -> None:
        """Until the relay has gone. Errors: TrackingError where a network fails."""

        def enter(memory: mmap.mmap, _greeting: bytes) -> _Memory:
            return _Memory(memory)

        callers = Callers(listener, lambda: self.provider, enter)
        while (asked := callers.requests()) is not None:
            requests: dict[Kind, list[_Request]] = defaultdict(list)
            for caller, request in asked:
                if caller.place is not None:
                    requests[KINDS[request[0]]].append((caller, caller.place))
            for kind, those in requests.items():
                for first in range(0, len(those), BATCHES[-1]):
                    self._answer(callers, kind, those[first : first + BATCHES[-1]])

    def _answer(self, callers: Callers[_Memory], kind: Kind, requests: list["_Request"]) -> None:
        network: FaceNetwork = getattr(self._networks, kind)
        outputs = network.run(np.stack([memory.given(kind) for _, memory in requests]))
        for number, (caller, memory) in enumerate(requests):
            for place, output in zip(memory.answered(kind), outputs, strict=True):
                place[...] = output[number]
            callers.answer(caller)


_Request = tuple[Caller[_Memory], _Memory]


# The relay's side.


class InferenceProcess(SharedProcess):
    """The process as the relay keeps it.

    make: a function of a module, which the process imports by name; it makes the networks from
    `options`. Errors: TrackingError where it cannot, in its own words.
    """

    def __init__(self, make: Callable[..., Networks], *options: str) -> None:
        super().__init__("the inference process", serve, make, *options, error=TrackingError)
