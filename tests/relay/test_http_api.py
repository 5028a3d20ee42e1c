"""The HTTP API does what its description says, whatever it is asked."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import ClientSession
from aiortc import MediaStreamTrack
from hypothesis import HealthCheck, settings
from schemathesis import Case

from digitalmask.cli import main
from digitalmask.errors import SignallingError
from digitalmask.relay.http_api import description
from digitalmask.relay.invitations import Role, read_invitation
from tests.relay.support import KEYS, Camera, Relay, running_relay, track_of

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


schema = schemathesis.openapi.from_dict(description())


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: Case[Any], served: Relay) -> None:
    """Made-up requests, some within the description and some beside it."""
    admin = {"admin": []} in (case.operation.definition.raw.get("security") or [])
    token = KEYS.admin if admin else served.token(Role.DOCTOR)
    if "room" in case.path_parameters and case.operation.method != "delete":
        case.path_parameters["room"] = served.room
    case.call_and_validate(base_url=served.url, headers={"Authorization": f"Bearer {token}"})


async def test_a_named_invitation_lets_its_person_in_and_the_room_says_who_is_there(
    tmp_path: Path,
) -> None:
    async with running_relay(tmp_path) as relay, ClientSession(headers=ADMIN) as http:
        room = f"{relay.url}/rooms/{relay.room}"
        wanted = {"role": "doctor", "name": "Dr. Adams", "hours": 0.5}
        async with http.post(f"{room}/invitations", json=wanted) as answer:
            assert answer.status == 201
            made = await answer.json()
        assert made["link"] == f"{relay.url}/doctor#{made['token']}"
        async with relay.publisher(made["token"], Camera()):
            async with http.get(room) as answer:
                there = await answer.json()
            assert (there["patients"], there["doctors"], there["observers"]) == (0, 1, 0)
        async with http.get(f"{relay.url}/rooms") as answer:
            assert await answer.json() == {"rooms": [relay.room]}


async def test_no_room_has_a_name_that_a_command_line_takes_for_an_option(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay, ClientSession(headers=ADMIN) as http:
        names = []
        for _ in range(100):
            async with http.post(f"{relay.url}/rooms") as answer:
                names.append((await answer.json())["room"])
    assert len(set(names)) == 100
    assert all(name.isalnum() for name in names)


def test_the_command_line_invites_through_it(
    served: Relay,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DIGITALMASK_STATE", str(tmp_path))
    (tmp_path / "admin.key").write_text(KEYS.admin)
    into = ["invite", "--server", served.url, "--room", served.room]
    assert main([*into, "--role", "doctor", "--name", "Dr. Adams", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    invitation = read_invitation(KEYS.invitations, made["token"])
    assert (invitation.room, invitation.name) == (served.room, "Dr. Adams")
    assert main(["invite", "--server", served.url]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "Room",
        "Patient",
        "Doctor",
        "Observer",
    ]
    for wrong, sentence in (
        ([*into, "--role", "doctor", "--hours", "0"], "hours must be more than 0"),
        ([*into[:-1], "nowhere", "--role", "doctor"], "no such room"),
        ([*into, "--hours", "2"], "--room and --role go together"),
    ):
        assert main(wrong) == 1
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1


async def watch(track: MediaStreamTrack) -> None:
    """Take frames for a while; TimeoutError once none comes."""
    for _ in range(60):
        await asyncio.wait_for(track.recv(), 1.0)


async def test_an_ended_room_ends_its_sessions_and_its_invitations(tmp_path: Path) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        token = relay.token(Role.DOCTOR)
        bearer = {"Authorization": f"Bearer {token}"}
        async with relay.viewer(token) as doctor:
            picture = await track_of(doctor, "video")
            async with http.get(f"{relay.url}/rooms/{relay.room}/events", headers=bearer) as events:
                async with http.delete(f"{relay.url}/rooms/{relay.room}", headers=ADMIN) as answer:
                    assert answer.status == 204
                async with asyncio.timeout(5):
                    await events.read()  # comes to its end
            with pytest.raises(TimeoutError):
                await watch(picture)
        with pytest.raises(SignallingError) as refusal:
            async with relay.viewer(token):
                pass
        assert refusal.value.status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/rooms"),
        ("POST", "/rooms"),
        ("GET", "/rooms/{room}"),
        ("DELETE", "/rooms/{room}"),
        ("POST", "/rooms/{room}/invitations"),
    ],
)
async def test_an_invitation_is_not_the_admin_key(tmp_path: Path, method: str, path: str) -> None:
    async with running_relay(tmp_path) as relay, ClientSession() as http:
        bearer = {"Authorization": f"Bearer {relay.token(Role.DOCTOR)}"}
        url = relay.url + path.format(room=relay.room)
        async with http.request(method, url, headers=bearer, json={"role": "doctor"}) as answer:
            assert answer.status == 401


async def test_the_description_is_served(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        ClientSession() as http,
        http.get(f"{relay.url}/openapi.json") as answer,
    ):
        assert await answer.json() == description()
