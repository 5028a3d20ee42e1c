"""The estimator gives back what a known head does, each eye by itself."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from digitalmask.anatomy import MaskEstimator
from digitalmask.anatomy.expression import score_of
from digitalmask.assets.head import Head, load_head
from digitalmask.assets.landmark_model import load_landmark_model
from digitalmask.mask_state import EXPRESSIONS, MaskState, RestAsymmetry
from tests.anatomy.synthetic import Truth, observe


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head()


def settle(estimator: MaskEstimator, head: Head, truth: Truth, seconds: float = 1.0) -> MaskState:
    state = estimator.estimate(observe(head, truth))
    for frame in range(1, round(30 * seconds)):
        state = estimator.estimate(observe(head, truth, frame / 30))
    return state


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(a.T @ b).magnitude()))


@pytest.mark.parametrize(
    "truth",
    [Truth(), Truth(yaw_deg=30), Truth(yaw_deg=-30), Truth(pitch_deg=15), Truth(roll_deg=20)],
    ids=["straight", "to the left", "to the right", "up", "tilted"],
)
def test_head_pose_is_that_of_the_head(head: Head, truth: Truth) -> None:
    state = settle(MaskEstimator(head), head, truth)
    assert angle_deg(state.rotation, truth.rotation) < 1.5


def test_a_head_beside_the_axis_that_faces_the_camera_is_straight_in_the_view(head: Head) -> None:
    # At 600 mm a head 150 mm to the side must turn by 14 degrees to face the camera.
    turned = Truth(yaw_deg=-np.degrees(np.arctan2(150, 600)), place_mm=(150.0, 0.0, -600.0))
    state = settle(MaskEstimator(head), head, turned)
    assert angle_deg(state.rotation, np.eye(3)) < 1.5


def test_yaw_to_the_patients_left_is_positive_and_not_mirrored(head: Head) -> None:
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    aside = Truth(left_gaze_deg=(10, 0), right_gaze_deg=(10, 0))
    for frame in range(4):
        state = estimator.estimate(observe(head, aside, 1 + frame / 30))
    assert state.left.gaze_yaw_deg > 8
    assert state.right.gaze_yaw_deg > 8


@pytest.mark.parametrize("yaw_deg", [-20.0, 0.0, 20.0])
def test_eyes_are_read_apart(head: Head, yaw_deg: float) -> None:
    squint = Truth(yaw_deg=yaw_deg, right_gaze_deg=(12.0, 0.0), left_gaze_deg=(0.0, 5.0))
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    for frame in range(4):
        state = estimator.estimate(observe(head, squint, 1 + frame / 30))
    assert state.right.gaze_yaw_deg == pytest.approx(12, abs=2)
    assert state.right.gaze_pitch_deg == pytest.approx(0, abs=2)
    assert state.left.gaze_yaw_deg == pytest.approx(0, abs=2)
    assert state.left.gaze_pitch_deg == pytest.approx(5, abs=2)


def test_gaze_stays_in_the_head_while_the_head_turns(head: Head) -> None:
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    yaws = []
    for frame in range(60):
        truth = Truth(yaw_deg=20 * np.sin(frame / 10))
        state = estimator.estimate(observe(head, truth, 1 + frame / 30))
        yaws.append(state.left.gaze_yaw_deg)
    assert np.ptp(yaws) < 3


def test_nystagmus_passes_the_smoothing(head: Head) -> None:
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    random = np.random.default_rng(4)
    measured = []
    times = 1 + np.arange(90) / 30
    for at_s in times:
        gaze = (3 * np.sin(2 * np.pi * 4 * at_s), 0.0)
        truth = Truth(left_gaze_deg=gaze, right_gaze_deg=gaze)
        state = estimator.estimate(observe(head, truth, float(at_s), 0.2, random))
        measured.append(state.left.gaze_yaw_deg)
    wave = np.exp(-2j * np.pi * 4 * times)
    amplitude = 2 * abs(np.mean((np.array(measured) - np.mean(measured)) * wave))
    assert amplitude > 0.85 * 3


def test_a_smile_on_one_side_stays_on_that_side(head: Head) -> None:
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    smile = Truth(expression={"mouthSmileLeft": 0.8}, scores={score_of("mouthSmileLeft"): 0.8})
    state = estimator.estimate(observe(head, smile, 1.1))
    for frame in range(5):
        state = estimator.estimate(observe(head, smile, 1.2 + frame / 30))
    assert state.expression[EXPRESSIONS.index("mouthSmileLeft")] > 0.5
    assert state.expression[EXPRESSIONS.index("mouthSmileRight")] < 0.15


@pytest.mark.parametrize(
    ("sides", "left"), [(("Left", "Right"), 0.9), (("Left",), 0.8)], ids=["even", "one side"]
)
def test_a_smile_that_is_held_does_not_fade(
    head: Head, sides: tuple[str, ...], left: float
) -> None:
    """For as long as an examiner has it held, though the level at rest is learned anew.

    Of one on one side a part comes to be taken for the side's height at rest, and is drawn as that.
    """
    names = [f"mouthSmile{side}" for side in sides]
    smile = Truth(
        expression=dict.fromkeys(names, 0.8), scores={score_of(name): 0.8 for name in names}
    )
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth(), 5.0)
    shown = observe(head, smile)
    for frame in range(30 * 15):
        state = estimator.estimate(replace(shown, captured_at_s=5.0 + frame / 30))
        if frame == 30:
            first = state
    for name in names:
        place = EXPRESSIONS.index(name)
        assert first.expression[place] > 0.5
        assert state.expression[place] > left * first.expression[place]


def test_an_open_jaw_is_seen_at_once(head: Head) -> None:
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    wide = Truth(expression={"jawOpen": 0.7}, scores={score_of("jawOpen"): 0.5})
    state = estimator.estimate(observe(head, wide, 1.0 + 1 / 30))
    assert state.expression[EXPRESSIONS.index("jawOpen")] > 0.45


def test_the_shape_of_the_face_is_not_in_the_expression(head: Head) -> None:
    """A person with a long face and a wide mouth has the neutral's coefficients at rest."""
    model = load_landmark_model()
    stranger = replace(model, mean_mm=model.mean_mm * [1.06, 0.94, 1.0])
    estimator = MaskEstimator(head)
    for frame in range(60):
        state = estimator.estimate(observe(head, Truth(), frame / 30, model=stranger))
    assert float(state.expression.max()) < 0.1


