"""The recognisers are real: they know people from their photographs."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from digitalmask.assets.manifest import read_manifest
from digitalmask.assets.paths import cache_dir, models_dir
from digitalmask.evaluation.recognisers import aligned, load_recognisers
from digitalmask.evaluation.sessions import SessionReader
from digitalmask.tracking import load_networks


def test_a_face_is_turned_upright_and_brought_to_one_size() -> None:
    """A cross at the tip of the nose of a face that lies on its side, at two sizes."""
    for scale in (1.0, 8.0):
        rgb = np.zeros((round(120 * scale), round(120 * scale), 3), np.uint8)
        points = np.full((478, 2), np.nan)
        upright = {33: (30, 50), 133: (44, 50), 362: (68, 50), 263: (82, 50), 1: (56, 70)}
        upright |= {61: (42, 92), 291: (70, 92)}
        for place, (x, y) in upright.items():
            points[place] = scale * (120 - y), scale * x
        x, y = points[1].round().astype(int)
        half = round(4 * scale)
        rgb[y - half : y + half, x - half : x + half] = 255
        face = aligned(rgb, points, 112, 1.0)
        rows, columns = np.nonzero(face[..., 0] > 128)
        assert abs(rows.mean() - 71.7) < 3
        assert abs(columns.mean() - 56.0) < 3
        wide = aligned(rgb, points, 112, 2.0)
        assert 0.15 < (wide > 128).sum() / (face > 128).sum() < 0.35


@pytest.mark.data
@pytest.mark.gl
@pytest.mark.models
def test_photographs_of_one_person_are_nearer_than_those_of_two(test_data: Path) -> None:
    pytest.importorskip("dlib")
    manifest = read_manifest(models_dir() / "recognisers.toml")
    files = [cache_dir() / f"{each.sha256[:16]}-{each.name}" for each in manifest.bundles]
    if not all(file.is_file() for file in files):
        pytest.skip("the recognisers are not here (`digitalmask evaluate privacy` fetches them)")
    folders = sorted((test_data / "people" / "lfw10").iterdir())[:3]
    recognisers = load_recognisers(print)
    assert len(recognisers) >= 4
    with SessionReader(load_networks("cpu"), recognisers, print, []) as reader:
        sessions = [
            reader.read(file) for folder in folders for file in sorted(folder.iterdir())[:2]
        ]
    assert cv2.getNumThreads() == 1
    for recogniser in recognisers:
        answers = np.array([s.answers["original", recogniser.name][0] for s in sessions if s])
        alike = answers @ answers.T
        for one in range(6):
            assert alike[one, one ^ 1] == np.sort(alike[one])[-2]
