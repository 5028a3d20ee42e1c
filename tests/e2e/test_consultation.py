"""The whole way in two real browsers: a patient's camera becomes a mask on the doctor's screen."""

import base64
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from digitalmask.relay.invitations import Role, invite, read_key
from digitalmask.simulation import SimulatedPatient
from tests.conftest import data_folder

pytestmark = [pytest.mark.browser, pytest.mark.gl, pytest.mark.models]

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_SIZE = (640, 480)
_CAMERA_S = 6


@dataclass(frozen=True)
class Server:
    base: str
    room: str
    state: Path

    def link(self, role: Role, hours: float = 1.0) -> str:
        key = read_key(self.state / "invitations.key")
        return f"{self.base}/{role.value}#{invite(key, self.room, role, hours)}"


@contextmanager
def started(state: Path, *options: str) -> Iterator[Server]:
    """A server until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "digitalmask", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"DIGITALMASK_STATE": str(state)},
    )
    assert process.stdout is not None
    link = ""
    for line in process.stdout:
        if line.startswith("Doctor:"):
            link = line.split()[1]
        if line.startswith("Each link"):
            break
    base, _, token = link.partition("/doctor#")
    payload = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    yield Server(base, payload["room"], state)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("state")) as running:
        yield running


def real_face(video: Path) -> Iterator[Picture]:
    """A real face in a wide grey frame."""
    with av.open(str(video)) as source:
        for frame in source.decode(video=0):
            wide = np.full((480, 640, 3), 128, np.uint8)
            wide[:, 80:560] = cv2.resize(frame.to_ndarray(format="rgb24"), (480, 480))
            yield wide


def simulated_face() -> Iterator[Picture]:
    patient = SimulatedPatient()
    for number in itertools.count():
        yield patient.frame(number / 30, _SIZE)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A face as the fake camera's film, a real one where it is at hand; a tone for the voice."""
    folder = tmp_path_factory.mktemp("camera")
    film, tone = folder / "camera.y4m", folder / "voice.wav"
    data = data_folder()
    pictures = real_face(data / "video" / "d6.mp4") if data else simulated_face()
    with av.open(str(film), "w", format="yuv4mpegpipe") as target:
        stream = target.add_stream("rawvideo", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(itertools.islice(pictures, 30 * _CAMERA_S)):
            shown = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            shown.pts = number
            target.mux(stream.encode(shown))
        target.mux(stream.encode(None))
    at_s = np.arange(48000 * 2) / 48000
    samples = (8000 * np.sin(2 * np.pi * 440 * at_s)).astype("<i2")
    with wave.open(str(tone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(samples.tobytes())
    return film, tone


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


def start_chromium(
    playwright: Playwright, *flags: str, env: dict[str, str] | None = None
) -> Browser:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (scripts/setup --dev)")
    return playwright.chromium.launch(
        executable_path=path,
        headless=True,
        env=dict(env) if env else None,
        args=[
            "--no-sandbox",
            "--disable-background-networking",
            "--autoplay-policy=no-user-gesture-required",
            *flags,
        ],
    )


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, camera: tuple[Path, Path]) -> Iterator[Browser]:
    film, tone = camera
    browser = start_chromium(
        playwright,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
        f"--use-file-for-fake-audio-capture={tone}",
    )
    yield browser
    browser.close()


@pytest.fixture
def person(chromium: Browser) -> Iterator[Callable[[str], Page]]:
    contexts: list[BrowserContext] = []

    def come(link: str) -> Page:
        context = chromium.new_context(viewport={"width": 960, "height": 720})
        contexts.append(context)
        page = context.new_page()
        page.goto(link)
        return page

    yield come
    for context in contexts:
        context.close()


def join(page: Page) -> Page:
    page.click("#join")
    return page


def wait_until_followed(page: Page) -> None:
    page.wait_for_function(
        "() => document.getElementById('status').textContent.includes('follow')", timeout=30000
    )


def frame_rate(page: Page, selector: str, seconds: float = 5.0) -> float:
    count = page.evaluate(
        """([selector, seconds]) => new Promise((resolve) => {
            const video = document.querySelector(selector);
            let count = 0;
            const next = () => { count += 1; video.requestVideoFrameCallback(next); };
            video.requestVideoFrameCallback(next);
            setTimeout(() => resolve(count), 1000 * seconds);
        })""",
        [selector, seconds],
    )
    return float(count) / seconds


def grab(page: Page, selector: str) -> Picture:
    """The picture in a <video>, RGB, as large as it is sent."""
    url = page.evaluate(
        """(selector) => {
            const video = document.querySelector(selector);
            const canvas = document.createElement("canvas");
            canvas.width = video.videoWidth;
            canvas.height = video.videoHeight;
            canvas.getContext("2d").drawImage(video, 0, 0);
            return canvas.toDataURL("image/png");
        }""",
        selector,
    )
    data = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[:, :, ::-1], np.uint8)


def record(pages: dict[Page, str], seconds: float) -> list[list[Picture]]:
    """What the pages' videos show in the same seconds, every frame, small."""
    for page, selector in pages.items():
        page.evaluate(
            """(selector) => {
                const video = document.querySelector(selector);
                const reel = (window.reel = []);
                const next = () => {
                    if (window.reel !== reel) return;
                    const canvas = new OffscreenCanvas(80, 60);
                    canvas.getContext("2d").drawImage(video, 0, 0, 80, 60);
                    reel.push(canvas);
                    video.requestVideoFrameCallback(next);
                };
                video.requestVideoFrameCallback(next);
            }""",
            selector,
        )
    page.wait_for_timeout(1000 * seconds)
    reels = []
    for page in pages:
        frames = page.evaluate(
            """() => window.reel.splice(0).map((canvas) => {
                const rgba = canvas.getContext("2d").getImageData(0, 0, 80, 60).data;
                return btoa(String.fromCharCode(...rgba));
            })"""
        )
        page.evaluate("() => { window.reel = null; }")
        rgba = [np.frombuffer(base64.b64decode(each), np.uint8) for each in frames]
        reels.append([each.reshape(60, 80, 4)[:, :, :3] for each in rgba])
    return reels


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two pictures' colours, 1 for the same picture."""
    small = [cv2.resize(each, (80, 60), interpolation=cv2.INTER_AREA).ravel() for each in (a, b)]
    return float(np.corrcoef(small[0], small[1])[0, 1])


def audio_energy(page: Page, selector: str) -> float:
    return float(
        page.evaluate(
            """(selector) => new Promise((resolve) => {
                const stream = document.querySelector(selector).srcObject;
                const context = new AudioContext();
                const analyser = context.createAnalyser();
                context.createMediaStreamSource(stream).connect(analyser);
                const samples = new Float32Array(analyser.fftSize);
                let loudest = 0;
                const timer = setInterval(() => {
                    analyser.getFloatTimeDomainData(samples);
                    loudest = Math.max(loudest, ...samples.map(Math.abs));
                }, 50);
                setTimeout(() => { clearInterval(timer); resolve(loudest); }, 2000);
            })""",
            selector,
        )
    )


def test_doctor_sees_the_mask_move_and_hears_the_voice(
    server: Server, person: Callable[[str], Page], camera: tuple[Path, Path]
) -> None:
    doctor = join(person(server.link(Role.DOCTOR)))
    patient = join(person(server.link(Role.PATIENT)))
    wait_until_followed(doctor)
    doctor.wait_for_timeout(2000)

    # Another program may take the processor for a while: one stretch of five is enough.
    rate = 0.0
    for _ in range(5):
        rate = max(rate, frame_rate(doctor, "#mask"))
        if rate >= 20:
            break
    pictures = []
    for _ in range(6):
        # A busy machine draws the mask smaller for a while.
        pictures.append(cv2.resize(grab(doctor, "#mask"), _SIZE))
        doctor.wait_for_timeout(400)
    shown, previewed = record({doctor: "#mask", patient: "#preview"}, 3.0)
    keep = os.environ.get("DIGITALMASK_SCREENSHOTS")
    if keep:
        doctor.screenshot(path=f"{keep}/doctor.png")
        patient.screenshot(path=f"{keep}/patient.png")

    # It is the mask: what the patient is shown then, far from every frame of the camera, and on
    # the renderer's cool ground, which the film (grey bars or a warm wall) has not in its corners.
    with av.open(str(camera[0])) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) > 40
    # The two pages begin and end a little apart, and one may drop a frame that the other shows:
    # such a frame is then compared with the one beside it.
    best = [max(likeness(picture, preview) for preview in previewed) for picture in shown[10:-10]]
    assert np.median(best) > 0.98
    assert min(best) > 0.8
    for picture in pictures:
        assert max(likeness(picture, frame) for frame in frames[::5]) < 0.5
        corner = picture[:40, :40].reshape(-1, 3).mean(axis=0)
        assert corner[2] > corner[0] + 5

    # It moves as the face does: what changes is in the head, the ground stands still.
    changes = np.abs(np.diff(np.array(pictures, np.int16), axis=0)).max(axis=(0, 3))
    assert changes[120:440, 220:420].max() > 60
    assert np.median(changes[:, :60]) < 12

    assert audio_energy(doctor, "#mask") > 0.02
    assert rate >= 20


