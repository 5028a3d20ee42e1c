"""Other sites' pages may use the relay only where their exact origin was allowed."""

from pathlib import Path

import pytest
from aiohttp import ClientSession

from digitalmask.errors import ConfigurationError
from digitalmask.relay.cross_origin import read_origin
from digitalmask.relay.invitations import Role
from tests.relay.support import running_relay

CLINIC = "https://clinic.example"


async def test_an_allowed_site_may_ask_and_read_and_no_other(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path, origins=frozenset({CLINIC})) as relay,
        ClientSession() as http,
    ):
        whip = f"{relay.url}/whip/{relay.room}"
        asking = {"Access-Control-Request-Method": "POST"}
        for url in (whip, f"{relay.url}/rooms/{relay.room}/recording"):
            async with http.options(url, headers={"Origin": CLINIC} | asking) as answer:
                assert answer.ok
                assert answer.headers["Access-Control-Allow-Origin"] == CLINIC
                assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        for origin in ("https://evil.example", "http://clinic.example", f"{CLINIC}.evil", "null"):
            for method, headers in (("OPTIONS", asking), ("POST", {}), ("GET", {})):
                sent = {"Origin": origin} | headers
                async with http.request(method, whip, headers=sent) as answer:
                    assert "Access-Control-Allow-Origin" not in answer.headers
                    assert answer.headers["Vary"] == "Origin"  # caches keep them apart
        token = {"Authorization": f"Bearer {relay.token(Role.DOCTOR)}", "Origin": CLINIC}
        for path in (f"/rooms/{relay.room}/events", "/static/whip.js", "/nothing"):
            async with http.get(relay.url + path, headers=token) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == CLINIC
                assert "Location" in answer.headers["Access-Control-Expose-Headers"]


async def test_by_default_no_other_site_may(tmp_path: Path) -> None:
    async with (
        running_relay(tmp_path) as relay,
        ClientSession() as http,
        http.get(f"{relay.url}/health", headers={"Origin": CLINIC}) as answer,
    ):
        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_origin_is_read_as_browsers_send_it() -> None:
    assert read_origin("https://Clinic.example/") == CLINIC
    assert read_origin("https://clinic.example:443") == CLINIC
    assert read_origin("http://[::1]:8080") == "http://[::1]:8080"


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "https://*.example",
        "null",
        "clinic.example",
        "https://a/b",
        "https://",
        "ftp://a",
        "https://user@a",
        "https://a:99999",
    ],
)
def test_what_is_no_exact_origin_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no origin"):
        read_origin(text)
