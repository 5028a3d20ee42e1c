"""Whether a masked patient can be recognised, asked with the tools an attacker would use.

`evaluate_privacy` returns, beside `people`, `chance_rank1` and what the galleries hold:
`recognisers.<name>.<condition>`: a recogniser as it is; originals are enrolled, pictures in that
    condition attack. `mask_vs_mask`: masks are enrolled and masks attack, of other pictures or
    recordings of the same person (across sessions); `mask_vs_mask_same_session`: of the two halves
    of one recording.
`trained.<name>` (and `together`, all recognisers' answers side by side): the same two questions by
    an attacker who has learned from other people's masks.
`numbers.<group>`, and `numbers_same_session.<group>`: that attacker on the mask's numbers, each
    group of them alone and `all`.
`found.<condition>`: the share of pictures in which a face was found without being told where.
`galleries.<name>`: the figures of each gallery by itself, where there are several.
The figures are those of `identification.identify`. Whoever is found in no picture of a file is
attacked with the other files; `unseen` says how many files had no face.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from digitalmask.errors import ConfigurationError
from digitalmask.evaluation.attackers import Samples, compare, train_and_compare
from digitalmask.evaluation.galleries import Gallery, read_galleries
from digitalmask.evaluation.identification import Trial, identify
from digitalmask.evaluation.recognisers import load_recognisers
from digitalmask.evaluation.sessions import CONDITIONS, MASK, ORIGINAL, Session, SessionReader
from digitalmask.tracking import load_networks

Floats = NDArray[np.floating[Any]]
Say = Callable[[str], None]
Figures = dict[str, object]

ACROSS: Final = "mask_vs_mask"
WITHIN: Final = "mask_vs_mask_same_session"
TOGETHER: Final = "together"


@dataclass(frozen=True, slots=True)
class _Seen:
    """The sessions of one gallery's people, of those who can be asked about."""

    name: str
    people: tuple[tuple[Session, ...], ...]

    def several(self) -> "_Seen":
        """Those with more than one session."""
        return _Seen(self.name, tuple(person for person in self.people if len(person) > 1))

    def recorded(self) -> "_Seen":
        """Those with a recording; the first of each."""
        firsts = [
            next((session for session in person if session.is_video), None)
            for person in self.people
        ]
        return _Seen(self.name, tuple((session,) for session in firsts if session is not None))


def evaluate_privacy(
    folders: Sequence[Path],
    say: Say,
    provider: str = "auto",
    conditions: Sequence[str] = CONDITIONS,
    keep: Path | None = None,
) -> Figures:
    """All figures, of the people in these folders (`galleries.read_galleries`).

    keep: a folder for recognisers' answers, so that the next run need not ask them again.
    Errors: those of the galleries, the recognisers and the stages.
    """
    galleries = read_galleries(folders)
    recognisers = load_recognisers(say)
    names = [recogniser.name for recogniser in recognisers]
    with SessionReader(load_networks(provider), recognisers, say, conditions, keep) as reader:
        seen, unseen = _read(galleries, reader, say)
    for each in seen:
        if len(each.people) < 2:
            raise ConfigurationError(f"in {each.name} a face was found of fewer than two people")
    shown = [name for name in CONDITIONS if name in conditions or name in (ORIGINAL, MASK)]
    result = _figures(seen, names, shown)
    result["unseen"] = unseen
    if len(seen) > 1:
        result["galleries"] = {each.name: _figures([each], names, shown) for each in seen}
    return result


def _read(galleries: Sequence[Gallery], reader: SessionReader, say: Say) -> tuple[list[_Seen], int]:
    seen, unseen = [], 0
    for gallery in galleries:
        people = []
        for number, person in enumerate(gallery.people, 1):
            say(f"{gallery.name}: {person.name} ({number} of {len(gallery.people)})")
            sessions = [reader.read(file) for file in person.files]
            found = tuple(session for session in sessions if session is not None)
            unseen += len(sessions) - len(found)
            if len(found) > 1 or any(session.is_video for session in found):
                people.append(found)
        seen.append(_Seen(gallery.name, tuple(people)))
    return seen, unseen


