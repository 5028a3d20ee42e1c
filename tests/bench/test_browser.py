"""Delays are told from captures, the sender's reports and what was shown; and a real run."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from digitalmask.bench.browser import delays_ms
from digitalmask.cli import main

START_MS = 1_700_000_000_000.0


def captures(count: int) -> list[float]:
    return [START_MS + number * 1000 / 30 for number in range(count)]


def number_of(capture_ms: float, origin: int = 0) -> int:
    """As a browser stamps: in whole milliseconds, some after capture."""
    return (origin + 90 * round(capture_ms + 4 - START_MS)) % 2**32


@pytest.mark.parametrize("origin", [0, 2**32 - 45_000])
def test_each_shown_frame_is_told_by_its_number(origin: int) -> None:
    jitter = random.Random(4)
    captured = captures(200)
    reports = [(at + 0.7, number_of(at, origin)) for at in captured[::30]]
    shown = []
    for number, at in enumerate(captured):
        stamp = (number_of(at, origin) + 90 * jitter.randint(-3, 3)) % 2**32
        if number % 4:  # a frame in four is not shown
            shown.append((stamp, at + 30, at + 32, at + 50.0))
    delays = delays_ms(captured, reports, shown)
    assert len(delays) == 150
    np.testing.assert_allclose(delays, [[30, 32, 50]] * 150, atol=0.01)


def test_a_frame_that_is_shown_longer_counts_once_and_a_card_not_at_all() -> None:
    captured = captures(30)
    at, stamp = captured[10], number_of(captured[10])
    moments = (at + 30, at + 32, at + 50)
    later = (at + 63, at + 65, at + 83)
    shown = [(stamp, *moments), (None, *later), (stamp, *later)]
    delays = delays_ms(captured, [(captured[0], number_of(captured[0]))], shown)
    np.testing.assert_allclose(delays, [[30, 32, 50]], atol=0.01)


def test_no_frame_is_seen_before_it_went_to_the_compositor() -> None:
    captured = captures(30)
    at, stamp = captured[10], number_of(captured[10])
    expected_too_soon = [(stamp, at + 30, at + 52, at + 47)]
    delays = delays_ms(captured, [(captured[0], number_of(captured[0]))], expected_too_soon)
    np.testing.assert_allclose(delays, [[30, 52, 52]], atol=0.01)


def test_without_reports_nothing_is_known() -> None:
    captured = captures(30)
    assert len(delays_ms(captured, [], [(0, 1.0, 2.0, 3.0)])) == 0
    assert len(delays_ms(captured, [(captured[0], 0)], [(None, 1.0, 2.0, 3.0)])) == 0


@pytest.mark.browser
@pytest.mark.gl
@pytest.mark.models
def test_the_delay_from_camera_to_screen_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "browser", "--seconds", "3", "--size", "640x480", "--codec", "h264",
                 "--json"]) == 0  # fmt: skip
    (figures,) = json.loads(capsys.readouterr().out).values()
    assert figures["codec"] == "h264"
    assert figures["frames"] > 0
    assert 5 < figures["added_ms_p50"] < figures["received_ms_p50"]
    assert figures["received_ms_p50"] <= figures["composited_ms_p50"]
    assert figures["composited_ms_p50"] <= figures["glass_to_glass_ms_p50"] < 1000


def test_a_time_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "browser", "--seconds", "0"]) == 1
    assert "more than 0" in capsys.readouterr().err


def test_nothing_of_the_product_draws_numbers() -> None:
    package = Path(__file__).parents[2] / "server" / "digitalmask"
    users = [
        file.relative_to(package).parts[0]
        for file in package.rglob("*.py")
        if "bar_code" in file.read_text("utf-8")
    ]
    assert set(users) == {"bench"}
