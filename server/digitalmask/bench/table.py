"""The speed table of the README, from the other benchmarks' results."""

from collections.abc import Mapping
from typing import Any

Results = Mapping[str, Any]

# What is run, in this order: the arguments of `digitalmask bench`.
RUNS: dict[str, tuple[str, ...]] = {
    "stages": ("stages",),
    "track": ("track",),
    "relay": ("relay", "--size", "all", "--codec", "all", "--seconds", "10"),
    "viewers": ("viewers",),
    "browser": ("browser",),
    "rooms": ("rooms", "--seconds", "10"),
}


def table(results: Mapping[str, Results]) -> str:
    """Markdown, from each run's one JSON object."""
    blocks = [
        _stages(results["stages"]),
        _track(results["track"]),
        _relay(results["relay"]),
        _viewers(results["viewers"]),
        _browser(results["browser"]),
        _rooms(results["rooms"]),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def _rows(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(str(each) for each in line) + " |" for line in lines]


def _stages(results: Results) -> list[str]:
    names = ("decode", "track", "anatomy", "draw", "encode", "sum")
    return _rows(
        ("one core, ms a frame", *names, "H.264: decode, encode, sum"),
        [
            (size, *(each[name] for name in names),
             ", ".join(str(each[f"h264_{name}"]) for name in ("decode", "encode", "sum")))
            for size, each in results.items()
        ],
    )  # fmt: skip


def _track(results: Results) -> list[str]:
    names = ("ms_p50", "ms_p95", "facelandmarker_ms_p50", "facemesh_ms_p50")
    return _rows(
        ("one core, ms a frame", "ours", "95 %", "FaceLandmarker", "FaceMesh"),
        [(file, *(each[name] for name in names)) for file, each in results.items()],
    )


def _relay(results: Results) -> list[str]:
    kinds = dict.fromkeys(name.rsplit(".", 1)[0] for name in results)  # as they were run
    names = ("fps", "latency_ms_p50", "latency_ms_p95", "added_ms_p50", "cores",
             "reduced", "passthrough_latency_ms_p50", "ratio")  # fmt: skip
    return _rows(
        ("client to client", "frames a second", "ms", "95 %", "added by the relay", "cores",
         "reduced", "stock relay, unmasked", "ratio"),
        [(kind.replace(".", " "), *(results[f"{kind}.{name}"] for name in names))
         for kind in kinds],
    )  # fmt: skip


def _viewers(results: Results) -> list[str]:
    who = {
        "good_alone": "a good one alone",
        "good_beside": "beside the bad one",
        "bad": "the bad one",
    }
    names = ("fps", "latency_ms_p50", "latency_ms_p95", "kbit_s")
    return _rows(
        (
            "viewers; a bad one has 5 % loss and 300 kbit/s",
            "frames a second",
            "ms",
            "95 %",
            "kbit/s",
        ),
        [(said, *(results[f"{key}_{name}"] for name in names)) for key, said in who.items()],
    )


def _browser(results: Results) -> list[str]:
    names = ("fps", "glass_to_glass_ms_p50", "glass_to_glass_ms_p95", "composited_ms_p50",
             "received_ms_p50", "added_ms_p50", "reduced")  # fmt: skip
    runs = [
        (size, each)
        for size, agreed in results.items()
        for each in (agreed, agreed.get("vp8"))
        if each is not None
    ]
    return _rows(
        ("Chromium to Chromium", "frames a second", "camera to screen, ms", "95 %",
         "to the compositor", "to the doctor's browser", "added by the relay",
         "reduced"),
        [(f"{size} {each['codec']}", *(each[name] for name in names)) for size, each in runs],
    )  # fmt: skip


def _rooms(results: Results) -> list[str]:
    names = ("fps", "added_ms_p50", "added_ms_p95", "oldest_ms", "mib_per_room",
             "reduced", "relay_cores", "client_cores")  # fmt: skip
    return _rows(
        (f"rooms on {results['cores']} cores, the worst off", "held", "frames a second",
         "added by the relay, ms", "95 %", "oldest", "MiB a room", "reduced", "cores",
         "the clients' cores"),
        [
            (count, "yes" if each["held"] else "no", *(each[name] for name in names))
            for count, each in results["tried"].items()
        ],
    )  # fmt: skip
