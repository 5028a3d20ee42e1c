"""Masks many files over several cores, one a core at a time."""

import contextlib
import itertools
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from digitalmask.errors import ConfigurationError, DigitalMaskError
from digitalmask.media.voice import VoiceWay
from digitalmask.media.writer import PICTURE_ENDINGS, VIDEO_ENDINGS
from digitalmask.pipeline.assembly import make_masker
from digitalmask.pipeline.recorded import (
    MakeMasker,
    Masked,
    Size,
    mask_picture,
    mask_video,
    one_thread_a_stage,
)

# What is taken for a picture, and what is masked of a folder.
_PICTURES = {*PICTURE_ENDINGS, ".bmp", ".pgm", ".ppm", ".tif", ".tiff"}
_VIDEOS = {*VIDEO_ENDINGS, ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mpeg", ".mpg", ".mts"}
_VIDEOS |= {".ogv", ".ts", ".wmv"}
_END_S = 10.0
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Task:
    """One file to mask. measurements: where its table goes, None for none."""

    source: Path
    target: Path
    measurements: Path | None = None

    @property
    def done(self) -> bool:
        """Whether all that is to be written is there; nothing is that is not whole."""
        return self.target.exists() and (self.measurements is None or self.measurements.exists())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: masked, or an error in one line."""

    task: Task
    masked: Masked | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """How all files are masked; as the options of `make_masker` and `mask_video` say."""

    provider: str = "auto"
    inset: str = "none"
    skin: str = "light"
    eyes: str = "neutral"
    size: Size | None = None
    voice: VoiceWay = VoiceWay.MASK


def is_picture(path: Path) -> bool:
    """Whether it is masked as a still picture."""
    return path.suffix.lower() in _PICTURES


def is_many(source: Path) -> bool:
    """Whether it stands for several files: a folder, or a pattern."""
    return source.is_dir() or (bool(_MAGIC & set(str(source))) and not source.exists())


def plan(sources: Sequence[Path], folder: Path, tables: Path | None = None) -> list[Task]:
    """A task for each file; below a folder (or a pattern's fixed part) places are kept.

    A result has its source's name, with .mp4 or .png behind it where that kind is not written.
    Errors: ConfigurationError where nothing is found, or two results would have one name.
    """
    tasks: dict[Path, Task] = {}
    for source in sources:
        for path, place in _found(source, folder):
            name = place.name
            if path.suffix.lower() not in (*PICTURE_ENDINGS, *VIDEO_ENDINGS):
                name += ".png" if is_picture(path) else ".mp4"
            target = folder / place.with_name(name)
            table = tables / place.with_name(f"{name}.csv") if tables is not None else None
            if target.exists() and path.exists() and target.samefile(path):
                raise ConfigurationError(f"{path} would be replaced: choose another folder")
            if target in tasks and tasks[target].source != path:
                raise ConfigurationError(
                    f"{tasks[target].source} and {path} would both become {target}"
                )
            tasks[target] = Task(path, target, table)
    return list(tasks.values())


def _found(source: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Files of a source, and where each lies below it."""
    if not is_many(source):
        yield source, Path(source.name)
        return
    if source.is_dir() and source.resolve() == folder.resolve():
        raise ConfigurationError("IN and OUT are the same folder")
    if source.is_dir():
        root, paths = source, source.rglob("*")
    else:
        fixed = list(itertools.takewhile(lambda part: not _MAGIC & set(part), source.parts))
        root = Path(*fixed)
        paths = root.glob(str(Path(*source.parts[len(fixed) :])))
    ours = folder.resolve()
    count = 0
    for path in sorted(paths):
        known = path.suffix.lower() in _PICTURES | _VIDEOS and not path.name.startswith(".")
        if path.is_file() and known and ours not in path.resolve().parents:
            count += 1
            yield path, path.relative_to(root)
    if not count:
        raise ConfigurationError(f"there is no video or picture in {source}")


def mask_all(tasks: Sequence[Task], way: Way, jobs: int) -> Iterator[Outcome]:
    """Mask them over `jobs` processes, and tell what became of each as it is done.

    A file that cannot be masked does not keep the others, not even one that ends its process.
    """
    waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    workers = [_Worker(way, waiting, done) for _ in range(min(jobs, len(tasks)))]
    try:
        for _ in tasks:
            yield done.get()
    finally:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.wait()


class _Worker:
    """A process that masks one file after another, and the thread that speaks with it."""

    def __init__(
        self,
        way: Way,
        waiting: "queue.SimpleQueue[Task | None]",
        done: "queue.SimpleQueue[Outcome]",
    ) -> None:
        self._way, self._waiting, self._done = way, waiting, done
        self._closed = False
        self._start()
        self._thread = threading.Thread(target=self._run, name="batch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the process, which drops what it has half done."""
        self._closed = True
        self._waiting.put(None)  # for any of the threads
        self._process.terminate()

    def wait(self) -> None:
        """Wait for the end."""
        self._process.join(_END_S)
        self._thread.join(_END_S)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, self._way), daemon=True)
        self._process.start()
        theirs.close()

    def _run(self) -> None:
        while (task := self._waiting.get()) is not None and not self._closed:
            try:
                self._connection.send(task)
                answer = self._connection.recv()
            except (EOFError, OSError):
                if self._closed:
                    return
                answer = Outcome(task, None, "its masking process has ended")
                self._start()
            self._done.put(answer)


def _work(connection: Connection, way: Way) -> None:
    """The process: mask what comes until the other side has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is half written is taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    one_thread_a_stage()
    make = make_masker(way.provider, way.inset, way.skin, way.eyes)
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(_outcome(connection.recv(), way, make))


def _outcome(task: Task, way: Way, make: MakeMasker) -> Outcome:
    about = (task.source, task.target, make, way.size, task.measurements)
    try:
        for path in (task.target, task.measurements):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
        picture = is_picture(task.source)
        return Outcome(task, mask_picture(*about) if picture else mask_video(*about, way.voice))
    except DigitalMaskError as error:
        return Outcome(task, None, str(error))
    except OSError as error:
        return Outcome(task, None, f"{task.target} cannot be written ({error.strerror})")
    except Exception as error:  # noqa: BLE001 - its message could quote the picture
        return Outcome(task, None, f"{task.source} cannot be masked ({type(error).__name__})")
