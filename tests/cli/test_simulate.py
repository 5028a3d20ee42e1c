"""`digitalmask simulate` says what it can do, and refuses what it cannot."""

import json
from pathlib import Path

import pytest

from digitalmask.cli import main


def test_the_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--list"]) == 0
    listed = capsys.readouterr().out
    assert "esotropia_right_20pd" in listed
    assert "nystagmus_6hz_1deg" in listed


@pytest.mark.gl
def test_json_is_one_object_and_nothing_is_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "eyes.mp4"
    arguments = ["simulate", "ptosis_left", str(target), "--size", "320x240", "--seconds", "0.2"]
    arguments += ["--json", "--quiet", "--skin", "dark", "--lighting", "lamp", "--vp8-kbps", "500"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 6
    assert target.exists()
    assert target.with_suffix(".csv").exists()
    assert main(arguments) == 1
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody", "OUT.mp4"], "no scenario 'nobody'"),
        (["quiet"], "name a SCENARIO and OUT"),
        (["quiet", "OUT.mp4", "--rate", "0"], "--rate"),
        (["quiet", "OUT.mp4", "--seconds", "-1"], "--seconds"),
        (["quiet", "OUT.txt"], "the ending must be"),
    ],
)
def test_wrong_wishes_get_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--quiet", *arguments]) == 1
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1
