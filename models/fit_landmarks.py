"""Makes `landmarks.npz`: where the landmark network sees its points on heads in general.

    python -m models.fit_landmarks ICT_ARCHIVE IDENTITY_MODES OUT.npz [--people 300] [--keep FILE]

ICT_ARCHIVE is ICT-FaceKit (USC ICT, MIT licence, commit da5f95a) as a tar file, IDENTITY_MODES its
100 identity modes. Some hundreds of people who do not exist are drawn from the modes as
`fit_patient` draws its six, with other seeds: those six are what the result is judged by. Skin,
hair, light, pose, gaze, lids and expression vary; the network looks at every drawing; and since
pose and eyes of each are known, what it says can be learned from.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from models.fit_head import read_source
from models.fit_patient import _MODES, _SCLERA_LEFT, _SCLERA_RIGHT, SHAPES, ball_centre
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from tqdm import tqdm

from digitalmask.anatomy.head_fit import HeadFit, upright_view
from digitalmask.anatomy.pose import Pinhole, Pose, turn_vector
from digitalmask.assets.landmark_model import POINTS, LandmarkModel
from digitalmask.assets.paths import models_dir
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.simulation.drawing import (
    _EYES_UP_MM,
    DISTANCE_MM,
    FOCAL_HEIGHTS,
    Lighting,
    PatientDrawing,
    _matrix,
)
from digitalmask.simulation.people import SKIN_TONES, Look, Person, make_person
from digitalmask.simulation.pose import EyePose, PatientPose
from digitalmask.tracking import FaceTracker, load_networks
from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE

Floats = NDArray[Any]

_SIZE = (640, 480)
_VIEWS = 12
_PIVOT_FORWARD_MM = 1.5
_STRENGTH = 0.85
_SEED = 77_000
_IDENTITIES, _ERRORS, _RIGID_POINTS = 30, 20, 220
_RIDGE = 8.0
_HOLD = 0.02
_LEAST_VIEWS = 3
_LEAST_VARIANCE_MM2 = 0.02
LID_POINTS = np.array(
    [point for eye in (RIGHT_EYE, LEFT_EYE) for point in (*eye.upper, *eye.lower)]
)


@dataclass(frozen=True)
class Sightings:
    """What the network said of the drawings, and the truth of them.

    person: (n,) index. points_px: (n, 478, 2). scores: (n, 52). rotation: (n, 3, 3) and place_mm:
    (n, 3), of the head in the camera's frame. still: (n,) whether the face is at rest but for the
    eyes. iris_px: (n, 2, 3), centre and radius of each eye's iris; gaze_deg: (n, 2, 2). lids_mm: (n, 2, 2). pivots_mm: (people, 2, 3), the eyes' centres of
    rotation in the head frame.
    """

    person: NDArray[np.int64]
    points_px: Floats
    scores: Floats
    rotation: Floats
    place_mm: Floats
    still: NDArray[np.bool_]
    iris_px: Floats
    gaze_deg: Floats
    lids_mm: Floats
    pivots_mm: Floats


def draw_look(random: np.random.Generator) -> Look:
    """Skin, hair and eyes of one who does not exist."""
    tones = np.array(list(SKIN_TONES.values()))
    skin = random.dirichlet((0.5, 0.5, 0.5)) @ tones * random.uniform(0.92, 1.06)
    dark = random.uniform(0.05, 0.6)
    grey = random.uniform()

    def colour(*parts: float) -> tuple[float, float, float]:
        red, green, blue = (float(np.clip(part, 0.02, 0.95)) for part in parts)
        return red, green, blue

    return Look(
        skin=colour(*skin),
        hair=colour(dark, dark * (0.75 + 0.2 * grey), dark * (0.5 + 0.4 * grey)),
        iris=colour(*random.uniform((0.18, 0.11, 0.07), (0.36, 0.46, 0.52))),
        shirt=colour(*random.uniform(0.2, 0.8, 3)),
        wall=colour(*random.uniform(0.5, 0.85, 3)),
        hair_mm=float(random.uniform(4, 16)),
        hairline_mm=float(random.uniform(-12, 4)),
        long=bool(random.uniform() < 0.45),
        beard=float(max(0.0, random.uniform(-0.6, 0.6))),
    )


def draw_light(random: np.random.Generator) -> Lighting:
    """A key light from anywhere in front, and its fill."""
    key = random.uniform(0.75, 1.0) * np.array([1.0, random.uniform(0.84, 1), 0.95])
    fill = random.uniform(0.18, 0.32)
    return Lighting(
        (float(random.uniform(-0.6, 0.6)), float(random.uniform(0.15, 0.7)), 0.75),
        (float(key[0]), float(key[1]), float(key[2] * random.uniform(0.7, 1))),
        (fill, fill, fill),
    )


def draw_pose(random: np.random.Generator, view: int) -> tuple[PatientPose, bool]:
    """What one does in a picture, and whether the face is at rest but for the eyes."""
    if view % 2:
        yaw, pitch, roll = random.normal(0, (10, 8, 6))
    else:
        yaw, pitch, roll = random.uniform((-44, -28, -20), (44, 28, 20))
    gaze = random.uniform((-25, -18), (25, 18)) * (random.uniform() < 0.7)
    eyes = []
    for _ in range(2):
        own = gaze + random.normal(0, 4, 2) * (random.uniform() < 0.3)
        upper = 3.8 + 0.03 * own[1] + random.normal(0, 0.8)
        lower = -5.2 - 0.03 * own[1] + random.normal(0, 0.5)
        if random.uniform() < 0.12:
            upper = lower + random.uniform(0, 4)
        eyes.append(
            EyePose(float(own[0]), float(own[1]), upper, lower, float(random.uniform(2.5, 6)))
        )
    still = view % 4 < 2
    shapes: dict[str, float] = {}
    if not still:
        for name in random.choice(SHAPES, random.integers(1, 5), replace=False):
            shapes[str(name)] = float(random.uniform(0.1, 0.8))
            if random.uniform() < 0.75:  # most expressions have both sides
                for side, other in (("Left", "Right"), ("Right", "Left")):
                    if name.endswith(side) and (twin := name.removesuffix(side) + other) in SHAPES:
                        shapes[str(twin)] = shapes[str(name)]
        if random.uniform() < 0.5:
            shapes["jawOpen"] = float(random.uniform(0, 0.6))
    x, y, z = random.normal(0, (35, 20, 50))
    return (
        PatientPose(
            yaw_deg=float(yaw),
            pitch_deg=float(pitch),
            roll_deg=float(roll),
            offset_mm=(float(x), float(y), float(z)),
            right=eyes[0],
            left=eyes[1],
            shapes=shapes,
        ),
        still,
    )


def draw_people(archive: Path, modes_file: Path, count: int) -> Iterator[Person]:
    """People whom nobody has seen."""
    full = read_source(archive).neutral
    with np.load(modes_file) as data:
        modes = data["modes"][:_MODES].astype(np.float64) * 10
    with np.load(models_dir() / "patient.npz") as data:
        distance, kept = cKDTree(full).query(data["vertices_mm"])
    assert distance.max() < 1e-3, "patient.npz was made from another source"
    for number in range(count):
        random = np.random.default_rng((_SEED, number))
        offset = np.tensordot(random.normal(0, _STRENGTH, _MODES), modes, 1)
        centres = np.array(
            [ball_centre((full + offset)[part]) for part in (_SCLERA_RIGHT, _SCLERA_LEFT)]
        )
        try:
            yield make_person(draw_look(random), offset[kept], centres)
        except ValueError:
            continue  # lids that do not reach over the eyes: nobody looks like that


def look_at(people: Iterable[Person]) -> Sightings:
    """Draw everybody in several poses and ask the network."""
    tracker = FaceTracker(load_networks("cpu"))
    rows: dict[str, list[Any]] = {
        name: []
        for name in (
            "person", "points_px", "scores", "rotation", "place_mm", "still", "iris_px",
            "gaze_deg", "lids_mm",
        )
    }  # fmt: skip
    pivots = []
    for number, person in enumerate(tqdm(people, desc="people", mininterval=5)):
        random = np.random.default_rng((_SEED, number, 1))
        drawing = PatientDrawing(person, draw_light(random))
        for view in range(_VIEWS):
            pose, still = draw_pose(random, view)
            picture = drawing.draw(pose, _SIZE)
            noise = random.normal(0, random.uniform(0.5, 3), picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
            frame = PatientFrame(FrameClock(0.0, 0, Fraction(1, 1000)), picture)
            tracker.reset()
            # The second look is from the region about the points, as in a video.
            seen = tracker.track(frame) and tracker.track(frame)
            if seen is None or seen.presence < 0.7:
                continue
            rows["person"].append(number)
            rows["points_px"].append(seen.points[:, :2])
            rows["scores"].append(seen.blendshapes)
            rows["rotation"].append(_matrix(pose.yaw_deg, pose.pitch_deg, pose.roll_deg))
            rows["place_mm"].append(np.array(pose.offset_mm) + (0, _EYES_UP_MM, -DISTANCE_MM))
            rows["still"].append(still)
            outlines = (seen.right_eye, seen.left_eye)
            rows["iris_px"].append([(*out.iris_px, out.iris_radius_px) for out in outlines])
            eyes = (pose.right, pose.left)
            rows["gaze_deg"].append([(eye.gaze_yaw_deg, eye.gaze_pitch_deg) for eye in eyes])
            rows["lids_mm"].append([(eye.upper_lid_mm, eye.lower_lid_mm) for eye in eyes])
        drawing.close()
        pivots.append(person.eye_centres_mm + (0, 0, _PIVOT_FORWARD_MM))
    arrays = {name: np.array(row) for name, row in rows.items()}
    return Sightings(**arrays, pivots_mm=np.array(pivots))


def upright_views(rotation: Floats, place_mm: Floats) -> tuple[Floats, Floats]:
    """(n, 2, 2) from across and up the face to the picture, and the (n, 6) terms of the view."""
    views = [upright_view(Pose(*pose)) for pose in zip(rotation, place_mm, strict=True)]
    return np.array([upright for upright, _ in views]), np.array([terms for _, terms in views])


def triangulate(
    slopes: Floats, rotation: Floats, place_mm: Floats, weight: Floats, mean_mm: Floats
) -> Floats:
    """(N, 3) places of points that are seen at (v, N, 2) slopes from known sides.

    weight: (v, N). Where the sides do not tell, a place stays near `mean_mm` (N, 3).
    """
    system = rotation[:, None, :2, :] + slopes[..., None] * rotation[:, None, 2:3, :]
    right = -(place_mm[:, None, :2] + slopes * place_mm[:, None, 2:3])
    normal = np.einsum("vnij,vn,vnik->njk", system, weight, system, optimize=True)
    pull = np.einsum("vnij,vn,vni->nj", system, weight, right, optimize=True)
    normal += _HOLD * weight.mean() * np.eye(3)
    pull += _HOLD * weight.mean() * mean_mm
    return np.asarray(np.linalg.solve(normal, pull[..., None])[..., 0])


def sizes(faces_mm: Floats, mean_mm: Floats, weight: Floats) -> Floats:
    """How large each face (p, N, 3) is beside the mean; 1 on (geometrical) average."""
    share = weight / weight.sum()
    own = faces_mm - np.einsum("n,pnj->pj", share, faces_mm)[:, None]
    middle = mean_mm - share @ mean_mm
    size = np.einsum("pnj,nj,n->p", own, middle, share) / (middle**2 * share[:, None]).sum()
    return np.asarray(size / np.exp(np.log(size).mean()))


def _lowered_log(squares: Floats, terms: Floats) -> Floats:
    """(6, N) log of the mean square by the terms of the view, from (n, N) squares."""
    logs = np.linalg.lstsq(terms, np.log(squares + _LEAST_VARIANCE_MM2), rcond=None)[0]
    # The mean of a logarithm lies below the logarithm of the mean.
    logs[0] += np.log(
        (squares + _LEAST_VARIANCE_MM2).mean(axis=0) / np.exp(terms @ logs).mean(axis=0)
    )
    return np.asarray(logs)


def learn(seen: Sightings, people: NDArray[np.int64]) -> LandmarkModel:
    """What `digitalmask.assets.landmark_model` describes, from the drawings of these people."""
    still = [np.flatnonzero((seen.person == person) & seen.still) for person in people]
    chosen = [(person, views) for person, views in zip(people, still, strict=True)
              if len(views) >= _LEAST_VIEWS]  # fmt: skip
    number = {person: row for row, (person, _) in enumerate(chosen)}
    pinhole = Pinhole(FOCAL_HEIGHTS * _SIZE[1], (_SIZE[0] / 2, _SIZE[1] / 2))
    slopes = np.array([pinhole.slopes(points) for points in seen.points_px[:, :POINTS]])
    uprights, terms = upright_views(seen.rotation, seen.place_mm)
    depth = -seen.place_mm[:, 2]
    rows = np.flatnonzero([person in number for person in seen.person])
    owner = np.array([number[person] for person in seen.person[rows]])

    at_rest = np.concatenate([views for _, views in chosen])
    mean = triangulate(
        slopes[at_rest], seen.rotation[at_rest], seen.place_mm[at_rest],
        np.ones((len(at_rest), POINTS)), np.zeros((POINTS, 3)),
    )  # fmt: skip
    size = np.ones(len(chosen))
    bias, log_variance = np.zeros((6, POINTS, 2)), np.zeros((6, POINTS))
    weight = np.ones(POINTS)
    # Faces, bias and variance lean on each other: three rounds settle them.
    for _ in range(3):
        faces = np.empty((len(chosen), POINTS, 3))
        for row, (_, views) in enumerate(chosen):
            moved = np.einsum("vf,fnj->vnj", terms[views], bias)
            moved = np.einsum("vij,vnj->vni", uprights[views], moved) * size[row]
            faces[row] = triangulate(
                slopes[views] - moved / depth[views, None, None], seen.rotation[views],
                seen.place_mm[views], np.exp(-terms[views] @ log_variance), mean * size[row],
            )  # fmt: skip
        for _ in range(3):
            size = sizes(faces, mean, weight)
            mean = (faces / size[:, None, None]).mean(axis=0)
        camera = np.einsum("vij,vnj->vni", seen.rotation[rows], faces[owner])
        camera += seen.place_mm[rows, None]
        missed = slopes[rows] - camera[..., :2] / -camera[..., 2:]
        missed = np.einsum("vni,vij->vnj", missed, uprights[rows])
        missed *= (depth[rows] / size[owner])[:, None, None]
        calm = seen.still[rows]
        flat = missed[calm].reshape(calm.sum(), -1)
        bias = np.linalg.lstsq(terms[rows][calm], flat, rcond=None)[0].reshape(6, POINTS, 2)
        left = missed - np.einsum("vf,fnj->vnj", terms[rows], bias)
        log_variance = _lowered_log((left**2).mean(axis=-1), terms[rows])
        weight = 1.0 / (left**2).mean(axis=(0, 2))

    # Principal components, each point counted by how well it is seen.
    spread = (faces / size[:, None, None] - mean).reshape(len(chosen), -1)
    scores, _, _ = np.linalg.svd(spread * np.sqrt(np.repeat(weight, 3)), full_matrices=False)
    scores = scores[:, :_IDENTITIES] * np.sqrt(len(chosen))
    modes = (scores.T @ spread / len(chosen)).reshape(-1, POINTS, 3)
    pivots = seen.pivots_mm[[person for person, _ in chosen]] / size[:, None, None]
    features = np.column_stack([np.ones(len(chosen)), scores])
    targets = np.column_stack([pivots.reshape(-1, 6), -np.log(size)])
    ridge = np.diag([0.0] + [_RIDGE] * _IDENTITIES)
    told = np.linalg.solve(features.T @ features + ridge, features.T @ targets)

    typical = np.sqrt((left**2).mean(axis=(0, 2)))[:, None]
    scaled = (left / typical).reshape(len(left), -1)
    share, values, ways = np.linalg.svd(scaled, full_matrices=False)
    share, values, ways = share[:, :_ERRORS], values[:_ERRORS], ways[:_ERRORS]
    errors = (values[:, None] / np.sqrt(len(left)) * ways).reshape(-1, POINTS, 2) * typical
    unexplained = (scaled - share * values @ ways).reshape(left.shape) * typical
    chosen_points = np.setdiff1d(np.argsort(typical[:, 0])[:_RIGID_POINTS], LID_POINTS)
    return LandmarkModel(
        mean_mm=mean,
        modes_mm=modes,
        bias_mm=bias,
        log_variance=_lowered_log((unexplained**2).mean(axis=-1), terms[rows]),
        errors_mm=errors,
        rigid=chosen_points,
        eye_centres_mm=told[0, :6].reshape(2, 3),
        eye_modes_mm=told[1:, :6].reshape(-1, 2, 3),
        log_scale=float(told[0, 6]),
        log_scale_modes=told[1:, 6],
    )
