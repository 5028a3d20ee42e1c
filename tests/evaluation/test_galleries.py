"""Who is in a folder of people."""

from pathlib import Path

import pytest

from digitalmask.errors import ConfigurationError
from digitalmask.evaluation.galleries import read_galleries


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_a_folder_a_person_with_pictures_or_a_video(tmp_path: Path) -> None:
    make(
        tmp_path, "ann/1.jpg", "ann/2.PNG", "ben/visit.mp4", "one/alone.jpg", "README", "ben/a.txt"
    )
    (gallery,) = read_galleries([tmp_path])
    assert [person.name for person in gallery.people] == ["ann", "ben"]
    assert [file.name for file in gallery.people[0].files] == ["1.jpg", "2.PNG"]


def test_a_folder_of_videos_is_a_person_each(tmp_path: Path) -> None:
    (gallery,) = read_galleries([make(tmp_path, "a.mp4", "b.webm", "c.jpg")])
    assert [person.name for person in gallery.people] == ["a", "b"]


def test_two_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [make(tmp_path / place / "people", "a.mp4", "b.mp4") for place in "xy"]
    assert [gallery.name for gallery in read_galleries(folders)] == [str(path) for path in folders]


@pytest.mark.parametrize("names", [(), ("ann/1.jpg", "ben/1.jpg"), ("ann/1.mp4",)])
def test_one_person_cannot_be_told_from_nobody(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="holds no two people"):
        read_galleries([make(tmp_path, *names)])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no folder"):
        read_galleries([tmp_path / "nowhere"])
