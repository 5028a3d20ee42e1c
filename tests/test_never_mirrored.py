"""A sign on the patient's left stays on the left, at each stage up to the doctor's screen.

The patient faces the picture, so that the patient's left is on the right of it.
"""

import asyncio
import re
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc.codecs.vpx import Vp8Decoder
from aiortc.jitterbuffer import JitterFrame
from numpy.typing import NDArray

from digitalmask.assets.head import load_head
from digitalmask.assets.paths import client_dir
from digitalmask.errors import RenderingError
from digitalmask.mask_state import EyeState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.writer import VideoWriter
from digitalmask.relay.codecs import VP8
from digitalmask.relay.masked_video import MaskedVideo
from digitalmask.rendering import Inset, MaskRenderer

CLOCK = FrameClock(1.0, 0, Fraction(1, 90_000))
SIZE = (640, 480)
Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def frames() -> tuple[MaskedFrame, MaskedFrame]:
    """A calm mask, and one whose left lid hangs to 1 mm above the pupil; eyes inset."""
    try:
        renderer = MaskRenderer(load_head(), Inset.EYES)
    except RenderingError as error:
        pytest.skip(str(error))
    hanging = replace(neutral_state(), left=EyeState(upper_lid_mm=(0.6, 1.0, 0.6)))
    drawn = [renderer.draw(state, SIZE, CLOCK) for state in (neutral_state(), hanging)]
    renderer.close()
    return drawn[0], drawn[1]


def changed(calm: Picture, hanging: Picture) -> tuple[int, int]:
    """How many pixels differ on the picture's left half and on its right."""
    differs = np.abs(calm.astype(int) - hanging.astype(int)).max(axis=-1) > 40
    half = SIZE[0] // 2
    return int(differs[:, :half].sum()), int(differs[:, half:].sum())


def rgb(frame: av.VideoFrame) -> Picture:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


@pytest.mark.gl
def test_a_drawn_ptosis_of_the_left_is_on_the_right_of_the_picture_and_its_inset(
    frames: tuple[MaskedFrame, MaskedFrame],
) -> None:
    left, right = changed(frames[0].rgb, frames[1].rgb)
    assert left == 0
    assert right > 100
    inset = slice(360, 480)
    assert changed(frames[0].rgb[inset], frames[1].rgb[inset])[1] > 100


@pytest.mark.gl
def test_a_file_keeps_it_there(frames: tuple[MaskedFrame, MaskedFrame], tmp_path: Path) -> None:
    pictures = []
    for number, frame in enumerate(frames):
        path = tmp_path / f"{number}.mp4"
        with VideoWriter(path, Fraction(30), None) as out:
            out.write(frame)
        with av.open(path) as container:
            pictures.append(rgb(next(container.decode(video=0))))
    left, right = changed(pictures[0], pictures[1])
    assert right > 100
    assert left < 0.02 * right


@pytest.mark.gl
async def test_what_a_viewer_decodes_keeps_it_there(
    frames: tuple[MaskedFrame, MaskedFrame],
) -> None:
    pictures = []
    for frame in frames:
        video = MaskedVideo()
        track = video.viewer()
        track.mime_type = VP8
        sending = asyncio.create_task(track.recv())
        await asyncio.sleep(0)
        video.publish(replace(frame, clock=FrameClock(time.monotonic(), 3000, Fraction(1, 90_000))))
        sent = await sending
        decoded = Vp8Decoder().decode(JitterFrame(data=sent.data, timestamp=sent.timestamp))
        assert isinstance(decoded[0], av.VideoFrame)
        pictures.append(rgb(decoded[0]))
        video.close()
    left, right = changed(pictures[0], pictures[1])
    assert right > 100
    assert left < 0.02 * right


def test_the_doctors_page_mirrors_no_picture_of_the_patient() -> None:
    page = (client_dir() / "doctor.html").read_text()
    for name in ("mask", "eyes"):
        tag = re.search(rf'<(?:video|canvas)[^>]*id="{name}"[^>]*>', page)
        assert tag is not None
        assert "mirrored" not in tag[0]
        assert "style" not in tag[0]
    style = (client_dir() / "style.css").read_text()
    turned = [
        rule.strip().splitlines()[-1]
        for rule, body in re.findall(r"([^{}]+)\{([^{}]*)\}", style)
        if re.search(r"transform|scale|rotate", body)
    ]
    assert turned == ["video.mirrored"]
    script = (client_dir() / "doctor.js").read_text()
    assert not re.search(r"mirrored|scale\(|transform|rotate\(", script)
