"""A desktop's PipeWire session without a desktop: message bus, PipeWire, its session manager.

With a screen that nobody sees, for the portal that asks whether a browser may use a camera; the
answer, yes, is given beforehand.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.processes import end

NEEDED = ("dbus-daemon", "pipewire", "wireplumber", "gst-launch-1.0", "Xvfb")

Picture = NDArray[np.uint8]


def until(condition: Callable[[], bool], patience_s: float = 30.0) -> None:
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.05)


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A program until the block ends; what it says goes to the log."""
    with log.open("a") as out:
        process = subprocess.Popen(
            command, env=env, text=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        end(process)


@contextlib.contextmanager
def session() -> Iterator[dict[str, str]]:
    """The environment in which programs find the session."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed (scripts/setup --dev)")
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="pw-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o700)
        bus, log = f"unix:path={folder}/bus", folder / "log"
        screen = _start_screen(stack, folder)
        env = os.environ | {
            "XDG_RUNTIME_DIR": name,
            "XDG_DATA_HOME": f"{name}/data",
            "XDG_STATE_HOME": f"{name}/state",
            "XDG_CONFIG_HOME": f"{name}/config",
            "DBUS_SESSION_BUS_ADDRESS": bus,
            "DISPLAY": screen,
        }

        def start(*command: str) -> None:
            stack.enter_context(running(list(command), env, log))

        start("dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={bus}")
        until((folder / "bus").exists)
        start("pipewire")
        until((folder / "pipewire-0").exists)
        allowed = "org.freedesktop.impl.portal.PermissionStore"
        subprocess.run(
            ["dbus-send", "--session", "--print-reply", f"--dest={allowed}"]
            + [f"/{allowed.replace('.', '/')}", f"{allowed}.SetPermission"]
            + ["string:devices", "boolean:true", "string:camera", "string:", "array:string:yes"],
            env=env,
            check=True,
            capture_output=True,
        )
        start("wireplumber")
        yield env


def _start_screen(stack: contextlib.ExitStack, folder: Path) -> str:
    """A screen of Xvfb's own choice."""
    ours, theirs = os.pipe()
    stack.callback(os.close, ours)
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=(theirs,),
        stdin=subprocess.DEVNULL,
        stderr=(folder / "log").open("a"),
    )
    os.close(theirs)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return f":{os.read(ours, 16).decode().strip()}"


def read_camera(env: dict[str, str], name: str, size: tuple[int, int], count: int) -> list[Picture]:
    """Frames that GStreamer gets from the camera of that name, once it is there."""
    until(lambda: f'"{name}"' in subprocess.check_output(["pw-dump"], env=env, text=True))
    done = subprocess.run(
        ["gst-launch-1.0", "-q", "pipewiresrc", f"target-object={name}", f"num-buffers={count}"]
        + ["!", "videoconvert", "!", "video/x-raw,format=RGB", "!", "fdsink", "fd=1"],
        env=env,
        check=True,
        capture_output=True,
        timeout=60.0,
    )
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, size[1], size[0], 3)
    return list(frames)
