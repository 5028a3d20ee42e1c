"""What is learned of the landmark network rests on places that are found again."""

import numpy as np
import pytest
from models.fit_landmarks import draw_look, draw_pose, sizes, triangulate
from scipy.spatial.transform import Rotation


def test_points_are_found_from_known_sides() -> None:
    random = np.random.default_rng(1)
    places = random.normal(0, 40, (20, 3))
    turns = Rotation.from_euler("yx", random.uniform(-30, 30, (6, 2)), degrees=True).as_matrix()
    away = np.array([[0.0, 20.0, -560.0]] * 6)
    camera = np.einsum("vij,nj->vni", turns, places) + away[:, None]
    slopes = camera[..., :2] / -camera[..., 2:]
    found = triangulate(
        slopes, turns, away, np.ones((6, 20)), places.mean(axis=0) * np.ones((20, 1))
    )
    np.testing.assert_allclose(found, places, atol=6.0)
    held = triangulate(slopes, turns, away, np.ones((6, 20)), places)
    np.testing.assert_allclose(held, places, atol=1e-6)


def test_sizes_are_relative_to_the_mean() -> None:
    mean = np.random.default_rng(2).normal(0, 40, (30, 3))
    faces = np.stack([0.9 * mean, mean + 5.0, mean / 0.9])
    assert sizes(faces, mean, np.ones(30)) == pytest.approx([0.9, 1.0, 1 / 0.9])


def test_half_of_the_drawings_are_at_rest_but_for_the_eyes() -> None:
    random = np.random.default_rng(3)
    poses = [draw_pose(random, view) for view in range(8)]
    assert sum(still for _, still in poses) == 4
    for pose, still in poses:
        assert still == (not pose.shapes)
        assert pose.right.upper_lid_mm > pose.right.lower_lid_mm - 0.5


def test_looks_differ() -> None:
    looks = [draw_look(np.random.default_rng(number)) for number in range(6)]
    assert len({look.skin for look in looks}) == 6
    assert {look.long for look in looks} == {True, False}
