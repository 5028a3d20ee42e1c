"""What several tests share."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


def data_folder() -> Path | None:
    """The folder of real videos and faces, where it is at hand."""
    chosen = os.environ.get("DIGITALMASK_TEST_DATA")
    folder = Path(chosen) if chosen else _ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real videos and faces, or a skip."""
    folder = data_folder()
    if folder is None:
        pytest.skip("no test data in ../shared/data (set DIGITALMASK_TEST_DATA)")
    return folder
