"""Puts the commands together; each command is a module of its own with `add_parser`."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from digitalmask import __version__
from digitalmask.core_dumps import forbid_core_dumps
from digitalmask.errors import DigitalMaskError

# One module a command, in the order of `--help`; each is imported only for its own parser.
_COMMANDS = (
    *("serve", "invite", "mask", "camera", "push", "dicom"),
    *("simulate", "evaluate", "bench", "models", "check"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 for an error, 2 for wrong usage."""
    forbid_core_dumps()
    # Spinning BLAS threads beside a software renderer cost up to half of the speed (measured);
    # the matrices here are small.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    parser = _Parser(prog="digitalmask", description="A live privacy filter for telemedicine.")
    parser.add_argument("--version", action="version", version=f"digitalmask {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _COMMANDS:
        importlib.import_module(f"digitalmask.cli.{name}").add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except DigitalMaskError as error:
        print(f"digitalmask: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    """Says wrong usage in one line; the sub-parsers are of this kind too."""

    def error(self, message: str) -> NoReturn:
        """Exit with 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")
