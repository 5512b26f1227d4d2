"""The shipped seeds: enough of everything, composed text, and every answer agreeing with the forms of its verb."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import pytest

from subjunctive_admin.content.checks import bare
from subjunctive_admin.content.coverage import counts
from subjunctive_admin.seeding import SeedItem, coverage_targets, library_of, read_seeds
from subjunctive_admin.structures import (
    BLANK,
    AchievementContent,
    ConfigurationEntry,
    Content,
    ExerciseContent,
    ScenarioContent,
    VerbContent,
)
from subjunctive_admin.vocabulary import (
    LEARNT_TENSES,
    SUBJUNCTIVE_TENSES,
    AchievementCategory,
    ContentStatus,
    DifficultyLevel,
    ExerciseType,
    Person,
    ScenarioContext,
    Tier,
    TriggerClass,
    VerbType,
)

C = TypeVar("C", bound=Content)
FORM_TYPES = (ExerciseType.FILL_BLANK, ExerciseType.MULTIPLE_CHOICE, ExerciseType.CONJUGATION)
CORE = ("cena-familiar", "consulta-medica", "planear-un-viaje", "entrevista-de-trabajo", "fiestas-del-pueblo")
SCENARIOS = (*CORE, "en-casa", "en-la-universidad", "noticias-y-sociedad")

# The core of the library. Written down from a grammar, not from the seeds: yo and nosotros of the present, yo of the imperfect, participle.
# Every other form of the subjunctive follows from these four.
PRINCIPAL_PARTS = {
    "buscar": ("busque", "busquemos", "buscara", "buscado"),
    "comer": ("coma", "comamos", "comiera", "comido"),
    "dormir": ("duerma", "durmamos", "durmiera", "dormido"),
    "estar": ("esté", "estemos", "estuviera", "estado"),
    "hablar": ("hable", "hablemos", "hablara", "hablado"),
    "hacer": ("haga", "hagamos", "hiciera", "hecho"),
    "ir": ("vaya", "vayamos", "fuera", "ido"),
    "poder": ("pueda", "podamos", "pudiera", "podido"),
    "querer": ("quiera", "queramos", "quisiera", "querido"),
    "ser": ("sea", "seamos", "fuera", "sido"),
    "tener": ("tenga", "tengamos", "tuviera", "tenido"),
    "vivir": ("viva", "vivamos", "viviera", "vivido"),
}
ENDINGS = {"yo": "{}", "tu": "{}s", "el": "{}", "nosotros": "{}mos", "vosotros": "{}is", "ellos": "{}n"}
ACUTE = str.maketrans("ae", "áé")


@cache
def items() -> tuple[SeedItem, ...]:
    return tuple(read_seeds())


def all_of(cls: type[C]) -> list[C]:
    return [item.content for item in items() if isinstance(item.content, cls)]


def verbs() -> dict[str, VerbContent]:
    return {verb.infinitive: verb for verb in all_of(VerbContent)}


def by_key(content: Content) -> str:
    return content.key


def past_forms(first: str) -> dict[str, str]:
    """Imperfect or future from its first person: hablara → habláramos, hablarais."""
    stressed = first[:-3] + first[-3:-2].translate(ACUTE) + first[-2:]
    return {p: (stressed if p == "nosotros" else first).join(ending.split("{}")) for p, ending in ENDINGS.items()}


def present_forms(first: str, plural: str) -> dict[str, str]:
    """Present from yo and nosotros: duerma, durmamos → durmáis, duerman."""
    stressed = plural.removesuffix("mos")[:-1] + plural.removesuffix("mos")[-1].translate(ACUTE)
    stems = {"nosotros": plural.removesuffix("mos"), "vosotros": stressed}
    return {p: stems.get(p, first).join(ending.split("{}")) for p, ending in ENDINGS.items()}


def subjunctive(infinitive: str) -> dict[str, dict[str, list[str]]]:
    """The six tenses, as the grammar derives them."""
    first, plural, past, participle = PRINCIPAL_PARTS[infinitive]

    def tense(*series: dict[str, str]) -> dict[str, list[str]]:
        return {person: [forms[person] for forms in series] for person in ENDINGS}

    def simple(imperfect: str) -> list[dict[str, str]]:
        return [past_forms(imperfect), past_forms(imperfect.removesuffix("ra") + "se")]

    def future(imperfect: str) -> dict[str, str]:
        return past_forms(imperfect.removesuffix("ra") + "re")

    def perfect(*series: dict[str, str]) -> dict[str, list[str]]:
        return tense(*({p: f"{form} {participle}" for p, form in forms.items()} for forms in series))

    return {
        "present_subjunctive": tense(present_forms(first, plural)),
        "imperfect_subjunctive": tense(*simple(past)),
        "future_subjunctive": tense(future(past)),
        "present_perfect_subjunctive": perfect(present_forms("haya", "hayamos")),
        "pluperfect_subjunctive": perfect(*simple("hubiera")),
        "future_perfect_subjunctive": perfect(future("hubiera")),
    }


def words(text: str) -> str:
    """The words in lower case with single spaces between and around them."""
    return f" {' '.join(''.join(c if c.isalpha() else ' ' for c in text.lower()).split())} "


def strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield from strings([key, inner])
        case list():
            for inner in value:
                yield from strings(inner)


# Verbs.


def test_the_verbs_cover_every_type_class_and_level() -> None:
    assert set(verbs()) > set(PRINCIPAL_PARTS)
    assert {verb.verb_type for verb in verbs().values()} == set(VerbType)
    assert {verb.difficulty_level for verb in verbs().values()} == set(DifficultyLevel)
    assert {verb.conjugation_class for verb in verbs().values()} == {"ar", "er", "ir"}
    assert len({verb.frequency_rank for verb in verbs().values()} - {None}) == len(verbs())


@pytest.mark.parametrize("verb", [v for v in all_of(VerbContent) if v.infinitive in PRINCIPAL_PARTS], ids=by_key)
def test_every_form_of_the_subjunctive_is_the_one_that_the_grammar_derives(verb: VerbContent) -> None:
    stored = verb.payload()["conjugations"]
    assert {tense: stored[tense] for tense in SUBJUNCTIVE_TENSES} == subjunctive(verb.infinitive)
    assert verb.past_participle == PRINCIPAL_PARTS[verb.infinitive][3]


@pytest.mark.parametrize("verb", all_of(VerbContent), ids=by_key)
def test_sentences_show_the_verb_in_the_subjunctive(verb: VerbContent) -> None:
    forms = {bare(form) for tense in SUBJUNCTIVE_TENSES for cell in verb.conjugations[tense].values() for form in cell}
    shown = [s for s in verb.example_sentences if any(words(form) in words(s.es) for form in forms)]
    assert len(verb.example_sentences) >= 3
    assert len(shown) >= 2
    assert verb.usage_notes


# Scenarios and their exercises.


def test_the_scenarios_play_in_all_three_contexts_in_an_order_of_their_own() -> None:
    scenarios = sorted(all_of(ScenarioContent), key=lambda scenario: scenario.position)
    assert sorted(scenario.slug for scenario in scenarios) == sorted(SCENARIOS)
    assert {scenario.context for scenario in scenarios} == set(ScenarioContext)
    assert len({scenario.position for scenario in scenarios}) == len(SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_has_a_dozen_exercises_and_two_that_contrast_the_indicative(scenario: str) -> None:
    exercises = [e for e in all_of(ExerciseContent) if e.scenario == scenario]
    assert len(exercises) >= 12
    assert sum(e.tense.endswith("_indicative") for e in exercises) >= 2
    assert len({e.exercise_type for e in exercises}) >= 4
    assert sorted(e.position for e in exercises) == list(range(1, len(exercises) + 1))


def test_the_library_has_what_its_coverage_asks_for() -> None:
    found = counts(library_of(item.content for item in items()), coverage_targets())
    assert [(count.what, count.found, count.wanted) for count in found if not count.is_met] == []
    assert len(found) > 300


def test_a_smaller_library_falls_short() -> None:
    some = [item.content for item in items() if getattr(item.content, "scenario", "en-casa") == "en-casa"]
    short = {count.what for count in counts(library_of(some), coverage_targets()) if not count.is_met}
    assert {"exercises", "contrast", "scenario cena-familiar", "present_subjunctive × wish"} <= short


def test_the_exercises_spread_over_types_persons_triggers_levels_tenses_and_verbs() -> None:
    exercises = all_of(ExerciseContent)
    assert {e.exercise_type for e in exercises} == set(ExerciseType)
    assert {e.person for e in exercises} >= set(Person)
    assert {e.trigger_class for e in exercises} >= set(TriggerClass)
    assert {e.difficulty_level for e in exercises} == set(DifficultyLevel)
    assert {e.tense for e in exercises} >= set(SUBJUNCTIVE_TENSES)
    assert {e.verb for e in exercises} == set(verbs())
    tenses = Counter(e.tense for e in exercises)
    assert all(tenses[tense] >= 10 for tense in LEARNT_TENSES)
    # No single verb or person is most of the course.
    assert max(Counter(e.verb for e in exercises).values()) < len(exercises) / 4
    assert max(Counter(e.person for e in exercises).values()) < len(exercises) / 2


@pytest.mark.parametrize("exercise", all_of(ExerciseContent), ids=by_key)
def test_an_exercise_agrees_with_itself_and_with_its_verb(exercise: ExerciseContent) -> None:
    asked = words(exercise.prompt)
    if exercise.exercise_type in FORM_TYPES:
        assert exercise.person is not None
        assert exercise.accepted_answers == verbs()[exercise.verb].conjugations[exercise.tense][exercise.person]
    assert words(exercise.trigger_phrase).strip() in asked
    given_away = [answer for answer in exercise.accepted_answers if words(answer) in asked]
    # Who looks for the trigger is asked to find it in the prompt.
    looks_for_it = exercise.exercise_type is ExerciseType.TRIGGER_IDENTIFICATION
    assert given_away == (exercise.accepted_answers if looks_for_it else [])


@pytest.mark.parametrize("exercise", [e for e in all_of(ExerciseContent) if e.distractors], ids=by_key)
def test_a_distractor_is_a_form_that_is_wrong_here(exercise: ExerciseContent) -> None:
    assert exercise.exercise_type is ExerciseType.MULTIPLE_CHOICE
    assert not {d.casefold() for d in exercise.distractors} & {a.casefold() for a in exercise.accepted_answers}
    assert BLANK in exercise.prompt


def test_no_prompt_stands_twice_and_no_explanation_is_missing() -> None:
    prompts = Counter(words(e.prompt) for e in all_of(ExerciseContent))
    assert [prompt for prompt, count in prompts.items() if count > 1] == []
    assert all(len(e.explanation) > 20 for e in all_of(ExerciseContent))


# The rest.


def test_ten_achievements_cover_every_category_and_tier() -> None:
    achievements = all_of(AchievementContent)
    assert len(achievements) == 10
    assert {a.category for a in achievements} == set(AchievementCategory)
    assert {a.tier for a in achievements} == set(Tier)
    assert len({a.name for a in achievements}) == 10


def test_the_configuration_has_its_entries_with_limits_where_they_are_numbers() -> None:
    entries = all_of(ConfigurationEntry)
    assert {e.name.split(".")[0] for e in entries} == {"application", "practice", "feedback", "analytics", "editorial"}
    assert all((e.min is not None and e.max is not None) == (e.value_type in ("integer", "number")) for e in entries)


def test_every_text_is_composed_and_has_no_stray_spaces() -> None:
    for item in items():
        for value in strings(item.content.payload()):
            assert unicodedata.is_normalized("NFC", value), (item.name, value)
            assert "  " not in value, (item.name, value)
            assert "\u00a0" not in value, (item.name, value)


def test_everything_is_published() -> None:
    assert {getattr(item.content, "status", ContentStatus.PUBLISHED) for item in items()} == {ContentStatus.PUBLISHED}
