"""The command line: `digitalmask COMMAND`."""

from digitalmask.cli.main import main

__all__ = ["main"]
