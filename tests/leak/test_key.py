"""The search finds the key where it is, through codecs too, and nowhere else."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from av import VideoFrame

from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.relay.codecs import H264, VP8, MaskEncoder
from digitalmask.rendering import draw_card
from tests.leak.key import (
    Picture,
    bytes_have_key,
    file_has_key,
    has_key,
    mark,
    marked_ground,
    text_has_key,
)
from tests.leak.receiving import decoder_of
from tests.media.videos import write_video

SIZE = (640, 480)
CARD = draw_card(Card.LOST, SIZE, FrameClock(0.0, 0, Fraction(1, 30))).rgb
MARKED = marked_ground(SIZE)


def _pasted(across: int) -> Picture:
    """A card of which a square shows the camera."""
    picture = CARD.copy()
    picture[200 : 200 + across, 310 : 310 + across] = MARKED[200 : 200 + across, 310 : 310 + across]
    return picture


def _mixed(share: float) -> Picture:
    return np.asarray(CARD * (1 - share) + MARKED * share, np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        MARKED,
        MARKED[:, ::-1],
        MARKED[31:420, 57:600],
        np.asarray(cv2.resize(MARKED, (320, 240), interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(MARKED, (1280, 960)), np.uint8),
        np.asarray(cv2.GaussianBlur(MARKED, (0, 0), 3.0), np.uint8),
        _mixed(0.1),
        _pasted(64),
    ],
    ids=["whole", "mirrored", "cut", "half", "double", "blurred", "a tenth of it", "a square"],
)
def test_the_key_is_found_however_it_is_shown(picture: Picture) -> None:
    assert has_key(picture)


def test_what_has_no_key_is_let_be() -> None:
    random = np.random.default_rng(1)
    assert not has_key(CARD)
    assert not has_key(random.integers(0, 256, (480, 640, 3), np.uint8))
    assert not bytes_have_key(random.bytes(300_000))
    assert not bytes_have_key(CARD.tobytes())
    assert not text_has_key("INFO 2026-11-25 15:00:00,123 127.0.0.1:8080 frame 17 of 640x480")


@pytest.mark.parametrize("codec", [H264, VP8])
def test_the_key_is_found_behind_the_relays_own_codec(codec: str) -> None:
    encoder, decode = MaskEncoder(codec), decoder_of(codec)
    shown: list[VideoFrame] = []
    for number in range(3):
        planes = np.asarray(cv2.cvtColor(_mixed(0.1 * number), cv2.COLOR_RGB2YUV_I420), np.uint8)
        shown += decode(encoder.encode(planes, 3000 * number, 150_000))
    found = [has_key(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)) for frame in shown]
    assert found == [False, True, True]


def test_pixels_are_found_in_bytes_and_quoted_in_texts() -> None:
    row = MARKED[0]
    planes = np.asarray(cv2.cvtColor(MARKED, cv2.COLOR_RGB2YUV_I420), np.uint8)
    chroma = planes[SIZE[1] :].tobytes()
    for data in (MARKED.tobytes(), MARKED[:, :, ::-1].tobytes(), planes.tobytes(), chroma):
        assert bytes_have_key(b"\0" * 12345 + data[:20_000] + b"\xff" * 999)
    for text in (repr(row.tolist()), row.tobytes().hex(), repr(row.tobytes())):
        assert text_has_key(f"ValueError: cannot use {text}")


def test_pictures_are_found_in_files(tmp_path: Path) -> None:
    jpeg, video = tmp_path / "core.bin", write_video(tmp_path / "cache.mp4", [MARKED] * 3)
    coded = cv2.imencode(".jpg", MARKED[:, :, ::-1])[1]
    jpeg.write_bytes(b"header" + coded.tobytes())
    assert file_has_key(jpeg)
    assert file_has_key(video)
    plain = tmp_path / "plain.mp4"
    write_video(plain, [CARD] * 3)
    assert not file_has_key(plain)


def test_a_face_may_be_marked_and_is_still_a_face() -> None:
    """What the marked camera of the other tests shows; they say that the mask follows it."""
    assert has_key(mark(CARD, 0.35))
