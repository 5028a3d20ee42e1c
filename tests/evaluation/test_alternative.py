"""The alternative is what it says: smoothed points on the canonical face."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digitalmask.errors import AssetError
from digitalmask.evaluation.alternative import LandmarkMask, canonical_triangles

MEMBER = "geometry_pipeline_metadata_landmarks.binarypb"


def points_at(x_px: float) -> NDArray[np.float32]:
    return np.full((478, 3), x_px, np.float32)


def bundle(path: Path, metadata: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as content:
        content.writestr(MEMBER, metadata)
    return path


def test_the_newest_points_weigh_seven_tenths() -> None:
    mask = LandmarkMask(np.array([[0, 1, 2]]))
    mask.follow(points_at(100.0))
    points = mask.follow(points_at(200.0))
    assert points is not None
    assert points[0, 0] == pytest.approx(170.0)
    assert mask.follow(None) is None
    points = mask.follow(points_at(50.0))
    assert points is not None
    assert points[0, 0] == pytest.approx(50.0)


def test_triangles_are_read_from_the_mesh_among_other_fields(tmp_path: Path) -> None:
    # Of the mesh: its kind (1), a vertex number (3, 32 bits), indices (4), one of two bytes.
    mesh = b"\x08\x00" + b"\x1d\x00\x00\x80\x3f" + b"\x20\x05\x20\x06\x20\xac\x02"
    metadata = b"\x18\x01" + b"\x0a" + bytes([len(mesh)]) + mesh + b"\x12\x01\x00"
    found = canonical_triangles(bundle(tmp_path / "a.task", metadata))
    assert found.tolist() == [[5, 6, 300]]


def test_a_bundle_without_the_mesh_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="no canonical face"):
        canonical_triangles(bundle(tmp_path / "a.task", b"\x18\x01"))
    (tmp_path / "b.task").write_bytes(b"no zip")
    with pytest.raises(AssetError, match="no canonical face"):
        canonical_triangles(tmp_path / "b.task")
