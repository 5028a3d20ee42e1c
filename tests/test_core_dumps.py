"""A crash leaves no copy of a process's memory."""

import subprocess
import sys

import pytest

_ASK = """import ctypes, resource
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
@pytest.mark.parametrize(
    "start",
    [
        "from digitalmask.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
        # What the other process does first; then its handles are missing.
        "import sys; from digitalmask.pipeline.masker_process import serve\n"
        "try: serve()\nexcept ValueError: pass",
    ],
    ids=["every command", "the masking process"],
)
def test_no_core_may_be_dumped_of(start: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{start}\n{_ASK}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "(0, 0) 0"
