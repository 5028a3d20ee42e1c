"""The bad link carries what it says, and a bad viewer changes nothing for the others."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitalmask.bench.relay import receive
from digitalmask.bench.viewers import BadLink
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.pipeline import Sighting
from digitalmask.relay.invitations import Role
from tests.relay.support import Camera, GreenMasker, running_relay


def test_a_bad_link_carries_its_rate_and_loses_its_share() -> None:
    link = BadLink(lost=0.1, bit_s=300_000)
    for number in range(1000):
        link.take(bytes([128]) * 1000, number / 50)  # 400 kbit/s for 20 s
    assert link.passed_bytes * 8 / 20 == pytest.approx(300_000, rel=0.1)
    assert link.dropped > 100
    spare = BadLink(lost=0.1, bit_s=3_000_000)
    for number in range(1000):
        spare.take(bytes([128]) * 1000, number / 50)
    assert spare.dropped == pytest.approx(100, abs=30)


class NoiseMasker(GreenMasker):
    """Draws what takes 2 Mbit/s, and looks poor with less."""

    def draw(self, sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
        plain = super().draw(sighting, size)
        noise = np.random.default_rng(sighting.clock.pts).integers(0, 60, plain.rgb.shape, np.uint8)
        return replace(plain, rgb=noise + plain.rgb // 2)


async def test_a_viewer_on_a_bad_link_does_not_change_what_another_gets(tmp_path: Path) -> None:
    good: dict[int, float] = {}
    bad: dict[int, float] = {}
    keys: list[float] = []
    link = BadLink(lost=0.05, bit_s=300_000)
    async with (
        running_relay(tmp_path, masker=NoiseMasker) as relay,
        relay.publisher(relay.token(Role.PATIENT), Camera()),
        relay.viewer(relay.token(Role.DOCTOR)) as doctor,
    ):
        watching = [asyncio.create_task(receive(doctor, good, keys))]
        await asyncio.sleep(2.0)
        before = len(good)
        await asyncio.sleep(2.0)
        alone, keys_alone = len(good) - before, len(keys)
        async with relay.viewer(relay.token(Role.OBSERVER), at_once=True) as observer:
            link.put_before(observer)
            watching.append(asyncio.create_task(receive(observer, bad)))
            await asyncio.sleep(3.0)
            before = len(good)
            await asyncio.sleep(2.0)
            beside = len(good) - before
            link.close()
        for task in watching:
            task.cancel()
    assert link.dropped > 50
    assert len(bad) > 5
    assert beside > 0.8 * alone
    assert len(keys) - keys_alone <= 3  # it came, and asked again before it was set apart