def test_patient_sees_and_hears_the_doctor(server: Server, person: Callable[[str], Page]) -> None:
    join(person(server.link(Role.DOCTOR)))
    patient = join(person(server.link(Role.PATIENT)))
    patient.wait_for_selector("#people video", timeout=15000)
    patient.wait_for_function(
        "() => document.querySelector('#people video').videoWidth > 0", timeout=15000
    )
    assert audio_energy(patient, "#people video") > 0.02


def test_observer_watches_without_a_camera(server: Server, person: Callable[[str], Page]) -> None:
    observer = join(person(server.link(Role.OBSERVER)))
    observer.wait_for_function("() => document.getElementById('mask').videoWidth > 0")
    assert observer.is_hidden("#mute")
    # Nobody is there: the doctor's side shows the drawn card, calm and not black.
    assert grab(observer, "#mask").mean() > 80


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (lambda server: server.link(Role.DOCTOR, hours=-1), "has expired"),
        (lambda server: server.link(Role.DOCTOR)[:-6] + "AAAAAA", "not valid"),
        (lambda server: f"{server.base}/patient", "personal link"),
    ],
    ids=["expired", "forged", "without invitation"],
)
def test_a_bad_link_gets_a_clear_sentence(
    server: Server,
    person: Callable[[str], Page],
    address: Callable[[Server], str],
    sentence: str,
) -> None:
    page = join(person(address(server)))
    page.wait_for_function(
        "(part) => document.getElementById('message').textContent.includes(part)", arg=sentence
    )
    assert page.is_visible("#join")


def test_a_second_patient_is_told_that_one_is_there(
    server: Server, person: Callable[[str], Page]
) -> None:
    first = join(person(server.link(Role.PATIENT)))
    wait_until_followed(first)
    second = join(person(server.link(Role.PATIENT)))
    second.wait_for_function(
        "() => document.getElementById('message').textContent.includes('already')"
    )
    first.click("#leave")
    first.wait_for_selector("#join")
    second.wait_for_timeout(500)
    join(second)
    wait_until_followed(second)


def test_refused_permission_is_said(server: Server, playwright: Playwright) -> None:
    browser = start_chromium(
        playwright, "--use-fake-device-for-media-stream", "--deny-permission-prompts"
    )
    try:
        page = browser.new_page()
        page.goto(server.link(Role.PATIENT))
        page.click("#join")
        page.wait_for_function(
            "() => /allow the camera/.test(document.getElementById('message').textContent)"
        )
    finally:
        browser.close()


def test_no_page_shows_an_error_of_its_own(server: Server, person: Callable[[str], Page]) -> None:
    page = person(f"{server.base}/")
    assert re.search("digital mask", page.inner_text("main"))
