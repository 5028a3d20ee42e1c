"""What several tests share."""

import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from digitalmask.assets.paths import models_dir

_ROOT = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Let programs that tests start take Ctrl-C, which a shell's background jobs ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


def load_script(name: str) -> ModuleType:
    """One of the scripts in `models/`, as a module."""
    spec = importlib.util.spec_from_file_location(name, models_dir() / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
