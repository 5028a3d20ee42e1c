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
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from models.fit_head import read_source
from models.fit_patient import _MODES, _SCLERA_LEFT, _SCLERA_RIGHT, SHAPES, ball_centre
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from tqdm import tqdm

from digitalmask.anatomy.eyes import LIMBUS_FROM_CENTRE_MM
from digitalmask.anatomy.head_fit import fit_average, upright_view
from digitalmask.anatomy.pose import Pinhole, Pose, turn_vector
from digitalmask.assets.landmark_model import POINTS, LandmarkModel
from digitalmask.assets.paths import models_dir
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.simulation.drawing import FOCAL_HEIGHTS, Lighting, PatientDrawing
from digitalmask.simulation.people import SKIN_TONES, Look, Person, make_person
from digitalmask.simulation.pose import EyePose, PatientPose
from digitalmask.simulation.posing import PIVOT_FORWARD_MM, head_place_mm, head_rotation
from digitalmask.tracking import FaceTracker, load_networks
from digitalmask.tracking.observation import LEFT_EYE, RIGHT_EYE

Floats = NDArray[Any]

_SIZE = (640, 480)
_VIEWS = 8
_STRENGTH = 0.85
_SEED = 77_000
# A third of these go with the irises (.10 to .15 mm for a degree up). Without them, and with or
# without the next quietest in their place, the pose is freer of that in drawings, but shakes in
# real faces: the crossing of a real patient's eyes correlates by .60 to .71 then, with them by .77.
_RIGID_POINTS = 110
_TOLD = 10
_FREE = 10.0
# The turn is read from every frame, and a real face moves as no drawing does; how far apart the
# eyes are is the mean over many frames.
_NOISE_MM, _SLOW_NOISE_MM = 0.8, 0.15
_HOLD = 0.02
_LEAST_VIEWS = 3
_LEAST_VARIANCE_MM2 = 0.02
LID_POINTS = np.array(
    [point for eye in (RIGHT_EYE, LEFT_EYE) for point in (*eye.upper, *eye.lower)]
)
# What lies around the lids goes with them, and so with the gaze: a squint would be read as eyes
# that stand closer together.
_AROUND_EYES = np.array(
    [247, 30, 29, 27, 28, 56, 190, 112, 26, 22, 23, 24, 110, 25, 33, 133, 130, 243]
    + [467, 260, 259, 257, 258, 286, 414, 341, 256, 252, 253, 254, 339, 255, 263, 362, 359, 463]
)


@dataclass(frozen=True)
class Sightings:
    """What the network said of the drawings, and the truth of them.

    person: (n,) index. points_px: (n, 478, 2). scores: (n, 52). rotation: (n, 3, 3) and place_mm:
    (n, 3), of the head in the camera's frame. still: (n,) whether the face is at rest but for the
    eyes. pivots_mm: (people, 2, 3), the eyes' centres of rotation in the head frame.
    """

    person: NDArray[np.int64]
    points_px: Floats
    rotation: Floats
    place_mm: Floats
    still: NDArray[np.bool_]
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


def draw_people(
    archive: Path, modes_file: Path, numbers: Iterable[int]
) -> Iterator[tuple[int, Person]]:
    """People whom nobody has seen, each with the number that makes them."""
    full = read_source(archive).neutral
    with np.load(modes_file) as data:
        modes = data["modes"][:_MODES].astype(np.float64) * 10
    with np.load(models_dir() / "patient.npz") as data:
        distance, kept = cKDTree(full).query(data["vertices_mm"])
    assert np.max(distance) < 1e-3, "patient.npz was made from another source"
    for number in numbers:
        random = np.random.default_rng((_SEED, number))
        offset = np.tensordot(random.normal(0, _STRENGTH, _MODES), modes, 1)
        centres = np.array(
            [ball_centre((full + offset)[part]) for part in (_SCLERA_RIGHT, _SCLERA_LEFT)]
        )
        try:
            yield number, make_person(draw_look(random), offset[kept], centres)
        except ValueError:
            continue  # lids that do not reach over the eyes: nobody looks like that


