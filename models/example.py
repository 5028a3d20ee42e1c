"""Makes `client/example.jpg`: the simulated patient beside the mask that a doctor sees.

python -m models.example OUT.jpg
"""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from digitalmask.media.frame_clock import FrameClock
from digitalmask.media.patient_frame import PatientFrame
from digitalmask.pipeline import make_masker
from digitalmask.simulation import SimulatedPatient

_SIZE = (640, 480)
_RATE = 30
_MOMENTS_S = (6.9, 12.4, 21.6)  # of the simulated patient's conversation


def main() -> int:
    """Command line."""
    patient, masker = SimulatedPatient(3), make_masker()()
    rows = []
    for number in range(int(max(_MOMENTS_S) * _RATE) + 1):
        at_s = number / _RATE
        picture = patient.frame(at_s, _SIZE)
        clock = FrameClock(at_s, number, Fraction(1, _RATE))
        masked = masker.mask(PatientFrame.of_rgb(clock, picture))
        if number in [int(moment * _RATE) for moment in _MOMENTS_S]:
            rows.append(np.vstack([picture, masked.rgb])[:, 80:560])
    together = Image.fromarray(np.hstack(rows)).resize((1080, 720), Image.Resampling.LANCZOS)
    together.save(Path(sys.argv[1]), quality=88)
    return 0


if __name__ == "__main__":
    sys.exit(main())
