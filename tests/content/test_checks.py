"""The checks of content: each finds its failing example and passes its sound one, and the seeds have no error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from subjunctive_admin.content.checks import (
    CHECKS,
    SOUND_EXERCISE,
    SOUND_VERB,
    Check,
    Library,
    Severity,
    check,
    check_exercise,
    run_checks,
)
from subjunctive_admin.content.conjugation import conjugate
from subjunctive_admin.seeding import library_of, read_seeds
from subjunctive_admin.vocabulary import ExerciseType, ItemKind, Person, Tense, TriggerClass


@dataclass(frozen=True)
class Verb:
    """A sound verb, but for what an example changes."""

    infinitive: str
    english_translation: str
    is_defective: bool
    conjugations: dict[str, Any]
    conjugation_overrides: dict[str, Any]


@dataclass(frozen=True)
class Exercise:
    """A sound exercise, but for what an example changes."""

    slug: str
    scenario: str
    verb: str
    exercise_type: ExerciseType
    tense: Tense
    person: Person | None
    trigger_class: TriggerClass | None
    trigger_phrase: str
    prompt: str
    accepted_answers: list[str]
    distractors: list[str]
    explanation: str
    tags: list[str]


HABLAR = Verb(**SOUND_VERB, is_defective=False, conjugations=conjugate("hablar").forms(), conjugation_overrides={})
ASKED = Exercise(**SOUND_EXERCISE)
SEEDS = [item.content for item in read_seeds()]


def looked_at(check: Check, changes: dict[str, Any]) -> list[str]:
    """What the check says of the sound item with these changes, in a library with the sound one."""
    if check.kind is ItemKind.VERB:
        merged = dict(changes)
        if "conjugations" in changes:
            # An example names the cells that it changes; form-missing is about those that it leaves out.
            whole = {} if check.id == "form-missing" else HABLAR.conjugations
            merged["conjugations"] = whole | {
                tense: whole.get(tense, {}) | persons for tense, persons in changes["conjugations"].items()
            }
        verb = replace(HABLAR, **merged)
        return list(check.look(verb, Library({"hablar": verb}, (), frozenset({"dinner"}))))
    exercise = replace(ASKED, **changes)
    exercises = (ASKED,) if exercise.slug == ASKED.slug else (ASKED, exercise)
    return list(check.look(exercise, Library({"hablar": HABLAR}, exercises, frozenset({"dinner"}))))


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.id)
def test_a_check_passes_what_is_sound_and_finds_its_failing_example(check: Check) -> None:
    assert looked_at(check, dict(check.passing)) == []
    said = looked_at(check, dict(check.failing))
    assert said
    assert all(sentence.endswith(".") for sentence in said)


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.id)
def test_a_check_has_one_line_that_says_what_it_finds(check: Check) -> None:
    assert check.title.endswith(".")
    assert "\n" not in check.title


@pytest.mark.parametrize("check", [c for c in CHECKS.values() if c.mend], ids=lambda check: check.id)
def test_what_a_fix_makes_passes(check: Check) -> None:
    assert check.mend is not None
    changes = dict(check.failing)
    sound: Any = replace(HABLAR if check.kind is ItemKind.VERB else ASKED, **changes)
    library = Library({"hablar": HABLAR}, (ASKED,), frozenset({"dinner"}))
    mended = replace(sound, **check.mend(sound, library))
    assert list(check.look(mended, library)) == []


def test_the_seeds_have_no_error_and_no_warning() -> None:
    found = [one for one in run_checks(library_of(SEEDS)) if one.severity is not Severity.INFO]
    assert [(one.check, one.key, one.message) for one in found] == []


def test_a_finding_names_its_check_its_item_and_the_fix() -> None:
    wrong = replace(ASKED, prompt="Quiero que él  ___.")
    (finding,) = run_checks(Library({"hablar": HABLAR}, (wrong,), frozenset({"dinner"})), ["double-space"])
    assert (finding.check, finding.kind, finding.key) == ("double-space", ItemKind.EXERCISE, "sound")
    assert finding.mended == {"prompt": "Quiero que él ___."}


def test_one_exercise_of_a_library_is_checked_as_all_of_them_are() -> None:
    wrong = replace(ASKED, slug="wrong", prompt="Quiero que él  ___ (hablar) y hable.")
    library = Library({"hablar": HABLAR}, (ASKED, wrong), frozenset({"dinner"}))
    assert check_exercise(ASKED, library) == []
    found = check_exercise(wrong, library)
    assert [one.check for one in found] == ["answer-in-prompt", "double-space"]
    assert found == [one for one in run_checks(library) if one.key == "wrong"]


def test_two_checks_cannot_have_the_same_id() -> None:
    first = next(iter(CHECKS.values()))
    declare = check(first.id, first.severity, first.kind, passing={}, failing={})
    with pytest.raises(ValueError, match=f"two content checks named {first.id}"):
        declare(first.look)
    assert CHECKS[first.id] is first


def test_an_unknown_check_is_no_check() -> None:
    with pytest.raises(KeyError):
        run_checks(Library(), ["no-such-check"])


def test_a_verb_that_an_editor_changed_on_purpose_is_warned_about_and_no_error() -> None:
    changed = HABLAR.conjugations | {
        "present_subjunctive": HABLAR.conjugations["present_subjunctive"] | {"yo": ["hablé"]}
    }
    override = {"present_subjunctive": {"yo": {"forms": ["hablé"], "note": "a test"}}}
    verb = replace(HABLAR, conjugations=changed, conjugation_overrides=override)
    found = run_checks(Library({"hablar": verb}), ["form-stale", "form-differs-from-rule"])
    assert [(one.check, one.severity) for one in found] == [("form-differs-from-rule", Severity.WARNING)]
