"""Every error that digitalmask raises on purpose, in one tree.

A message is one line: what was wrong, and what to do. It never holds pixels of a frame.
"""


class DigitalMaskError(Exception):
    """The root of the tree; the command line prints it as one line and exits with 1."""


class ConfigurationError(DigitalMaskError):
    """An option, a setting or the machine's set-up is wrong."""


class AssetError(DigitalMaskError):
    """A network or data file is missing, damaged or could not be fetched."""


class MediaError(DigitalMaskError):
    """A file or stream cannot be read or written."""


class TrackingError(DigitalMaskError):
    """The face networks cannot be loaded or failed on a frame."""


class RenderingError(DigitalMaskError):
    """OpenGL is missing, or a mask cannot be drawn."""


class ContextLostError(RenderingError):
    """OpenGL's context is good for nothing any more; a new one may be."""


class PipelineError(DigitalMaskError):
    """A patient's masker has ended or does not answer."""


class InvitationError(DigitalMaskError):
    """An invitation is forged, expired, or does not allow what was asked."""


class SignallingError(DigitalMaskError):
    """A WHIP or WHEP request cannot be served; `status` is the HTTP answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
