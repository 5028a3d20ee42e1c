"""The simulated patient: a person, a camera, a conversation."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.simulation.conversation import pose_at, voice
from digitalmask.simulation.drawing import LIGHTINGS, PatientDrawing
from digitalmask.simulation.people import SKIN_TONES, load_person
from digitalmask.simulation.pose import PatientPose

_NOISE_TILES = 8


class SimulatedPatient:
    """A patient who does not exist, for demonstrations, tests and measurements.

    number: which of the six people. lighting: "window" or "lamp". noise: standard deviation of the
    camera's noise, in steps of 8 bits. skin: "light", "brown" or "dark"; the person's own where
    None. detail: so many times as large, each way, the picture is drawn and then averaged, as the
    light that falls on a camera's pixel is; with 1, edges inside of a surface (the limbus) lock to
    pixels by up to a sixth of a pixel. One thread owns it: the first that draws.
    Raises AssetError without its data file, RenderingError without OpenGL.
    """

    def __init__(
        self,
        number: int = 0,
        lighting: str = "window",
        noise: float = 1.5,
        skin: str | None = None,
        detail: int = 1,
    ) -> None:
        person = load_person(number)
        if skin is not None:
            person = replace(person, look=replace(person.look, skin=SKIN_TONES[skin]))
        self.person = person
        self._lighting = LIGHTINGS[lighting]
        self._noise = noise
        self._detail = detail
        self._random = np.random.default_rng(number)
        self._drawing: PatientDrawing | None = None
        self._tiles: NDArray[np.int16] | None = None

    def draw(self, pose: PatientPose, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The camera's picture of a pose, (height, width, 3) RGB; size is (width, height)."""
        if self._drawing is None:
            self._drawing = PatientDrawing(self.person, self._lighting)
        picture = self._drawing.draw(pose, (self._detail * size[0], self._detail * size[1]))
        if self._detail > 1:
            averaged = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            picture = np.asarray(averaged, np.uint8)
        if not self._noise:
            return picture
        width, height = size
        if self._tiles is None or self._tiles.shape[1:3] != (height, width):
            grain = self._random.normal(0, self._noise, (_NOISE_TILES, height, width, 3))
            self._tiles = np.round(grain).astype(np.int16)
        tile = self._tiles[self._random.integers(_NOISE_TILES)]
        shift = tuple(self._random.integers(0, (height, width)))
        noisy = picture + np.roll(tile, shift, (0, 1))
        return np.asarray(np.clip(noisy, 0, 255), np.uint8)

    def frame(self, t_s: float, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The camera's picture at a moment of the conversation, which repeats itself."""
        return self.draw(pose_at(t_s), size)

    def speech(self, t0_s: float, seconds: float, rate: int) -> NDArray[np.int16]:
        """The patient's voice in the conversation, mono."""
        return voice(t0_s, seconds, rate)

    def close(self) -> None:
        """Give the drawing's context back."""
        if self._drawing is not None:
            self._drawing.close()
            self._drawing = None
