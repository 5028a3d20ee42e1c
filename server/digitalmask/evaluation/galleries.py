"""Folders of people to recognise: one folder a person, with pictures or videos in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digitalmask.errors import ConfigurationError

PICTURES = frozenset((".jpg", ".jpeg", ".png", ".pgm", ".ppm", ".bmp", ".webp", ".tif", ".tiff"))
VIDEOS = frozenset((".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of whom there are several pictures, or a video at least."""

    name: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """People among whom one is to be found."""

    name: str
    people: tuple[Person, ...]


def is_video(path: Path) -> bool:
    """Whether a file's name says that it is a video."""
    return path.suffix.lower() in VIDEOS


def read_galleries(folders: Sequence[Path]) -> tuple[Gallery, ...]:
    """The galleries of these folders. Of a person with one picture alone nothing can be tested.

    A folder that holds videos and no folders is a gallery too: each video is a person.
    Errors: ConfigurationError where a folder is missing or fewer than two people are in it.
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    galleries = []
    for name, folder in zip(names, folders, strict=True):
        if not folder.is_dir():
            raise ConfigurationError(f"there is no folder {folder}")
        people = [
            Person(inner.name, files)
            for inner in sorted(folder.iterdir())
            if inner.is_dir() and (files := _media(inner)) and (len(files) > 1 or _has_video(files))
        ]
        if not people:
            people = [Person(file.stem, (file,)) for file in _media(folder) if is_video(file)]
        if len(people) < 2:
            raise ConfigurationError(
                f"{folder} holds no two people: one folder a person, each with two pictures or a "
                "video"
            )
        galleries.append(Gallery(name, tuple(people)))
    return tuple(galleries)


def _media(folder: Path) -> tuple[Path, ...]:
    return tuple(
        path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES | VIDEOS
    )


def _has_video(files: Sequence[Path]) -> bool:
    return any(is_video(file) for file in files)
