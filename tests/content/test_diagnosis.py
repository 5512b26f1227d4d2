"""Grading: what counts as the same answer, and which rule a wrong one missed."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subjunctive_admin.content.diagnosis import Grade, Question, grade, mood, normalised, without_accents
from subjunctive_admin.seeding import read_seeds
from subjunctive_admin.structures import ExerciseContent, VerbContent
from subjunctive_admin.vocabulary import ErrorKind, Person, Tense, Verdict

HABLAR = {
    "present_subjunctive": {"yo": ["hable"], "tu": ["hables"], "el": ["hable"], "nosotros": ["hablemos"]},
    "imperfect_subjunctive": {"yo": ["hablara", "hablase"], "nosotros": ["habláramos", "hablásemos"]},
    "present_indicative": {"yo": ["hablo"], "tu": ["hablas"], "el": ["habla"], "nosotros": ["hablamos"]},
    "preterite_indicative": {"yo": ["hablé"], "nosotros": ["hablamos"]},
    "future_indicative": {"el": ["hablará"]},
    "imperative_affirmative": {"tu": ["habla"]},
}


def asked(*accepted: str, tense: str = "present_subjunctive", person: str | None = "yo", forms: Any = None) -> Question:
    return Question(accepted, Tense(tense), person and Person(person), HABLAR if forms is None else forms)  # type: ignore[arg-type]


IMPERFECT = asked("habláramos", "hablásemos", tense="imperfect_subjunctive", person="nosotros")


@pytest.mark.parametrize(
    "answer",
    [
        "hable",
        " hable ",
        "Hable",
        "HABLE.",
        "¡Hable!",
        "«hable»",
        "hable\u00a0",
        "(hable)",
        "— hable —",
        "ha\u200bble\ufeff",
        "`hable`",
    ],
)
def test_case_spaces_and_punctuation_around_are_no_difference(answer: str) -> None:
    assert grade(asked("hable"), answer) == Grade(Verdict.CORRECT)


def test_a_decomposed_accent_is_the_same_accent() -> None:
    assert grade(IMPERFECT, unicodedata.normalize("NFD", "habláramos")).verdict is Verdict.CORRECT


def test_another_accepted_answer_is_accepted() -> None:
    assert grade(IMPERFECT, "hablásemos") == Grade(Verdict.ACCEPTED)


def test_where_no_person_is_asked_for_none_is_wrong() -> None:
    question = asked("hable", person=None)
    assert grade(question, "hables").error_kind is ErrorKind.UNKNOWN
    assert grade(question, "hablas").error_kind is ErrorKind.MOOD


@pytest.mark.parametrize("answer", ["hablaramos", "hablarámos", "HABLARAMOS"])
def test_what_only_lacks_its_accent_has_a_verdict_of_its_own(answer: str) -> None:
    found = grade(IMPERFECT, answer)
    assert found == Grade(Verdict.ACCENT_ONLY, ErrorKind.ACCENT, Tense.IMPERFECT_SUBJUNCTIVE, Person.NOSOTROS)


def test_the_policy_decides_whether_a_slip_of_accents_is_right() -> None:
    found = grade(IMPERFECT, "hablaramos")
    assert [found.is_correct(accent_only_counts=policy) for policy in (True, False)] == [True, False]
    assert not any(Grade(Verdict.WRONG, ErrorKind.MOOD).is_correct(accent_only_counts=p) for p in (True, False))


def test_an_accent_that_makes_another_form_is_that_form() -> None:
    question = asked("hable")
    assert grade(question, "hablé") == Grade(Verdict.WRONG, ErrorKind.MOOD, Tense.PRETERITE_INDICATIVE, Person.YO)


@pytest.mark.parametrize(
    ("answer", "kind", "tense", "person"),
    [
        ("hables", "person", "present_subjunctive", "tu"),
        ("hablara", "tense", "imperfect_subjunctive", "yo"),
        ("hablase", "tense", "imperfect_subjunctive", "yo"),
        ("hablo", "mood", "present_indicative", "yo"),
        ("habla", "mood", "present_indicative", "el"),
        ("habláramos", "tense", "imperfect_subjunctive", "nosotros"),
        ("hablamos", "mood", "present_indicative", "nosotros"),
    ],
)
def test_another_form_of_the_verb_names_the_rule_it_missed(answer: str, kind: str, tense: str, person: str) -> None:
    assert grade(asked("hable"), answer) == Grade(Verdict.WRONG, ErrorKind(kind), Tense(tense), Person(person))


def test_of_several_cells_with_the_form_the_nearest_is_meant() -> None:
    # hablamos is present and preterite; asked for a preterite it would be right, for the imperfect a mood too many.
    asked_indicative = asked("hablé", tense="preterite_indicative")
    assert grade(asked_indicative, "hablamos") == Grade(
        Verdict.WRONG, ErrorKind.PERSON, Tense.PRETERITE_INDICATIVE, Person.NOSOTROS
    )


def test_a_form_of_the_very_cell_that_the_sentence_does_not_accept_is_no_error_of_a_rule() -> None:
    found = grade(asked("hablara", tense="imperfect_subjunctive"), "hablase")
    assert found == Grade(Verdict.WRONG, ErrorKind.UNKNOWN, Tense.IMPERFECT_SUBJUNCTIVE, Person.YO)


@pytest.mark.parametrize("answer", ["", "   ", "…", "xyz", "hablee", "habla me", "\u0301"])
def test_what_is_no_form_is_wrong_for_an_unknown_reason(answer: str) -> None:
    assert grade(asked("hable"), answer) == Grade(Verdict.WRONG, ErrorKind.UNKNOWN)


def test_n_with_a_tilde_is_a_letter_of_its_own() -> None:
    assert without_accents("pingüino ñandú") == "pinguino ñandu"
    assert grade(asked("riña", forms={}), "rina").verdict is Verdict.WRONG


def test_a_whole_sentence_is_compared_as_one() -> None:
    question = asked("Quiero que comas conmigo.", "Yo quiero que comas conmigo.", forms={})
    assert grade(question, "quiero  que comas conmigo").verdict is Verdict.CORRECT
    assert grade(question, "Yo quiero que comas conmigo!").verdict is Verdict.ACCEPTED
    assert grade(question, "Quiero que comes conmigo.").verdict is Verdict.WRONG


@given(st.text(max_size=60))
def test_no_text_breaks_it_and_every_wrong_answer_has_a_kind(answer: str) -> None:
    found = grade(IMPERFECT, answer)
    assert (found.verdict in (Verdict.CORRECT, Verdict.ACCEPTED)) == (found.error_kind is None)
    assert (found.verdict is Verdict.ACCENT_ONLY) <= (found.error_kind is ErrorKind.ACCENT)


@given(st.text(max_size=60))
def test_comparing_is_settled_after_one_step(answer: str) -> None:
    assert normalised(normalised(answer)) == normalised(answer)


def test_every_seeded_answer_is_right_and_no_distractor_is() -> None:
    items = [item.content for item in read_seeds()]
    forms = {item.infinitive: item.conjugations for item in items if isinstance(item, VerbContent)}
    for exercise in (item for item in items if isinstance(item, ExerciseContent)):
        question = Question(tuple(exercise.accepted_answers), exercise.tense, exercise.person, forms[exercise.verb])  # type: ignore[arg-type]
        verdicts = [grade(question, answer).verdict for answer in exercise.accepted_answers]
        assert verdicts == [Verdict.CORRECT, *[Verdict.ACCEPTED] * (len(verdicts) - 1)], exercise.slug
        for distractor in exercise.distractors:
            assert grade(question, distractor).verdict is Verdict.WRONG, (exercise.slug, distractor)


@pytest.mark.parametrize("tense", Tense)
def test_every_tense_has_a_mood(tense: Tense) -> None:
    assert mood(tense) in ("subjunctive", "indicative", "imperative")
