"""A frame is handed on with its last packet, whatever order its packets come in."""

import inspect
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCRtpCodecParameters, RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from digitalmask.relay import peer
from digitalmask.relay.jitter_buffer import (
    CodedFrame,
    DecoderQueue,
    VideoJitterBuffer,
    is_key_frame,
)

VP8_KEY = b"\x10\x02\x00\x9d\x01\x2a" + b"k" * 10
FRAME_TICKS = 3000


@dataclass(frozen=True)
class Sent:
    """What one frame consists of on the wire."""

    data: bytes
    packets: tuple[RtpPacket, ...]


def packet(number: int, timestamp: int, data: bytes, marker: int = 0) -> RtpPacket:
    made: Any = RtpPacket(97, marker, number & 0xFFFF, timestamp & 0xFFFFFFFF, payload=data)
    made._data = data
    return made  # type: ignore[no-any-return]


def stream(
    frames: int, of: int = 3, number: int = 1000, timestamp: int = 5000, key_at: Iterable[int] = ()
) -> list[Sent]:
    """Frames of `of` packets each; those of `key_at` are key frames."""
    made, keys = [], set(key_at)
    for index in range(frames):
        head = VP8_KEY if index in keys else b"\x11"
        parts = [(head if part == 0 else b"") + b"%d.%d " % (index, part) for part in range(of)]
        packets = tuple(
            packet(
                number + index * of + part, timestamp + index * FRAME_TICKS, data, part == of - 1
            )
            for part, data in enumerate(parts)
        )
        made.append(Sent(b"".join(parts), packets))
    return made


def flat(frames: Sequence[Sent]) -> list[RtpPacket]:
    return [each for frame in frames for each in frame.packets]


def received(buffer: VideoJitterBuffer, packets: Iterable[RtpPacket]) -> tuple[list[bytes], int]:
    """What is handed on in order, and how often a key frame is asked for."""
    data, asked = [], 0
    for each in packets:
        ask, frame = buffer.add(each)
        asked += ask
        if frame is not None:
            data += [frame.data, *(follower.data for follower in frame.followers)]
    return data, asked


def test_a_frame_is_handed_on_with_its_last_packet_and_not_with_the_next_frame() -> None:
    buffer = VideoJitterBuffer()
    (sent,) = stream(1)
    assert [buffer.add(each)[1] for each in sent.packets[:-1]] == [None, None]
    _, frame = buffer.add(sent.packets[-1])
    assert frame is not None
    assert (frame.data, frame.timestamp) == (sent.data, 5000)


@pytest.mark.parametrize("seed", range(5))
def test_packets_out_of_order_and_twice_make_the_same_frames(seed: int) -> None:
    sent = stream(40)
    shuffled = random.Random(seed)
    packets = flat(sent)
    keyed = [(place + shuffled.uniform(0, 6), each) for place, each in enumerate(packets)]
    keyed += [(place + shuffled.uniform(0, 30), each) for place, each in enumerate(packets)]
    keyed[0] = (-1.0, packets[0])
    order = [each for _, each in sorted(keyed, key=lambda pair: pair[0])]
    assert received(VideoJitterBuffer(), order) == ([frame.data for frame in sent], 0)


def test_sequence_numbers_and_time_stamps_wrap_around() -> None:
    sent = stream(30, number=0xFFFF - 40, timestamp=0xFFFFFFFF - 10 * FRAME_TICKS)
    packets = flat(sent)
    for place in range(1, len(packets) - 1, 2):
        packets[place], packets[place + 1] = packets[place + 1], packets[place]
    assert received(VideoJitterBuffer(), packets) == ([frame.data for frame in sent], 0)


def test_a_retransmission_hands_on_all_that_waited_for_it() -> None:
    sent = stream(5)
    packets = flat(sent)
    late = packets.pop(4)
    buffer = VideoJitterBuffer()
    assert received(buffer, packets) == ([sent[0].data], 0)
    _, frame = buffer.add(late)
    assert frame is not None
    assert [frame.data, *(each.data for each in frame.followers)] == [
        each.data for each in sent[1:]
    ]


def test_a_sender_that_sets_no_marker_has_its_frames_ended_by_the_next_time_stamp() -> None:
    sent = stream(4)
    for each in flat(sent):
        each.marker = 0
    assert received(VideoJitterBuffer(), flat(sent)) == ([frame.data for frame in sent[:-1]], 0)


def test_a_lost_marker_is_waited_for_like_any_packet() -> None:
    sent = stream(3)
    packets = flat(sent)
    marker = packets.pop(2)
    buffer = VideoJitterBuffer()
    assert received(buffer, packets) == ([], 0)
    assert received(buffer, [marker]) == ([frame.data for frame in sent], 0)


