"""What several tests share."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real videos and faces, or a skip."""
    chosen = os.environ.get("DIGITALMASK_TEST_DATA")
    folder = Path(chosen) if chosen else _ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder} (set DIGITALMASK_TEST_DATA)")
    return folder
