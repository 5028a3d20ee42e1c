"""Puts an MP4 into a DICOM object, byte for byte: Video Photographic Image Storage.

PS3.3 A.32.7 says what such an object holds; PS3.5 8.2.7 and 8.2.8 how H.264 High up to level 4.1
and 4.2 travel: the whole MP4 is the one fragment of the pixel data, padded to an even length.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import av
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import MPEG4HP41, MPEG4HP422D, UID, VideoPhotographicImageStorage, generate_uid

from digitalmask import __version__
from digitalmask.errors import MediaError

_HIGH_PROFILE = 100
_LARGEST_BYTES = 2**32 - 2  # of a fragment (PS3.5, A.4)
_KNOWN_AUDIO = ("aac", "mp3", "mp2", "ac3")
_CHANNEL_MODES = {1: "MONO", 2: "STEREO"}


@dataclass(frozen=True, slots=True)
class Labels:
    """What the object says of the patient and the study; what is empty stays unknown.

    sex: M, F, O or empty. study_uid: of the study that the video joins; a new one where empty.
    """

    patient_name: str = ""
    patient_id: str = ""
    birth_date: date | None = None
    sex: str = ""
    study_date: date | None = None
    study_uid: str = ""
    accession_number: str = ""


@dataclass(frozen=True, slots=True)
class _Video:
    width: int
    height: int
    frames: int
    seconds: float
    transfer_syntax: UID
    audio_channels: int  # 0 where there is no sound


def write_dicom(source: Path, target: Path, labels: Labels) -> Dataset:
    """Write `source` into `target`; returns what was written. Errors: MediaError."""
    video = _read(source)
    try:
        data = source.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot read {source}: {error.strerror}") from error
    if len(data) > _LARGEST_BYTES:
        raise MediaError(f"{source} is larger than 4 GiB: cut it into shorter videos")
    dataset = Dataset()
    _describe_people(dataset, labels)
    _describe_video(dataset, video, len(data))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = video.transfer_syntax
    # PS3.5, A.4.6: one fragment, and an offset table that is empty.
    dataset.PixelData = encapsulate([data], has_bot=False)
    dataset["PixelData"].is_undefined_length = True
    try:
        dataset.save_as(target, enforce_file_format=True)
    except OSError as error:
        raise MediaError(f"cannot write {target}: {error.strerror}") from error
    return dataset


def _describe_people(dataset: Dataset, labels: Labels) -> None:
    """Patient, study, series and equipment (PS3.3, C.7.1 to C.7.5)."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = labels.patient_name
    dataset.PatientID = labels.patient_id
    dataset.PatientBirthDate = labels.birth_date
    dataset.PatientSex = labels.sex
    dataset.StudyInstanceUID = labels.study_uid or generate_uid()
    dataset.StudyDate = labels.study_date
    dataset.StudyTime = None
    dataset.StudyID = ""
    dataset.AccessionNumber = labels.accession_number
    dataset.ReferringPhysicianName = ""
    dataset.Modality = "XC"  # external-camera photography
    dataset.SeriesInstanceUID = generate_uid()
    dataset.SeriesNumber = 1
    dataset.Manufacturer = "digitalmask"
    dataset.SoftwareVersions = __version__


def _describe_video(dataset: Dataset, video: _Video, size_bytes: int) -> None:
    """Image, cine, multi-frame, pixels and acquisition context (PS3.3, C.7.6 and C.8.12.1)."""
    dataset.SOPClassUID = VideoPhotographicImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.InstanceNumber = 1
    dataset.PatientOrientation = None
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.AcquisitionContextSequence = Sequence()
    dataset.AnatomicRegionSequence = Sequence([_code("89545001", "SCT", "Face")])
    dataset.ImageLaterality = "U"  # the face is no paired structure
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "YBR_PARTIAL_420"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = video.height, video.width
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.NumberOfFrames = video.frames
    # Frames of a live stream are not evenly spaced: the mean, as the container keeps each time.
    dataset.FrameIncrementPointer = Tag("FrameTime")
    dataset.FrameTime = f"{1000 * video.seconds / video.frames:.6g}"
    dataset.CineRate = max(1, round(video.frames / video.seconds))
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionMethod = "ISO_14496_10"
    raw_bytes = 3 * video.width * video.height * video.frames
    dataset.LossyImageCompressionRatio = f"{raw_bytes / size_bytes:.6g}"
    if video.audio_channels:
        channel = Dataset()
        channel.ChannelIdentificationCode = 1
        channel.ChannelMode = _CHANNEL_MODES[video.audio_channels]
        channel.ChannelSourceSequence = Sequence([_code("109110", "DCM", "Voice")])
        dataset.MultiplexedAudioChannelsDescriptionCodeSequence = Sequence([channel])


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _read(source: Path) -> _Video:
    with _opened(source) as container:
        if not container.streams.video or "mp4" not in container.format.name:
            raise MediaError(f"{source} is no MP4 with a video in it")
        video, *more = container.streams.video
        sounds = container.streams.audio
        context = video.codec_context
        profile, level = _profile_and_level(context.extradata)
        if context.name != "h264" or context.pix_fmt != "yuv420p" or profile != _HIGH_PROFILE:
            raise MediaError(
                f"{source} is not H.264 High with 4:2:0: only that has a place in DICOM; "
                "`digitalmask mask` writes it"
            )
        if level > 42:
            raise MediaError(f"{source} is H.264 of level {level / 10}: DICOM takes up to 4.2")
        if more or len(sounds) > 1 or any(s.channels not in _CHANNEL_MODES for s in sounds):
            raise MediaError(
                f"{source} has more than one picture or more than two channels of sound"
            )
        if sounds and sounds[0].codec_context.name not in _KNOWN_AUDIO:
            raise MediaError(f"{source} has sound that DICOM does not know: AAC is right")
        frames = sum(1 for packet in container.demux(video) if packet.size)
        if not frames or not video.duration or video.time_base is None:
            raise MediaError(f"{source} has no frames")
        return _Video(
            context.width,
            context.height,
            frames,
            float(video.duration * video.time_base),
            MPEG4HP41 if level <= 41 else MPEG4HP422D,
            sounds[0].channels if sounds else 0,
        )


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    try:
        with av.open(str(source)) as container:
            yield container
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"cannot read {source}: {error.strerror}") from error


def _profile_and_level(configuration: bytes | None) -> tuple[int, int]:
    """Of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1); zeros where it is none."""
    if configuration is None or len(configuration) < 4:
        return 0, 0
    return configuration[1], configuration[3]