def _figures(seen: Sequence[_Seen], names: Sequence[str], conditions: Sequence[str]) -> Figures:
    several = [each.several() for each in seen]
    several = [each for each in several if len(each.people) > 1]
    recorded = [each.recorded() for each in seen]
    recorded = [each for each in recorded if len(each.people) > 1]
    # Where a person has one recording only, later frames of it attack.
    single = [
        each.recorded()
        for each in seen
        if len(each.several().people) < 2 and len(each.recorded().people) > 1
    ]
    recognised: dict[str, Figures] = {}
    for name in names:
        of = recognised[name] = {}
        for condition in conditions:
            of[condition] = identify(
                _attack(several, (ORIGINAL, name), (condition, name), by_half=False)
                + _attack(single, (ORIGINAL, name), (condition, name), by_half=True)
            )
        masked = (MASK, name)
        of[ACROSS] = identify(_attack(several, masked, masked, by_half=False))
        of[WITHIN] = identify(_attack(recorded, masked, masked, by_half=True))
    trained: dict[str, Figures] = {}
    for name in (*names, TOGETHER):
        keys = [(MASK, each) for each in (names if name == TOGETHER else (name,))]
        trained[name] = {
            ACROSS: identify(train_and_compare(_answers(several, keys, by_half=False))),
            WITHIN: identify(train_and_compare(_answers(recorded, keys, by_half=True))),
        }
    groups = list(seen[0].people[0][0].told)
    first = recognised[names[0]][ORIGINAL]
    assert isinstance(first, dict)  # noqa: S101 - for the type
    return {
        "people": sum(len(each.people) for each in seen),
        "sessions": sum(len(person) for each in seen for person in each.people),
        "people_with_several_sessions": sum(len(each.people) for each in several),
        "people_with_a_recording": sum(len(each.people) for each in recorded),
        "chance_rank1": first["chance_rank1"],
        "found": _found(seen, conditions),
        "recognisers": recognised,
        "trained": trained,
        "numbers": {
            group: identify(train_and_compare(_told(several, group, by_half=False)))
            for group in groups
        },
        "numbers_same_session": {
            group: identify(train_and_compare(_told(recorded, group, by_half=True)))
            for group in groups
        },
    }


def _found(seen: Sequence[_Seen], conditions: Sequence[str]) -> dict[str, float]:
    sessions = [session for each in seen for person in each.people for session in person]
    return {
        name: round(float(np.concatenate([each.found[name] for each in sessions]).mean()), 4)
        for name in conditions
    }


def _attack(
    seen: Sequence[_Seen], enrolled: tuple[str, str], probes: tuple[str, str], *, by_half: bool
) -> list[Trial]:
    trials: list[Trial] = []
    for first, second in zip(
        _answers(seen, [enrolled], by_half=by_half),
        _answers(seen, [probes], by_half=by_half),
        strict=True,
    ):
        trials += compare(first, second)
    return trials


def _answers(
    seen: Sequence[_Seen], keys: Sequence[tuple[str, str]], *, by_half: bool
) -> list[Samples]:
    """A sample is the mean answer of a session, or of each half of it."""

    def vectors(session: Session) -> list[Floats]:
        values = np.concatenate([session.answers[key] for key in keys], axis=1)
        parts = [session.half == half for half in (0, 1)] if by_half else [session.half >= 0]
        return [values[part].mean(axis=0) for part in parts]

    return [_samples(each, vectors) for each in seen]


def _told(seen: Sequence[_Seen], group: str, *, by_half: bool) -> list[Samples]:
    def vectors(session: Session) -> list[Floats]:
        return list(session.told[group][1:]) if by_half else [session.told[group][0]]

    return [_samples(each, vectors) for each in seen]


def _samples(seen: _Seen, vectors: Callable[[Session], list[Floats]]) -> Samples:
    """Every second sample of a person is of the other part."""
    rows: list[Floats] = []
    person: list[int] = []
    part: list[int] = []
    for number, sessions in enumerate(seen.people):
        own = [vector for session in sessions for vector in vectors(session)]
        rows += own
        person += [number] * len(own)
        part += [place % 2 for place in range(len(own))]
    return Samples(np.array(rows), np.array(person), np.array(part))


def as_table(result: Mapping[str, Any]) -> list[str]:
    """The figures that matter most, as lines to read."""
    head = f"{result['people']} people, {result['sessions']} pictures or recordings"
    columns = f"{'rank 1':>8}{'95 %':>16}{'chance':>8}{'AUC':>8}{'95 %':>16}{'EER':>8}{'TAR':>8}"
    lines = [head, f"{'':48}{columns}"]
    for section in ("recognisers", "trained", "numbers", "numbers_same_session"):
        for name, content in result[section].items():
            flat = "rank1" in content
            for attack, figures in {"": content}.items() if flat else content.items():
                if figures:
                    lines.append(_line(f"{section} {name} {attack}", figures))
    return lines


def _line(label: str, figures: Mapping[str, Any]) -> str:
    rank, auc = (
        f"{low:8.3f} to{high:5.2f}" for low, high in (figures["rank1_ci"], figures["auc_ci"])
    )
    return (
        f"{label:48}{figures['rank1']:8.3f}{rank}{figures['chance_rank1']:8.3f}"
        f"{figures['auc']:8.3f}{auc}{figures['eer']:8.3f}{figures['tar']:8.3f}"
    )
