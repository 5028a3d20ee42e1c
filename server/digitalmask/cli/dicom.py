"""`digitalmask dicom IN.mp4 OUT.dcm`: put a masked video into a DICOM object."""

import argparse
import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

from digitalmask.errors import ConfigurationError

_LONGEST_NAME, _LONGEST_ID, _LONGEST_ACCESSION = 64, 64, 16  # PS3.5, 6.2


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("dicom", help="put a masked video into a DICOM object")
    parser.add_argument("source", type=Path, metavar="IN.mp4", help="H.264, as `mask` writes it")
    parser.add_argument("target", type=Path, metavar="OUT.dcm", help="the DICOM file")
    parser.add_argument("--patient-name", type=_name, default="", metavar="FAMILY^GIVEN")
    parser.add_argument("--patient-id", type=_short(_LONGEST_ID), default="", metavar="ID")
    parser.add_argument("--birth-date", type=_day, metavar="YYYY-MM-DD")
    parser.add_argument("--sex", choices=("M", "F", "O"), default="")
    parser.add_argument("--study-date", type=_day, metavar="YYYY-MM-DD")
    parser.add_argument("--study-uid", type=_uid, help="join this study (a new one)")
    parser.add_argument("--accession-number", type=_short(_LONGEST_ACCESSION), default="")
    parser.add_argument("--force", action="store_true", help="replace OUT.dcm where it exists")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from digitalmask.media.dicom_video import Labels, write_dicom

    source, target = options.source, options.target
    if target.exists() and source.exists() and source.samefile(target):
        raise ConfigurationError("IN.mp4 and OUT.dcm are the same file")
    if target.exists() and not options.force:
        raise ConfigurationError(f"{target} exists: choose another name, or add --force")
    labels = Labels(
        options.patient_name,
        options.patient_id,
        options.birth_date,
        options.sex,
        options.study_date,
        options.study_uid or "",
        options.accession_number,
    )
    written = write_dicom(source, target, labels)
    if options.json:
        result = {
            "sop_instance_uid": written.SOPInstanceUID,
            "series_uid": written.SeriesInstanceUID,
            "study_uid": written.StudyInstanceUID,
            "transfer_syntax_uid": written.file_meta.TransferSyntaxUID,
            "frames": int(written.NumberOfFrames),
            "size": f"{written.Columns}x{written.Rows}",
        }
        print(json.dumps(result))
    return 0


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or "\\" in text or "=" in text or text.count("^") > 4:
        raise argparse.ArgumentTypeError(f"{text!r} is no name such as Doe^Jane")
    return text


def _short(longest: int) -> Any:
    def read(text: str) -> str:
        if len(text) > longest or "\\" in text:
            raise argparse.ArgumentTypeError(f"at most {longest} characters, without a backslash")
        return text

    return read


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 1980-12-31") from None


def _uid(text: str) -> str:
    if len(text) > 64 or not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no UID")
    return text
