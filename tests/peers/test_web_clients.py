"""WHIP and WHEP clients from npm, in Chromium, on a page of another origin than the relay's."""

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from av import VideoFrame
from playwright.async_api import Page, async_playwright

from digitalmask.relay.invitations import Role
from tests.peers.support import MODULES, bundled, keep, needs_peers
from tests.relay.support import GREEN, RED, Camera, Relay, colour_of, running_relay, track_of, until

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>peers</title><h1>%s</h1><video autoplay muted playsinline></video>
<script type="module">
import { WHIPClient } from "/whip-whep/whip.js";
import { WHEPClient } from "/whip-whep/whep.js";
import { WHIPClient as Eyevinn } from "/eyevinn.js";
const camera = () => navigator.mediaDevices.getUserMedia({ video: true });
window.sending = async (url, token) => {
  const media = await camera();
  document.querySelector("video").srcObject = media;
  const pc = new RTCPeerConnection();
  const sendonly = { direction: "sendonly", streams: [media] };
  for (const track of media.getTracks()) pc.addTransceiver(track, sendonly);
  window.client = new WHIPClient();
  await client.publish(pc, url, token);
};
window.watching = async (url, token) => {
  const pc = new RTCPeerConnection();
  pc.addTransceiver("video", { direction: "recvonly" });
  pc.addTransceiver("audio", { direction: "recvonly" });
  pc.ontrack = ({ track }) => {
    const media = new MediaStream([track]);
    if (track.kind === "video") document.querySelector("video").srcObject = media;
  };
  window.client = new WHEPClient();
  await client.view(pc, url, token);
};
window.sendingWithEyevinn = async (url, token) => {
  window.client = new Eyevinn({ endpoint: url, opts: { authkey: token, iceServers: [] } });
  await client.setIceServersFromEndpoint();
  await client.ingest(await camera());
};
window.loaded = true;
</script>"""


@asynccontextmanager
async def page_elsewhere(folder: Path, name: str) -> AsyncIterator[tuple[Page, str, list[str]]]:
    """A page with the clients, its origin, and what the browser asked of the relay.

    Its camera is red.
    """
    needs_peers()
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (scripts/setup --dev)")
    film = folder / "red.y4m"
    with av.open(str(film), "w", format="yuv4mpegpipe") as target:
        stream = target.add_stream("rawvideo", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        red = np.full((240, 320, 3), RED, np.uint8)
        for _ in range(30):
            picture = VideoFrame.from_ndarray(red, format="rgb24").reformat(format="yuv420p")
            target.mux(stream.encode(picture))
    app = web.Application()
    app.router.add_static("/whip-whep/", MODULES / "whip-whep")
    eyevinn = bundled(MODULES / "@eyevinn/whip-web-client/dist/whip-client.modern.js")

    async def index(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE % name, content_type="text/html")

    async def module(_request: web.Request) -> web.Response:
        return web.Response(text=eyevinn, content_type="text/javascript")

    app.router.add_get("/", index)
    app.router.add_get("/eyevinn.js", module)
    site = TestServer(app, host="127.0.0.1")
    await site.start_server()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={film}",
            ],
        )
        try:
            page = await browser.new_page(viewport={"width": 400, "height": 360})
            asked: list[str] = []
            page.on(
                "response",
                lambda reply: asked.append(f"{reply.request.method} {reply.status}"),
            )
            yield page, str(site.make_url("")).rstrip("/"), asked
        finally:
            await browser.close()
            await site.close()


async def call(page: Page, origin: str, function: str, url: str, token: str) -> None:
    await page.goto(origin)
    await page.wait_for_function("window.loaded")
    await page.evaluate(f"([url, token]) => {function}(url, token)", [url, token])


async def shown(page: Page) -> np.ndarray:
    """The picture in the page's video."""
    await page.wait_for_function("document.querySelector('video').videoWidth > 0")
    data = await page.evaluate(
        """() => {
            const video = document.querySelector("video");
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
            canvas.getContext("2d").drawImage(video, 0, 0);
            return canvas.toDataURL("image/png");
        }"""
    )
    return decoded(base64.b64decode(data.partition(",")[2]))


