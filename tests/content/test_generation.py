"""Exercises from frames: the same for a seed, sound by every check, and none where there is no sentence to make."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from subjunctive_admin.content.checks import CHECKS, Library, Severity, run_checks
from subjunctive_admin.content.conjugation import conjugate
from subjunctive_admin.content.diagnosis import diagnose
from subjunctive_admin.content.generation import FRAMES, PREDICATES, Made, NothingToMake, Sort, generate
from subjunctive_admin.vocabulary import ErrorKind, ExerciseType, Person, Tense, TriggerClass

ALL = generate(100_000, 1)


def as_exercise(number: int, made: Made) -> Any:
    """What the checks read."""
    return SimpleNamespace(
        slug=f"made-{number}", scenario="made", verb=made.verb, exercise_type=made.exercise_type, tense=made.tense,
        person=made.person, trigger_class=made.trigger_class, trigger_phrase=made.trigger_phrase, prompt=made.prompt,
        accepted_answers=made.accepted_answers, distractors=made.distractors, explanation=made.explanation, tags=(),
    )  # fmt: skip


def test_there_are_thousands_of_every_type_trigger_tense_and_person() -> None:
    assert len(ALL) > 3000
    assert {made.exercise_type for made in ALL} == set(ExerciseType)
    assert {made.person for made in ALL} == set(Person)
    left_out = {TriggerClass.RELATIVE, TriggerClass.INDEPENDENT}
    assert {made.trigger_class for made in ALL} == set(TriggerClass) - left_out | {None}


def test_the_same_seed_makes_the_same_and_another_makes_others() -> None:
    assert generate(50, 7) == generate(50, 7)
    assert generate(50, 7) != generate(50, 8)
    assert generate(20, 7) == generate(50, 7)[:20]


def test_every_exercise_passes_every_check() -> None:
    exercises = tuple(as_exercise(number, made) for number, made in enumerate(ALL))
    # Sentences of one frame are alike by design.
    chosen = [name for name in CHECKS if name != "near-duplicate"]
    found = run_checks(Library({}, exercises, frozenset({"made"})), chosen)
    faults = [f for f in found if f.severity is not Severity.INFO]
    assert [(fault.check, fault.message) for fault in faults] == []


def test_each_distractor_stands_for_an_error_of_its_own() -> None:
    chosen = [made for made in ALL if made.distractors]
    assert len(chosen) > 500
    for made in chosen:
        assert len(set(made.kinds)) == len(made.kinds) == len(made.distractors) >= 2
        for distractor, kind in zip(made.distractors, made.kinds, strict=True):
            assert diagnose(made.verb, made.tense, made.person, distractor)[0].error_kind is kind
    assert {kind for made in chosen for kind in made.kinds} >= {ErrorKind.MOOD, ErrorKind.PERSON, ErrorKind.TENSE}


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.id)
def test_a_frame_is_a_sentence_whose_trigger_stands_in_it(frame: Any) -> None:
    assert frame.spanish.count("{clause}") == 1
    assert frame.trigger in frame.spanish
    assert frame.spanish.endswith(".")
    assert frame.trigger_class is not TriggerClass.CONDITIONAL or Tense.PRESENT_SUBJUNCTIVE not in frame.tenses
    assert any(predicate.sort in frame.sorts for predicate in PREDICATES)


def test_nobody_wants_himself_to_do_something_with_a_second_clause() -> None:
    wanted = [made for made in ALL if made.frame in {"querer", "querer-past", "esperar"}]
    assert not {made.person for made in wanted} & {Person.YO, Person.NOSOTROS}


def test_nobody_hopes_for_a_mishap_and_nobody_rains() -> None:
    mishaps = {predicate.infinitive for predicate in PREDICATES if predicate.sort is Sort.MISHAP}
    assert not [made for made in ALL if made.verb in mishaps and made.frame in {"ojala", "esperar", "si"}]
    assert {made.person for made in ALL if made.verb == "llover"} == {Person.EL}


def test_only_what_is_asked_for_is_made() -> None:
    found = generate(
        30, 3, types=[ExerciseType.FILL_BLANK], tenses=[Tense.PLUPERFECT_SUBJUNCTIVE], triggers=[TriggerClass.OJALA],
        verbs=["decir", "leer"],
    )  # fmt: skip
    assert found
    assert {(m.exercise_type, m.tense, m.trigger_class) for m in found} == {
        (ExerciseType.FILL_BLANK, Tense.PLUPERFECT_SUBJUNCTIVE, TriggerClass.OJALA)
    }
    assert {made.verb for made in found} <= {"decir", "leer"}
    for made in found:
        assert made.accepted_answers == conjugate(made.verb)[made.tense, made.person].forms


@pytest.mark.parametrize(
    "asked",
    [
        {"verbs": ["mesa"]},
        {"triggers": [TriggerClass.CONDITIONAL], "tenses": [Tense.PRESENT_SUBJUNCTIVE]},
        {"types": []},
        {"verbs": ["llover"], "triggers": [TriggerClass.INFLUENCE]},
    ],
)
def test_where_there_is_no_sentence_it_says_so(asked: dict[str, Any]) -> None:
    with pytest.raises(NothingToMake, match="there are predicates of abrir, buscar"):
        generate(5, 1, **asked)
