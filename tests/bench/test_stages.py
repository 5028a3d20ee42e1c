"""The stages' figures are of whole frames, and each stage has one."""

from pathlib import Path

import pytest

from digitalmask.bench.stages import STAGES, measure, summary
from digitalmask.errors import MediaError


def frame(**changed: float) -> dict[str, float]:
    return dict.fromkeys(STAGES, 1.0) | changed


def test_medians_are_of_frames_that_went_through_every_stage() -> None:
    lost = {"decode": 90.0, "track": 90.0}
    figures = summary([lost, lost, lost, frame(draw=2.0), frame(draw=3.0), frame(draw=9.0)])
    assert figures["decode"] == 1.0
    assert figures["draw"] == 3.0
    assert figures["sum"] == 7.0
    assert figures["frames"] == 3


def test_a_film_without_a_face_has_no_figures() -> None:
    with pytest.raises(MediaError, match="is there a face in it"):
        summary([{"decode": 1.0, "track": 4.0}])


@pytest.mark.data
@pytest.mark.gl
@pytest.mark.models
def test_every_stage_is_measured_in_both_codecs(test_data: Path) -> None:
    figures = measure(test_data / "video" / "d6.mp4", 34, ((640, 480),))
    assert list(figures) == ["640x480"]
    size = figures["640x480"]
    names = {*STAGES, "sum", "frames", "h264_decode", "h264_encode", "h264_sum"}
    assert set(size) == names
    assert size["frames"] == 4
    for name in names:
        value = size[name]
        assert isinstance(value, int | float)
        assert value > 0
