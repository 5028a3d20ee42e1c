"""Takes the patient's frames off the wire and hands the newest to the patient's loop."""

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame


async def watch_camera(track: MediaStreamTrack, submit: Callable[[PatientFrame], None]) -> None:
    """Take every frame at once (the receiver's queue has no bound) until the track ends.

    A frame that arrives while another is converted replaces one that waits.
    """
    newest: tuple[VideoFrame, float] | None = None
    arrived = asyncio.Event()

    async def convert() -> None:
        nonlocal newest
        while True:
            await arrived.wait()
            arrived.clear()
            if newest is None:
                continue
            (frame, arrived_at_s), newest = newest, None
            rgb = await asyncio.to_thread(frame.to_ndarray, format="rgb24")
            clock = FrameClock(arrived_at_s, frame.pts or 0, frame.time_base or Fraction(1, 90000))
            submit(PatientFrame(clock, np.asarray(rgb, np.uint8)))

    converting = asyncio.create_task(convert())
    try:
        while True:
            frame = await track.recv()
            if isinstance(frame, VideoFrame):
                newest = (frame, time.monotonic())
                arrived.set()
    except MediaStreamError:
        return
    finally:
        converting.cancel()
