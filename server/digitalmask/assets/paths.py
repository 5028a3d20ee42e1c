"""Where the project's data files, pages and fetched networks are."""

import os
from pathlib import Path

from digitalmask.errors import AssetError

_PACKAGE = Path(__file__).resolve().parent.parent


def models_dir() -> Path:
    """The folder of the manifest, the converter and the small data files."""
    installed = _PACKAGE / "_models"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "models"


def client_dir() -> Path:
    """The folder of the browser pages."""
    installed = _PACKAGE / "_client"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "client"


def cache_dir() -> Path:
    """Where fetched networks are kept: `$DIGITALMASK_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("DIGITALMASK_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "digitalmask"


def make_cache_dir() -> Path:
    """`cache_dir`, made where it is not there; AssetError where it cannot be."""
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AssetError(
            f"cannot write to {cache_dir()} ({error.strerror}): set DIGITALMASK_CACHE to a folder"
        ) from error
    return cache_dir()


def state_dir() -> Path:
    """Where the server keeps its keys: `$DIGITALMASK_STATE`, else the user's state folder."""
    chosen = os.environ.get("DIGITALMASK_STATE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "digitalmask"
