"""One process that runs the networks of every room on a GPU.

Each room masks in processes of its own (`pipeline/masker_process.py`), since Python's lock lets one
process work for a few rooms only. Were the networks in each of them too, the GPU would hold as many
contexts, which take turns and cannot share a batch. So they are here, once: the rooms send crops
and points and get points and scores back. A crop is the patient's face: nothing of it is kept or
said here. There is one thread. It takes the requests that are there, runs them as one batch,
answers, and takes what has come meanwhile. It waits for nobody: while a batch runs, the next one
gathers.

A room's process that ends takes no other room along; where this one ends, hangs or never starts,
every room goes on with networks of its own on the CPU, within the same frame
(`networks.with_spare`), and comes back when this process has been started again.

Requests pass through a socket that lies in a folder of its own, open to this user alone; pictures
through anonymous memory, of which a room sends the handle when it connects.
"""

import contextlib
import importlib
import json
import logging
import mmap
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import DigitalMaskError, TrackingError
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

_log = logging.getLogger(__name__)

# What one face's request and answer hold, by network.
_GIVEN: dict[Kind, tuple[tuple[int, ...], type[np.generic]]] = {
    "detector": ((3, 128, 128), np.float32),
    "landmarks": ((256, 256, 4), np.uint8),
    "blendshapes": ((146, 2), np.float32),
}
_ANSWERED: dict[Kind, tuple[tuple[int, ...], ...]] = {
    "detector": ((896, 16), (896, 1)),
    "landmarks": ((1, 1, 1434), (1, 1, 1), (1,)),
    "blendshapes": ((52,),),
}
_ANSWERS_AT = 1 << 18  # in a room's memory, behind the largest request
_MEMORY_BYTES = 1 << 19
_DONE = b"\1"
_ALIVE = bytes([len(KINDS)])  # in place of a network: only an answer is wanted
ANSWER_S = 0.1  # less than after which a frame is taken for hanging
_ASK_ALIVE_S, _HANGS_S = 1.0, 5.0
_START_S = 120.0  # TensorRT's engines are not built in less
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_END_S = 2.0
_RUN = f"from {__name__} import serve; serve()"


