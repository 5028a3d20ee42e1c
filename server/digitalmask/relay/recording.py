"""Recordings of a room: asked for by a doctor, begun when the patient agrees, ended by either.

What is recorded is the mask and the patient's voice as listeners hear it; never the camera, and
nobody else. A recording is one file, `FOLDER/ROOM/ID.mp4`: both names are random, and nothing in
the file says whose it is or when it was made. It ends by itself when the patient leaves, or when
the patient or every doctor has been away for a while.
"""

import asyncio
import logging
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from av import AudioFrame

from digitalmask.errors import DigitalMaskError, MediaError, SignallingError
from digitalmask.media.fragmented_mp4 import FragmentedMp4
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.relay.invitations import Invitation, Role
from digitalmask.relay.masked_video import MaskedVideo
from digitalmask.relay.voice import Voice

_log = logging.getLogger(__name__)

_RETURNS_WITHIN_S = 30.0  # a person whose network fails comes back by then
_MOST_SOUNDS = 500  # 10 s of sound may wait for a disk that hangs
_FAILED = "the recording could not be written and has ended"
_ID = re.compile(r"[0-9a-f]{16}")


class Recorder:
    """Writes one file in a thread of its own. `show` and `hear` from any thread, and never wait.

    Of pictures that are not written in time the newest is kept; sound is kept whole.
    on_failure: called once, from that thread, where the file cannot be written.
    """

    def __init__(self, path: Path, on_failure: Callable[[str], None]) -> None:
        self._file = FragmentedMp4(path)
        self._on_failure = on_failure
        self._condition = threading.Condition()
        self._picture: MaskedFrame | None = None
        self._sounds: deque[tuple[AudioFrame, float]] = deque(maxlen=_MOST_SOUNDS)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def show(self, masked: MaskedFrame) -> None:
        """Record a picture."""
        if not isinstance(masked, MaskedFrame):
            raise TypeError("only a MaskedFrame may be recorded")
        with self._condition:
            self._picture = masked
            self._condition.notify()

    def hear(self, frame: AudioFrame, at_s: float) -> None:
        """Record sound; at_s: the moment of its first sample."""
        with self._condition:
            self._sounds.append((frame, at_s))
            self._condition.notify()

    def close(self) -> None:
        """Finish the file; waits for it."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            while True:
                with self._condition:
                    self._condition.wait_for(lambda: self._picture or self._sounds or self._closed)
                    picture, self._picture = self._picture, None
                    sounds = list(self._sounds)
                    self._sounds.clear()
                    closed = self._closed
                if picture is not None:
                    self._file.write(picture, picture.clock.captured_at_s)
                for frame, at_s in sounds:
                    self._file.write_sound(frame, at_s)
                if closed:
                    break
        except DigitalMaskError as error:
            self._on_failure(str(error))
        except Exception as error:  # noqa: BLE001 - its message could quote what it was given
            self._on_failure(type(error).__name__)
        try:
            self._file.close()
        except MediaError as error:
            _log.warning("%s", error)


class RecordingState(StrEnum):
    """Where a room's recording stands."""

    OFF = "off"
    ASKED = "asked"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class KeptRecording:
    """A finished recording. ended_at_s: seconds of the epoch."""

    id: str
    size_bytes: int
    ended_at_s: float


