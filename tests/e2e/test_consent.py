"""A patient is asked first, sees what the doctor sees, and finds no way to show more."""

import itertools
import os
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Page

from digitalmask.relay.invitations import Role
from digitalmask.simulation import SimulatedPatient
from tests.e2e.test_consultation import (
    Server,
    chromium,
    grab,
    join,
    person,
    playwright,
    server,
    wait_until_followed,
)
from tests.leak.key import has_key, mark

__all__ = ["chromium", "person", "playwright", "server"]  # fixtures
pytestmark = [pytest.mark.browser, pytest.mark.gl, pytest.mark.models]

_SIZE = (640, 480)
# Notes what a page does before and after it was allowed to.
_WITNESS = """
window.did = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wanted) => {
    window.did.push("camera");
    return ask(wanted);
};
const Connection = window.RTCPeerConnection;
window.connections = [];
window.RTCPeerConnection = class extends Connection {
    constructor(...options) {
        super(...options);
        window.did.push("connection");
        window.connections.push(this);
    }
};
const get = window.fetch;
window.fetch = (address, options) => {
    if (options?.method === "POST") window.did.push(`POST ${address}`);
    return get(address, options);
};
"""


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A simulated face with the key in every pixel, as the fake camera's film; and a tone."""
    folder = tmp_path_factory.mktemp("marked")
    film, tone = folder / "camera.y4m", folder / "voice.wav"
    patient = SimulatedPatient(3)
    with av.open(str(film), "w", format="yuv4mpegpipe") as target:
        stream = target.add_stream("rawvideo", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(45):
            picture = mark(patient.frame(number / 30, _SIZE), 0.35)
            shown = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            shown.pts = number
            target.mux(stream.encode(shown))
        target.mux(stream.encode(None))
    patient.close()
    with wave.open(str(tone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(np.zeros(48000, "<i2").tobytes())
    return film, tone


def controls(page: Page) -> list[str]:
    """All that can be pressed or chosen on the page now, by id."""
    return [
        str(each)
        for each in page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, select, [onclick]")]
            .filter((each) => each.checkVisibility()).map((each) => each.id)"""
        )
    ]


def test_nothing_is_sent_before_the_patient_agrees(
    server: Server, person: Callable[[str], Page]
) -> None:
    patient = person("about:blank")
    patient.add_init_script(_WITNESS)
    patient.goto(server.link(Role.PATIENT))
    patient.wait_for_selector("#join:enabled")
    patient.wait_for_timeout(500)
    said = " ".join(patient.inner_text("#entrance").split())
    for sentence in (
        "The doctor sees a digital mask",
        "your voice changed, so that it is harder to recognise",
        "Nothing is kept",
        "no button that shows your real face",
        "does not hide what you tell, how you move, or a rare illness",
    ):
        assert sentence in said
    assert patient.evaluate("() => window.did") == []
    keep = os.environ.get("DIGITALMASK_SCREENSHOTS")
    if keep:
        patient.screenshot(path=f"{keep}/consent.png", full_page=True)
    join(patient)
    wait_until_followed(patient)
    did = patient.evaluate("() => window.did")
    assert did[0] == "camera"
    assert f"POST {server.base}/whip/{server.room}" in did


def test_no_control_of_either_page_shows_the_camera(
    server: Server, person: Callable[[str], Page]
) -> None:
    doctor = join(person(server.link(Role.DOCTOR)))
    assert "The voice is changed too" in doctor.inner_text("#mask-caption")
    patient = person("about:blank")
    patient.add_init_script(_WITNESS)
    patient.goto(server.link(Role.PATIENT))
    join(patient)
    wait_until_followed(doctor)
    patient.wait_for_function("() => document.getElementById('preview').videoWidth > 0")

    def look(where: str) -> None:
        doctor.wait_for_timeout(100)
        assert not has_key(grab(doctor, "#mask")), where

    assert not has_key(grab(patient, "#preview"))
    look("at the start")
    for page in (patient, doctor):
        for control, _ in itertools.product(controls(page), range(2)):
            if control != "leave":
                page.click(f"#{control}")
                look(control)
    # The camera goes out once, to the relay, and no other track of the patient's carries it.
    sending = patient.evaluate(
        """() => window.connections.filter((each) => each.connectionState !== "closed")
            .map((each) => each.getSenders())
            .map((all) => all.filter(({ track }) => track?.kind === "video").length)"""
    )
    assert sorted(sending)[-1] == 1
    assert sum(sending) == 1

    # The control: what the patient's browser itself sees of the camera has the key.
    patient.evaluate(
        """async () => {
            const video = document.createElement("video");
            video.id = "camera-itself";
            video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 640 } });
            video.muted = true;
            document.body.append(video);
            await video.play();
        }"""
    )
    assert has_key(grab(patient, "#camera-itself"))
