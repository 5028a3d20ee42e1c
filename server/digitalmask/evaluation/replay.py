"""A mask that does what the reference tracker read: how much of that does it read again?

What this judge gets wrong in the original no mask can be seen to follow, and what it gets wrong in
the mask no tracking can mend. A mask that does as the judge itself said has errors of neither
tracking nor smoothing: its figures tell how near to 1 the judge's figures come.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digitalmask.assets.head import LEFT, RIGHT, Head, load_head
from digitalmask.evaluation.measures import (
    CORNERS,
    QUANTITIES,
    FaceTrack,
    open_frames,
    read_face,
)
from digitalmask.mask_state import EyeState, MaskState
from digitalmask.pipeline import Drawer, Sighting
from digitalmask.rendering import MaskRenderer
from digitalmask.rendering.eyelids import PUPIL_ARM_MM, gaze_axis, pupil_offset_mm

Floats = NDArray[np.float64]

_FARTHEST = 0.75  # the sine of the farthest gaze, seen from the camera
_GAIN = (0.5, 4.0)  # of a drawn way over the seen one, at the least and at the most


def replay(
    sightings: Sequence[Sighting],
    tracks: Sequence[FaceTrack | None],
    judge: Callable[[NDArray[np.uint8]], FaceTrack | None],
) -> list[FaceTrack | None]:
    """What the judge sees of a mask that does as the judge saw the face of one video do.

    sightings, tracks: what the mask was drawn from and what the judge saw of the same frames; where
    either is missing, so is the answer. judge: reads a (height, width, 3) picture.

    Head and lids do what was seen. An iris is put where it was seen between the corners of its eye,
    but for where it is on the median, which is where the mask has it, and for how far it goes: the
    judge sees but a part of that (up and down a third to all) in a mask as in a face. So all is
    drawn twice, the second time as far as it takes for the judge to see what it saw. Expression,
    lower lids and pupils stay as they are.
    """
    head = load_head()
    known = [
        (sighting.state, track)
        for sighting, track in zip(sightings, tracks, strict=True)
        if sighting.state is not None and track is not None
    ]
    eyes = [_Eye.of(head, side, known) for side in ("right", "left")] if known else []
    found: list[FaceTrack | None] = []
    drawer = Drawer(lambda: MaskRenderer(head))
    try:
        for again in (False, True):
            if again:
                eyes = [eye.seen_whole(tracks, found) for eye in eyes]
            found = []
            for sighting, track in zip(sightings, tracks, strict=True):
                if sighting.state is None or track is None:
                    found.append(None)
                    continue
                right, left = (eye.as_seen(sighting.state, track) for eye in eyes)
                state = replace(sighting.state, rotation=track.rotation, right=right, left=left)
                found.append(judge(drawer.draw(replace(sighting, state=state)).rgb))
    finally:
        drawer.close()
    return found


@dataclass(frozen=True, slots=True)
class _Eye:
    """One eye of the mask, as it is seen from afar.

    usual, drawn_usual: (2,), where the judge and the mask's states have the iris on the median, in
    the eye's axes. gain: (2,), how far the drawn iris goes beside what is seen.
    """

    head: Head
    side: str
    usual: Floats
    drawn_usual: Floats
    gain: Floats

    @classmethod
    def of(cls, head: Head, side: str, known: Sequence[tuple[MaskState, FaceTrack]]) -> "_Eye":
        """Of one video."""
        eye = cls(head, side, np.zeros(2), np.zeros(2), np.ones(2))
        usual = np.median([eye._seen(track)[:2] for _, track in known], axis=0)
        drawn = np.median([eye._drawn(state) for state, _ in known], axis=0)
        return replace(eye, usual=usual, drawn_usual=drawn)

    def seen_whole(
        self, tracks: Sequence[FaceTrack | None], found: Sequence[FaceTrack | None]
    ) -> "_Eye":
        """The same eye, its gain such that what was found goes as far as what was seen."""
        pairs = [
            (self._seen(track), self._seen(again))
            for track, again in zip(tracks, found, strict=True)
            if track is not None and again is not None
        ]
        if not pairs:
            return self
        seen, again = np.moveaxis(np.array(pairs), 1, 0)
        is_open = open_frames(seen[:, 2])
        seen, again = seen[is_open, :2], again[is_open, :2]
        away, answer = seen - seen.mean(axis=0), again - again.mean(axis=0)
        share = (away * answer).sum(axis=0) / np.maximum((away**2).sum(axis=0), 1e-12)
        return replace(self, gain=1.0 / np.clip(share, 1.0 / _GAIN[1], 1.0 / _GAIN[0]))

    def as_seen(self, state: MaskState, track: FaceTrack) -> EyeState:
        """The eye's state with gaze and opening as in `track`."""
        eye = self._of(state)
        *iris, opening = self._seen(track)
        middle, axes, centre = self._places(track.rotation)
        place = self.drawn_usual + self.gain * (np.array(iris) - self.usual)
        beside = (middle + axes @ place - centre) / PUPIL_ARM_MM
        beside *= min(1.0, _FARTHEST / max(float(np.hypot(*beside)), 1e-9))
        x, y, z = track.rotation.T @ [*beside, np.sqrt(1.0 - beside @ beside)]
        looking = replace(
            eye,
            gaze_yaw_deg=float(np.degrees(np.arctan2(x, z))),
            gaze_pitch_deg=float(np.degrees(np.arcsin(y))),
        )
        # In the head the lids stay where they are, but for what the upper one opens.
        pupil = pupil_offset_mm(eye)[1] - pupil_offset_mm(looking)[1]
        lower = np.array(eye.lower_lid_mm) + pupil
        upper = np.array(eye.upper_lid_mm) + pupil
        opening_mm = opening * float(np.linalg.norm(axes[:, 0]))
        upper = np.maximum(upper + opening_mm - (upper - lower).mean(), lower)
        high, low = upper.tolist(), lower.tolist()
        return replace(
            looking,
            upper_lid_mm=(high[0], high[1], high[2]),
            lower_lid_mm=(low[0], low[1], low[2]),
        )

    def _of(self, state: MaskState) -> EyeState:
        return state.right if self.side == "right" else state.left

    def _seen(self, track: FaceTrack) -> Floats:
        """(3,): the iris in the eye's axes and the lids' opening, all in palpebral widths."""
        named = dict(zip(QUANTITIES, read_face(track).tolist(), strict=True))
        return np.array([named[f"{what}_{self.side}"] for what in ("iris_x", "iris_y", "opening")])

    def _drawn(self, state: MaskState) -> Floats:
        """(2,): where the state has the iris, in the eye's axes."""
        middle, axes, centre = self._places(state.rotation)
        pupil = centre + PUPIL_ARM_MM * (state.rotation @ gaze_axis(self._of(state)))[:2]
        return np.asarray(np.linalg.solve(axes, pupil - middle))

    def _places(self, rotation: Floats) -> tuple[Floats, Floats, Floats]:
        """The corners' middle (2,), the axes (2, 2, in columns) and the eye's centre (2,), mm."""
        first, last = self.head.landmarks_mm[list(CORNERS[self.side])] @ rotation[:2].T
        along = last - first
        axes = np.array([[along[0], -along[1]], [along[1], along[0]]])
        centre = self.head.eye_centres_mm[RIGHT if self.side == "right" else LEFT]
        return (first + last) / 2, axes, rotation[:2] @ centre
