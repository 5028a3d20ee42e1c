"""Frames of a camera that may go and come back."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from digitalmask.errors import DigitalMaskError
from digitalmask.media.patient_frame import PatientFrame

_AGAIN_S = 1.0  # between attempts to open a camera that has gone

OpenCamera = Callable[[], Iterator[PatientFrame]]


def hand_on_frames(
    open_camera: OpenCamera,
    submit: Callable[[PatientFrame], None],
    ended: threading.Event,
    say: Callable[[str], None],
) -> None:
    """Hand on a camera's frames until `ended`; one that goes is opened again and again.

    open_camera: its frames, until it goes. say: is told why there are none, "" when they come.
    """
    while not ended.is_set():
        try:
            with contextlib.closing(open_camera()) as frames:  # type: ignore[type-var]
                for number, frame in enumerate(frames):
                    if number == 0:
                        say("")
                    submit(frame)
                    if ended.is_set():
                        return
        except DigitalMaskError as error:
            say(str(error))
        except Exception as error:  # noqa: BLE001 - its message could quote the picture
            say(f"the webcam failed ({type(error).__name__})")
        ended.wait(_AGAIN_S)
