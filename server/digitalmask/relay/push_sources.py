"""Whose mask is pushed: a room of a running relay, a film, a webcam."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import jwt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame
from yarl import URL

from digitalmask.errors import (
    ConfigurationError,
    InvitationError,
    SignallingError,
)
from digitalmask.media.live_source import OpenCamera, hand_on_frames
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.media.voice import VoiceWay
from digitalmask.pipeline import FrameMasker, LivePipeline
from digitalmask.relay.film import open_film
from digitalmask.relay.forwarded_mask import ForwardedMask
from digitalmask.relay.invitations import Role
from digitalmask.relay.masked_video import MaskedVideo, MaskedVideoTrack
from digitalmask.relay.patient_camera import read_frame
from digitalmask.relay.voice import Voice
from digitalmask.relay.whip_client import WhipClient

# A relay sends cards five times a second where it has no mask: who is silent has gone, and a mask
# that stands still must not be shown for one that follows.
_SILENCE_S = 3.0
_LOOK_S = 0.25

Submit = Callable[[PatientFrame], None]
Play = Callable[[Submit, Voice], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class RoomLink:
    """A room of a running relay, as an invitation's link names it."""

    url: str
    token: str


def read_room_link(link: str) -> RoomLink:
    """The WHEP endpoint and the token in a doctor's or an observer's link.

    Errors: ConfigurationError where it is none.
    """
    try:
        url = URL(link)
        claims = jwt.decode(url.fragment, options={"verify_signature": False})
        room, role = str(claims["room"]), Role(claims["role"])
        endpoint = url.origin() / "whep" / room / "patient"
    except (KeyError, ValueError, jwt.InvalidTokenError) as error:
        raise ConfigurationError(
            "that is no whole link to a room: it begins with http and has its invitation behind a #"
        ) from error
    if role is Role.PATIENT:
        raise ConfigurationError("a patient's link brings no voice: take an observer's")
    return RoomLink(str(endpoint), url.fragment)


class RoomSource:
    """What a room of a running relay shows its viewers. On the loop."""

    name = "the room's mask"

    def __init__(self, link: RoomLink) -> None:
        self._link = link
        # What the room sends is as the room's terms have it.
        self._voice = Voice(VoiceWay.PASS)
        self._forwarded: ForwardedMask | None = None

    def tracks(self) -> tuple[MaskedVideoTrack, MediaStreamTrack]:
        """The mask and the voice for one more session."""
        self._forwarded = ForwardedMask()
        return self._forwarded.track, self._voice.listener()

    async def feed(self, mask: MaskedVideoTrack) -> str:
        """Watch the room, in the codec that the service takes, until the connection is lost."""
        forwarded = self._forwarded
        if forwarded is None or forwarded.track is not mask:
            raise ValueError("this mask is of an earlier session")
        url, token = self._link.url, self._link.token
        try:
            async with WhipClient(url, token, at_once=True, video_codec=mask.mime_type) as viewer:
                return await self._watch(forwarded, viewer)
        except SignallingError as error:
            if error.status in (401, 403, 404):
                raise InvitationError(str(error)) from error
            raise

    async def _watch(self, forwarded: ForwardedMask, viewer: WhipClient) -> str:
        forwarding = asyncio.create_task(forwarded.forward(viewer))
        while not viewer.received.empty():
            track = viewer.received.get_nowait()
            if track.kind == "audio":
                self._voice.take_from(track)
        lost: asyncio.Task[str] | None = None
        try:
            await viewer.connected()
            connected_at_s = time.monotonic()
            lost = asyncio.create_task(viewer.lost())
            while not lost.done():
                await asyncio.wait([lost], timeout=_LOOK_S)
                silent_s = min(forwarded.silent_s(), time.monotonic() - connected_at_s)
                if silent_s > _SILENCE_S:
                    return "nothing comes from the room"
            return lost.result()
        finally:
            self._voice.take_from(None)
            forwarding.cancel()
            if lost is not None:
                lost.cancel()


class LocalSource:
    """Frames of this machine, masked by a pipeline of its own. On the loop.

    play: hands frames to the pipeline and a voice to those who listen, until there are no more.
    """

    def __init__(
        self,
        name: str,
        play: Play,
        make_masker: Callable[[], FrameMasker],
        size: tuple[int, int] | None = None,
        voice: VoiceWay = VoiceWay.MASK,
    ) -> None:
        self.name = name
        self._video = MaskedVideo()
        self._voice = Voice(voice)
        self._play = play
        self._pipeline = LivePipeline(make_masker, self._video.publish, size)
        self._playing: asyncio.Task[None] | None = None

    def tracks(self) -> tuple[MaskedVideoTrack, MediaStreamTrack]:
        """The mask and the voice for one more session."""
        return self._video.viewer(), self._voice.listener()

    async def feed(self, mask: MaskedVideoTrack) -> str:
        """Play on; it began with the first session, and goes on between sessions."""
        del mask
        if self._playing is None:
            self._playing = asyncio.create_task(self._play(self._pipeline.submit, self._voice))
        await asyncio.shield(self._playing)
        return ""

    def close(self) -> None:
        """Stop playing."""
        if self._playing is not None:
            self._playing.cancel()
        self._voice.close()
        self._video.close()
        self._pipeline.close()


def film(path: Path, over_and_over: bool) -> Play:
    """A video with its sound, at its own pace. Errors: MediaError where it cannot be read."""
    picture, sound = open_film(path, over_and_over)

    async def play(submit: Submit, voice: Voice) -> None:
        if sound is not None:
            voice.take_from(sound)
        try:
            while True:
                frame = await picture.recv()
                if isinstance(frame, VideoFrame):
                    read = await asyncio.to_thread(read_frame, frame, time.monotonic())
                    if read is not None:
                        submit(read)
        except MediaStreamError:
            pass  # its end
        finally:
            for track in filter(None, (picture, sound)):
                track.stop()

    return play


def webcam(open_webcam: OpenCamera, say: Callable[[str], None]) -> Play:
    """A camera's frames as they come; one that goes is waited for, and the card is shown.

    open_webcam: its frames, until it goes (MediaError).
    """

    async def play(submit: Submit, voice: Voice) -> None:
        del voice  # a webcam has none
        stopped = threading.Event()
        loop = asyncio.get_running_loop()

        def tell(trouble: str) -> None:
            if trouble and not stopped.is_set():
                loop.call_soon_threadsafe(say, f"{trouble}; waiting for the camera")

        threading.Thread(
            target=hand_on_frames,
            args=(open_webcam, submit, stopped, tell),
            name="webcam",
            daemon=True,
        ).start()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    return play
