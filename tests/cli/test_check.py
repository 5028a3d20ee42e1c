"""`digitalmask check`: one screen or one JSON object; the exit status says if it will do."""

import json
from pathlib import Path

import pytest

from digitalmask.cli import main
from digitalmask.cuda import gpus
from digitalmask.opengl import egl_devices


@pytest.mark.gl
@pytest.mark.models
def test_it_says_what_there_is_and_what_will_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert found["cores"] >= 1
    assert found["codecs"] == {"H.264": True, "VP8": True, "Opus": True}
    assert len(found["egl"]) == len(egl_devices())
    assert found["used"]["drawing"] == found["egl"][0]["name"]
    if not gpus():
        assert found["used"]["tracking"] == "CPU"
        assert "no driver" in found["providers"]["CUDA"]
        assert found["gpus"] == []


@pytest.mark.gl
@pytest.mark.models
def test_it_fits_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert any(line.startswith("used       faces are tracked on: ") for line in lines)


def test_what_is_missing_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIGITALMASK_CACHE", str(tmp_path))
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert (
        "install    the network face_detector is not here: run `digitalmask models fetch`" in said
    )
    assert "faces are tracked on: nothing" in said
