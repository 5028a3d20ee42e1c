"""One room of the GPU's benchmark: `python -m … INFERENCE DRAWING CROPS.npy SECONDS OFFSET_S`.

INFERENCE, DRAWING: the sockets of the processes that work for all rooms.

Says `ready`, reads the moment to begin at (seconds of the monotonic clock) and prints one JSON
list: for each frame that was done, how many milliseconds after it was due.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from digitalmask.mask_state import EyeState, MaskState, neutral_state
from digitalmask.media.frame_clock import FrameClock
from digitalmask.pipeline.drawing_process import RemoteRenderer
from digitalmask.pipeline.stages import Renderer
from digitalmask.rendering import Complexion, Inset
from digitalmask.tracking.inference_process import connect
from digitalmask.tracking.networks import Networks

_SIZE, _RATE = (640, 480), 30
_WARM_UP = 5
PATIENCE_S = 5.0  # a benchmark rather shows a late frame than leaves it out


def read_frames(
    networks: Networks, crops: NDArray[np.uint8], count: int
) -> Iterator[Callable[[], object]]:
    """What a frame asks of the networks, once for each of `count`."""
    points = np.zeros((1, 146, 2), np.float32)

    def read(crop: NDArray[np.uint8]) -> object:
        networks.landmarks.run(crop[None])
        return networks.blendshapes.run(points)

    for number in range(count):
        yield partial(read, crops[number % len(crops)])


def draw_frames(
    renderer: Renderer, size: tuple[int, int], count: int
) -> Iterator[Callable[[], object]]:
    """What a frame asks of the renderer, once for each of `count`."""
    for number in range(count):
        clock = FrameClock(number / _RATE, 3000 * number, Fraction(1, 90000))
        yield partial(renderer.draw, _state(clock.captured_at_s), size, clock)


def _state(at_s: float) -> MaskState:
    """A face that looks about and speaks."""
    state = neutral_state(at_s)
    eye = EyeState(gaze_yaw_deg=10.0 * float(np.sin(at_s)), gaze_pitch_deg=5.0)
    expression = np.full_like(state.expression, 0.15 + 0.1 * np.sin(5.0 * at_s))
    return replace(state, left=eye, right=eye, expression=expression)


def main() -> None:
    """Run for a while."""
    inference, drawing, file, *times = sys.argv[1:]
    seconds, offset_s = map(float, times)
    cv2.setNumThreads(1)
    crops: NDArray[np.uint8] = np.load(file)
    networks = connect(inference, PATIENCE_S)
    renderer = RemoteRenderer(drawing, Inset.NONE, Complexion(), PATIENCE_S)
    for step in [
        *read_frames(networks, crops, _WARM_UP),
        *draw_frames(renderer, _SIZE, _WARM_UP),
    ]:
        step()
    print("ready", flush=True)
    start_s = float(sys.stdin.readline()) + offset_s
    count = int(seconds * _RATE)
    late_ms = []
    steps = zip(
        read_frames(networks, crops, count), draw_frames(renderer, _SIZE, count), strict=True
    )
    for number, (read, draw) in enumerate(steps):
        due_s = start_s + number / _RATE
        now_s = time.monotonic()
        # A frame for which the next one has come already is left out, as in the pipeline.
        if now_s > due_s + 1 / _RATE:
            continue
        time.sleep(max(0.0, due_s - now_s))
        read()
        draw()
        late_ms.append(round((time.monotonic() - due_s) * 1e3, 3))
    print(json.dumps(late_ms), flush=True)


if __name__ == "__main__":
    main()