@pytest.mark.parametrize("lost", [3, 4, 5], ids=["first packet", "middle", "marker"])
def test_after_a_loss_nothing_is_handed_on_until_the_key_frame_that_is_asked_for(
    lost: int,
) -> None:
    sent = stream(30, key_at=(0, 20))
    packets = flat(sent)
    packets.pop(lost)
    data, asked = received(VideoJitterBuffer(), packets)
    assert data == [sent[0].data, *(frame.data for frame in sent[20:])]
    assert 1 <= asked <= 2


def test_a_key_frame_that_does_not_come_is_asked_for_again_but_not_in_a_storm() -> None:
    packets = flat(stream(90))
    packets.pop(4)
    data, asked = received(VideoJitterBuffer(), packets)
    assert len(data) == 1
    assert 5 <= asked <= 10  # in 2.7 s


def test_a_key_frame_that_came_behind_the_gap_already_is_not_asked_for() -> None:
    sent = stream(30, key_at=(2,))
    packets = flat(sent)
    packets.pop(4)
    data, asked = received(VideoJitterBuffer(), packets)
    assert data == [sent[0].data, *(frame.data for frame in sent[2:])]
    assert asked == 0


def test_padding_between_frames_is_no_frame_and_delays_none() -> None:
    sent = stream(2)
    first, second = (list(frame.packets) for frame in sent)
    padding = packet(first[-1].sequence_number + 1, first[-1].timestamp, b"")
    for each in second:
        each.sequence_number += 1
    assert received(VideoJitterBuffer(), [*first, padding, *second]) == (
        [frame.data for frame in sent],
        0,
    )


def test_a_sender_that_starts_anew_is_followed_and_a_stray_packet_is_not() -> None:
    before = stream(3)
    after = stream(5, number=40_000, timestamp=900_000_000, key_at=(2,))
    stray = packet(20_000, 1, b"stray", 1)
    data, asked = received(VideoJitterBuffer(), [*flat(before), stray, *flat(after)])
    assert data == [frame.data for frame in (*before, *after[2:])]
    assert asked == 1


def test_key_frames_are_told_by_their_first_bytes() -> None:
    start = b"\x00\x00\x00\x01"
    assert is_key_frame(VP8_KEY)
    assert not is_key_frame(b"\x11" + VP8_KEY[1:])
    assert is_key_frame(start + b"\x67sps" + start + b"\x68pps" + start + b"\x65idr")
    assert not is_key_frame(start + b"\x41slice")
    assert not is_key_frame(start + b"\x65idr")  # its parameter sets are lost


def test_followers_go_to_the_decoder_with_their_times_on_the_tracks_clock() -> None:
    first = CodedFrame(b"1", 0xFFFFFFFF - 999)
    first.followers = [CodedFrame(b"2", 2000), CodedFrame(b"3", 5000)]
    first.timestamp = 7000  # as aiortc's receiver sets it
    decoder = DecoderQueue()
    codec = RTCRtpCodecParameters("video/VP8", 90000)
    decoder.put((codec, first))
    decoder.put((codec, JitterFrame(b"sound", 1)))
    decoder.put(None)
    items = [decoder.get_nowait() for _ in range(5)]
    assert [(frame.data, frame.timestamp) for _, frame in items[:4]] == [
        (b"1", 7000), (b"2", 10_000), (b"3", 13_000), (b"sound", 1),
    ]  # fmt: skip
    assert items[4] is None


async def test_this_aiortc_has_the_places_that_the_buffer_is_put_in() -> None:
    connection = RTCPeerConnection()
    connection.addTransceiver("video", direction="recvonly")
    connection.addTransceiver("audio", direction="recvonly")
    peer.receive_at_once(connection)
    video, audio = (vars(receiver) for receiver in connection.getReceivers())
    assert isinstance(video["_RTCRtpReceiver__jitter_buffer"], VideoJitterBuffer)
    assert isinstance(video["_RTCRtpReceiver__decoder_queue"], DecoderQueue)
    assert isinstance(audio["_RTCRtpReceiver__jitter_buffer"], JitterBuffer)
    await connection.close()
    # How the receiver speaks to the two.
    handler = inspect.getsource(RTCRtpReceiver._handle_rtp_packet)
    assert "pli_flag, encoded_frame = self.__jitter_buffer.add(packet)" in handler
    assert "self.__decoder_queue.put((codec, encoded_frame))" in handler
    assert inspect.signature(JitterBuffer.add).parameters.keys() == {"self", "packet"}


async def test_another_aiortc_is_refused_in_so_many_words() -> None:
    connection = RTCPeerConnection()
    connection.addTransceiver("video", direction="recvonly")
    (receiver,) = connection.getReceivers()
    del vars(receiver)["_RTCRtpReceiver__jitter_buffer"]
    with pytest.raises(RuntimeError, match=r"aiortc keeps its jitter_buffer elsewhere"):
        peer.receive_at_once(connection)
    await connection.close()