def decoded(png: bytes) -> np.ndarray:
    """A PNG's pixels, RGB."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[:, :, ::-1])


def has_ended(asked: list[str]) -> bool:
    """Whether it ended its session; a client that closes its connection first may find it gone."""
    return "DELETE 200" in asked or "DELETE 404" in asked


async def is_free(relay: Relay) -> bool:
    """Whether nobody sends as the patient."""
    url = f"{relay.url}/rooms/{relay.room}/events"
    headers = {"Authorization": f"Bearer {relay.token(Role.DOCTOR)}"}
    async with ClientSession() as http, http.get(url, headers=headers) as events:
        async for line in events.content:
            if line.startswith(b"data:"):
                return b'"present": false' in line
    return False


async def masked(relay: Relay, name: str) -> None:
    """What comes of the page's red camera is the mask."""
    async with relay.viewer(relay.token(Role.DOCTOR)) as doctor:
        track = await track_of(doctor, "video")
        assert await colour_of(track, GREEN)
        frame = await track.recv()
        assert isinstance(frame, VideoFrame)
        keep(f"{name}-doctor", frame.to_ndarray(format="rgb24"))


@pytest.mark.parametrize(
    ("name", "function", "end"),
    [
        ("whip-whep", "sending", "client.stop()"),
        ("eyevinn", "sendingWithEyevinn", "client.destroy()"),
    ],
)
async def test_a_client_from_npm_sends_trickling_and_ends_its_session(
    tmp_path: Path, name: str, function: str, end: str
) -> None:
    async with (
        page_elsewhere(tmp_path, name) as (page, origin, asked),
        running_relay(tmp_path, origins=[origin]) as relay,
    ):
        url, token = f"{relay.url}/whip/{relay.room}", relay.token(Role.PATIENT)
        await call(page, origin, function, url, token)
        await masked(relay, name)
        keep(f"{name}-page", decoded(await page.screenshot()))
        assert "POST 201" in asked
        if name == "whip-whep":
            assert "PATCH 204" in asked
        await page.evaluate(end)
        await until(lambda: has_ended(asked))
        assert await is_free(relay)


async def test_a_client_from_npm_watches_the_mask(tmp_path: Path) -> None:
    async with (
        page_elsewhere(tmp_path, "whip-whep") as (page, origin, asked),
        running_relay(tmp_path, origins=[origin]) as relay,
        relay.publisher(relay.token(Role.PATIENT), Camera()),
    ):
        url, token = f"{relay.url}/whep/{relay.room}/patient", relay.token(Role.OBSERVER)
        await call(page, origin, "watching", url, token)
        for _ in range(20):
            picture = await shown(page)
            if np.abs(picture.mean(axis=(0, 1)) - GREEN).max() < 40:
                break
            await asyncio.sleep(0.2)
        else:
            raise AssertionError("no mask was shown")
        keep("whep-page", decoded(await page.screenshot()))
        # It leaves If-Match out, which the draft forbids; the relay finds its address all the same.
        assert "PATCH 428" in asked
        await page.evaluate("client.stop()")
        await until(lambda: has_ended(asked))


async def test_a_page_of_an_origin_that_is_not_allowed_reaches_nothing(tmp_path: Path) -> None:
    async with (
        page_elsewhere(tmp_path, "whip-whep") as (page, origin, asked),
        running_relay(tmp_path) as relay,
    ):
        url, token = f"{relay.url}/whip/{relay.room}", relay.token(Role.PATIENT)
        with pytest.raises(Exception, match="Failed to fetch"):
            await call(page, origin, "sending", url, token)
        assert "POST 201" not in asked
        assert await is_free(relay)
