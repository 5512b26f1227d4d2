"""The shape of content: what is accepted, what is said about the rest, and a hash that follows the content only."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from pydantic import ValidationError

from subjunctive_admin.structures import (
    CONTENT_CLASSES,
    AchievementContent,
    ConfigurationEntry,
    Content,
    Criterion,
    ExampleSentence,
    ExerciseContent,
    Override,
    ScenarioContent,
    VerbContent,
    payload_hash,
)
from subjunctive_admin.vocabulary import SUBJUNCTIVE_TENSES, ItemKind, Person

VERB: dict[str, Any] = {
    "infinitive": "hablar",
    "english_translation": "to speak",
    "verb_type": "regular",
    "conjugation_class": "ar",
    "frequency_band": 1,
    "difficulty_level": "beginner",
    "gerund": "hablando",
    "past_participle": "hablado",
    "conjugations": {tense: {person: ["hable"] for person in Person} for tense in SUBJUNCTIVE_TENSES},
}
SCENARIO: dict[str, Any] = {
    "slug": "family-dinner",
    "title": "La cena",
    "description": "Dinner with the family",
    "context": "social",
    "difficulty_level": "beginner",
    "cefr_level": "B1",
    "learning_objectives": ["express a wish"],
    "estimated_minutes": 10,
    "position": 0,
}
EXERCISE: dict[str, Any] = {
    "slug": "dinner-1",
    "scenario": "family-dinner",
    "verb": "hablar",
    "exercise_type": "fill_blank",
    "tense": "present_subjunctive",
    "person": "yo",
    "difficulty_level": "beginner",
    "prompt": "Quiere que yo ___ con ella.",
    "accepted_answers": ["hable"],
    "explanation": "A wish takes the subjunctive.",
    "position": 0,
}
ACHIEVEMENT: dict[str, Any] = {
    "slug": "first-ten",
    "name": "First ten",
    "description": "Ten attempts",
    "category": "practice",
    "icon": "star",
    "points": 10,
    "criteria": {"metric": "total_attempts", "value": 10},
    "tier": "bronze",
}
ENTRY: dict[str, Any] = {
    "name": "practice.daily_goal",
    "value": 5,
    "value_type": "integer",
    "description": "Exercises a day",
    "min": 1,
    "max": 50,
}
SOUND: list[tuple[type[Content], dict[str, Any], str]] = [
    (VerbContent, VERB, "hablar"),
    (ScenarioContent, SCENARIO, "family-dinner"),
    (ExerciseContent, EXERCISE, "dinner-1"),
    (AchievementContent, ACHIEVEMENT, "first-ten"),
    (ConfigurationEntry, ENTRY, "practice.daily_goal"),
]


def refusal(cls: type[Content], content: dict[str, Any], **changed: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        cls.model_validate(content | changed)
    return str(refused.value)


@pytest.mark.parametrize(("cls", "content", "key"), SOUND)
def test_sound_content_is_accepted_under_its_natural_key(cls: type[Content], content: dict[str, Any], key: str) -> None:
    item = cls.model_validate(content)
    assert item.key == key
    assert CONTENT_CLASSES[item.kind] is cls
    assert cls.model_validate(item.payload()) == item


def test_there_is_one_class_for_each_kind_of_item() -> None:
    assert list(CONTENT_CLASSES) == list(ItemKind)


@pytest.mark.parametrize(("cls", "content", "key"), SOUND)
def test_an_unknown_field_is_refused(cls: type[Content], content: dict[str, Any], key: str) -> None:
    assert "Extra inputs are not permitted" in refusal(cls, content, idd=3)


@pytest.mark.parametrize(("cls", "content", "key"), SOUND)
def test_content_never_changes_once_made(cls: type[Content], content: dict[str, Any], key: str) -> None:
    item = cls.model_validate(content)
    with pytest.raises(ValidationError, match="frozen"):
        item.position = 3  # type: ignore[attr-defined]


def test_the_hash_follows_the_content_and_not_its_order_or_spelling() -> None:
    item = ExerciseContent.model_validate(EXERCISE)
    turned = ExerciseContent.model_validate(dict(reversed(EXERCISE.items())))
    decomposed = ExerciseContent.model_validate(EXERCISE | {"explanation": " " + EXERCISE["explanation"] + "\n"})
    other = ExerciseContent.model_validate(EXERCISE | {"prompt": "Espera que yo ___ con ella."})

    assert item.content_hash() == turned.content_hash() == decomposed.content_hash() == payload_hash(item.payload())
    assert item.content_hash() != other.content_hash()
    assert len(item.content_hash()) == 64


def test_text_is_composed_and_trimmed() -> None:
    sentence = ExampleSentence(es=unicodedata.normalize("NFD", " Ojalá esté aquí. "), en="I hope he is here.")
    assert sentence.es == "Ojalá esté aquí."


@pytest.mark.parametrize("text", ["a\x00b", "a\x1b[31mb", "a\rb"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="holds a control character"):
        ExampleSentence(es=text, en="x")


@pytest.mark.parametrize("form", ["Hable", "hable!", "ha  ble", "hable1", "", "uno dos tres cuatro cinco"])
def test_a_verb_form_is_lower_case_spanish_words(form: str) -> None:
    with pytest.raises(ValidationError, match="is not a verb form"):
        Override(forms=[form], note="why")


@pytest.mark.parametrize("form", ["hable", "se haya reído", "averigüe", "enseñe", "no te lo digas"])
def test_the_forms_of_the_language_are_accepted(form: str) -> None:
    assert Override(forms=[form], note="why").forms == [form]


def test_the_class_of_a_verb_follows_its_ending() -> None:
    assert "hablar ends in -ar, so conjugation_class is ar" in refusal(VerbContent, VERB, conjugation_class="er")
    for infinitive, ending in (("oír", "ir"), ("sentirse", "ir"), ("reírse", "ir"), ("ir", "ir"), ("verse", "er")):
        content = VERB | {"infinitive": infinitive, "conjugation_class": ending}
        assert VerbContent.model_validate(content).conjugation_class == ending


def test_a_verb_has_every_form_of_the_subjunctive() -> None:
    short = {**VERB["conjugations"], "present_subjunctive": {"yo": ["hable"]}}
    said = refusal(VerbContent, VERB, conjugations=short)
    assert "forms are missing: present_subjunctive tu, present_subjunctive el" in said
    none = refusal(VerbContent, VERB, conjugations={})
    assert "and 30 more; a verb without them is marked is_defective" in none


def test_a_defective_verb_may_lack_forms() -> None:
    assert VerbContent.model_validate(VERB | {"conjugations": {}, "is_defective": True}).is_defective


@pytest.mark.parametrize("prompt", ["Quiere que yo hable.", "Quiere que ___ y ___.", "Quiere que ____.", "a_b ___"])
def test_a_fill_blank_has_exactly_one_blank(prompt: str) -> None:
    assert "a fill_blank has exactly one ___ in its prompt" in refusal(ExerciseContent, EXERCISE, prompt=prompt)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"exercise_type": "multiple_choice", "distractors": ["habla"]}, "needs at least two distractors"),
        ({"accepted_answers": ["hable", "hable"]}, "an accepted answer stands twice"),
        ({"distractors": ["habla", "habla"]}, "a distractor stands twice"),
        ({"distractors": ["habla", "hable"]}, "a distractor is an accepted answer: hable"),
        ({"accepted_answers": []}, "at least 1 item"),
        ({"slug": "Dinner 1"}, "should match pattern"),
        ({"verb": "habla"}, "should match pattern"),
        ({"tense": "presente"}, "Input should be"),
        ({"prompt": "  "}, "at least 1 item"),
    ],
)
def test_an_exercise_with_a_fault_is_refused_in_words(changed: dict[str, Any], words: str) -> None:
    assert words in refusal(ExerciseContent, EXERCISE, **changed)


def test_the_answer_to_teach_is_the_first_accepted_one() -> None:
    content = EXERCISE | {"tense": "imperfect_subjunctive", "accepted_answers": ["hablara", "hablase"]}
    assert ExerciseContent.model_validate(content).correct_answer == "hablara"


def test_a_criterion_has_a_known_metric_and_filter() -> None:
    assert Criterion.model_validate({"metric": "accuracy", "value": 0.9}).op == ">="
    for wrong in ({"metric": "luck", "value": 1}, {"metric": "accuracy", "value": 0}):
        with pytest.raises(ValidationError):
            Criterion.model_validate(wrong)
    with pytest.raises(ValidationError, match=r"filters of accuracy: min_attempts, tense.*; not colour"):
        Criterion.model_validate({"metric": "accuracy", "value": 1, "filter": {"colour": "red"}})


@pytest.mark.parametrize(
    ("metric", "given", "said"),
    [
        ("accuracy", {"min_attempts": 2.5}, r"filter\.min_attempts: .*, not 2\.5"),
        ("accuracy", {"min_attempts": True}, r"filter\.min_attempts: .*, not True"),
        ("accuracy", {"tense": "subjuntivo"}, r"filter\.tense: .*, not 'subjuntivo'"),
        ("accuracy", {"tense": ["present_subjunctive"]}, r"filter\.tense: "),
        ("fast_correct", {"max_ms": 0}, r"filter\.max_ms: .*, not 0"),
        ("sessions", {"tense": "present_subjunctive"}, "filters of sessions: none; not tense"),
    ],
)
def test_a_filter_that_could_not_be_counted_is_refused(metric: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Criterion.model_validate({"metric": metric, "value": 1, "filter": given})


def test_the_scheduler_is_one_of_those_there_are() -> None:
    entry = ENTRY | {"name": "practice.scheduler", "value_type": "string", "min": None, "max": None}
    assert ConfigurationEntry.model_validate(entry | {"value": "sm2"}).value == "sm2"
    with pytest.raises(ValidationError, match=r"practice\.scheduler is one of sm2, fsrs, not 'anki'"):
        ConfigurationEntry.model_validate(entry | {"value": "anki"})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"value": "five"}, 'practice.daily_goal is an integer, not "five"'),
        ({"value": True}, "practice.daily_goal is an integer, not true"),
        ({"value": 5.5}, "practice.daily_goal is an integer, not 5.5"),
        ({"value_type": "boolean", "value": 1}, "practice.daily_goal is a boolean, not 1"),
        ({"value_type": "list", "value": {}}, "practice.daily_goal is a list, not {}"),
        ({"value": 0}, "practice.daily_goal is at least 1, not 0"),
        ({"value": 51}, "practice.daily_goal is at most 50, not 51"),
        ({"name": "mail.smtp_password"}, "looks like a secret"),
        ({"name": "api.access_token"}, "looks like a secret"),
        ({"name": "goal"}, "should match pattern"),
    ],
)
def test_a_configuration_value_fits_its_type_and_limits_and_is_no_secret(changed: dict[str, Any], words: str) -> None:
    assert words in refusal(ConfigurationEntry, ENTRY, **changed)


@pytest.mark.parametrize(
    ("value_type", "value"),
    [("string", "a"), ("integer", 3), ("number", 3), ("number", 3.5), ("boolean", False), ("list", []), ("object", {})],
)
def test_every_type_has_its_values(value_type: str, value: Any) -> None:
    entry = ConfigurationEntry.model_validate(ENTRY | {"value_type": value_type, "value": value, "min": None})
    assert entry.value == value
