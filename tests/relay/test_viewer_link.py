"""When a viewer needs an encoding of its own, and when it does no more."""

import pytest

from digitalmask.relay.codecs import LEAST_BIT_S
from digitalmask.relay.viewer_link import Retransmissions, ViewerLink

MBIT = 1_000_000


def test_one_low_estimate_is_no_congestion_and_half_a_second_of_them_is() -> None:
    link = ViewerLink()
    link.estimated(1 * MBIT, 2 * MBIT, 3.0)
    link.estimated(2 * MBIT, 2 * MBIT, 3.3)
    link.estimated(1 * MBIT, 2 * MBIT, 4.0)
    assert not link.apart
    link.estimated(1 * MBIT, 2 * MBIT, 4.6)
    assert link.apart
    assert link.bit_s(2 * MBIT) == 0.8 * MBIT


def test_a_low_estimate_of_a_picture_that_needs_little_is_no_congestion() -> None:
    link = ViewerLink()
    for second in range(10):
        link.estimated(450_000, 300_000, float(second))
    assert not link.apart


def test_wishes_for_key_frames_part_a_viewer_but_not_those_of_one_loss() -> None:
    link = ViewerLink()
    for tenth in range(4):
        link.key_frame_wanted(tenth / 10)
    for second in (15.0, 30.0, 45.0):
        link.key_frame_wanted(second)
    assert not link.apart
    link.key_frame_wanted(46.0)
    assert link.apart


def test_the_rate_falls_with_heavy_losses_and_rises_without() -> None:
    link = ViewerLink()
    link.lost(0.05, 2 * MBIT, 3.0)
    assert not link.apart
    link.lost(0.2, 2 * MBIT, 4.0)
    assert link.apart
    assert link.bit_s(2 * MBIT) == pytest.approx(0.8 * 1.8 * MBIT)
    link.lost(0.01, 2 * MBIT, 5.0)
    assert 0.8 * 1.8 * MBIT < link.bit_s(2 * MBIT) < 1.6 * MBIT
    link.lost(0.75, 2 * MBIT, 5.0)
    assert link.bit_s(2 * MBIT) == pytest.approx(0.8 * 0.25 * 1.944 * MBIT)
    for second in range(6, 30):
        link.lost(0.9, 2 * MBIT, float(second))
    assert link.bit_s(2 * MBIT) == LEAST_BIT_S


def test_a_viewer_comes_back_when_its_network_carries_what_all_share_and_each_time_later() -> None:
    link = ViewerLink()
    link.lost(0.3, 2 * MBIT, 10.0)
    link.lost(0.0, 2 * MBIT, 11.0)
    assert not link.may_return(2 * MBIT, 21.0)
    for second in range(12, 16):
        link.lost(0.0, 2 * MBIT, float(second))
    assert not link.may_return(2 * MBIT, 19.0)
    assert link.may_return(2 * MBIT, 21.0)
    assert not link.apart
    link.estimated(1 * MBIT, 2 * MBIT, 30.0)
    link.estimated(1 * MBIT, 2 * MBIT, 31.0)
    link.estimated(3 * MBIT, 1 * MBIT, 32.0)
    assert not link.may_return(2 * MBIT, 45.0)
    assert link.may_return(2 * MBIT, 52.0)


def test_a_packet_is_not_sent_again_while_it_may_be_on_its_way() -> None:
    again = Retransmissions()
    assert again.allow(5, 2 * MBIT, 1.0)
    assert not again.allow(5, 2 * MBIT, 1.01)
    assert again.allow(5, 2 * MBIT, 1.05)


def test_what_is_sent_again_is_a_part_of_what_is_sent() -> None:
    again = Retransmissions()
    allowed = sum(again.allow(n & 0xFFFF, 2 * MBIT, n / 1000) for n in range(10_000))
    assert allowed * 1200 * 8 / 10 == pytest.approx(MBIT, rel=0.1)
    few = Retransmissions()
    assert sum(few.allow(n, 0.0, n / 1000) for n in range(10_000)) == pytest.approx(330, rel=0.1)
