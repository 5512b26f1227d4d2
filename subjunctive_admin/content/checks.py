"""What is wrong with content, as far as rules can tell: one small unit for each check, with its examples.

@check("double-space", Severity.WARNING, kind=ItemKind.EXERCISE, passing={...}, failing={...}, mend=...)
def double_space(exercise: Exercise, library: Library) -> Iterator[str]:
    "Two spaces in a row."

A check yields a sentence for each fault. Its docstring is its documentation and its two examples are its test:
changes to `SOUND_VERB` or `SOUND_EXERCISE` that it passes and that it finds. Pure: the standard library, the vocabulary
and the morphology; a verb or exercise is anything with the attributes below.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from subjunctive_admin.content.conjugation import NotAVerb, Paradigm, conjugate
from subjunctive_admin.content.diagnosis import normalised
from subjunctive_admin.vocabulary import (
    SUBJUNCTIVE_TENSES,
    ExerciseType,
    ItemKind,
    Person,
    Tense,
    TriggerClass,
)

BLANK = "___"
TYPED = frozenset({ExerciseType.FILL_BLANK, ExerciseType.CONJUGATION, ExerciseType.ERROR_CORRECTION})
"""Types whose answer is one form that the learner writes."""
OF_A_FORM = TYPED | {ExerciseType.MULTIPLE_CHOICE}
NEAR = 0.8
"""The share of common three-word runs from which two prompts are nearly the same (Jaccard's index)."""


SOUND_VERB: Mapping[str, Any] = {"infinitive": "hablar", "english_translation": "to speak"}
"""The verb that an example changes; its forms are those by rule."""
SOUND_EXERCISE: Mapping[str, Any] = {
    "slug": "sound",
    "scenario": "dinner",
    "verb": "hablar",
    "exercise_type": ExerciseType.FILL_BLANK,
    "tense": Tense.PRESENT_SUBJUNCTIVE,
    "person": Person.EL,
    "trigger_class": TriggerClass.WISH,
    "trigger_phrase": "Quiero que",
    "prompt": "Quiero que él ___ (hablar) más despacio con todos los amigos que vienen a cenar a casa esta noche de junio.",
    "accepted_answers": ["hable"],
    "distractors": [],
    "explanation": "Querer que takes the subjunctive.",
    "tags": [],
}
"""The exercise that an example changes."""


class Severity(StrEnum):
    """How much a finding about content matters: an error blocks approval, a warning can be dismissed."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Verb(Protocol):
    """What a check reads of a verb; forms are tense → person → accepted forms."""

    @property
    def infinitive(self) -> str: ...
    @property
    def english_translation(self) -> str: ...
    @property
    def is_defective(self) -> bool: ...
    @property
    def conjugations(self) -> Mapping[Any, Mapping[Any, Sequence[str]]]: ...
    @property
    def conjugation_overrides(self) -> Mapping[Any, Mapping[Any, Any]]: ...


class Exercise(Protocol):
    """What a check reads of an exercise."""

    @property
    def slug(self) -> str: ...
    @property
    def scenario(self) -> str: ...
    @property
    def verb(self) -> str: ...
    @property
    def exercise_type(self) -> ExerciseType: ...
    @property
    def tense(self) -> Tense: ...
    @property
    def person(self) -> Person | None: ...
    @property
    def trigger_class(self) -> TriggerClass | None: ...
    @property
    def trigger_phrase(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def accepted_answers(self) -> Sequence[str]: ...
    @property
    def distractors(self) -> Sequence[str]: ...
    @property
    def explanation(self) -> str: ...
    @property
    def tags(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Library:
    """What is checked, and what the parts of it refer to."""

    verbs: Mapping[str, Verb] = field(default_factory=dict)
    exercises: Sequence[Exercise] = ()
    scenarios: frozenset[str] = frozenset()

    def paradigm(self, infinitive: str) -> Paradigm | None:
        """The forms by rule; None for what is no infinitive."""
        if infinitive not in self._paradigms:
            try:
                self._paradigms[infinitive] = conjugate(infinitive)
            except NotAVerb:
                self._paradigms[infinitive] = None
        return self._paradigms[infinitive]

    @cached_property
    def _paradigms(self) -> dict[str, Paradigm | None]:
        return {}

    def cell(self, infinitive: str, tense: Tense, person: Person | None) -> tuple[str, ...]:
        """The accepted forms of a cell: as stored, which an editor decides, else by rule."""
        if person is None:
            return ()
        stored = self.verbs[infinitive].conjugations.get(tense, {}).get(person) if infinitive in self.verbs else None
        if stored:
            return tuple(stored)
        paradigm = self.paradigm(infinitive)
        return () if paradigm is None else paradigm.accepted(tense, person)

    def all_forms(self, infinitive: str) -> frozenset[str]:
        """Every form of a verb, stored or by rule, with its pronoun and without."""
        if infinitive not in self._all_forms:
            tables: list[Mapping[Any, Mapping[Any, Sequence[str]]]] = []
            if infinitive in self.verbs:
                tables.append(self.verbs[infinitive].conjugations)
            if paradigm := self.paradigm(infinitive):
                tables.append(paradigm.forms())
            forms = {
                form for table in tables for persons in table.values() for some in persons.values() for form in some
            }
            self._all_forms[infinitive] = frozenset(forms | set(map(bare, forms)) | {infinitive})
        return self._all_forms[infinitive]

    @cached_property
    def _all_forms(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def prompts(self) -> Mapping[tuple[str, str], str]:
        """The first exercise that asks each prompt, by what identifies one."""
        first: dict[tuple[str, str], str] = {}
        for exercise in self.exercises:
            first.setdefault(_asked(exercise), exercise.slug)
        return first

    @cached_property
    def runs(self) -> Mapping[str, frozenset[tuple[str, ...]]]:
        """The three-word runs of each exercise's prompt, and the exercises that come before it with any of them."""
        return {exercise.slug: _runs(exercise) for exercise in self.exercises}

    @cached_property
    def with_run(self) -> Mapping[tuple[str, ...], list[str]]:
        """The exercises that have a run, in their order."""
        found: dict[tuple[str, ...], list[str]] = {}
        for slug, runs in self.runs.items():
            for run in runs:
                found.setdefault(run, []).append(slug)
        return found

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Where each exercise stands."""
        return {exercise.slug: number for number, exercise in enumerate(self.exercises)}


Look = Callable[[Any, Library], Iterator[str]]
Mend = Callable[[Any, Library], Mapping[str, Any]]


@dataclass(frozen=True)
class Check:
    """One rule; `mend` gives the fields as they should be, where a machine can tell."""

    id: str
    severity: Severity
    kind: ItemKind
    title: str
    look: Look
    passing: Mapping[str, Any]
    failing: Mapping[str, Any]
    mend: Mend | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one item; `mended` are the fields that a fix would write."""

    check: str
    severity: Severity
    kind: ItemKind
    key: str
    message: str
    mended: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {
            "check": self.check, "severity": self.severity.value, "kind": self.kind.value, "key": self.key,
            "message": self.message, "mended": self.mended,
        }  # fmt: skip


CHECKS: dict[str, Check] = {}
"""Every check by its id, in the order of declaration."""


def check(
    id: str,  # noqa: A002 - the field's word
    severity: Severity,
    kind: ItemKind,
    *,
    passing: Mapping[str, Any],
    failing: Mapping[str, Any],
    mend: Mend | None = None,
) -> Callable[[Look], Look]:
    """Declare a check; its docstring is its title."""

    def declare(look: Look) -> Look:
        if id in CHECKS:
            raise ValueError(f"There are two content checks named {id}.")
        CHECKS[id] = Check(id, severity, kind, (look.__doc__ or "").strip(), look, passing, failing, mend)
        return look

    return declare


def run_checks(library: Library, only: Iterable[str] | None = None) -> list[Finding]:
    """Every fault of the library, verbs first, in the order of the items and of the checks; one row a fault.

    Raises KeyError for the id of a check that there is none of.
    """
    chosen = list(CHECKS.values()) if only is None else [CHECKS[name] for name in only]
    items: list[tuple[ItemKind, str, Any]] = [(ItemKind.VERB, key, verb) for key, verb in library.verbs.items()]
    items += [(ItemKind.EXERCISE, exercise.slug, exercise) for exercise in library.exercises]
    return [found for kind, key, item in items for found in _findings(chosen, kind, key, item, library)]


def check_exercise(exercise: Exercise, library: Library) -> list[Finding]:
    """Every fault of one exercise of a library, in the order of the checks."""
    return list(_findings(CHECKS.values(), ItemKind.EXERCISE, exercise.slug, exercise, library))


def _findings(chosen: Iterable[Check], kind: ItemKind, key: str, item: Any, library: Library) -> Iterator[Finding]:
    for one in chosen:
        if one.kind is kind:
            for message in one.look(item, library):
                yield Finding(one.id, one.severity, kind, key, message, one.mend(item, library) if one.mend else None)


# Verbs

_VERB, _EXERCISE = ItemKind.VERB, ItemKind.EXERCISE
_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_PRESENT: dict[str, Any] = {"yo": ["hable"], "tu": ["hables"], "el": ["hable"]}


def _each_form(verb: Verb) -> Iterator[tuple[Tense, Person, str]]:
    for tense, persons in verb.conjugations.items():
        for person, forms in persons.items():
            for form in forms:
                yield Tense(tense), Person(person), form


def _composed(verb: Verb, _: Library) -> Mapping[str, Any]:
    return {
        "conjugations": {
            tense: {person: [unicodedata.normalize("NFC", form) for form in forms] for person, forms in persons.items()}
            for tense, persons in verb.conjugations.items()
        }
    }


@check("form-missing", _E, _VERB, passing={}, failing={"conjugations": {"present_subjunctive": _PRESENT}})
def form_missing(verb: Verb, library: Library) -> Iterator[str]:
    """A form of the subjunctive that the verb has is not stored."""
    paradigm = library.paradigm(verb.infinitive)
    if paradigm is None:
        return
    missing = [
        f"{tense} {person}"
        for tense in SUBJUNCTIVE_TENSES
        for person in Person
        if paradigm.accepted(tense, person) and not verb.conjugations.get(tense, {}).get(person)
    ]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        yield f"{', '.join(missing[:3])}{more} have no form."


@check(
    "form-not-nfc",
    _E,
    _VERB,
    passing={},
    failing={"conjugations": {"present_subjunctive": {"vosotros": [unicodedata.normalize("NFD", "habléis")]}}},
    mend=_composed,
)
def form_not_nfc(verb: Verb, _: Library) -> Iterator[str]:
    """An accent is stored apart from its letter."""
    for tense, person, form in _each_form(verb):
        if not unicodedata.is_normalized("NFC", form):
            yield f"{tense} {person}: the accents of {unicodedata.normalize('NFC', form)} are stored apart."


_LETTERS = re.compile(r"[a-záéíóúüñ ]+")


@check(
    "form-alphabet",
    _E,
    _VERB,
    passing={},
    failing={"conjugations": {"present_subjunctive": {"yo": ["hâble"]}}},
)
def form_alphabet(verb: Verb, _: Library) -> Iterator[str]:
    """A form holds a letter that Spanish does not have."""
    for tense, person, form in _each_form(verb):
        if not _LETTERS.fullmatch(unicodedata.normalize("NFC", form)):
            yield f"{tense} {person}: {form!r} is not written in the letters of Spanish."


def _overridden(verb: Verb, tense: Tense, person: Person) -> bool:
    return person in verb.conjugation_overrides.get(tense, {})


def _unlike_rule(verb: Verb, library: Library) -> Iterator[tuple[Tense, Person, list[str], tuple[str, ...]]]:
    paradigm = library.paradigm(verb.infinitive)
    if paradigm is None:
        return
    for tense, persons in verb.conjugations.items():
        for person, forms in persons.items():
            by_rule = paradigm.accepted(Tense(tense), Person(person))
            if list(forms) != list(by_rule):
                yield Tense(tense), Person(person), list(forms), by_rule


@check(
    "form-stale",
    _E,
    _VERB,
    passing={},
    failing={"conjugations": {"present_subjunctive": {"yo": ["habla"]}}},
)
def form_stale(verb: Verb, library: Library) -> Iterator[str]:
    """A stored form is not what the rules give, and no editor said that it should differ."""
    for tense, person, forms, by_rule in _unlike_rule(verb, library):
        if not _overridden(verb, tense, person):
            yield f"{tense} {person}: {_listed(forms)} is stored, {_listed(by_rule)} by rule."


@check(
    "form-differs-from-rule",
    _W,
    _VERB,
    passing={},
    failing={
        "conjugations": {"present_subjunctive": {"yo": ["hablara"]}},
        "conjugation_overrides": {"present_subjunctive": {"yo": {"forms": ["hablara"], "note": "why"}}},
    },
)
def form_differs_from_rule(verb: Verb, library: Library) -> Iterator[str]:
    """An editor's form differs from what the rules give."""
    for tense, person, forms, by_rule in _unlike_rule(verb, library):
        if _overridden(verb, tense, person):
            yield f"{tense} {person}: {_listed(forms)} by an editor, {_listed(by_rule)} by rule."


@check(
    "ra-se-mismatch",
    _E,
    _VERB,
    passing={},
    failing={"conjugations": {"imperfect_subjunctive": {"yo": ["hablara", "hablese"]}}},
)
def ra_se_mismatch(verb: Verb, _: Library) -> Iterator[str]:
    """An imperfect in -ra without its twin in -se, or the other way round."""
    for person, forms in verb.conjugations.get(Tense.IMPERFECT_SUBJUNCTIVE, {}).items():
        twins = {re.sub(r"ra(s|mos|is|n)?$", r"se\1", form) for form in forms if re.search(r"ra(s|mos|is|n)?$", form)}
        others = {form for form in forms if re.search(r"se(s|mos|is|n)?$", form)}
        if twins != others:
            yield f"{person}: {_listed(forms)} are no pairs of -ra and -se."


@check(
    "nosotros-accent",
    _E,
    _VERB,
    passing={},
    failing={"conjugations": {"imperfect_subjunctive": {"nosotros": ["hablaramos", "hablásemos"]}}},
)
def nosotros_accent(verb: Verb, _: Library) -> Iterator[str]:
    """The imperfect of nosotros is stressed three syllables from the end and always has an accent."""
    for form in verb.conjugations.get(Tense.IMPERFECT_SUBJUNCTIVE, {}).get(Person.NOSOTROS, ()):
        if not re.search(r"[áé](ramos|semos)$", unicodedata.normalize("NFC", form)):
            yield f"{form} has no accent before its ending."


@check("translation-missing", _W, _VERB, passing={}, failing={"english_translation": "speak"})
def translation_missing(verb: Verb, _: Library) -> Iterator[str]:
    """The English translation is missing, or is no infinitive with to."""
    if not verb.english_translation.strip():
        yield "There is no English translation."
    elif not verb.english_translation.startswith("to "):
        yield f"The translation “{verb.english_translation}” does not begin with to."


# Exercises


def bare(form: str) -> str:
    """A form without the pronoun in front of it."""
    head, _, rest = form.partition(" ")
    return rest if head in {"me", "te", "se", "nos", "os"} and rest else form


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", normalised(text))


def _spanish(exercise: Exercise) -> str:
    """The prompt without the English that stands in its quotation marks."""
    return re.sub(r"“[^”]*”", "", exercise.prompt)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "no form"


def _forms(exercise: Exercise, library: Library) -> set[str]:
    cell = library.cell(exercise.verb, exercise.tense, exercise.person)
    return set(cell) | {bare(form) for form in cell}


@check(
    "answer-not-a-form",
    _E,
    _EXERCISE,
    passing={"accepted_answers": ["hable"]},
    failing={"accepted_answers": ["hables"]},
)
def answer_not_a_form(exercise: Exercise, library: Library) -> Iterator[str]:
    """An accepted answer is no form of the verb in the tense and person that are asked for."""
    if exercise.exercise_type not in OF_A_FORM or exercise.person is None:
        return
    forms = _forms(exercise, library)
    for answer in exercise.accepted_answers:
        if normalised(answer) not in forms:
            yield f"{answer} is not the {exercise.tense} {exercise.person} of {exercise.verb}."


@check(
    "answer-in-prompt",
    _E,
    _EXERCISE,
    passing={},
    failing={"prompt": "Quiero que él ___ y hable más."},
)
def answer_in_prompt(exercise: Exercise, _: Library) -> Iterator[str]:
    """The prompt gives the answer away."""
    if exercise.exercise_type is ExerciseType.TRIGGER_IDENTIFICATION:
        return
    asked = f" {' '.join(_words(exercise.prompt))} "
    for answer in exercise.accepted_answers:
        if f" {' '.join(_words(answer))} " in asked:
            yield f"{answer} stands in the prompt."


@check("blank-count", _E, _EXERCISE, passing={}, failing={"prompt": "Quiero que él ___ y ___ más."})
def blank_count(exercise: Exercise, _: Library) -> Iterator[str]:
    """A sentence to fill in has exactly one blank."""
    if exercise.exercise_type in {ExerciseType.FILL_BLANK, ExerciseType.MULTIPLE_CHOICE}:
        count = exercise.prompt.count(BLANK)
        if count != 1:
            yield f"The prompt has {count} blanks."


def _variants(exercise: Exercise, library: Library) -> list[str]:
    cell = library.cell(exercise.verb, exercise.tense, exercise.person)
    # Where the pronoun stands in the prompt, the answers are without it.
    if cell and not any(form in exercise.accepted_answers for form in cell):
        cell = tuple(map(bare, cell))
    given = set(map(normalised, exercise.accepted_answers))
    return [form for form in cell if form not in given] if given & set(cell) else []


def _with_variants(exercise: Exercise, library: Library) -> Mapping[str, Any]:
    return {"accepted_answers": [*exercise.accepted_answers, *_variants(exercise, library)]}


@check(
    "alternative-missing",
    _W,
    _EXERCISE,
    passing={"tense": Tense.IMPERFECT_SUBJUNCTIVE, "accepted_answers": ["hablara", "hablase"]},
    failing={"tense": Tense.IMPERFECT_SUBJUNCTIVE, "accepted_answers": ["hablara"]},
    mend=_with_variants,
)
def alternative_missing(exercise: Exercise, library: Library) -> Iterator[str]:
    """Another form is as right, and would be refused."""
    if exercise.exercise_type in TYPED and (missing := _variants(exercise, library)):
        yield f"{_listed(missing)} would be refused."


_CHOICE: dict[str, Any] = {"exercise_type": ExerciseType.MULTIPLE_CHOICE}


@check(
    "distractor-is-correct",
    _E,
    _EXERCISE,
    passing=_CHOICE | {"distractors": ["habla", "hablas"]},
    failing=_CHOICE
    | {"tense": Tense.IMPERFECT_SUBJUNCTIVE, "accepted_answers": ["hablara"], "distractors": ["hablase", "habla"]},
)
def distractor_is_correct(exercise: Exercise, library: Library) -> Iterator[str]:
    """A wrong option is right."""
    right = _forms(exercise, library) | set(map(normalised, exercise.accepted_answers))
    for distractor in exercise.distractors:
        if normalised(distractor) in right:
            yield f"{distractor} is a right answer."


@check(
    "distractor-duplicate",
    _E,
    _EXERCISE,
    passing=_CHOICE | {"distractors": ["habla", "hablas"]},
    failing=_CHOICE | {"distractors": ["habla", "Habla"]},
)
def distractor_duplicate(exercise: Exercise, _: Library) -> Iterator[str]:
    """Two wrong options are the same."""
    seen: set[str] = set()
    for distractor in exercise.distractors:
        if normalised(distractor) in seen:
            yield f"{distractor} stands twice."
        seen.add(normalised(distractor))


@check(
    "distractor-not-a-form",
    _W,
    _EXERCISE,
    passing=_CHOICE | {"distractors": ["habla", "hablas"]},
    failing=_CHOICE | {"distractors": ["habla", "mesa"]},
)
def distractor_not_a_form(exercise: Exercise, library: Library) -> Iterator[str]:
    """A wrong option is no form of the verb: nobody is tempted, and nothing is learnt from it."""
    if exercise.exercise_type is not ExerciseType.MULTIPLE_CHOICE:
        return
    forms = library.all_forms(exercise.verb)
    for distractor in exercise.distractors:
        if normalised(distractor) not in forms:
            yield f"{distractor} is no form of {exercise.verb}."


@check("trigger-not-in-prompt", _W, _EXERCISE, passing={}, failing={"trigger_phrase": "Ojalá"})
def trigger_not_in_prompt(exercise: Exercise, _: Library) -> Iterator[str]:
    """The words that ask for the mood are not in the prompt."""
    asked = f" {' '.join(_words(exercise.prompt))} "
    if exercise.trigger_phrase and f" {' '.join(_words(exercise.trigger_phrase))} " not in asked:
        yield f"“{exercise.trigger_phrase}” is not in the prompt."


_SUBJUNCTIVE_ONLY = frozenset({TriggerClass.OJALA, TriggerClass.PURPOSE_CONDITION, TriggerClass.WISH})


@check(
    "mood-not-licensed",
    _W,
    _EXERCISE,
    passing={},
    failing={"tense": Tense.PRESENT_INDICATIVE, "accepted_answers": ["habla"], "trigger_class": TriggerClass.OJALA},
)
def mood_not_licensed(exercise: Exercise, _: Library) -> Iterator[str]:
    """A trigger that always takes the subjunctive is answered in another mood."""
    if exercise.trigger_class in _SUBJUNCTIVE_ONLY and exercise.tense not in SUBJUNCTIVE_TENSES:
        yield f"{exercise.trigger_class} takes the subjunctive; the answer is in the {exercise.tense}."


# Endings of the past and the conditional in the verb that governs: quería, pidió, esperaban, gustaría.
_GOVERNED_BY_PAST = re.compile(r"\b\w+(?:aba|aban|ía|ían|ió|ieron|aron)\b")


@check(
    "tense-sequence",
    _I,
    _EXERCISE,
    passing={},
    failing={"trigger_phrase": "Quería que", "prompt": "Quería que él ___ más."},
)
def tense_sequence(exercise: Exercise, _: Library) -> Iterator[str]:
    """A main clause in the past with a present subjunctive: good Spanish where it still holds, else a slip."""
    present = {Tense.PRESENT_SUBJUNCTIVE, Tense.PRESENT_PERFECT_SUBJUNCTIVE}
    if exercise.tense in present and _GOVERNED_BY_PAST.search(exercise.trigger_phrase.lower()):
        yield f"“{exercise.trigger_phrase}” is past; the answer is in the {exercise.tense}."


@check(
    "si-present-subjunctive",
    _E,
    _EXERCISE,
    passing={},
    failing={"trigger_class": TriggerClass.CONDITIONAL, "trigger_phrase": "Si", "prompt": "Si él ___ más, iremos."},
)
def si_present_subjunctive(exercise: Exercise, _: Library) -> Iterator[str]:
    """Conditional si never takes the present subjunctive."""
    if exercise.trigger_class is TriggerClass.CONDITIONAL and exercise.tense in {
        Tense.PRESENT_SUBJUNCTIVE,
        Tense.PRESENT_PERFECT_SUBJUNCTIVE,
    }:
        yield f"A condition is answered in the {exercise.tense}."


def _opened(text: str) -> str:
    """The text with ¿ and ¡ at the start of each sentence that ends in ? and !."""
    parts = re.split(r"(?<=[.!?…:;])(\s+)", text)
    for number, part in enumerate(parts):
        for opening, closing in (("¿", "?"), ("¡", "!")):
            if part.count(closing) > part.count(opening):
                parts[number] = opening + part
    return "".join(parts)


def _with_openings(exercise: Exercise, _: Library) -> Mapping[str, Any]:
    return {"prompt": _opened(exercise.prompt)}


@check(
    "inverted-punctuation",
    _W,
    _EXERCISE,
    passing={"prompt": "¿Quiere que él ___ más?"},
    failing={"prompt": "Quiere que él ___ más?"},
    mend=_with_openings,
)
def inverted_punctuation(exercise: Exercise, _: Library) -> Iterator[str]:
    """A Spanish question or exclamation is not opened by ¿ or ¡."""
    text = _spanish(exercise)
    for opening, closing in (("¿", "?"), ("¡", "!")):
        if text.count(opening) != text.count(closing):
            yield f"{text.count(opening)} {opening} and {text.count(closing)} {closing} in the prompt."


def _single_spaced(exercise: Exercise, _: Library) -> Mapping[str, Any]:
    return {"prompt": " ".join(exercise.prompt.split())}


@check(
    "double-space",
    _W,
    _EXERCISE,
    passing={},
    failing={"prompt": "Quiero que él  ___ más."},
    mend=_single_spaced,
)
def double_space(exercise: Exercise, _: Library) -> Iterator[str]:
    """Two spaces in a row."""
    if "  " in exercise.prompt:
        yield "The prompt has two spaces in a row."


@check("explanation-missing", _W, _EXERCISE, passing={}, failing={"explanation": " "})
def explanation_missing(exercise: Exercise, _: Library) -> Iterator[str]:
    """Nothing tells a learner why."""
    if not exercise.explanation.strip():
        yield "There is no explanation."


_FIRST_PERSON = frozenset({"yo", "me", "mi", "mis", "mí", "conmigo", "mío", "mía", "míos", "mías"})


@check(
    "person-ambiguous",
    _W,
    _EXERCISE,
    passing={"person": Person.YO, "prompt": "Quiere que (yo) ___ más."},
    failing={"person": Person.YO, "prompt": "Quiere que ___ más."},
)
def person_ambiguous(exercise: Exercise, library: Library) -> Iterator[str]:
    """The form of yo is also that of él, and nothing in the prompt says which is meant."""
    if exercise.person is not Person.YO or exercise.exercise_type not in OF_A_FORM - {ExerciseType.CONJUGATION}:
        return
    mine, theirs = (library.cell(exercise.verb, exercise.tense, person) for person in (Person.YO, Person.EL))
    if set(mine) & set(theirs) and not _FIRST_PERSON & set(_words(exercise.prompt)):
        yield f"{mine[0]} may be yo or él; the prompt names neither."


def _asked(exercise: Exercise) -> tuple[str, str]:
    return normalised(exercise.prompt), exercise.exercise_type


@check("duplicate-prompt", _E, _EXERCISE, passing={"slug": "other", "prompt": "Otra ___."}, failing={"slug": "again"})
def duplicate_prompt(exercise: Exercise, library: Library) -> Iterator[str]:
    """Another exercise asks the same."""
    first = library.prompts.get(_asked(exercise), exercise.slug)
    if first != exercise.slug:
        yield f"{first} asks the same."


def _runs(exercise: Exercise) -> frozenset[tuple[str, ...]]:
    words = _words(exercise.prompt)
    return frozenset(zip(words, words[1:], words[2:], strict=False))


@check(
    "near-duplicate",
    _W,
    _EXERCISE,
    passing={"slug": "other", "prompt": "Ojalá que en la fiesta del sábado ___ todos con la abuela."},
    failing={
        "slug": "again",
        "prompt": "Quiero que él ___ (hablar) más despacio con todos los amigos que vienen a cenar a casa esta noche de julio.",
    },
)
def near_duplicate(exercise: Exercise, library: Library) -> Iterator[str]:
    """Another exercise asks nearly the same."""
    mine = _runs(exercise)
    if len(mine) < 5:
        return
    here = library.position.get(exercise.slug, len(library.exercises))
    seen = {slug for run in mine for slug in library.with_run.get(run, ()) if library.position[slug] < here}
    for slug in sorted(seen, key=library.position.__getitem__):
        theirs = library.runs[slug]
        other = library.exercises[library.position[slug]]
        if len(mine & theirs) >= NEAR * len(mine | theirs) and _asked(other) != _asked(exercise):
            yield f"{slug} asks nearly the same."


@check("no-scenario", _W, _EXERCISE, passing={}, failing={"scenario": "nowhere"})
def no_scenario(exercise: Exercise, library: Library) -> Iterator[str]:
    """The exercise belongs to no scenario that there is."""
    if exercise.scenario not in library.scenarios:
        yield f"There is no scenario {exercise.scenario}."