def look_at(people: Iterable[tuple[int, Person]]) -> Sightings:
    """Draw everybody in several poses and ask the network."""
    tracker = FaceTracker(load_networks("cpu"))
    rows: dict[str, list[Any]] = {
        name: [] for name in ("person", "points_px", "rotation", "place_mm", "still")
    }
    pivots: list[Floats] = []
    for number, person in tqdm(people, desc="people", mininterval=5):
        random = np.random.default_rng((_SEED, number, 1))
        drawing = PatientDrawing(person, draw_light(random))
        for view in range(_VIEWS):
            pose, still = draw_pose(random, view)
            picture = drawing.draw(pose, _SIZE)
            noise = random.normal(0, random.uniform(0.5, 3), picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
            frame = PatientFrame.of_rgb(FrameClock(0.0, 0, Fraction(1, 1000)), picture)
            tracker.reset()
            # The second look is from the region about the points, as in a video.
            seen = tracker.track(frame) and tracker.track(frame)
            if seen is None or seen.presence < 0.7:
                continue
            rows["person"].append(len(pivots))
            rows["points_px"].append(seen.points[:, :2])
            rows["rotation"].append(head_rotation(pose))
            rows["place_mm"].append(head_place_mm(pose))
            rows["still"].append(still)
        drawing.close()
        pivots.append(person.eye_centres_mm + (0, 0, PIVOT_FORWARD_MM))
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

    quiet = np.argsort((left**2).mean(axis=(0, 2)))[:_RIGID_POINTS]
    model = LandmarkModel(
        mean_mm=mean,
        bias_mm=bias,
        log_variance=log_variance,
        rigid=np.setdiff1d(quiet, np.concatenate([LID_POINTS, _AROUND_EYES])),
        usual_rest_mm=np.zeros((POINTS, 2)),
        constant=np.zeros((_TOLD, len(terms[0]))),
        told=np.zeros((3, _TOLD, 2 * POINTS)),
    )
    return learn_reading(model, seen, rows)


def learn_reading(model: LandmarkModel, seen: Sightings, rows: NDArray[np.int64]) -> LandmarkModel:
    """The model with what the rest of a fit says, by ridge regression on the drawings `rows`."""
    rests, terms, truth = plain_fits(model, seen, rows)
    usual = rests.mean(axis=0)
    beyond = rests - usual
    beyond[:, np.concatenate([LID_POINTS, _AROUND_EYES])] = 0.0
    beyond = beyond.reshape(len(rows), -1)
    features = np.concatenate([beyond * terms[:, [term]] for term in range(3)], axis=1)
    # The terms by themselves are hardly held back; the points as if each had noise of its own, so
    # that nothing is read from differences that another camera or a real skin would not show.
    features = np.concatenate([_FREE * terms, features], axis=1)
    normal, pull = features.T @ features, features.T @ truth
    told, apart = (
        np.linalg.solve(normal + len(rows) * noise_mm**2 * np.eye(len(normal)), pull)
        for noise_mm in (_NOISE_MM, _SLOW_NOISE_MM)
    )
    # Both eyes' middle as the turn goes, and what is between them as it alone is read best.
    middle = (told[:, 3:6] + told[:, 6:9]) / 2
    half = (apart[:, 6:9] - apart[:, 3:6]) / 2
    told = np.column_stack([told[:, :3], middle - half, middle + half, apart[:, 9]])
    count = terms.shape[1]
    return replace(
        model,
        usual_rest_mm=usual,
        constant=_FREE * told[:count].T,
        told=told[count:].reshape(3, 2 * POINTS, _TOLD).transpose(0, 2, 1),
    )


def plain_fits(
    model: LandmarkModel, seen: Sightings, rows: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """The average head fitted to drawings: rests (n, 468, 2), terms (n, 6), and (n, 10) what the
    rests should tell (see `digitalmask.assets.landmark_model.Told`).
    """
    pinhole = Pinhole(FOCAL_HEIGHTS * _SIZE[1], (_SIZE[0] / 2, _SIZE[1] / 2))
    rests, terms, truth = [], [], []
    for row in rows:
        points = pinhole.slopes(seen.points_px[row, :POINTS].astype(np.float64))
        true = Pose(seen.rotation[row], seen.place_mm[row])
        # As in a video, where a fit begins at the one of the frame before.
        fit = fit_average(model, fit_average(model, true, points, 6).pose, points, 3)
        off = np.degrees(turn_vector(true.view_rotation() @ fit.pose.view_rotation().T))
        size = fit.pose.translation_mm[2] / true.translation_mm[2]
        pivots = true.apply(seen.pivots_mm[seen.person[row]]) * size
        pivots = (pivots - fit.pose.translation_mm) @ true.rotation
        rests.append(fit.rest_mm)
        terms.append(fit.terms)
        truth.append([*(off[:2] @ fit.upright), off[2], *pivots.ravel(), np.log(size)])
    return np.array(rests), np.array(terms), np.array(truth)


def cross_validate(seen: Sightings, folds: int = 4) -> dict[str, float]:
    """How far off the reading is on people it was not learned from.

    Pose: median and 95th percentile over single drawings, degrees. Eye centres: standard deviation
    over people of the mean over their drawings, mm; `vergence` of the distance between both eyes'.
    """
    people = np.arange(len(seen.pivots_mm))
    poses, centres = [], []
    for fold in range(folds):
        model = learn(seen, people[people % folds != fold])
        rows = np.flatnonzero(seen.person % folds == fold)
        rests, terms, truth = plain_fits(model, seen, rows)
        told = [model.read(rest, term) for rest, term in zip(rests, terms, strict=True)]
        turns = truth[:, :3] - [one.turn_deg for one in told]
        poses.append(np.linalg.norm(turns, axis=1))
        off = truth[:, 3:10] - [[*one.eye_centres_mm.ravel(), one.log_scale] for one in told]
        centres += [off[seen.person[rows] == one].mean(axis=0) for one in set(seen.person[rows])]
    pose, centre = np.concatenate(poses), np.array(centres)
    both = (centre[:, :3] + centre[:, 3:6]) / 2
    apart = centre[:, 3:6] - centre[:, :3]
    return {
        "pose_deg_median": float(np.median(pose)),
        "pose_deg_p95": float(np.percentile(pose, 95)),
        **{f"both_eyes_{axis}_mm": float(std)
           for axis, std in zip("xyz", both.std(axis=0), strict=True)},
        **{f"between_eyes_{axis}_mm": float(std)
           for axis, std in zip("xyz", apart.std(axis=0), strict=True)},
        "vergence_deg": float(np.degrees(apart[:, 0].std() / LIMBUS_FROM_CENTRE_MM)),
        "scale": float(centre[:, 6].std()),
    }  # fmt: skip


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("archive", type=Path, help="ICT-FaceKit as a tar file")
    parser.add_argument("modes", type=Path, help="its identity modes")
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=340)
    parser.add_argument("--keep", type=Path, help="a file for what the network said, used again")
    options = parser.parse_args()
    if options.keep and options.keep.is_file():
        with np.load(options.keep) as archive:
            seen = Sightings(**{one.name: archive[one.name] for one in fields(Sightings)})
    else:
        seen = look_at(draw_people(options.archive, options.modes, range(options.people)))
        if options.keep:
            np.savez(options.keep, **{one.name: getattr(seen, one.name) for one in fields(seen)})
    for name, value in cross_validate(seen).items():
        print(f"{name} {value:.3f}")
    model = learn(seen, np.arange(len(seen.pivots_mm)))
    step = np.abs(model.told).max(axis=(0, 2), keepdims=True) / 32767
    np.savez_compressed(
        options.out,
        mean_mm=model.mean_mm.astype(np.float32),
        bias_mm=model.bias_mm.astype(np.float16),
        log_variance=model.log_variance.astype(np.float16),
        rigid=model.rigid.astype(np.uint16),
        usual_rest_mm=model.usual_rest_mm.astype(np.float32),
        constant=model.constant.astype(np.float32),
        told=np.round(model.told / step).astype(np.int16),
        told_step=step.astype(np.float32),
    )
    drawings, people = len(seen.person), len(seen.pivots_mm)
    print(f"{options.out}: {drawings} drawings of {people} people, "
          f"{options.out.stat().st_size / 1e6:.2f} MB")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
