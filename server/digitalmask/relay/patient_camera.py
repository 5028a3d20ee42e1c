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
    """Take every frame at once (the receiver's queue has no bound) until the track ends."""
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if isinstance(frame, VideoFrame):
            arrived_at_s = time.monotonic()
            rgb = await asyncio.to_thread(frame.to_ndarray, format="rgb24")
            clock = FrameClock(arrived_at_s, frame.pts or 0, frame.time_base or Fraction(1, 90000))
            submit(PatientFrame(clock, np.asarray(rgb, np.uint8)))
