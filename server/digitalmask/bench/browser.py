"""From the patient's camera to the mask on the doctor's screen, in two Chromiums.

Each has a process, and a page of the product's as `serve` gives it: the patient's with a fake
camera that plays a film, and an observer's, which is the doctor's without a camera of its own. Both
and the relay share this machine.

A frame is told by what is seen: the relay's process draws each camera frame's time stamp onto its
mask (`bar_code`; no option of `serve` does), and the doctor's page reads it off the picture. The
patient's browser says in its RTCP reports which moment a stamp is, to some milliseconds; of the
frames that its camera captured, each told to the tenth of a millisecond, the nearest one is meant.

Begin: the camera's capture time in the patient's page (`captureTime` of requestVideoFrameCallback),
which is when the browser's camera device has the frame. What a real camera takes for exposure,
reading out and USB comes before that. End: the browser's `expectedDisplayTime` of the frame that
holds the mask, so decoding, composition and the wait for a 60 Hz screen's next refresh are in it; a
busy browser expects a moment that has passed, and then it is when the frame went to the compositor.
A headless browser has no screen, so what a panel takes to light up is not in it, nor is a network:
all is on this machine, and waits for the same cores.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digitalmask.bench.camera import write_film
from digitalmask.bench.relay import SETTLE_S, Film, cpu_s, percentile, running_relay
from digitalmask.errors import ConfigurationError

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

_TICKS_A_MS = 90
_MOST_FILM_FRAMES = 75  # 2.5 s, forth and back: 208 MB at 1280x720
_START_MS = 30_000
_BETWEEN_FRAMES_MS = 1000 / 30

# A frame that the doctor was shown: its number (None where there was none to read), and, in
# milliseconds of UTC, when its last packet came, when it went to the compositor, when it is seen.
Shown = tuple[int | None, float, float, float]


async def measure_browsers(film: Film, seconds: float, mime_type: str = "") -> dict[str, object]:
    """Figures of one film's size. mime_type: the codec; what the pages agree on where empty.

    `glass_to_glass_ms`: as above. `composited_ms`: up to `presentationTime`, when the mask went to
    the compositor. `received_ms`: up to its last packet at the doctor. `added_ms`: by the relay
    alone. `reduced`: how far it did less, at the end (`digitalmask.pipeline.effort.LEVELS`): from 1
    on, every second mask is drawn without its frame being read. `cores`: the relay's. `busy`: the
    share of this machine that was in use, whoever by.
    Errors: ConfigurationError where something needed is missing, or nothing is seen.
    """
    import psutil

    height, width = film[0].shape[0] * 2 // 3, film[0].shape[1]
    probe = Path(__file__).with_name("browser_probe.js").read_text("utf-8")
    given = json.dumps({"width": width, "height": height, "mimeType": mime_type})
    script = f"({probe.strip().removesuffix(';')})({given})"
    with tempfile.TemporaryDirectory() as folder:
        played = Path(folder) / "camera.y4m"
        write_film(played, film[:_MOST_FILM_FRAMES])
        async with running_relay("marked") as relay, _chromiums(played) as browsers:
            version = browsers[0].version
            patient = await _joined(browsers[0], f"{relay.url}/patient#{relay.patient}", script)
            doctor = await _joined(browsers[1], f"{relay.url}/observer#{relay.observer}", script)
            await _until_masked(doctor)
            await asyncio.sleep(SETTLE_S)
            await relay.noted()
            for page in (patient, doctor):
                await page.evaluate("() => { probe.captured.length = probe.shown.length = 0; }")
            before_s = cpu_s(relay.process)
            psutil.cpu_percent()
            await asyncio.sleep(seconds)
            busy, after_s = psutil.cpu_percent(), cpu_s(relay.process)
            shown: list[Shown] = [tuple(each) for each in await doctor.evaluate("probe.shown")]
            captured_ms: list[float] = await patient.evaluate("probe.captured")
            codecs: list[str] = await doctor.evaluate("probe.codecs()")
            sent: list[str] = await patient.evaluate("probe.codecs()")
            noted = await relay.noted()
            reduced = (await relay.said(relay.room, relay.observer))["reduced"]
    if sorted(codecs) != sorted(sent):
        codecs = [*sent, *codecs]
    delays = delays_ms(captured_ms, noted.sent_at, shown)
    if len(delays) == 0:
        raise ConfigurationError("the doctor's page showed no mask of a frame that is known")
    added_ms = max(noted.added_ms, key=len, default=[])
    received, composited, seen = (column.tolist() for column in delays.T)
    return {
        "glass_to_glass_ms_p50": percentile(seen, 50),
        "glass_to_glass_ms_p95": percentile(seen, 95),
        "composited_ms_p50": percentile(composited, 50),
        "composited_ms_p95": percentile(composited, 95),
        "received_ms_p50": percentile(received, 50),
        "added_ms_p50": percentile(added_ms, 50),
        "added_ms_p95": percentile(added_ms, 95),
        "fps": round(len(delays) / seconds, 2),
        "frames": len(delays),
        "unread": sum(number is None for number, *_ in shown),
        "codec": " ".join(codec.removeprefix("video/") for codec in codecs),
        "reduced": reduced,
        "cores": round((after_s - before_s) / seconds, 3),
        "busy": round(busy / 100, 2),
        "browser": f"Chromium {version}",
    }


def delays_ms(
    captured_ms: Sequence[float], sent_at: Sequence[tuple[float, int]], shown: Sequence[Shown]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """From capture to each of a shown frame's three moments, (frames, 3), in order.

    captured_ms: when the camera captured each frame. sent_at: a moment and its frame number, as
    the sender says. A frame that is shown again, has no number or was captured before the first
    of `captured_ms` is left out.
    """
    if not captured_ms or not sent_at:
        return np.empty((0, 3))
    own = np.sort(np.array(captured_ms))
    report_ms, report_number = (np.array(each) for each in zip(*sent_at, strict=True))
    firsts: dict[int, Shown] = {}
    for each in shown:
        if each[0] is not None:
            firsts.setdefault(each[0], each)
    if not firsts:
        return np.empty((0, 3))
    moments = np.maximum.accumulate([each[1:] for each in firsts.values()], axis=1)
    # Said by the reports; the nearest one, for the sender's clock is adjusted as it goes.
    ticks = (np.array(list(firsts))[:, None] - report_number + 2**31) % 2**32 - 2**31
    nearest = np.abs(ticks).argmin(axis=1)
    said_ms = (
        report_ms[nearest] + np.take_along_axis(ticks, nearest[:, None], 1)[:, 0] / _TICKS_A_MS
    )
    # They are off by what passes between the camera and the sender, much alike for each frame.
    offset_ms = float(np.median(_nearest(own, said_ms) - said_ms))
    meant = _nearest(own, said_ms + offset_ms)
    known = np.abs(meant - said_ms - offset_ms) < _BETWEEN_FRAMES_MS / 3
    delays = moments - meant[:, None]
    return np.asarray(delays[known], np.float64)


def _nearest(
    sorted_values: np.ndarray[Any, np.dtype[np.float64]],
    wanted: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(
        sorted_values[np.abs(sorted_values[None, :] - wanted[:, None]).argmin(axis=1)], np.float64
    )


@asynccontextmanager
async def _chromiums(film: Path) -> AsyncIterator[list["Browser"]]:
    """Two of them, of which the first has a film for its camera."""
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise ConfigurationError(
            "the benchmark of browsers needs playwright: run scripts/setup --dev"
        ) from error
    path = shutil.which("chromium")
    if path is None:
        raise ConfigurationError("chromium is not installed: run scripts/setup --dev")
    camera = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    async with async_playwright() as playwright:
        browsers = [await _chromium(playwright, path, *flags) for flags in (camera, ())]
        try:
            yield browsers
        finally:
            for browser in browsers:
                await browser.close()


async def _chromium(playwright: "Playwright", path: str, *flags: str) -> "Browser":
    return await playwright.chromium.launch(
        executable_path=path,
        headless=True,
        args=[
            "--no-sandbox",
            "--disable-background-networking",
            "--autoplay-policy=no-user-gesture-required",
            *flags,
        ],
    )


async def _joined(browser: "Browser", link: str, script: str) -> "Page":
    page = await browser.new_page(viewport={"width": 1280, "height": 960})
    await page.add_init_script(script)
    await page.goto(link)
    await page.click("#join")
    return page


async def _until_masked(doctor: "Page") -> None:
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError

    try:
        await doctor.wait_for_function(
            "() => probe.shown.some(([number]) => number !== null)", timeout=_START_MS
        )
    except PlaywrightTimeoutError as error:
        raise ConfigurationError("no mask was seen in the doctor's page in 30 s") from error
