"""Virtual environments of their own for packages that the runtime must not meet.

MediaPipe brings packages that clash with ours (FINDINGS: Models). What is compared with it talks to
a worker process in an environment in the cache folder, which is made on first use.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from digitalmask.assets.paths import cache_dir, make_cache_dir
from digitalmask.errors import AssetError

Say = Callable[[str], None]


def environment_dir(package: str) -> Path:
    """Where the environment of a package, pinned as in `name==1.2`, is or will be."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return cache_dir() / f"reference-{package.replace('==', '-')}-py{version}"


def python_with(package: str, size: str, say: Say) -> Path:
    """The interpreter of a package's environment, which is made where it is not there yet.

    size: of the environment, as said to the user. say: gets a line where it is made.
    Errors: AssetError with one line.
    """
    folder = environment_dir(package)
    if not folder.is_dir():
        say(f"installing {package} into {folder} (once, {size}; never into digitalmask's own)")
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=make_cache_dir()))
        try:
            _run([sys.executable, "-m", "venv", str(part)], "no virtual environment could be made")
            install = [str(part / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            install += ["--disable-pip-version-check", "--only-binary=:all:", package]
            _run(install, f"{package} could not be installed (check the network)")
            # An environment finds its packages from where its interpreter lies: it can be moved.
            # Where another process was first, its environment is as good.
            with contextlib.suppress(OSError):
                part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    python = folder / "bin" / "python"
    if not python.exists():
        raise AssetError(f"{folder} is damaged: remove that folder, and it is made anew")
    return python


def _run(command: list[str], failure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        told = [line for line in lines if "ERROR" in line] or lines or ["no reason given"]
        raise AssetError(f"{failure}: {told[-1]}")
