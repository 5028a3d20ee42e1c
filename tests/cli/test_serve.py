"""Options of `digitalmask serve` and `digitalmask push` that are wrong get one line."""

from pathlib import Path

import pytest

from digitalmask.cli import main
from digitalmask.cli.serve import _ice_servers


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["serve", "--ice-server", "turn:host"], "needs --turn-user"),
        (["serve", "--ice-server", "host"], "is no ICE server"),
        (["serve", "--ice-server", 'stun:a>; rel="x'], "is no ICE server"),
        (["serve", "--turn-user", "me"], "go together"),
        (["serve", "--allow-origin", "*"], "is no origin"),
        (["push", "--to", "service.example", "--from", "x"], "--to is an address"),
        (["push", "--to", "http://127.0.0.1/", "--from", "http://127.0.0.1/#x"], "no whole link"),
        (["push", "--to", "http://127.0.0.1/", "--from", "nothing"], "no webcam or file"),
    ],
)
def test_a_wrong_option_gets_one_line(
    options: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 1
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_turn_servers_get_their_credentials_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    servers = _ice_servers(["stun:a", "turns:b:443"], "me", tmp_path / "password")
    assert servers == [
        {"urls": "stun:a"},
        {"urls": "turns:b:443", "username": "me", "credential": "secret"},
    ]
