"""A small WHIP and WHEP client: for `digitalmask push`, the demonstration, the benchmark, tests."""

import asyncio
import json
from datetime import UTC, datetime
from types import TracebackType

import aiohttp
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from yarl import URL

from digitalmask.errors import SignallingError
from digitalmask.relay.masked_video import MaskedVideoTrack
from digitalmask.relay.peer import offer_loopback, receive_at_once, send_coded

_REQUEST = aiohttp.ClientTimeout(total=15.0)
_SETUP_S = 15.0  # from the answer to the connection
_LOOK_S = 0.5
# RTCP reports come every 0.5 to 1.5 s from who receives (RFC 3550, 6.2); consent to send (RFC 7675)
# lasts 30 s, too long for a consultation to wait.
_SILENCE_S = 8.0


class WhipClient:
    """One session; use as `async with WhipClient(...) as client`.

    url: a WHIP endpoint to send `tracks` to, or a WHEP endpoint to receive from (no tracks).
    tracks: of masks that are coded already, a `MaskedVideoTrack`.
    at_once: decode a frame when its last packet has come, as browsers do and aiortc does not.
    video_codec: the MIME type of the one that is offered; all that aiortc knows where empty.
    """

    def __init__(
        self,
        url: str,
        token: str,
        tracks: tuple[MediaStreamTrack, ...] = (),
        at_once: bool = False,
        video_codec: str = "",
    ) -> None:
        self._url = url
        self._host = URL(url).origin()  # the rest of it may be a secret
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._tracks = tracks
        self._at_once = at_once
        self._video_codec = video_codec
        self._session: str | None = None
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.received: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()

    async def __aenter__(self) -> "WhipClient":
        """Offer and take the answer. Errors: SignallingError where the server refuses."""
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _begin(self) -> None:
        offer_loopback()
        self.connection.on("track", self.received.put_nowait)
        for track in self._tracks:
            self.connection.addTransceiver(track, direction="sendonly")
        if not self._tracks:
            for kind in ("video", "audio"):
                self.connection.addTransceiver(kind, direction="recvonly")
        if self._video_codec:
            self._offer_one_codec()
        if self._at_once:
            receive_at_once(self.connection)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        headers = self._headers | {"Content-Type": "application/sdp"}
        async with (
            aiohttp.ClientSession(timeout=_REQUEST) as http,
            http.post(
                self._url, data=self.connection.localDescription.sdp, headers=headers
            ) as reply,
        ):
            body = await reply.text()
            if reply.status != 201:
                raise SignallingError(reply.status, f"{self._host} refuses: {_reason(reply, body)}")
            self._session = str(reply.url.join(URL(reply.headers.get("Location", ""))))
        try:
            await self.connection.setRemoteDescription(RTCSessionDescription(body, "answer"))
        except Exception as error:  # aiortc raises whatever it stumbles on
            raise SignallingError(
                502,
                f"{self._host} takes none of VP8, H.264 and Opus, or answers what cannot be used",
            ) from error
        for sender in self.connection.getSenders():
            if isinstance(sender.track, MaskedVideoTrack):
                send_coded(self.connection, sender, sender.track)

    async def connected(self) -> None:
        """Wait for the connection. Errors: ConnectionError where there is none."""
        try:
            async with asyncio.timeout(_SETUP_S):
                while self.connection.connectionState != "connected":
                    if self.connection.connectionState in ("failed", "closed"):
                        raise ConnectionError(f"no connection to {self._host} could be made")
                    await asyncio.sleep(_LOOK_S / 10)
        except TimeoutError:
            raise ConnectionError(f"no connection to {self._host} could be made") from None

    async def lost(self) -> str:
        """Wait until the connection is lost, or who receives says nothing; why."""
        connected_at = datetime.now(UTC)
        while self.connection.connectionState == "connected":
            await asyncio.sleep(_LOOK_S)
            heard_at = [
                report.timestamp
                for sender in self.connection.getSenders()
                for report in (await sender.getStats()).values()
                if report.type == "remote-inbound-rtp"
            ]
            since = datetime.now(UTC) - max([connected_at, *heard_at])
            if self._tracks and since.total_seconds() > _SILENCE_S:
                return f"nothing is heard from {self._host}"
        return f"the connection to {self._host} was lost"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave."""
        if self._session is not None:
            try:
                async with aiohttp.ClientSession(timeout=_REQUEST) as http:
                    await http.delete(self._session, headers=self._headers)
            except (aiohttp.ClientError, TimeoutError):
                pass  # the server has gone: so has the session
        await self.connection.close()

    def _offer_one_codec(self) -> None:
        codecs = [
            codec
            for codec in RTCRtpSender.getCapabilities("video").codecs
            if codec.mimeType.lower() in (self._video_codec, "video/rtx")
        ]
        for transceiver in self.connection.getTransceivers():
            if transceiver.kind == "video":
                transceiver.setCodecPreferences(codecs)


def _reason(reply: aiohttp.ClientResponse, body: str) -> str:
    """Why a server refuses: its own line where it has one."""
    try:
        said = json.loads(body)
    except ValueError:
        said = body if reply.content_type == "text/plain" else None
    text = (
        said.get("error", said.get("detail", said.get("title"))) if isinstance(said, dict) else said
    )
    line = str(text or reply.reason or "").partition("\n")[0].strip()[:200]
    return f"status {reply.status}" + (f", {line}" if line else "")
