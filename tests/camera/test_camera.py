"""`digitalmask camera` in a PipeWire session: other programs take it for a camera, see the mask."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from digitalmask.camera.pipewire import PipeWireCamera
from digitalmask.cli import main
from digitalmask.mask_state import Card
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.rendering import draw_card
from digitalmask.simulation import SimulatedPatient
from tests.camera.pipewire_session import Picture, read_camera, session, until
from tests.e2e.test_consultation import grab, likeness, start_chromium
from tests.media.videos import quarters, seen_quarters, shown, write_video

pytestmark = [pytest.mark.pipewire, pytest.mark.gl, pytest.mark.models]

SIZE = (640, 480)
NAME = "masked-webcam"


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    with session() as env:
        yield env


@dataclass(frozen=True)
class Film:
    """A webcam's film, its pictures, and what a mask of it looks like."""

    path: Path
    pictures: list[Picture]
    masks: list[Picture]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    folder = tmp_path_factory.mktemp("film")
    patient = SimulatedPatient()
    pictures = [patient.frame(number / 15, SIZE) for number in range(30)]
    patient.close()
    path = write_video(folder / "webcam.mp4", pictures, rate=15)
    assert main(["mask", str(path), str(folder / "masked.mp4"), "--quiet"]) == 0
    return Film(path, pictures, [picture for _, picture in shown(folder / "masked.mp4")])


@contextmanager
def masked_camera(env: dict[str, str], film: Path, log: Path, name: str = NAME) -> Iterator[None]:
    """The command, from when it shows the mask until Ctrl-C."""
    with log.open("w") as out:
        command = [sys.executable, "-m", "digitalmask", "camera", "--device", str(film)]
        process = subprocess.Popen(
            [*command, "--name", name, "--json"], env=env, stdout=out, stderr=out
        )
    try:
        until(lambda: "the mask is shown" in log.read_text(), 60.0)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 0, log.read_text()


@pytest.fixture(scope="module")
def camera(
    env: dict[str, str], film: Film, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with masked_camera(env, film.path, tmp_path_factory.mktemp("log") / "log"):
        yield


def keep(name: str, picture: Picture) -> None:
    folder = os.environ.get("DIGITALMASK_SCREENSHOTS")
    if folder:
        cv2.imwrite(f"{folder}/{name}.png", picture[:, :, ::-1])


def assert_mask(picture: Picture, film: Film) -> None:
    """It is like one of the mask's pictures, and like none of the webcam's.

    Where the mask's head stands depends on where it stood before: not quite the same.
    """
    mask = max(likeness(picture, mask) for mask in film.masks)
    webcam = max(likeness(picture, seen) for seen in film.pictures)
    assert webcam < 0.5
    assert mask > max(0.6, webcam + 0.2)
    # The wall behind the patient is warm, the mask's ground is cool.
    assert picture[:30, :30, 2].mean() > picture[:30, :30, 0].mean() + 5


def test_a_program_sees_what_was_sent(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.setenv(name, env[name])
    size = (328, 242)
    picture = cv2.resize(quarters(), size, interpolation=cv2.INTER_NEAREST)
    sent = MaskedFrame(FrameClock(0.0, 0, Fraction(1, 30)), np.asarray(picture, np.uint8))
    camera, ended = PipeWireCamera("quarters", size, 30), threading.Event()

    def send() -> None:
        while not ended.wait(1 / 30):
            camera.send(sent)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        seen = read_camera(env, "quarters", size, 5)[-1]
    finally:
        ended.set()
        sender.join()
        camera.close()
    assert seen_quarters(seen) == "RGBW"
    assert np.abs(seen.astype(int) - picture).mean() < 4


@pytest.mark.usefixtures("camera")
def test_gstreamer_reads_the_mask_from_the_camera(env: dict[str, str], film: Film) -> None:
    # PipeWire keeps the last few frames, and a program that comes gets them first.
    frames = read_camera(env, NAME, SIZE, 40)[10:]
    keep("gstreamer", frames[-1])
    assert len(frames) == 30
    for frame in frames[::3]:
        assert_mask(frame, film)
    changes = np.abs(np.diff(np.array(frames, np.int16), axis=0)).max(axis=(0, 3))
    assert changes[120:440, 220:420].max() > 30  # it moves
    assert np.median(changes[:, :60]) < 12


@pytest.mark.browser
@pytest.mark.usefixtures("camera")
def test_chromium_takes_it_for_a_camera(env: dict[str, str], film: Film) -> None:
    flags = ("--use-fake-ui-for-media-stream", "--enable-features=WebRtcPipeWireCamera")
    with sync_playwright() as playwright:
        browser = start_chromium(playwright, *flags, env=env)
        page = browser.new_page()
        page.route(
            "http://localhost/", lambda route: route.fulfill(body="<video></video>",
                                                             content_type="text/html")
        )  # fmt: skip
        page.goto("http://localhost/")
        label = page.evaluate(
            """async () => {
                let found = [];
                while (!found.length) {
                    await new Promise((resolve) => setTimeout(resolve, 100));
                    const devices = await navigator.mediaDevices.enumerateDevices();
                    found = devices.filter((each) => each.kind === "videoinput");
                }
                const stream = await navigator.mediaDevices.getUserMedia({ video: true });
                const video = document.querySelector("video");
                video.srcObject = stream;
                await video.play();
                return stream.getVideoTracks()[0].label;
            }"""
        )
        pictures = []
        for _ in range(5):
            page.wait_for_timeout(200)
            pictures.append(grab(page, "video"))
        browser.close()
    keep("chromium", pictures[-1])
    assert label == NAME
    for picture in pictures:
        assert_mask(picture, film)


def test_an_unplugged_webcam_gives_the_card_until_it_is_back(
    env: dict[str, str], film: Film, tmp_path: Path
) -> None:
    webcam, log, name = tmp_path / "webcam.mp4", tmp_path / "log", "unplugged"
    webcam.write_bytes(film.path.read_bytes())
    card = draw_card(Card.WAITING, SIZE, FrameClock(0.0, 0, Fraction(1, 30))).rgb
    with masked_camera(env, webcam, log, name):
        away = webcam.rename(tmp_path / "away.mp4")
        until(lambda: "the card is shown: there is no file" in log.read_text(), 30.0)
        time.sleep(2.0)
        picture = read_camera(env, name, SIZE, 15)[-1]
        keep("unplugged", picture)
        assert np.abs(picture.astype(int) - card).mean() < 5
        away.rename(webcam)
        until(lambda: log.read_text().rstrip().endswith("the mask is shown"), 30.0)
        assert_mask(read_camera(env, name, SIZE, 15)[-1], film)
