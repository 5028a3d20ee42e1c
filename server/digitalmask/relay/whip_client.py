"""A small WHIP and WHEP client: for the demonstration, the benchmark and the tests."""

import asyncio
from types import TracebackType

import aiohttp
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from digitalmask.errors import SignallingError
from digitalmask.relay.peer import offer_loopback, receive_at_once


class WhipClient:
    """One session; use as `async with WhipClient(...) as client`.

    url: `…/whip/ROOM` to send `tracks`, `…/whep/ROOM/STREAM` to receive (no tracks).
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
        self._headers = {"Authorization": f"Bearer {token}"}
        self._tracks = tracks
        self._at_once = at_once
        self._video_codec = video_codec
        self._session: str | None = None
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.received: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()

    async def __aenter__(self) -> "WhipClient":
        """Connect; SignallingError where the server refuses."""
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
            aiohttp.ClientSession() as http,
            http.post(
                self._url, data=self.connection.localDescription.sdp, headers=headers
            ) as reply,
        ):
            body = await reply.text()
            if reply.status != 201:
                await self.connection.close()
                raise SignallingError(reply.status, f"{self._url} refused: {body}")
            self._session = str(reply.url.join(reply.url.with_path(reply.headers["Location"])))
        await self.connection.setRemoteDescription(RTCSessionDescription(body, "answer"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave."""
        if self._session is not None:
            try:
                async with aiohttp.ClientSession() as http:
                    await http.delete(self._session, headers=self._headers)
            except aiohttp.ClientError:
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
