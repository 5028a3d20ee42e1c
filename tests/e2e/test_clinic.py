"""A clinic's way: a recording with the patient's consent, and a consultation in its own page."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Page

from digitalmask.assets.paths import client_dir
from digitalmask.relay.invitations import Role
from tests.e2e.test_consultation import (
    Server,
    audio_energy,
    camera,
    chromium,
    grab,
    join,
    likeness,
    person,
    playwright,
    started,
    wait_until_followed,
)

pytestmark = [pytest.mark.browser, pytest.mark.gl, pytest.mark.models]

__all__ = ["camera", "chromium", "person", "playwright"]  # fixtures


@pytest.fixture(scope="module")
def clinic_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A web server of the clinic's own, and the folder that it serves."""
    folder = tmp_path_factory.mktemp("clinic")
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()
        thread.join(5)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, clinic_page: tuple[str, Path]
) -> Iterator[Server]:
    state = tmp_path_factory.mktemp("state")
    with started(
        state, "--recordings", str(state / "recordings"), "--allow-origin", clinic_page[0]
    ) as running:
        yield running


def keep(page: Page, name: str) -> None:
    """A picture of the page for people, where they ask for it."""
    folder = os.environ.get("DIGITALMASK_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")


def assert_masks(pictures: list[np.ndarray], camera: tuple[Path, Path]) -> None:
    """That they are like no frame of the camera, and on the renderer's cool ground."""
    with av.open(str(camera[0])) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)][::5]
    for picture in pictures:
        assert max(likeness(picture, frame) for frame in frames) < 0.5
        corner = picture[:40, :40].reshape(-1, 3).mean(axis=0)
        assert corner[2] > corner[0] + 5


def test_a_doctor_records_the_mask_with_the_patients_consent(
    server: Server, person: Any, camera: tuple[Path, Path], tmp_path: Path
) -> None:
    doctor = join(person(server.link(Role.DOCTOR)))
    patient = join(person(server.link(Role.PATIENT)))
    observer = join(person(server.link(Role.OBSERVER)))
    wait_until_followed(doctor)
    assert patient.is_hidden("#consent")
    assert observer.is_hidden("#record")

    doctor.click("#record")
    patient.wait_for_selector("#agree")
    keep(patient, "consent")
    assert doctor.inner_text("#record") == "Waiting for the patient's consent"
    assert doctor.is_hidden("#recording")
    patient.click("#refuse")
    doctor.wait_for_function(
        "() => /did not agree/.test(document.getElementById('notice').textContent)"
    )
    assert not (server.state / "recordings").exists()

    doctor.click("#record")
    patient.click("#agree")
    for page in (doctor, patient, observer):
        page.wait_for_selector("#recording:not([hidden])")
    doctor.wait_for_timeout(4000)
    keep(doctor, "doctor-recording")
    keep(patient, "patient-recording")
    patient.click("#end-recording")
    for page in (doctor, patient, observer):
        page.wait_for_selector("#recording", state="hidden")

    with doctor.expect_download() as downloading:
        doctor.click("#recordings button")
    path = tmp_path / "recording.mp4"
    downloading.value.save_as(path)
    with av.open(str(path)) as container:
        shown = [(f.time or 0.0, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        voice = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert shown[-1][0] > 3.0
    assert len(shown) > 20
    assert np.abs(voice).max() > 0.02
    assert_masks([picture for _, picture in shown[::10]], camera)


def test_the_example_page_works_from_a_site_that_is_allowed(
    server: Server, person: Any, clinic_page: tuple[str, Path], camera: tuple[Path, Path]
) -> None:
    origin, folder = clinic_page
    example = (client_dir() / "example.html").read_text("utf-8")
    (folder / "index.html").write_text(example.replace("http://localhost:8080", server.base))
    invitation = server.link(Role.PATIENT).partition("#")[2]
    doctor = join(person(server.link(Role.DOCTOR)))
    page = person(f"{origin}/#{invitation}")
    page.click("#join")
    page.wait_for_function(
        "() => document.getElementById('status').textContent === 'following'", timeout=30000
    )
    page.wait_for_function("() => document.querySelector('#doctors video')?.videoWidth > 0")
    assert_masks([grab(page, "#mask")], camera)
    assert audio_energy(page, "#doctors video") > 0.02
    wait_until_followed(doctor)
    keep(page, "embedded")
    page.click("#join")  # which says Leave now
    doctor.wait_for_function(
        "() => document.getElementById('status').textContent.includes('Waiting')"
    )


def test_only_the_allowed_site_gets_the_module(
    server: Server, person: Any, clinic_page: tuple[str, Path]
) -> None:
    allowed = clinic_page[0]
    for origin, expected in ((allowed, "in"), (allowed.replace("127.0.0.1", "localhost"), "out")):
        page = person(f"{origin}/nothing")
        got = page.evaluate(
            "(base) => import(`${base}/static/digitalmask.js`).then(() => 'in', () => 'out')",
            server.base,
        )
        assert got == expected