def test_a_blink_closes_one_eye_and_not_the_other(head: Head) -> None:
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    state = estimator.estimate(
        observe(head, Truth(scores={score_of("eyeBlinkLeft"): 0.8}), 1.0 + 1 / 30)
    )
    assert state.left.upper_lid_mm[1] - state.left.lower_lid_mm[1] < 1.0
    assert state.right.upper_lid_mm[1] - state.right.lower_lid_mm[1] > 5.0


def test_lids_that_close_stay_where_they_are_though_the_iris_behind_them_is_made_up(
    head: Head,
) -> None:
    blink = {score_of("eyeBlinkLeft"): 0.8, score_of("eyeBlinkRight"): 0.8}
    estimator = MaskEstimator(head)
    before = settle(estimator, head, Truth())
    for frame in range(4):
        seen = observe(head, Truth(scores=blink), 1 + frame / 30)
        made_up = seen.left_eye.iris_px + [0.0, 4.0]
        left = replace(seen.left_eye, iris_px=made_up, lids_iris_px=made_up)
        state = estimator.estimate(replace(seen, left_eye=left))
    assert state.left.gaze_pitch_deg == pytest.approx(before.left.gaze_pitch_deg, abs=0.5)
    assert state.left.lower_lid_mm[1] == pytest.approx(before.left.lower_lid_mm[1], abs=0.5)


def test_the_lids_of_the_neutral_head_are_read_where_its_mesh_has_them(head: Head) -> None:
    state = settle(MaskEstimator(head), head, Truth())
    for eye, rig in ((state.right, head.lids[0]), (state.left, head.lids[1])):
        rest = int(np.argmin(np.abs(rig.steps)))
        assert eye.upper_lid_mm == pytest.approx(rig.upper_heights_mm[1:4, rest], abs=0.5)
        assert eye.lower_lid_mm == pytest.approx(rig.lower_heights_mm[1:4, rest], abs=0.5)


def test_points_that_are_no_face_have_no_confidence(head: Head) -> None:
    random = np.random.default_rng(1)
    state = MaskEstimator(head).estimate(observe(head, Truth(), 0.0, 40.0, random))
    assert state.confidence < 0.5


def test_the_offset_returns_to_rest_and_is_bounded(head: Head) -> None:
    estimator = MaskEstimator(head)
    settle(estimator, head, Truth())
    moved = estimator.estimate(observe(head, Truth(place_mm=(300.0, 0.0, -600.0)), 1.0))
    assert 0 < moved.offset_mm[0] <= 30.0


def test_reset_forgets_the_patient(head: Head) -> None:
    estimator = MaskEstimator(head)
    first = settle(MaskEstimator(head), head, Truth())
    settle(estimator, head, Truth(yaw_deg=25, expression={"jawOpen": 0.6}))
    estimator.reset()
    again = settle(estimator, head, Truth())
    np.testing.assert_allclose(again.rotation, first.rotation, atol=1e-6)
    np.testing.assert_allclose(again.expression, first.expression, atol=1e-6)


