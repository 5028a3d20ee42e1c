"""The cameras that pyvirtualcam feeds.

v4l2loopback's devices on Linux, OBS's camera on Windows and macOS, Unity Video Capture on Windows.
pyvirtualcam has another licence (GPL 2) than this project, so it is not among what every user
installs: `pip install 'digitalmask[camera]'`.
"""

import sys
from typing import Any

from digitalmask.camera.virtual import Size, i420
from digitalmask.errors import MediaError
from digitalmask.media.masked_frame import MaskedFrame

_INSTALL = "pip install pyvirtualcam"
_NEEDS = {
    "linux": "apt-get install v4l2loopback-dkms; modprobe v4l2loopback exclusive_caps=1",
    "darwin": "install OBS, and start and stop its virtual camera once",
    "win32": "install OBS",
}


class LoopbackCamera:
    """A camera of pyvirtualcam's. Errors: MediaError.

    device: which one, where the system has several (as /dev/video10); any that is free where None.
    """

    def __init__(self, device: str | None, size: Size, rate: int) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise MediaError(f"pyvirtualcam is not installed: {_INSTALL}") from error
        self._size = size
        try:
            self._camera: Any = pyvirtualcam.Camera(
                *size, rate, fmt=pyvirtualcam.PixelFormat.I420, device=device
            )
        except (RuntimeError, ValueError) as error:
            needs = _NEEDS.get(sys.platform, "see pyvirtualcam's documentation")
            why = " ".join(str(error).split())
            raise MediaError(f"there is no virtual camera to feed: {needs} ({why})") from error
        self.device = str(self._camera.device)

    def send(self, masked: MaskedFrame) -> None:
        """Show a frame."""
        planes = i420(masked, self._size)
        try:
            self._camera.send(planes)
        except (RuntimeError, OSError) as error:
            raise MediaError(f"the camera {self.device} has ended ({error})") from None

    def close(self) -> None:
        """Take the camera away."""
        self._camera.close()
