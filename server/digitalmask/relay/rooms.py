"""Rooms: who is in a consultation, and which stream goes where."""

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError

from digitalmask.errors import ConfigurationError, SignallingError
from digitalmask.media.voice import VoiceWay
from digitalmask.pipeline import FrameMasker, LivePipeline, PipelineStatus, Tracking
from digitalmask.relay.invitations import Invitation, Role
from digitalmask.relay.masked_video import MaskedVideo
from digitalmask.relay.patient_camera import watch_camera
from digitalmask.relay.peer import add_candidates, answer, key_frame_request
from digitalmask.relay.recording import RoomRecording
from digitalmask.relay.sdp import IceFragment, check_offer
from digitalmask.relay.voice import Voice

PATIENT_STREAM = "patient"
_MOST_DOCTORS_AND_OBSERVERS = 9
# A client that has not connected by then has gone; its place is free again.
_SETUP_S = 30.0
_MOST_CANDIDATES = 256  # that one session may trickle


@dataclass(slots=True)
class Session:
    """One WHIP or WHEP session of one person.

    etag: the entity tag of its ICE session. ufrag: the client's ICE user name fragment.
    want_key_frame: asks whom the frames come from.
    """

    id: str
    invitation: Invitation
    stream: str
    publishes: bool
    ufrag: str
    etag: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    candidates: int = 0  # that were trickled
    connection: RTCPeerConnection | None = None
    want_key_frame: Callable[[], None] | None = None
    tracks: list[MediaStreamTrack] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Room:
    """One consultation. All methods on the event loop.

    The patient's camera track is given to `watch_camera` and to nothing else; no stream can be
    asked for that carries it.

    recordings: the folder for recordings; None where none are made.
    """

    def __init__(
        self,
        room_id: str,
        make_masker: Callable[[], FrameMasker],
        size: tuple[int, int] | None,
        voice: VoiceWay = VoiceWay.MASK,
        recordings: Path | None = None,
    ) -> None:
        self.id = room_id
        self._make_masker = make_masker
        self._size = size
        self._sessions: dict[str, Session] = {}
        self._masked: MaskedVideo | None = None
        self._voice = Voice(voice)
        self._pipeline: LivePipeline | None = None
        self._doctors: dict[str, list[MediaStreamTrack]] = {}
        self._relay = MediaRelay()
        self._changed = asyncio.Event()
        self._endings: set[asyncio.Task[None]] = set()
        self.recording = RoomRecording(recordings, room_id, self._voice, self._tell)
        self.closed = False

    async def publish(self, invitation: Invitation, offer: str) -> tuple[Session, str]:
        """WHIP: take in a patient's or a doctor's camera and voice."""
        if not invitation.role.publishes:
            raise SignallingError(403, "an observer may watch, not send")
        ufrag = check_offer(offer, publishes=True)
        self._admit(invitation)
        await self._end_older(invitation, None)
        if invitation.role is Role.PATIENT:
            if self._publishing(Role.PATIENT):
                raise SignallingError(409, "a patient is in this room already")
            stream = PATIENT_STREAM
        else:
            stream = self._free_stream()
        session = Session(secrets.token_urlsafe(12), invitation, stream, True, ufrag)
        self._sessions[session.id] = session
        if invitation.role is Role.PATIENT:
            self._start_pipeline()
            return session, await self._connect(session, offer, self._take_patient_track, ())
        return session, await self._connect(
            session, offer, lambda track: self._take_doctor_track(session, track), ()
        )

    async def watch(self, invitation: Invitation, stream: str, offer: str) -> tuple[Session, str]:
        """WHEP: send one of the room's streams."""
        if stream != PATIENT_STREAM and stream not in self._doctors:
            raise SignallingError(404, f"there is no stream {stream!r} in this room")
        ufrag = check_offer(offer, publishes=False)
        self._admit(invitation)
        want_key_frame: Callable[[], None] | None = None
        if stream == PATIENT_STREAM:
            tracks: list[MediaStreamTrack] = [self._masked_video().viewer()]
            # Patients see what the doctor sees, and do not hear themselves.
            if invitation.role is not Role.PATIENT:
                tracks.append(self._voice.listener())
        else:
            # Coded frames, of which none may be left out.
            tracks = [self._relay.subscribe(track) for track in self._doctors[stream]]
            want_key_frame = self._publisher(stream).want_key_frame
        await self._end_older(invitation, stream)
        session = Session(secrets.token_urlsafe(12), invitation, stream, False, ufrag)
        session.tracks, session.want_key_frame = tracks, want_key_frame
        self._sessions[session.id] = session
        return session, await self._connect(session, offer, None, tuple(tracks))

    def session(self, session_id: str, invitation: Invitation) -> Session:
        """One's own session; SignallingError 404 where there is none."""
        session = self._sessions.get(session_id)
        if session is None or session.invitation.id != invitation.id:
            raise SignallingError(404, "there is no such session")
        return session

    async def leave(self, session: Session) -> None:
        """End one's own session; a patient who leaves ends the recording too."""
        await self.end(session)
        if session.publishes and session.invitation.role is Role.PATIENT:
            self.recording.end()

    async def trickle(self, session: Session, fragment: IceFragment) -> None:
        """Take in more of a client's ICE candidates."""
        if fragment.ufrag != session.ufrag:
            raise SignallingError(422, "ICE restarts are not supported: begin a new session")
        session.candidates += len(fragment.candidates)
        if session.candidates > _MOST_CANDIDATES:
            raise SignallingError(400, f"more than {_MOST_CANDIDATES} candidates in one session")
        if session.connection is not None:
            await add_candidates(session.connection, fragment)

    async def end(self, session: Session) -> None:
        """End a session."""
        if self._sessions.pop(session.id, None) is None:
            return
        for task in session.tasks:
            task.cancel()
        for track in session.tracks:
            track.stop()
        if session.publishes and session.invitation.role is Role.PATIENT:
            self._voice.take_from(None)
            self._stop_pipeline()
        elif session.publishes:
            self._doctors.pop(session.stream, None)
        if session.connection is not None:
            await session.connection.close()
        self._tell()

    def ask_to_record(self, invitation: Invitation) -> None:
        """A doctor asks the patient for consent to a recording."""
        self.recording.ask(invitation, self._patient())

    def agree_to_record(self, invitation: Invitation) -> None:
        """The patient agrees, and the recording begins."""
        self.recording.agree(invitation, self._masked_video())

    async def close(self) -> None:
        """End every session."""
        self.closed = True
        await self.recording.close()
        for session in list(self._sessions.values()):
            await self.end(session)
        self._stop_pipeline()
        self._voice.close()
        if self._masked is not None:
            self._masked.close()
        self._tell()

    def describe(self, invitation: Invitation) -> dict[str, Any]:
        """What the pages are told of the room."""
        status = self.patient_status()
        present = bool(self._publishing(Role.PATIENT))
        streams = [{"id": PATIENT_STREAM, "name": self._name_of(PATIENT_STREAM) or "Patient"}]
        streams += [
            {"id": stream, "name": self._name_of(stream) or "Doctor"}
            for stream in sorted(self._doctors)
            if not self._is_own(stream, invitation)
        ]
        return {
            "patient": {
                "present": present,
                "tracking": (status.tracking if present else Tracking.WAITING).value,
                "fps": round(status.fps, 1),
                "stage_ms": {name: round(ms, 1) for name, ms in status.stage_ms.items()},
                "received": status.submitted,
                "shown": status.shown,
                "replaced": status.replaced,
                "reduced": status.level,
            },
            "streams": streams,
            "recording": self.recording.describe(),
            "you": {"role": invitation.role.value, "name": invitation.name},
            "provider": str(status.provider),
        }

    def patient_status(self) -> PipelineStatus:
        """How the patient's loop is doing, what is coded for the viewers with it."""
        status = PipelineStatus() if self._pipeline is None else self._pipeline.status()
        if self._masked is None or not self._masked.encodings:
            return status
        return replace(
            status,
            stage_ms=status.stage_ms | {"encode": self._masked.encode_ms},
            replaced=status.replaced + self._masked.replaced,
        )

    @property
    def encodings(self) -> int:
        """How many encodings of the mask there are."""
        return 0 if self._masked is None else self._masked.encodings

    def count(self, role: Role) -> int:
        """How many people of a role are here."""
        return len({s.invitation.id for s in self._sessions.values() if s.invitation.role is role})

    async def change(self, timeout_s: float) -> None:
        """Wait until somebody came or went, or for `timeout_s`."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return

    def _tell(self) -> None:
        self.recording.attend(self._patient(), self.count(Role.DOCTOR) > 0)
        self._changed.set()
        self._changed = asyncio.Event()

    def _admit(self, invitation: Invitation) -> None:
        if invitation.role is Role.PATIENT:
            return
        present = {
            session.invitation.id
            for session in self._sessions.values()
            if session.invitation.role is not Role.PATIENT
        }
        if invitation.id not in present and len(present) >= _MOST_DOCTORS_AND_OBSERVERS:
            raise SignallingError(409, "this room is full")

    def _patient(self) -> Invitation | None:
        return next((s.invitation for s in self._publishing(Role.PATIENT)), None)

    def _publisher(self, stream: str) -> Session:
        return next(s for s in self._sessions.values() if s.publishes and s.stream == stream)

    def _publishing(self, role: Role) -> list[Session]:
        return [s for s in self._sessions.values() if s.publishes and s.invitation.role is role]

    def _free_stream(self) -> str:
        taken = {session.stream for session in self._publishing(Role.DOCTOR)}
        number = 1
        while f"doctor-{number}" in taken:
            number += 1
        return f"doctor-{number}"

    def _name_of(self, stream: str) -> str:
        names = [
            s.invitation.name for s in self._sessions.values() if s.publishes and s.stream == stream
        ]
        return names[0] if names else ""

    def _is_own(self, stream: str, invitation: Invitation) -> bool:
        return any(
            s.publishes and s.stream == stream and s.invitation.id == invitation.id
            for s in self._sessions.values()
        )

    def _masked_video(self) -> MaskedVideo:
        if self._masked is None:
            self._masked = MaskedVideo()
        return self._masked

    def _start_pipeline(self) -> None:
        if self._pipeline is None:
            self._pipeline = LivePipeline(
                self._make_masker, self._masked_video().publish, self._size
            )

    def _stop_pipeline(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            # Joins its threads; the loop must not wait for a hanging stage.
            asyncio.get_running_loop().run_in_executor(None, pipeline.close)

    def _take_patient_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._voice.take_from(track)
        elif self._pipeline is not None:
            watch_camera(track, self._pipeline.submit)

    def _take_doctor_track(self, session: Session, track: MediaStreamTrack) -> None:
        self._doctors.setdefault(session.stream, []).append(track)
        # Taken at once even where nobody watches: the receiver's queue has no bound.
        drain = self._relay.subscribe(track, buffered=False)
        session.tasks.append(asyncio.create_task(_drain(drain)))
        self._tell()

    async def _connect(
        self,
        session: Session,
        offer: str,
        on_track: Callable[[MediaStreamTrack], None] | None,
        outgoing: tuple[MediaStreamTrack, ...],
    ) -> str:
        loop = asyncio.get_running_loop()

        def ended() -> None:
            task = loop.create_task(self.end(session))
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)

        try:
            # What a doctor sends is handed on as it is; the patient's camera is decoded, for the
            # mask alone.
            session.connection, sdp = await answer(
                offer,
                on_track,
                outgoing,
                ended,
                forward=session.publishes and session.invitation.role is Role.DOCTOR,
                on_key_frame=None if session.publishes else session.want_key_frame,
            )
        except SignallingError:
            await self.end(session)
            raise
        connection = session.connection
        if session.publishes:
            session.want_key_frame = key_frame_request(connection)

        def give_up() -> None:
            if connection.connectionState in ("new", "connecting"):
                ended()

        loop.call_later(_SETUP_S, give_up)
        self._tell()
        return sdp

    async def _end_older(self, invitation: Invitation, watched: str | None) -> None:
        """End what this person sent before, or the session in which they watched this stream."""
        for session in list(self._sessions.values()):
            sent = session.publishes and watched is None
            seen = not session.publishes and session.stream == watched
            if session.invitation.id == invitation.id and (sent or seen):
                await self.end(session)


async def _drain(track: MediaStreamTrack) -> None:
    try:
        while True:
            await track.recv()
    except MediaStreamError:
        return


class Rooms:
    """All rooms of a server; their names outlive it, so that links stay good after a restart."""

    def __init__(
        self,
        make_masker: Callable[[], FrameMasker],
        file: Path,
        size: tuple[int, int] | None = None,
        voice: VoiceWay = VoiceWay.MASK,
        recordings: Path | None = None,
    ) -> None:
        self.voice = voice
        self._make_masker = make_masker
        self._file = file
        self._size = size
        self._recordings = recordings
        self._rooms: dict[str, Room] = {}
        try:
            known = json.loads(file.read_text("utf-8")) if file.exists() else []
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot read the rooms in {file}: move it away") from error
        self._known: list[str] = [str(room_id) for room_id in known]

    def create(self) -> str:
        """A new room; returns its id, which cannot be guessed."""
        room_id = secrets.token_hex(9)  # no `-` first, which a command line takes for an option
        self._known.append(room_id)
        self._keep()
        return room_id

    async def end(self, room_id: str) -> None:
        """End a room for good: its sessions end and its invitations are worth nothing."""
        room = self.room(room_id)
        self._known.remove(room_id)
        self._keep()
        del self._rooms[room_id]
        await room.close()

    def all(self) -> list[str]:
        """The ids of all rooms, the oldest first."""
        return list(self._known)

    def opened(self) -> list[Room]:
        """Those that somebody has entered since the server began."""
        return list(self._rooms.values())

    def room(self, room_id: str) -> Room:
        """The room of that id; SignallingError 404 where there is none."""
        if room_id not in self._known:
            raise SignallingError(404, "there is no such room")
        if room_id not in self._rooms:
            self._rooms[room_id] = Room(
                room_id, self._make_masker, self._size, self.voice, self._recordings
            )
        return self._rooms[room_id]

    async def close(self) -> None:
        """End every session of every room."""
        for room in self._rooms.values():
            await room.close()

    def _keep(self) -> None:
        try:
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps(self._known), "utf-8")
            part.replace(self._file)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the rooms to {self._file}: {error.strerror}"
            ) from error
