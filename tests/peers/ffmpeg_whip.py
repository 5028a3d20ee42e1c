"""Sends red and a tone with FFmpeg's `whip` muxer: URL TOKEN CERTIFICATE KEY SECONDS.

A process of its own: PyAV keeps Python's lock while the muxer waits for the relay's answer.
"""

import sys
import time
from fractions import Fraction

import av
import numpy as np

url, token, certificate, key, seconds = sys.argv[1:]
options = {"authorization": token, "cert_file": certificate, "key_file": key}
with av.open(url, "w", format="whip", options=options) as target:
    video = target.add_stream("libx264", rate=30, options={"tune": "zerolatency", "bf": "0"})
    assert isinstance(video, av.VideoStream)
    video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
    audio = target.add_stream("libopus", rate=48000, layout="stereo")
    assert isinstance(audio, av.AudioStream)
    red = np.full((240, 320, 3), (220, 20, 20), np.uint8)
    wave = np.where(np.arange(1600) // 24 % 2, 9000, -9000).astype(np.int16).repeat(2)[None, :]
    started_at_s = time.monotonic()
    for number in range(int(30 * float(seconds))):
        picture = av.VideoFrame.from_ndarray(red, format="rgb24")
        picture.pts, picture.time_base = number, Fraction(1, 30)
        target.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray(wave, format="s16", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = 48000, number * 1600, Fraction(1, 48000)
        target.mux(audio.encode(sound))
        time.sleep(max(0.0, started_at_s + number / 30 - time.monotonic()))
