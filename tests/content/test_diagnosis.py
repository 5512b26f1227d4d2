"""Grading: what counts as the same answer, and which rule a wrong one missed."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subjunctive_admin.content.conjugation import NotAVerb, Rule, conjugate
from subjunctive_admin.content.diagnosis import (
    Grade,
    Question,
    diagnose,
    grade,
    mood,
    normalised,
    sounds,
    without_accents,
)
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


@pytest.mark.parametrize("answer", ["Si quieres ven", "¡si quieres, ven!", "Si quieres – ven…"])
def test_a_comma_inside_a_sentence_is_no_difference(answer: str) -> None:
    assert grade(asked("Si quieres, ven."), answer) == Grade(Verdict.CORRECT)


@pytest.mark.parametrize("answer", ["ha,ble", "ha ble", "hable/hable"])
def test_punctuation_inside_a_word_is_one(answer: str) -> None:
    assert grade(asked("hable"), answer).verdict is Verdict.WRONG


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


# Diagnosis

LIBRARY = sorted(i.content.infinitive for i in read_seeds() if isinstance(i.content, VerbContent))
HARD = ["sentarse", "empezar", "pedir", "decir", "conocer", "construir", "enviar", "oír", "reír", "ocurrir", "errar"]
SWITCHED = {
    Rule.SPELLING: ErrorKind.SPELLING,
    Rule.STEM_CHANGE: ErrorKind.STEM,
    Rule.IRREGULAR: ErrorKind.IRREGULAR,
    Rule.ACCENT: ErrorKind.ACCENT,
    Rule.PARTICIPLE: ErrorKind.PARTICIPLE,
}


def kinds(infinitive: str, tense: str, person: str, answer: str, *, bare: bool = False) -> list[str | None]:
    return [one.error_kind for one in diagnose(infinitive, tense, person, answer, bare=bare)]


@pytest.mark.parametrize(
    ("verb", "tense", "person", "answer", "kind"),
    [
        ("buscar", "present_subjunctive", "yo", "busce", "spelling"),
        ("buscar", "present_subjunctive", "yo", "busco", "mood"),
        ("dormir", "present_subjunctive", "nosotros", "dormamos", "stem"),
        ("dormir", "present_subjunctive", "nosotros", "duermamos", "stem"),
        ("hablar", "imperfect_subjunctive", "nosotros", "hablaramos", "accent"),
        ("hablar", "present_subjunctive", "el", "hables", "person"),
        ("hablar", "present_subjunctive", "el", "hablara", "tense"),
        ("decir", "present_perfect_subjunctive", "yo", "haya decido", "participle"),
        ("hablar", "present_perfect_subjunctive", "yo", "he hablado", "mood"),
        ("hablar", "present_perfect_subjunctive", "yo", "sea hablado", "auxiliary"),
        ("hablar", "present_perfect_subjunctive", "ellos", "hayan hablados", "participle"),
        ("hablar", "present_perfect_subjunctive", "yo", "hablado", "auxiliary"),
        ("hablar", "present_subjunctive", "yo", "hablar", "infinitive"),
        ("sentarse", "present_subjunctive", "yo", "siente", "pronoun"),
        ("hablar", "present_subjunctive", "yo", "me hable", "pronoun"),
        ("hablar", "imperfect_subjunctive", "yo", "habliera", "ending"),
        ("dormir", "present_subjunctive", "tu", "durmás", "voseo"),
        ("haber", "present_subjunctive", "yo", "haiga", "folk"),
        ("poder", "present_subjunctive", "nosotros", "puédamos", "folk"),
        ("conocer", "present_subjunctive", "yo", "conosca", "phonetic"),
        ("hacer", "present_subjunctive", "yo", "aga", "phonetic"),
        ("tener", "present_subjunctive", "yo", "tena", "irregular"),
        ("hablar", "present_subjunctive", "yo", "hbale", "typo"),
        ("hablar", "present_subjunctive", "yo", "hablaria", "mood"),
        ("hablar", "present_subjunctive", "yo", "zzz", "unknown"),
        ("hablar", "present_subjunctive", "yo", "", "unknown"),
    ],
)
def test_an_answer_names_the_rule_it_missed(verb: str, tense: str, person: str, answer: str, kind: str) -> None:
    assert kinds(verb, tense, person, answer)[0] == kind


def test_a_right_answer_has_one_reading_and_no_error() -> None:
    for answer in ("hablara", "hablase"):
        (reading,) = diagnose("hablar", "imperfect_subjunctive", "yo", answer)
        assert (reading.error_kind, reading.form_of) == (None, (Tense.IMPERFECT_SUBJUNCTIVE, Person.YO))
    assert diagnose("hablar", "imperfect_subjunctive", "yo", "hablase")[0].en.endswith("is hablara.")


def test_a_form_of_several_persons_is_read_in_their_order() -> None:
    found = diagnose("hablar", "present_subjunctive", "tu", "hable")
    cells = [one.form_of for one in found if one.form_of and one.form_of[0] is Tense.PRESENT_SUBJUNCTIVE]
    assert cells == [(Tense.PRESENT_SUBJUNCTIVE, Person.YO), (Tense.PRESENT_SUBJUNCTIVE, Person.EL)]


def test_feedback_is_a_sentence_in_both_languages() -> None:
    (reading,) = diagnose("buscar", "present_subjunctive", "yo", "busco")
    assert reading.as_dict()["feedback"] == {
        "en": "“busco” is the present indicative, yo; this clause takes the subjunctive: busque.",
        "es": "«busco» es el presente de indicativo, yo; aquí hace falta el subjuntivo: busque.",
    }


def test_with_the_pronoun_in_the_prompt_the_answer_is_the_form_alone() -> None:
    asked_for = ("sentarse", "present_subjunctive", "yo")
    assert kinds(*asked_for, "siente", bare=True) == [None]
    assert kinds(*asked_for, "me siente", bare=True)[0] == "pronoun"
    assert kinds(*asked_for, "siento", bare=True)[0] == "mood"


@pytest.mark.parametrize("infinitive", sorted({*LIBRARY, *HARD}))
def test_every_other_cell_of_the_paradigm_is_read_as_that_cell(infinitive: str) -> None:
    paradigm = conjugate(infinitive)
    cells = [(tense, person) for tense in Tense for person in Person if paradigm[tense, person].forms]
    for asked_for in ((Tense.PRESENT_SUBJUNCTIVE, Person.EL), (Tense.IMPERFECT_SUBJUNCTIVE, Person.ELLOS)):
        right = paradigm[asked_for].forms
        for cell in cells:
            for form in paradigm[cell].forms:
                if form not in right:
                    found = {one.form_of: one.error_kind for one in diagnose(infinitive, *asked_for, form)}
                    wanted = ErrorKind.PERSON if cell[0] is asked_for[0] else None
                    wanted = wanted or (ErrorKind.TENSE if mood(cell[0]) == "subjunctive" else ErrorKind.MOOD)
                    assert found[cell] is wanted, (form, cell)


@pytest.mark.parametrize("infinitive", sorted({*LIBRARY, *HARD}))
def test_every_rule_switched_off_is_labelled_as_that_rule(infinitive: str) -> None:
    paradigm = conjugate(infinitive)
    for rule, kind in SWITCHED.items():
        variant = conjugate(infinitive, without=frozenset({rule}))
        for tense in Tense:
            for person in Person:
                right = paradigm[tense, person].forms
                for form in set(variant[tense, person].forms) - set(right) if right else ():
                    assert kind in kinds(infinitive, tense, person, form), (rule, tense, person, form)


@given(st.sampled_from(LIBRARY), st.sampled_from(Tense), st.sampled_from(Person), st.text(max_size=40))
def test_whatever_is_typed_has_a_reading(infinitive: str, tense: Tense, person: Person, answer: str) -> None:
    found = diagnose(infinitive, tense, person, answer)
    assert found
    assert all(one.en.endswith(".") and one.es.endswith(".") for one in found)


def test_what_is_no_verb_has_no_diagnosis() -> None:
    with pytest.raises(NotAVerb):
        diagnose("mesa", "present_subjunctive", "yo", "hable")
    with pytest.raises(ValueError, match="no_tense"):
        diagnose("hablar", "no_tense", "yo", "hable")


@pytest.mark.parametrize(
    ("one", "other"), [("conozca", "conosca"), ("viva", "biba"), ("llegue", "yegue"), ("haga", "aga")]
)
def test_what_sounds_alike_in_most_of_america_is_folded(one: str, other: str) -> None:
    assert sounds(one) == sounds(other)


# Grading with it


def of_verb(infinitive: str, *accepted: str, tense: str = "present_subjunctive", person: str = "yo") -> Question:
    forms = conjugate(infinitive).forms()
    return Question(accepted, Tense(tense), Person(person), forms, infinitive)


@pytest.mark.parametrize(
    ("answer", "kind"), [("busce", "spelling"), ("bosque", "typo"), ("vusque", "phonetic"), ("qqq", "unknown")]
)
def test_a_grade_carries_the_diagnosis(answer: str, kind: str) -> None:
    found = grade(of_verb("buscar", "busque"), answer)
    assert (found.verdict, found.error_kind) == (Verdict.WRONG, ErrorKind(kind))


def test_in_a_whole_sentence_the_form_is_found_beside_the_accepted_one() -> None:
    question = of_verb("comer", "Quiero que comas conmigo.", "Quiero que tú comas conmigo.", person="tu")
    assert grade(question, "quiero que comes conmigo").error_kind is ErrorKind.MOOD
    assert grade(question, "Quiero que tú comías conmigo.").error_kind is ErrorKind.MOOD
    assert grade(question, "Quiero comer contigo").error_kind is ErrorKind.UNKNOWN


def test_words_that_are_no_form_of_a_verb_are_not_diagnosed() -> None:
    question = Question(("ojalá",), Tense.PRESENT_SUBJUNCTIVE, Person.EL, {}, None)
    assert grade(question, "hagas") == Grade(Verdict.WRONG, ErrorKind.UNKNOWN)


def test_a_stored_verb_that_cannot_be_conjugated_is_graded_by_what_is_stored() -> None:
    forms = {"present_subjunctive": {"yo": ["pfx"], "tu": ["pfxs"]}}
    question = Question(("pfx",), Tense.PRESENT_SUBJUNCTIVE, Person.YO, forms, "pf")
    assert grade(question, "pfxs").error_kind is ErrorKind.PERSON
    assert grade(question, "zzz") == Grade(Verdict.WRONG, ErrorKind.UNKNOWN)
