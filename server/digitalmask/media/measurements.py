"""Writes what is measured of a patient's face over time as a table (CSV, RFC 4180).

One row a frame; a quantity's unit is the end of its column's name. Angles, heights and frames of
reference are those of `MaskState`, and named as in the truth of a simulated patient.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from digitalmask.mask_state import EXPRESSIONS, MaskState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.writer import written_whole


class MeasurementsWriter:
    """A table in the making; use as a context. It is there when it is whole. Errors: MediaError."""

    def __init__(self, path: Path) -> None:
        self._whole = written_whole(path)
        self._rows = 0

    def __enter__(self) -> "MeasurementsWriter":
        """The writer itself."""
        part = self._whole.__enter__()
        self._file = part.open("w", encoding="utf-8", newline="")
        self._table = csv.writer(self._file)
        self._columns = [name for name, _ in _columns(neutral_state())]
        self._table.writerow(["frame", "time_s", "followed", *self._columns])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the table; where an error ends the block, drop it."""
        self._file.close()
        self._whole.__exit__(kind, error, trace)

    def write(self, clock: FrameClock, state: MaskState | None) -> None:
        """Append a frame's row; one without a state (no face was followed) has empty cells."""
        values = [""] * len(self._columns) if state is None else [v for _, v in _columns(state)]
        at_s = float(clock.pts * clock.time_base)
        self._table.writerow([self._rows, f"{at_s:.4f}", int(state is not None), *values])
        self._rows += 1


def _columns(state: MaskState) -> Iterator[tuple[str, str]]:
    yield "confidence", f"{state.confidence:.3f}"
    # rotation = Rz(roll) Rx(-pitch) Ry(yaw)
    r = state.rotation
    yield "yaw_deg", _degrees(np.arctan2(-r[2, 0], r[2, 2]))
    yield "pitch_deg", _degrees(-np.arcsin(np.clip(r[2, 1], -1.0, 1.0)))
    yield "roll_deg", _degrees(np.arctan2(-r[0, 1], r[1, 1]))
    for axis, value in zip("xy", state.offset_mm, strict=True):
        yield f"offset_{axis}_mm", f"{value:.2f}"
    for side, eye in (("right", state.right), ("left", state.left)):
        yield f"{side}_gaze_yaw_deg", f"{eye.gaze_yaw_deg:.3f}"
        yield f"{side}_gaze_pitch_deg", f"{eye.gaze_pitch_deg:.3f}"
        yield f"{side}_mrd1_mm", f"{eye.upper_lid_mm[1]:.3f}"
        yield f"{side}_mrd2_mm", f"{-eye.lower_lid_mm[1]:.3f}"
        for lid, heights in (("upper", eye.upper_lid_mm), ("lower", eye.lower_lid_mm)):
            for place, height in zip(("medial", "central", "lateral"), heights, strict=True):
                yield f"{side}_{lid}_{place}_mm", f"{height:.3f}"
        yield f"{side}_pupil_mm", f"{eye.pupil_mm:.2f}"
    yield "brow_asymmetry_mm", f"{state.rest.brow_mm:.3f}"
    yield "mouth_corner_asymmetry_mm", f"{state.rest.mouth_corner_mm:.3f}"
    yield "nasolabial_asymmetry_mm", f"{state.rest.nasolabial_mm:.3f}"
    for name, share in zip(EXPRESSIONS, state.expression, strict=True):
        yield f"{name}_share", f"{share:.3f}"


def _degrees(radians: float) -> str:
    return f"{np.degrees(radians):.3f}"
