"""The steps by which the head is made."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from digitalmask.assets.paths import models_dir
from tests.conftest import load_script


@pytest.fixture(scope="module")
def fit_head() -> ModuleType:
    return load_script("fit_head")


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(side, dtype=float), np.arange(side, dtype=float))
    points = np.stack([x.ravel(), y.ravel(), np.zeros(side * side)], axis=1)
    index = np.arange(side * side).reshape(side, side)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    quads = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    return points, quads


def test_reduction_keeps_a_plane_whole_and_its_locked_vertices(fit_head: ModuleType) -> None:
    points, triangles = grid(12)
    locked = np.zeros(len(points), bool)
    locked[np.concatenate(fit_head.boundary_loops(triangles))] = True
    locked[70] = True
    kept, fewer = fit_head.reduce_mesh(
        points[None], triangles, np.zeros(len(points), int), np.ones(len(points)), locked, 60
    )
    assert len(kept) == 60
    assert set(np.flatnonzero(locked)) <= set(kept)
    a, b, c = points[kept][fewer].transpose(1, 0, 2)
    area = np.cross(b - a, c - a)[:, 2] / 2
    assert (area > 0).all(), "no triangle is turned over"
    assert area.sum() == pytest.approx(121), "nothing is torn"


def test_the_open_edge_of_a_sheet_is_one_loop(fit_head: ModuleType) -> None:
    loops = fit_head.boundary_loops(grid(5)[1])
    assert [len(loop) for loop in loops] == [16]


def test_quantised_displacements_are_within_a_hundredth_of_a_millimetre(
    fit_head: ModuleType,
) -> None:
    values = np.random.default_rng(0).normal(0, 4, (3, 50, 3))
    steps, size = fit_head.quantise(values)
    assert np.abs(steps * size[:, None, None] - values).max() <= 0.0101


def test_a_lid_is_not_taken_into_the_eyeball(fit_head: ModuleType) -> None:
    place = np.array([[0.0, 4.0, 14.0], [0.0, 9.0, 9.0]])
    moved = fit_head.kept_outside(place, np.array([[0.0, -6.0, -3.0], [0.0, -1.0, 0.0]]))
    assert (np.linalg.norm(place + moved, axis=1) > 12.6).all()
    assert np.linalg.norm(place[0] + moved[0]) == pytest.approx(14.1)


@pytest.mark.data
@pytest.mark.gl
def test_the_head_can_be_made_again_from_its_source(fit_head: ModuleType, test_data: Path) -> None:
    archive = test_data / "ict_facekit_da5f95a.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive.name}")
    made = fit_head.fit_head(archive, models_dir() / "landmark_correspondence.npz")
    with np.load(models_dir() / "head.npz") as committed:
        assert set(made) == set(committed.files)
        for name in ("vertices_mm", "expressions", "lid_heights_mm", "landmarks_mm"):
            assert np.allclose(made[name], committed[name], atol=0.02), name
