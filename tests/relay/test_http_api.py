"""The HTTP API does what its description says, whatever it is asked."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import ClientSession
from hypothesis import HealthCheck, settings
from schemathesis import Case

from digitalmask.errors import SignallingError
from digitalmask.relay.invitations import Role
from tests.relay.support import KEYS, Camera, Relay, running_relay

ADMIN = {"Authorization": f"Bearer {KEYS.admin}"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A relay in a thread of its own, for clients that block."""
    started: list[Relay] = []
    ready, done = threading.Event(), threading.Event()
    folder = tmp_path_factory.mktemp("relay")

    async def serve() -> None:
        async with running_relay(folder, recordings=folder / "recordings") as relay:
            started.append(relay)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(20)
    yield started[0]
    done.set()
    thread.join(20)


@pytest.fixture(scope="module")
def api(served: Relay) -> Any:
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: Case, served: Relay) -> None:
    """Made-up requests, some within the description and some beside it."""
    admin = {"admin": []} in (case.operation.definition.raw.get("security") or [])
    token = KEYS.admin if admin else served.token(Role.DOCTOR)
    if "room" in case.path_parameters and case.operation.method != "delete":
        case.path_parameters["room"] = served.room
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"})
