"""Monitoring reads what every stage takes and drops, and nothing about anybody."""

import asyncio
from pathlib import Path

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from digitalmask.relay.invitations import Role
from tests.relay.support import KEYS, Camera, Relay, running_relay, track_of


async def read(relay: Relay, key: str | None = KEYS.admin) -> tuple[int, str]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with (
        ClientSession() as session,
        session.get(f"{relay.url}/metrics", headers=headers) as reply,
    ):
        return reply.status, await reply.text()


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_frames_stages_and_people_are_counted(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        relay.publisher(relay.token(Role.PATIENT), Camera()),
        relay.viewer(relay.token(Role.DOCTOR)) as doctor,
    ):
        mask = await track_of(doctor, "video")
        for _ in range(20):
            await mask.recv()
        await asyncio.sleep(0.5)
        status, text = await read(relay)
        room_id = relay.room
    assert status == 200
    found = samples(text)
    assert found["digitalmask_people", "patient"] == 1
    assert found["digitalmask_people", "doctor"] == 1
    received = found["digitalmask_frames_total", "received", "1"]
    assert found["digitalmask_frames_total", "shown", "1"] > 15
    assert received >= found["digitalmask_frames_total", "shown", "1"]
    assert found["digitalmask_stage_seconds", "1", "encode"] > 0
    assert found["digitalmask_reduced", "1"] == 0
    assert found["digitalmask_tracking", "1", "following"] == 1
    assert found["digitalmask_provider", "networks", "test", "1"] == 1
    assert found["digitalmask_provider", "drawing", "green", "1"] == 1
    assert "process_cpu_seconds_total" in text
    assert room_id not in text


async def test_they_are_for_the_admin_key_alone(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay:
        assert (await read(relay, None))[0] == 401
        assert (await read(relay, relay.token(Role.DOCTOR)))[0] == 401
