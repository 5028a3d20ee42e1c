"""The program as it is run: nothing of a frame is written to any disk, and nothing leaves."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jwt
import psutil
import pytest
from aiohttp import ClientSession

import digitalmask
from digitalmask.relay.whip_client import WhipClient
from digitalmask.simulation import SimulatedPatient
from tests.leak.key import Catch, mark
from tests.leak.receiving import MarkedCamera, keep_all
from tests.processes import children
from tests.relay.support import Tone, until

pytestmark = [
    pytest.mark.gl,
    pytest.mark.models,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

_SIZE = (640, 480)
_OPENS = r'(?:openat|open|creat|openat2)\((?:AT_FDCWD[^,]*, )?"([^"]*)".*?((?:O_\w+\|?)+)'


@contextmanager
def watched(command: list[str], folder: Path, trace: Path) -> Iterator[subprocess.Popen[str]]:
    """A program, and in `trace` each file that it and its children open, and whom they call."""
    strace = ["strace", "--follow-forks", "--seccomp-bpf", "-e", "trace=%file,memfd_create,connect"]
    process = subprocess.Popen(
        [*strace, "-o", str(trace), sys.executable, "-m", "digitalmask", *command],
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("w"),
        text=True,
        env=os.environ
        | {
            "DIGITALMASK_STATE": str(folder / "state"),
            "TMPDIR": str(folder / "temporary"),
            "MESA_SHADER_CACHE_DIR": str(folder / "shaders"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    try:
        yield process
    finally:
        # The program itself: strace ends with it.
        for child in psutil.Process(process.pid).children():
            child.send_signal(signal.SIGINT)
        process.wait(20)


def written(trace: Path) -> set[str]:
    """The files that were opened to be written."""
    found = set()
    for line in trace.read_text().splitlines():
        opened = re.search(_OPENS, line)
        if opened and re.search("O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE", opened[2]):
            found.add(opened[1])
        if "memfd_create(" in line:
            found.add("memory")
    return found


def called(trace: Path) -> set[str]:
    """The addresses that were called."""
    lines = [line for line in trace.read_text().splitlines() if " connect(" in line]
    return {
        found for line in lines for found in re.findall(r'inet_(?:addr|pton)\([^"]*"([^"]+)"', line)
    }


async def test_nothing_of_a_frame_is_written_and_a_killed_masker_lets_nothing_out(
    tmp_path: Path,
) -> None:
    folder, trace = tmp_path / "seen", tmp_path / "trace"
    (folder / "temporary").mkdir(parents=True)
    catch = Catch()
    patient = SimulatedPatient(3)
    # The tracker still sees the face in it.
    film = [mark(patient.frame(number / 10, _SIZE), 0.35) for number in range(10)]
    patient.close()
    followed = 0
    with watched(["serve", "--port", "0"], folder, trace) as server:
        assert server.stdout is not None
        links: dict[str, str] = {}
        for line in server.stdout:
            catch.text("standard output", line)
            if "#" in line:
                role, link = line.split()
                links[role.rstrip(":").lower()] = link
            if line.startswith("Each link"):
                break
        base = links["doctor"].partition("/doctor#")[0]
        token = {role: link.partition("#")[2] for role, link in links.items()}
        room = _room(token["doctor"])
        camera = MarkedCamera(lambda at_s: film[int(at_s * 10) % len(film)])
        doctor = WhipClient(f"{base}/whep/{room}/patient", token["doctor"])
        patient_client = WhipClient(f"{base}/whip/{room}", token["patient"], (camera, Tone()))
        async with patient_client, doctor:
            searching = [
                asyncio.create_task(keep_all(await doctor.received.get(), catch, every=4))
                for _ in range(2)
            ]
            followed = await _followed(base, room, token["doctor"])
            # A busy machine shows fewer in the same time.
            await until(lambda: catch.pictures > 10, 20.0)
            await asyncio.sleep(1.0)
            for each in children("masker_process", server.pid):
                each.send_signal(signal.SIGKILL)
            await asyncio.sleep(1.0)
        for task in searching:
            task.cancel()
    catch.folder(folder)
    assert catch.found == []
    assert catch.pictures > 10
    assert followed, "the marked patient was not followed: the test would prove nothing"
    own = {str(folder / "state"), str(folder / "shaders")}
    elsewhere = {
        path for path in written(trace) if not any(path.startswith(folder) for folder in own)
    }
    # numba tries with an empty file without a name whether it may keep there what it compiles.
    nameless = {str(path) for path in Path(digitalmask.__file__).parent.rglob("__pycache__")}
    assert elsewhere <= {"memory", "/dev/null", "/dev/tty"} | nameless
    assert not list((folder / "temporary").iterdir())
    assert called(trace) <= {"127.0.0.1"}


def _room(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["room"])


async def _followed(base: str, room: str, token: str) -> bool:
    """Whether the mask follows the patient within 20 s."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        ClientSession() as http,
        http.get(f"{base}/rooms/{room}/events", headers=headers) as events,
    ):
        with suppress(TimeoutError):
            async with asyncio.timeout(40):
                async for line in events.content:
                    if b'"tracking": "following"' in line:
                        return True
    return False