class _Memory:
    """One room's request and answer, shared by both processes."""

    def __init__(self, handle: int) -> None:
        self._memory = mmap.mmap(handle, _MEMORY_BYTES)
        self._given = {
            kind: np.ndarray(shape, element, self._memory)
            for kind, (shape, element) in _GIVEN.items()
        }
        self._answered: dict[Kind, list[NDArray[np.float32]]] = {}
        for kind, shapes in _ANSWERED.items():
            place, self._answered[kind] = _ANSWERS_AT, []
            for shape in shapes:
                self._answered[kind].append(np.ndarray(shape, np.float32, self._memory, place))
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
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(patience_s)
        handle = os.memfd_create("inference", os.MFD_CLOEXEC)
        try:
            os.ftruncate(handle, _MEMORY_BYTES)
            self._memory = _Memory(handle)
            self._socket.connect(address)
            socket.send_fds(self._socket, [_DONE], [handle])
            self.provider = self._receive().decode("utf-8")
        except OSError as error:
            self._socket.close()
            raise TrackingError("the inference process cannot be reached") from error
        finally:
            os.close(handle)

    def run(self, kind: Kind, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        self._memory.given(kind)[...] = values[0]
        self.ask(bytes([KINDS.index(kind)]))
        return [each[None].copy() for each in self._memory.answered(kind)]

    def ask(self, what: bytes) -> None:
        try:
            self._socket.send(what)
            self._receive()
        except OSError as error:
            # An answer that comes late must not be taken for the next one.
            self._socket.close()
            raise TrackingError("the inference process does not answer") from error

    def _receive(self) -> bytes:
        answer = self._socket.recv(256)
        if not answer:
            raise ConnectionResetError
        return answer


class _Remote:
    def __init__(self, room: _Room, kind: Kind) -> None:
        self._room, self._kind = room, kind

    def run(self, values: NDArray[Any]) -> list[NDArray[np.float32]]:
        return self._room.run(self._kind, values)


# The process.


def serve() -> None:
    """Answer requests until the relay has gone; end where a network fails: a GPU's fault stays.

    Arguments of the command line: socket, module:function that makes the networks, its options.
    Prints one line of JSON: where they run, or why they cannot.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    address, maker, *options = sys.argv[1:]
    module, _, function = maker.partition(":")
    try:
        networks: Networks = getattr(importlib.import_module(module), function)(*options)
    except DigitalMaskError as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
        print(json.dumps({"provider": networks.provider}), flush=True)  # noqa: T201
        try:
            _Owner(networks, listener).work(sys.stdin.fileno())
        except TrackingError as error:
            _log.warning("%s", error)
            sys.exit(1)


class _Owner:
    """Owns the networks; its one thread does everything."""

    def __init__(self, networks: Networks, listener: socket.socket) -> None:
        self._networks = networks
        self._listener = listener
        self._selector = selectors.DefaultSelector()

    def work(self, until: int) -> None:
        """Until the file `until` ends. Errors: TrackingError where a network fails."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(until, selectors.EVENT_READ)
        while True:
            requests: dict[Kind, list[_Request]] = defaultdict(list)
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._let_in()
                elif key.fileobj == until:
                    return
                else:
                    assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - for the type
                    asked = self._read(key.fileobj, key.data)
                    if asked is not None:
                        requests[asked].append((key.fileobj, key.data))
            for kind, those in requests.items():
                for first in range(0, len(those), BATCHES[-1]):
                    self._answer(kind, those[first : first + BATCHES[-1]])

    def _let_in(self) -> None:
        """All who have come; they say what their memory is as they next speak."""
        with contextlib.suppress(BlockingIOError):
            while True:
                room, _ = self._listener.accept()
                room.setblocking(False)
                self._selector.register(room, selectors.EVENT_READ, None)

    def _read(self, room: socket.socket, memory: _Memory | None) -> Kind | None:
        """Which network a room asks for; None where it has only just come, or goes."""
        try:
            if memory is None:
                self._welcome(room)
                return None
            asked = room.recv(1)
            if asked != _ALIVE:
                return KINDS[asked[0]]
            room.send(_DONE)
        except (OSError, ValueError, IndexError):
            self._part_from(room)
        return None

    def _welcome(self, room: socket.socket) -> None:
        _, handles, _, _ = socket.recv_fds(room, 1, 1)
        try:
            memory = _Memory(handles[0])
        finally:
            for handle in handles:
                os.close(handle)
        self._selector.modify(room, selectors.EVENT_READ, memory)
        room.send(self._networks.provider.encode())

    def _answer(self, kind: Kind, requests: list["_Request"]) -> None:
        network: FaceNetwork = getattr(self._networks, kind)
        outputs = network.run(np.stack([memory.given(kind) for _, memory in requests]))
        for number, (room, memory) in enumerate(requests):
            for place, output in zip(memory.answered(kind), outputs, strict=True):
                place[...] = output[number]
            try:
                room.send(_DONE)
            except OSError:
                self._part_from(room)

    def _part_from(self, room: socket.socket) -> None:
        self._selector.unregister(room)
        room.close()


_Request = tuple[socket.socket, _Memory]


# The relay's side.


class InferenceProcess:
    """Starts the process, and starts it again where it ends. `close` ends it.

    make: a function of a module, which the process imports by name; it makes the networks from
    `options`. Errors: TrackingError where it cannot, in its own words.
    """

    def __init__(self, make: Callable[..., Networks], *options: str) -> None:
        self._maker = [f"{make.__module__}:{make.__qualname__}", *options]
        self._folder = tempfile.TemporaryDirectory(prefix="digitalmask-")
        self._closed = threading.Event()
        try:
            self._process, self.provider = self._start()
        except BaseException:
            self._folder.cleanup()
            raise
        self._keeper = threading.Thread(target=self._keep, name="inference-keeper", daemon=True)
        self._keeper.start()

    @property
    def address(self) -> str:
        """Where `connect` finds it."""
        return str(Path(self._folder.name) / "socket")

    def close(self) -> None:
        """End the process, and start it no more."""
        self._closed.set()
        _end(self._process)
        self._keeper.join(_END_S)
        self._folder.cleanup()

    def _start(self) -> tuple[subprocess.Popen[bytes], str]:
        Path(self.address).unlink(missing_ok=True)
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-c", _RUN, self.address, *self._maker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the relay, which ends this process
        )
        assert process.stdout is not None  # noqa: S101 - for the type
        silenced = threading.Timer(_START_S, process.kill)
        silenced.start()
        line = process.stdout.readline()
        silenced.cancel()
        try:
            said = json.loads(line)
        except ValueError:
            said = {"error": "the inference process did not start"}
        if "error" in said:
            _end(process)
            raise TrackingError(said["error"])
        return process, said["provider"]

    def _keep(self) -> None:
        pause_s, said = _FIRST_PAUSE_S, False
        while not self._closed.is_set():
            started_s = time.monotonic()
            self._watch()
            if self._closed.is_set():
                break
            if time.monotonic() - started_s > _LONGEST_PAUSE_S:
                pause_s, said = _FIRST_PAUSE_S, False
            _log.warning("the inference process has ended; it is started again")
            while not self._closed.wait(pause_s):
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                try:
                    self._process, self.provider = self._start()
                    break
                except TrackingError as error:
                    if not said:
                        _log.warning("the inference process does not start again: %s", error)
                    said = True
        _end(self._process)

    def _watch(self) -> None:
        """Until it ends, is closed, or hangs; then it is ended."""
        room: _Room | None = None
        try:
            while self._process.poll() is None and not self._closed.wait(_ASK_ALIVE_S):
                room = room or _Room(self.address, _HANGS_S)
                room.ask(_ALIVE)
        except TrackingError:
            _end(self._process, 0.0)


def _end(process: subprocess.Popen[bytes], patience_s: float = _END_S) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
