"""Reading the project's own data files."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import AssetError


@contextmanager
def read_archive(path: Path, made_with: str) -> Iterator[dict[str, NDArray[Any]]]:
    """The arrays of an .npz file; what they are made into belongs inside the context.

    made_with: the script that makes the file. Raises AssetError where the file is missing, damaged,
    or has not what is taken from it.
    """
    try:
        with np.load(path) as archive:
            yield {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise AssetError(
            f"{path} is missing: get it again with the project, or make it with {made_with}"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path} is damaged or of another version: {error}") from None
