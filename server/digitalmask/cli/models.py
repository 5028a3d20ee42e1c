"""`digitalmask models`: fetch, list and verify the face networks."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("models", help="fetch, list or verify the face networks")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="fetch, verify and convert what is missing")
    fetch.add_argument(
        "--from", dest="local", type=Path, metavar="FILE", help="a copy of face_landmarker.task"
    )
    fetch.set_defaults(run=_fetch)
    listing = actions.add_parser("list", help="say which networks there are, and from where")
    listing.set_defaults(run=_list)
    verify = actions.add_parser("verify", help="check that every network is here and whole")
    verify.set_defaults(run=_verify)
    for action in (fetch, listing, verify):
        action.add_argument("--json", action="store_true", help="print one JSON object")


def _fetch(options: argparse.Namespace) -> int:
    from digitalmask.assets.networks import fetch_networks

    paths = fetch_networks(lambda line: print(f"models: {line}", file=sys.stderr), options.local)
    if options.json:
        print(json.dumps({"networks": [str(path) for path in paths]}))
    return 0


def _list(options: argparse.Namespace) -> int:
    from digitalmask.assets.manifest import read_manifest

    manifest = read_manifest()
    origins = {bundle.name: bundle for bundle in manifest.bundles}
    entries = [
        {
            "name": network.name,
            "origin": origins[network.bundle].origin,
            "licence": network.licence,
            "sha256": network.sha256,
            "input": network.input,
            "output": network.output,
            "sources": [str(source) for source in origins[network.bundle].sources],
        }
        for network in manifest.networks
    ]
    if options.json:
        print(json.dumps({"networks": entries}))
    else:
        for entry in entries:
            print(f"{entry['name']}: {entry['origin']}, {entry['licence']}")
            print(f"    in  {entry['input']}\n    out {entry['output']}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from digitalmask.assets.manifest import read_manifest
    from digitalmask.assets.networks import FORMS, network_path
    from digitalmask.errors import AssetError

    results: dict[str, str] = {}
    for network in read_manifest().networks:
        try:
            for form in FORMS:
                network_path(network.name, form)
            results[network.name] = "whole"
        except AssetError as error:
            results[network.name] = str(error)
    whole = all(result == "whole" for result in results.values())
    if options.json:
        print(json.dumps({"whole": whole, "networks": results}))
    else:
        for name, result in results.items():
            print(f"{name}: {result}")
    return 0 if whole else 1
