"""Draws a gallery of people who do not exist, to try whether they are recognised behind the mask.

    python -m models.draw_gallery ICT_ARCHIVE IDENTITY_MODES FOLDER [--people 100] [--sessions 2]

ICT_ARCHIVE and IDENTITY_MODES as for `fit_landmarks`, whose people these are not. FOLDER gets one
folder a person, with one video a session, for `digitalmask evaluate privacy FOLDER`.

A person has a face, a skin, hair, and habits: how high the lids stand (each eye's own), how wide
the pupils are, how the face hangs at rest, how the head is held, how often it blinks. What differs
from session to session is the light, the room and shirt, the seat before the camera, what is said,
where the eyes go, and by a little (as from one day to another) the habits too.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from models.fit_landmarks import draw_light, draw_look, draw_people
from numpy.typing import NDArray
from tqdm import tqdm

from digitalmask.simulation.conversation import loudness
from digitalmask.simulation.drawing import PatientDrawing
from digitalmask.simulation.people import Person
from digitalmask.simulation.pose import Droop, EyePose, PatientPose

# `fit_landmarks` draws its people from 0 on.
_FIRST_PERSON, _SEED = 5_000, 88_000
_SIZE, _RATE, _SECONDS, _NOISE = (640, 480), 10, 5.0, 1.5
_CRF = "20"
# Habits of people, as standard deviations between people and between one person's sessions: lids
# after the spread of MRD1 and MRD2 in healthy adults (about 0.8 and 0.5 mm, and 0.3 mm between the
# eyes), the rest as a guess that errs towards telling people apart.
_LIDS_MM, _SIDES_MM, _LIDS_AGAIN_MM = (0.8, 0.5), 0.3, 0.25
_PUPIL_MM, _PUPIL_AGAIN_MM = 0.6, 0.6
_REST_MM, _REST_AGAIN_MM = 0.5, 0.1
_HELD_DEG, _HELD_AGAIN_DEG = (2.0, 4.0, 2.5), (3.0, 3.0, 1.5)
_BLINK_S = 0.24


@dataclass(frozen=True)
class Habits:
    """lids_mm: (2, 2), right and left eye, upper and lower margin. rest_mm: (3,), what hangs on the
    right (negative: on the left). held_deg: (3,) yaw, pitch, roll. blinks_hz. liveliness: of the
    mouth, about 1.
    """

    lids_mm: NDArray[Any]
    pupil_mm: float
    rest_mm: NDArray[Any]
    held_deg: NDArray[Any]
    blinks_hz: float
    liveliness: float


def draw_habits(random: np.random.Generator) -> Habits:
    """Of somebody."""
    both = random.normal((3.9, -5.2), _LIDS_MM)
    side = random.normal(0, (_SIDES_MM, 0.5 * _SIDES_MM))
    return Habits(
        lids_mm=np.array([both + 0.5 * side, both - 0.5 * side]),
        pupil_mm=float(np.clip(random.normal(4.0, _PUPIL_MM), 2, 7)),
        rest_mm=random.normal(0, _REST_MM, 3),
        held_deg=random.normal(0, _HELD_DEG),
        blinks_hz=float(random.uniform(0.15, 0.5)),
        liveliness=float(random.uniform(0.6, 1.4)),
    )


def on_a_day(habits: Habits, random: np.random.Generator) -> Habits:
    """The same person in another session."""
    return replace(
        habits,
        lids_mm=habits.lids_mm + random.normal(0, _LIDS_AGAIN_MM, (1, 2)),
        pupil_mm=float(np.clip(random.normal(habits.pupil_mm, _PUPIL_AGAIN_MM), 2, 7)),
        rest_mm=habits.rest_mm + random.normal(0, _REST_AGAIN_MM, 3),
        held_deg=habits.held_deg + random.normal(0, _HELD_AGAIN_DEG),
    )


def act(habits: Habits, random: np.random.Generator) -> Iterator[PatientPose]:
    """A few seconds of talk, mostly to the camera."""
    speech = random.uniform(0, 24)
    seat = random.normal(0, (25, 12, 45))
    sway = random.uniform(0.5, 2.5, 3)
    period = random.uniform(3, 9, 3)
    phase = random.uniform(0, 2 * math.pi, 3)
    looks = np.sort(random.uniform(0, _SECONDS, 5))
    aims = np.where(random.uniform(size=(6, 1)) < 0.6, 0, random.normal(0, (8, 5), (6, 2)))
    blinks = np.cumsum(random.exponential(1 / habits.blinks_hz, 12)) + 0.3
    for number in range(round(_SECONDS * _RATE)):
        t_s = number / _RATE
        yaw, pitch = aims[np.searchsorted(looks, t_s)]
        closed = max(1 - abs(t_s - blinks - _BLINK_S / 2).min() / (_BLINK_S / 2), 0)
        turn = habits.held_deg + sway * np.sin(2 * math.pi * t_s / period + phase)
        eyes = []
        for upper, lower in habits.lids_mm:
            high, low = upper + 0.02 * pitch, lower - 0.03 * pitch
            high += closed * (low + 0.6 - high)
            eyes.append(
                EyePose(float(yaw), float(pitch), high, low + 0.6 * closed, habits.pupil_mm)
            )
        voice = habits.liveliness * loudness(speech + t_s)
        droops = [Droop(*(float(v) for v in np.maximum(s * habits.rest_mm, 0))) for s in (1, -1)]
        yield PatientPose(
            yaw_deg=float(turn[0]),
            pitch_deg=float(turn[1]),
            roll_deg=float(turn[2]),
            offset_mm=(float(seat[0]), float(seat[1]), float(seat[2])),
            right=eyes[0],
            left=eyes[1],
            shapes={
                "jawOpen": min(0.4 * voice, 1),
                "mouthFunnel": 0.2 * voice * abs(math.sin(3 * t_s)),
            },
            right_droop=droops[0],
            left_droop=droops[1],
        )


def record(person: Person, number: int, session: int, habits: Habits, path: Path) -> None:
    """One session as a video."""
    random = np.random.default_rng((_SEED, number, 1 + session))
    room = draw_look(random)
    dressed = replace(person, look=replace(person.look, shirt=room.shirt, wall=room.wall))
    drawing = PatientDrawing(dressed, draw_light(random))
    try:
        with av.open(path, "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(_RATE))
            stream.width, stream.height = _SIZE
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "ultrafast", "crf": _CRF}
            grain = random.normal(0, _NOISE, (_SIZE[1], _SIZE[0], 3))
            for pose in act(on_a_day(habits, random), random):
                picture = drawing.draw(pose, _SIZE)
                moved = np.roll(grain, tuple(random.integers(0, _SIZE[::-1])), axis=(0, 1))
                noisy = np.clip(picture + moved, 0, 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
            container.mux(stream.encode())
    finally:
        drawing.close()


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Draw a gallery of people who do not exist.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("modes", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=2)
    options = parser.parse_args()
    numbers = range(_FIRST_PERSON, _FIRST_PERSON + options.people)
    for number, person in tqdm(
        draw_people(options.archive, options.modes, numbers), total=options.people, mininterval=5
    ):
        folder = options.folder / f"p{number - _FIRST_PERSON:03}"
        folder.mkdir(parents=True, exist_ok=True)
        habits = draw_habits(np.random.default_rng((_SEED, number)))
        for session in range(options.sessions):
            path = folder / f"session{session}.mp4"
            if not path.exists():
                part = path.with_name(f".{path.name}")
                record(person, number, session, habits, part)
                part.replace(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
