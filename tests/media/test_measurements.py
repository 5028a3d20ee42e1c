"""The table of measurements: a row a frame, units in its header, there when it is whole."""

import csv
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from digitalmask.mask_state import EyeState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.measurements import MeasurementsWriter

CLOCKS = [FrameClock(0.0, number, Fraction(1, 25)) for number in range(3)]


def test_a_row_says_what_the_state_says_and_none_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    yaw = np.radians(20.0)
    turned = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    left = EyeState(-12.5, 3.0, (2.0, 2.5, 2.25), (-4.0, -5.5, -4.5), 3.5)
    state = replace(neutral_state(), rotation=turned, left=left)
    with MeasurementsWriter(path) as table:
        table.write(CLOCKS[0], None)
        table.write(CLOCKS[1], state)
        assert not path.exists()
    with path.open(newline="") as file:
        lost, row = csv.DictReader(file)
    units = {"_deg", "_mm", "_s", "_share"}
    bare = {name for name in row if not any(name.endswith(unit) for unit in units)}
    assert bare == {"frame", "followed", "confidence"}
    assert (lost["frame"], lost["followed"], lost["yaw_deg"]) == ("0", "0", "")
    numbers = {name: float(value) for name, value in row.items()}
    assert numbers["time_s"] == 0.04
    assert numbers["yaw_deg"] == pytest.approx(20.0)
    assert numbers["pitch_deg"] == numbers["roll_deg"] == 0.0
    assert numbers["left_gaze_yaw_deg"] == -12.5
    assert (numbers["left_mrd1_mm"], numbers["left_mrd2_mm"]) == (2.5, 5.5)
    assert numbers["left_upper_lateral_mm"] == 2.25
    assert numbers["left_pupil_mm"] == 3.5
    assert numbers["right_mrd1_mm"] == 4.0
    assert numbers["jawOpen_share"] == 0.0


def test_an_error_leaves_no_table(tmp_path: Path) -> None:
    def fill() -> None:
        with MeasurementsWriter(tmp_path / "table.csv") as table:
            table.write(CLOCKS[0], None)
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fill()
    assert not list(tmp_path.iterdir())
