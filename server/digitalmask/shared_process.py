"""A process that works for every room: the relay keeps it, rooms ask it, one thread answers.

Each room and the process share a piece of anonymous memory for what is large; what is said about
it passes through a socket that lies in a folder of its own, open to this user alone. A room that
ends takes no other along; where the process ends or hangs, each room goes on by itself
(`tracking/inference_process.py`, `pipeline/drawing_process.py`), and it is started again.
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
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from digitalmask.core_dumps import forbid_core_dumps
from digitalmask.errors import DigitalMaskError

_log = logging.getLogger(__name__)

DONE = b"\1"
_ALIVE = b"\xff"  # a request for a sign of life; no other begins so
_MESSAGE_BYTES = 1 << 16
_ASK_ALIVE_S, _HANGS_S = 1.0, 5.0
_START_S = 120.0  # TensorRT's engines are not built in less
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_END_S = 2.0
_WITHIN_S = 60.0
_GAVE_UP = 3  # the status with which the process ends where to start it again is no use

Place = TypeVar("Place")


class Line:
    """A room's connection. One thread at a time. Errors: OSError, of everything.

    memory: what the room shares with the process, which `said` this when greeted.
    """

    def __init__(
        self, address: str, memory_bytes: int, patience_s: float, greeting: bytes = DONE
    ) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(patience_s)
        handle = os.memfd_create("room", os.MFD_CLOEXEC)
        try:
            os.ftruncate(handle, memory_bytes)
            self.memory = mmap.mmap(handle, memory_bytes)
            self._socket.connect(address)
            socket.send_fds(self._socket, [greeting], [handle])
            self.said = self._receive()
        except OSError:
            self.close()
            raise
        finally:
            os.close(handle)

    def ask(self, what: bytes) -> bytes:
        """The answer; after an error nothing can be asked any more."""
        try:
            self._socket.send(what)
            return self._receive()
        except OSError:
            # An answer that comes late must not be taken for the next one.
            self.close()
            raise

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _receive(self) -> bytes:
        answer = self._socket.recv(_MESSAGE_BYTES)
        if not answer:
            raise ConnectionResetError
        return answer


# The process.


@dataclass(eq=False, slots=True)
class Caller(Generic[Place]):
    """A room that is connected. place: what the process keeps of it, once it has greeted."""

    socket: socket.socket
    greeted: bool = False
    place: Place | None = None
    gone: bool = False


class Callers(Generic[Place]):
    """The rooms that are connected to this process, until the relay has gone. One thread.

    said: what each is told when it comes. enter: makes what is kept of a room from its memory and
    its greeting. leave: gives that back.
    """

    def __init__(
        self,
        listener: socket.socket,
        said: Callable[[], str],
        enter: Callable[[mmap.mmap, bytes], Place],
        leave: Callable[[Place], None] = lambda _: None,
    ) -> None:
        self._listener, self._said = listener, said
        self._enter, self._leave = enter, leave
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)

    def requests(self, wait: bool = True) -> list[tuple[Caller[Place], bytes]] | None:
        """What rooms have asked since; None where the relay has gone.

        wait: until there is something, for which rooms that come or go count too.
        """
        asked = []
        for key, _ in self._selector.select(None if wait else 0):
            if key.fileobj is self._listener:
                self._let_in()
            elif isinstance(key.data, Caller):
                request = self._read(key.data)
                if request is not None:
                    asked.append((key.data, request))
            else:
                return None
        return asked

    def answer(self, caller: Caller[Place], what: bytes = DONE) -> None:
        """Say it to a room, which may have gone."""
        if caller.gone:
            return
        try:
            caller.socket.send(what)
        except OSError:
            self._part_from(caller)

    def _let_in(self) -> None:
        """All who have come; they say what their memory is as they next speak."""
        with contextlib.suppress(BlockingIOError):
            while True:
                room, _ = self._listener.accept()
                room.setblocking(False)
                self._selector.register(room, selectors.EVENT_READ, Caller[Place](room))

    def _read(self, caller: Caller[Place]) -> bytes | None:
        """What a room asks; None where it has only just come, or goes."""
        try:
            if not caller.greeted:
                self._welcome(caller)
                return None
            asked = caller.socket.recv(_MESSAGE_BYTES)
        except (OSError, ValueError, TypeError, IndexError):  # it does not speak as rooms do
            asked = b""
        if asked == _ALIVE:
            self.answer(caller)
            return None
        if not asked:
            self._part_from(caller)
            return None
        return asked

    def _welcome(self, caller: Caller[Place]) -> None:
        greeting, handles, _, _ = socket.recv_fds(caller.socket, _MESSAGE_BYTES, 1)
        try:
            if greeting != _ALIVE:
                caller.place = self._enter(mmap.mmap(handles[0], 0), greeting)
            caller.greeted = True
        finally:
            for handle in handles:
                os.close(handle)
        self.answer(caller, self._said().encode())

    def _part_from(self, caller: Caller[Place]) -> None:
        caller.gone = True
        self._selector.unregister(caller.socket)
        caller.socket.close()
        if caller.place is not None:
            self._leave(caller.place)
            caller.place = None


class Worker(Protocol):
    """What the process does."""

    @property
    def provider(self) -> str:
        """On what it does it, as said to the user."""

    def work(self, listener: socket.socket) -> None:
        """Answer the `Callers` until the relay has gone. A DigitalMaskError ends the process."""


def run_shared(worker: Callable[[Any], Worker]) -> None:
    """Make what the process works with, and work.

    Arguments of the command line: socket, module:function of the maker, its options. Prints one
    line of JSON: on what it runs, or why it cannot.
    """
    forbid_core_dumps()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    address, maker, *options = sys.argv[1:]
    module, _, function = maker.partition(":")
    try:
        working = worker(getattr(importlib.import_module(module), function)(*options))
    except DigitalMaskError as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
        print(json.dumps({"provider": working.provider}), flush=True)  # noqa: T201
        try:
            working.work(listener)
        except DigitalMaskError as error:
            _log.warning("%s", error)
            sys.exit(1)


def give_up() -> NoReturn:
    """End this process at once; it is not to be started again."""
    os._exit(_GAVE_UP)


# The relay's side.


class SharedProcess:
    """Starts the process, and starts it again where it ends. `close` ends it.

    what: its name in the log. serve: the function of a module that the process runs. make: a
    function of a module, which the process imports by name; it makes what is worked with from
    `options`. error: what is raised, in the process's own words, where it does not start.
    most_ends: how often it may end within a minute before it is started no more.

    provider: on what it runs. given_up: whether it is started no more.
    """

    def __init__(
        self,
        what: str,
        serve: Callable[[], None],
        make: Callable[..., Any],
        *options: str,
        error: type[DigitalMaskError],
        most_ends: int | None = None,
    ) -> None:
        self._what, self._error, self._most_ends = what, error, most_ends
        name = serve.__name__
        run = f"from {serve.__module__} import {name}; {name}()"
        self._command = [sys.executable, "-c", run]
        self._maker = [f"{make.__module__}:{make.__qualname__}", *options]
        self._folder = tempfile.TemporaryDirectory(prefix="digitalmask-")
        self._closed = threading.Event()
        self.given_up = False
        try:
            self._process, self.provider = self._start()
        except BaseException:
            self._folder.cleanup()
            raise
        self._keeper = threading.Thread(target=self._keep, name="process-keeper", daemon=True)
        self._keeper.start()

    @property
    def address(self) -> str:
        """Where a room's `Line` finds it."""
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
            [*self._command, self.address, *self._maker],
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
            said = {"error": f"{self._what} did not start"}
        if "error" in said:
            _end(process)
            raise self._error(said["error"])
        return process, said["provider"]

    def _keep(self) -> None:
        pause_s, said = _FIRST_PAUSE_S, False
        ended_at_s: deque[float] = deque(maxlen=self._most_ends)
        while True:
            started_s = time.monotonic()
            self._watch()
            if self._closed.is_set():
                break
            if self._process.poll() == _GAVE_UP:  # it has said why
                self.given_up = True
                break
            if time.monotonic() - started_s > _LONGEST_PAUSE_S:
                pause_s, said = _FIRST_PAUSE_S, False
            _log.warning("%s has ended; it is started again", self._what)
            while not self._too_often(ended_at_s) and not self._closed.wait(pause_s):
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                try:
                    self._process, self.provider = self._start()
                    break
                except self._error as error:
                    if not said:
                        _log.warning("%s does not start again: %s", self._what, error)
                    said = True
            else:
                break
        _end(self._process)

    def _too_often(self, ended_at_s: deque[float]) -> bool:
        """Note that it has ended, or did not start; whether it is given up for that."""
        ended_at_s.append(time.monotonic())
        if len(ended_at_s) == self._most_ends and ended_at_s[-1] - ended_at_s[0] < _WITHIN_S:
            _log.warning(
                "%s ended %d times: each room goes on by itself", self._what, self._most_ends
            )
            self.given_up = True
        return self.given_up

    def _watch(self) -> None:
        """Until it ends, is closed, or hangs; then it is ended."""
        line: Line | None = None
        try:
            while self._process.poll() is None and not self._closed.wait(_ASK_ALIVE_S):
                line = line or Line(self.address, 1, _HANGS_S, _ALIVE)
                line.ask(_ALIVE)
        except TimeoutError:
            _end(self._process, 0.0)
        except OSError:
            _end(self._process)  # it is ending by itself; its status says why


def _end(process: subprocess.Popen[bytes], patience_s: float = _END_S) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