class RoomRecording:
    """The recording of one room. On the loop only.

    folder: where recordings go; None where this server makes none. on_change: called whenever
    people are to be told of something new.
    """

    def __init__(
        self, folder: Path | None, room_id: str, voice: Voice, on_change: Callable[[], None]
    ) -> None:
        self._folder = None if folder is None else folder / room_id
        self._voice = voice
        self._on_change = on_change
        self.state = RecordingState.OFF
        self._trouble = ""
        self._id = ""
        self._patient = ""  # the id of the invitation of the one who is asked, or has agreed
        self._started_at_s = 0.0
        self._masked: MaskedVideo | None = None
        self._recorder: Recorder | None = None
        self._away: asyncio.TimerHandle | None = None
        self._closing: dict[str, asyncio.Future[None]] = {}  # by the recordings' ids

    def ask(self, invitation: Invitation, patient: Invitation | None) -> None:
        """A doctor asks for the patient's consent; patient: who is there."""
        if invitation.role is not Role.DOCTOR:
            raise SignallingError(403, "only a doctor may ask for a recording")
        if self._folder is None:
            raise SignallingError(409, "this server makes no recordings")
        if patient is None:
            raise SignallingError(409, "there is no patient who could agree")
        if self.state is RecordingState.OFF:
            self.state, self._trouble, self._patient = RecordingState.ASKED, "", patient.id
            self._on_change()

    def agree(self, invitation: Invitation, masked: MaskedVideo) -> None:
        """The patient agrees: the recording begins."""
        if invitation.role is not Role.PATIENT:
            raise SignallingError(403, "only the patient may agree to a recording")
        if self._folder is None or self.state is RecordingState.OFF:
            raise SignallingError(409, "nobody has asked for a recording")
        if invitation.id != self._patient:
            raise SignallingError(403, "another patient was asked")
        if self.state is RecordingState.RUNNING:
            return
        loop = asyncio.get_running_loop()
        recording_id = secrets.token_hex(8)

        def failed(why: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._fail, recording_id, why)

        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            recorder = Recorder(self._folder / f"{recording_id}.mp4", failed)
        except (MediaError, OSError) as error:
            self._fail(self._id, str(error))
            raise SignallingError(507, self._trouble) from error
        self.state, self._id, self._recorder = RecordingState.RUNNING, recording_id, recorder
        self._started_at_s = time.monotonic()
        self._masked = masked
        masked.add_sink(recorder.show)
        self._voice.add_hearer(recorder.hear)
        self._on_change()

    def stop(self, invitation: Invitation) -> None:
        """A doctor or the patient ends the recording, or says no to it."""
        if invitation.role is Role.OBSERVER:
            raise SignallingError(403, "an observer may not end a recording")
        self.end()

    def end(self) -> None:
        """End the recording, or the question for it; nothing where there is neither."""
        self._away_no_more()
        if self.state is RecordingState.OFF:
            return
        self.state = RecordingState.OFF
        recording_id, self._id = self._id, ""
        recorder, self._recorder = self._recorder, None
        if recorder is not None and self._masked is not None:
            self._masked.remove_sink(recorder.show)
            self._voice.remove_hearer(recorder.hear)
            # Waits for the disk, which the loop must not.
            closing = asyncio.get_running_loop().run_in_executor(None, recorder.close)
            self._closing[recording_id] = closing
            closing.add_done_callback(lambda _: self._finished(recording_id))
        self._on_change()

    async def close(self) -> None:
        """End the recording and wait until its file is whole."""
        self.end()
        await asyncio.gather(*self._closing.values())

    def attend(self, patient: Invitation | None, doctors: bool) -> None:
        """Who is in the room now."""
        if self.state is RecordingState.OFF:
            return
        if patient is not None and patient.id != self._patient:
            self.end()  # somebody else, who was not asked
        elif patient is not None and doctors:
            self._away_no_more()
        elif self._away is None:
            loop = asyncio.get_running_loop()
            self._away = loop.call_later(_RETURNS_WITHIN_S, self.end)

    def describe(self) -> dict[str, Any]:
        """What people are told of it."""
        running = self.state is RecordingState.RUNNING
        return {
            "possible": self._folder is not None,
            "state": self.state.value,
            "seconds": round(time.monotonic() - self._started_at_s) if running else 0,
            "finishing": bool(self._closing),
            "trouble": self._trouble,
        }

    def kept(self) -> list[KeptRecording]:
        """The room's finished recordings, the oldest first."""
        if self._folder is None or not self._folder.is_dir():
            return []
        unfinished = {self._id, *self._closing}
        files = [(path, path.stat()) for path in self._folder.glob("*.mp4")]
        recordings = [
            KeptRecording(path.stem, stat.st_size, stat.st_mtime)
            for path, stat in files
            if _ID.fullmatch(path.stem) and path.stem not in unfinished
        ]
        return sorted(recordings, key=lambda recording: recording.ended_at_s)

    def file(self, recording_id: str) -> Path:
        """The file of a finished recording; SignallingError 404 where there is none."""
        if self._folder is None or recording_id not in {kept.id for kept in self.kept()}:
            raise SignallingError(404, "there is no such recording")
        return self._folder / f"{recording_id}.mp4"

    def _finished(self, recording_id: str) -> None:
        del self._closing[recording_id]
        self._on_change()

    def _fail(self, recording_id: str, why: str) -> None:
        _log.warning("a recording ends: %s", why)
        if recording_id == self._id:
            self._trouble = _FAILED
            self.end()

    def _away_no_more(self) -> None:
        if self._away is not None:
            self._away.cancel()
            self._away = None
