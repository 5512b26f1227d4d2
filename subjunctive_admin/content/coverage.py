"""How much of the subjunctive the library practises: counts against the targets of `seeds/coverage.yaml`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from subjunctive_admin.content.checks import Exercise, Library
from subjunctive_admin.vocabulary import LEARNT_TENSES, ExerciseType, Person, Tense, TriggerClass


@dataclass(frozen=True, slots=True)
class Count:
    """One quantity of the library: how many there are, and how many there should be at the least."""

    what: str
    found: float
    wanted: float
    most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether it lies within what is wanted."""
        return self.found >= self.wanted and (self.most is None or self.found <= self.most)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {
            "what": self.what, "found": self.found, "wanted": self.wanted, "most": self.most, "is_met": self.is_met,
        }  # fmt: skip


def counts(library: Library, targets: Mapping[str, Any]) -> list[Count]:
    """Every quantity that has a target; one row each. Raises KeyError for a target that is missing."""
    exercises = library.exercises
    return [
        Count("verbs", len(library.verbs), targets["verbs"]),
        Count("exercises", len(exercises), targets["exercises"]),
        *_by_trigger(exercises, targets),
        *_by_person(exercises, targets["tense_by_person"]),
        *_each("exercise_type", [e.exercise_type for e in exercises], list(ExerciseType), targets["exercise_type"]),
        *_each("scenario", [e.scenario for e in exercises], sorted(library.scenarios), targets["scenario"]),
        *_each("verb", [e.verb for e in exercises], sorted(library.verbs), targets["verb"]),
        Count("contrast", sum(e.tense.endswith("_indicative") for e in exercises), targets["contrast"]),
        *_difficulty(exercises, targets),
    ]


def trigger_matrix(exercises: Sequence[Exercise]) -> dict[TriggerClass, dict[Tense, int]]:
    """Trigger class → tense in use → number of exercises."""
    found = Counter((e.trigger_class, e.tense) for e in exercises)
    return {trigger: {tense: found[trigger, tense] for tense in LEARNT_TENSES} for trigger in TriggerClass}


def _by_trigger(exercises: Sequence[Exercise], targets: Mapping[str, Any]) -> Iterator[Count]:
    wanted, left_out = targets["tense_by_trigger"], targets["not_licensed"]
    for trigger in TriggerClass:
        for tense in LEARNT_TENSES:
            if tense in left_out.get(trigger, ()):
                continue
            these = [e for e in exercises if e.trigger_class is trigger and e.tense is tense]
            yield Count(f"{tense} × {trigger}", len(these), wanted["exercises"])
            yield Count(f"{tense} × {trigger}: persons", len({e.person for e in these}), wanted["persons"])


def _by_person(exercises: Sequence[Exercise], wanted: int) -> Iterator[Count]:
    found = Counter((e.tense, e.person) for e in exercises)
    for tense in LEARNT_TENSES:
        for person in Person:
            yield Count(f"{tense} × {person}", found[tense, person], wanted)


def _each(name: str, values: Sequence[str], all_of_them: Sequence[str], wanted: int) -> Iterator[Count]:
    found = Counter(values)
    yield from (Count(f"{name} {value}", found[value], wanted) for value in all_of_them)


def _difficulty(exercises: Sequence[Any], targets: Mapping[str, Any]) -> Iterator[Count]:
    found = Counter(e.difficulty_level for e in exercises)
    off = targets["difficulty_tolerance"]
    for level, share in targets["difficulty"].items():
        percent = round(100 * found[level] / max(len(exercises), 1), 1)
        yield Count(f"difficulty {level}, percent", percent, share - off, share + off)
