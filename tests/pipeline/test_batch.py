"""Which files of folders and patterns are masked, and what becomes of each."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from digitalmask.errors import ConfigurationError
from digitalmask.pipeline.batch import Task, Way, mask_all, plan
from tests.media.videos import plain, write_video
from tests.processes import children


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files in folders; the current folder is theirs."""
    for name in (
        "in/a.mp4", "in/a.AVI", "in/day 1/b.jpg", "in/day 1/c.tiff", "in/day 2/b.webm",
        "in/notes.txt", "in/.hidden.mp4", "in/.masking-x.mp4",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(*sources: str, out: str = "out") -> dict[str, str]:
    tasks = plan([Path(source) for source in sources], Path(out))
    return {str(task.source): str(task.target) for task in tasks}


@pytest.mark.usefixtures("clinic")
def test_a_folder_keeps_its_places_and_names() -> None:
    assert planned("in") == {
        "in/a.AVI": "out/a.AVI.mp4",
        "in/a.mp4": "out/a.mp4",
        "in/day 1/b.jpg": "out/day 1/b.jpg",
        "in/day 1/c.tiff": "out/day 1/c.tiff.png",
        "in/day 2/b.webm": "out/day 2/b.webm",
    }


@pytest.mark.usefixtures("clinic")
def test_a_pattern_keeps_places_below_what_is_fixed_of_it() -> None:
    assert planned("in/**/b.*") == {
        "in/day 1/b.jpg": "out/day 1/b.jpg",
        "in/day 2/b.webm": "out/day 2/b.webm",
    }
    assert planned("in/day*/*.jpg", "in/a.mp4") == {
        "in/day 1/b.jpg": "out/day 1/b.jpg",
        "in/a.mp4": "out/a.mp4",
    }


def test_results_in_the_folder_are_not_masked_again(clinic: Path) -> None:
    (clinic / "in/out").mkdir()
    (clinic / "in/out/a.mp4").touch()
    assert "in/out/a.mp4" not in planned("in", out="in/out")


@pytest.mark.usefixtures("clinic")
@pytest.mark.parametrize(
    ("sources", "out", "said"),
    [
        (["in/day 1/b.jpg", "in/[x]/none*"], "out", "there is no video or picture in"),
        (["in"], "in", "IN and OUT are the same folder"),
        (["in/a.mp4"], "in", "in/a.mp4 would be replaced"),
        (["in/a.mp4", "other/a.mp4"], "out", "would both become out/a.mp4"),
    ],
)
def test_what_would_lose_a_file_is_refused(sources: list[str], out: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace("[", r"\[")):
        planned(*sources, out=out)


def test_a_task_is_done_when_all_of_it_is_there(tmp_path: Path) -> None:
    task = Task(tmp_path / "in.mp4", tmp_path / "out.mp4", tmp_path / "out.csv")
    assert not task.done
    task.target.touch()
    assert not task.done
    assert task.measurements is not None
    task.measurements.touch()
    assert task.done


@pytest.mark.gl
@pytest.mark.models
def test_a_file_that_ends_its_process_does_not_keep_the_others(tmp_path: Path) -> None:
    tasks: Sequence[Task] = [
        Task(write_video(tmp_path / f"{name}.mp4", [plain()] * 2), tmp_path / "out" / f"{name}.mp4")
        for name in ("first", "second")
    ]

    def kill_first() -> None:
        while not (masking := children("spawn_main")):
            time.sleep(0.01)
        masking[0].kill()

    killer = threading.Thread(target=kill_first)
    killer.start()
    outcomes = list(mask_all(tasks, Way("cpu"), jobs=1))
    killer.join()
    assert [outcome.error for outcome in outcomes] == ["its masking process has ended", ""]
    assert not tasks[0].target.exists()
    assert outcomes[1].masked is not None
    assert tasks[1].target.exists()
