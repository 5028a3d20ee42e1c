"""The speed table is made of what the benchmarks print."""

from typing import Any

from digitalmask.bench.table import RUNS, table

STAGES = {"decode": 1.1, "track": 2.2, "anatomy": 3.3, "draw": 4.4, "encode": 5.5, "sum": 16.5,
          "h264_decode": 0.1, "h264_encode": 0.2, "h264_sum": 10.2}  # fmt: skip
TRACK = {"ms_p50": 5.0, "ms_p95": 6.0, "facelandmarker_ms_p50": 9.0, "facemesh_ms_p50": 3.5}
RELAY = {"fps": 30.0, "latency_ms_p50": 41, "latency_ms_p95": 59, "added_ms_p50": 34,
         "cores": 1.1, "reduced": 2, "passthrough_latency_ms_p50": 80, "ratio": 0.51}  # fmt: skip
VIEWER = {"fps": 29.7, "latency_ms_p50": 42, "latency_ms_p95": 74, "kbit_s": 1881}

SCREEN = {"fps": 29.0, "glass_to_glass_ms_p50": 61.0, "glass_to_glass_ms_p95": 80.0,
          "composited_ms_p50": 43.0, "received_ms_p50": 41.0, "added_ms_p50": 33.0,
          "reduced": 0}  # fmt: skip
ROOM = {"held": True, "fps": 29.9, "added_ms_p50": 31.0, "added_ms_p95": 44.0, "oldest_ms": 90.0,
        "mib_per_room": 340.0, "reduced": 1, "relay_cores": 1.2, "client_cores": 0.05}  # fmt: skip


def test_every_figure_has_its_place() -> None:
    results: dict[str, dict[str, Any]] = {
        "stages": {"640x480": STAGES},
        "track": {"s18.mp4": TRACK},
        "relay": {f"640x480.h264.{name}": value for name, value in RELAY.items()},
        "viewers": {
            f"{who}_{name}": value
            for who in ("good_alone", "good_beside", "bad")
            for name, value in {**VIEWER, "key_frames": 2}.items()
        },
        "browser": {"640x480": {**SCREEN, "codec": "h264", "vp8": {**SCREEN, "codec": "vp8"}}},
        "rooms": {"cores": 2, "tried": {"1": ROOM, "2": {**ROOM, "held": False}}},
    }
    assert set(results) == set(RUNS)
    blocks = [block.split("\n") for block in table(results).split("\n\n")]
    assert [len(block) for block in blocks] == [3, 3, 3, 5, 4, 4]
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1
    assert blocks[0][2] == ("| 640x480 | 1.1 | 2.2 | 3.3 | 4.4 | 5.5 | 16.5 | 0.1, 0.2, 10.2 |")
    assert blocks[1][2] == "| s18.mp4 | 5.0 | 6.0 | 9.0 | 3.5 |"
    assert blocks[2][2] == "| 640x480 h264 | 30.0 | 41 | 59 | 34 | 1.1 | 2 | 80 | 0.51 |"
    assert blocks[3][3] == "| beside the bad one | 29.7 | 42 | 74 | 1881 |"
    assert blocks[4][3] == "| 640x480 vp8 | 29.0 | 61.0 | 80.0 | 43.0 | 41.0 | 33.0 | 0 |"
    assert blocks[5][3] == "| 2 | no | 29.9 | 31.0 | 44.0 | 90.0 | 340.0 | 1 | 1.2 | 0.05 |"
