"""Sends masks into another service by WHIP (RFC 9725), again and again until it is told to stop."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import aiohttp
from aiortc import MediaStreamTrack
from yarl import URL

from digitalmask.errors import SignallingError
from digitalmask.relay.dtls import accept_rsa_certificates
from digitalmask.relay.masked_video import MaskedVideoTrack
from digitalmask.relay.peer import offer_loopback, prepare_codecs
from digitalmask.relay.whip_client import WhipClient

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
# A session that lasted so long was a good one: the next attempt need not wait long.
_GOOD_S = 30.0
# Refusals that pass by themselves, as while a service has not noticed yet that a session ended.
_PASSING = (408, 409, 425, 429)


class PushSource(Protocol):
    """Where masks come from. name: what it is called in what is said."""

    name: str

    def tracks(self) -> tuple[MaskedVideoTrack, MediaStreamTrack]:
        """The mask and the voice for one more session with the service."""

    async def feed(self, mask: MaskedVideoTrack) -> str:
        """Feed such a mask, whose codec is settled; why it ends, "" where it has come to its end.

        Errors: SignallingError where it is refused for now, InvitationError where for ever.
        """


async def push(url: str, token: str, source: PushSource, say: Callable[[str], None]) -> None:
    """Send until the source has come to its end, or until cancelled, which ends the session.

    say: is told what is done, a line each, without what is secret in the address. Errors:
    SignallingError where the service refuses at the first attempt; the source's.
    """
    prepare_codecs()
    offer_loopback()
    accept_rsa_certificates()
    loop, wait_s, begun = asyncio.get_running_loop(), _FIRST_WAIT_S, False
    where = URL(url).origin()

    def begin(codec: str) -> None:
        nonlocal begun
        begun = True
        say(f"Sending {source.name} to {where} ({codec.partition('/')[2].upper()})")

    while True:
        started_at_s = loop.time()
        say(f"Connecting to {where}")
        try:
            reason = await _session(url, token, source, begin)
            if not reason:
                return
        except SignallingError as error:
            if not begun and 400 <= error.status < 500 and error.status not in _PASSING:
                raise
            reason = str(error)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or f"{where} does not answer"
        if loop.time() - started_at_s > _GOOD_S:
            wait_s = _FIRST_WAIT_S
        say(f"{reason[:1].upper()}{reason[1:]}; trying again in {wait_s:.0f} s")
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


async def _session(url: str, token: str, source: PushSource, begin: Callable[[str], None]) -> str:
    """One session with the service; why it ended, "" where the source did."""
    tracks = source.tracks()
    mask = tracks[0]
    if not isinstance(mask, MaskedVideoTrack):
        raise TypeError("only a mask may be pushed")
    tasks: list[asyncio.Task[str]] = []
    try:
        async with WhipClient(url, token, tracks) as service:
            await service.connected()
            begin(mask.mime_type)
            tasks = [asyncio.create_task(each) for each in (source.feed(mask), service.lost())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for track in tracks:
            track.stop()
