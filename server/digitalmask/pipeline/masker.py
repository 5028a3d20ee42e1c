"""Both halves of a patient's loop together: one frame in, one mask or card out."""

from digitalmask.media.masked_frame import MaskedFrame
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline.drawer import Drawer
from digitalmask.pipeline.follower import Follower
from digitalmask.pipeline.stages import Provider, Sighting


class Masker:
    """Tracks, reads and draws one patient.

    `follow` and `draw` are for one thread each, the same or two; `close` is for the one that draws.
    Whatever breaks within, a card comes out.
    """

    def __init__(self, follower: Follower, drawer: Drawer) -> None:
        self._follower, self._drawer = follower, drawer

    @property
    def provider(self) -> Provider:
        """What the networks run on now, and what masks are drawn on."""
        return Provider(self._follower.provider, self._drawer.provider)

    @property
    def stage_ms(self) -> dict[str, float]:
        """Recent milliseconds of each stage."""
        return self._follower.times.recent_ms | self._drawer.stage_ms

    def follow(self, frame: PatientFrame) -> Sighting:
        """What this frame shows of the patient."""
        return self._follower.follow(frame)

    def draw(self, sighting: Sighting, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask, or a card; `size` (width, height), the frame's own where None."""
        return self._drawer.draw(sighting, size)

    def mask(self, frame: PatientFrame, size: tuple[int, int] | None = None) -> MaskedFrame:
        """The mask for this frame, or a card."""
        return self.draw(self.follow(frame), size)

    def close(self) -> None:
        """Give the graphics context back."""
        self._drawer.close()