def talking(at_s: float) -> Truth:
    """Somebody who moves, looks about and talks, with a smile now and then."""
    jaw = 0.5 * abs(np.sin(9 * at_s))
    smile = 0.6 * (np.sin(1.3 * at_s) > 0.5)
    return Truth(
        yaw_deg=6 * np.sin(1.1 * at_s),
        pitch_deg=4 * np.sin(1.7 * at_s),
        right_gaze_deg=(6 * np.sin(0.9 * at_s), 0.0),
        left_gaze_deg=(6 * np.sin(0.9 * at_s), 0.0),
        expression={"jawOpen": jaw, "mouthSmileLeft": smile, "mouthSmileRight": smile},
        scores={
            score_of("jawOpen"): jaw,
            score_of("mouthSmileLeft"): smile,
            score_of("mouthSmileRight"): smile,
        },
    )


def test_the_neutral_settles_while_the_patient_talks_and_nothing_jumps(head: Head) -> None:
    model = load_landmark_model()
    stranger = replace(model, mean_mm=model.mean_mm * [1.04, 0.97, 1.0])
    estimator = MaskEstimator(head)
    states = [
        estimator.estimate(observe(head, replace(talking(t), pitch_deg=0.0), t, model=stranger))
        for t in np.arange(0, 3, 1 / 30)
    ]
    still = [
        estimator.estimate(observe(head, Truth(), 3 + frame / 30, model=stranger))
        for frame in range(60)
    ]
    assert float(still[5].expression.max()) < 0.2
    # From then on a still face is a still mask: what is learned on arrives without a step.
    for before, after in itertools.pairwise(still[5:]):
        assert angle_deg(before.rotation, after.rotation) < 0.1
        assert np.abs(after.expression - before.expression).max() < 0.02
        assert abs(after.left.gaze_pitch_deg - before.left.gaze_pitch_deg) < 0.2
    # And nothing steps while it settles, where the patient moves by less than a degree a frame.
    for before, after in itertools.pairwise(states):
        assert angle_deg(before.rotation, after.rotation) < 2.0


def drooping(points_mm: np.ndarray, side: float, amount_mm: float) -> np.ndarray:
    """The face with brow, corner of the mouth and cheek of one side lower (1: the left)."""
    lowered = points_mm.copy()
    for place in ((38.0, 24.0, 15.0), (23.5, -70.5, 20.5), (33.0, -50.0, 18.0)):
        away = np.linalg.norm(points_mm - np.array(place) * (side, 1, 1), axis=1)
        lowered[:, 1] -= amount_mm * np.exp(-((away / 12.0) ** 2))
    return lowered


@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["right", "left"])
def test_a_palsy_shows_at_rest_on_its_side_and_not_in_the_expression(
    head: Head, side: float
) -> None:
    model = load_landmark_model()
    patient = replace(model, mean_mm=drooping(model.mean_mm, side, 3.0))
    estimator = MaskEstimator(head)
    for frame in range(60):
        state = estimator.estimate(observe(head, Truth(), frame / 30, model=patient))
    assert -side * state.rest.brow_mm > 2.0
    assert -side * state.rest.mouth_corner_mm > 2.0
    assert -side * state.rest.nasolabial_mm > 1.5
    assert float(state.expression.max()) < 0.1


def test_an_even_face_has_no_asymmetry_even_while_one_side_smiles(head: Head) -> None:
    estimator = MaskEstimator(head)
    even = settle(estimator, head, Truth(), 2.0)
    smile = Truth(expression={"mouthSmileLeft": 0.8}, scores={score_of("mouthSmileLeft"): 0.8})
    for frame in range(15):
        smiling = estimator.estimate(observe(head, smile, 2 + frame / 30))
    for state in (even, smiling):
        assert state.rest == RestAsymmetry()


def test_the_mouth_that_one_always_has_is_not_drawn_and_talk_is(head: Head) -> None:
    """Scores that stand high at rest are the shape of a face; what moves from there is its own."""
    resting = {score_of("mouthPucker"): 0.35, score_of("browDownLeft"): 0.3}
    resting |= {score_of("browDownRight"): 0.3, score_of("jawOpen"): 0.1}
    estimator = MaskEstimator(head)
    for frame in range(120):
        at_s = frame / 30
        jaw = 0.4 * abs(np.sin(9 * at_s)) if 1 < at_s < 3 else 0.0
        scores = {**resting, score_of("jawOpen"): 0.1 + jaw}
        truth = Truth(expression={"jawOpen": jaw}, scores=scores)
        state = estimator.estimate(observe(head, truth, at_s))
        if jaw + 0.1 > 0.4 and at_s > 1.5:
            assert state.expression[EXPRESSIONS.index("jawOpen")] > 0.5 * jaw
    assert float(state.expression.max()) < 0.08
