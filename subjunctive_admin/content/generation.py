"""Exercises made from sentence frames: pure, the same for a seed, and none rather than one that makes no sense.

A *frame* is a main clause with its trigger: which tenses it licenses, who may stand in the clause, and whether that
clause is something one does (*Quiero que…* asks for an act) or anything that is the case (*Me alegra que…*). A
*predicate* is a verb with what follows it, in Spanish and English, and of which sort it is. Every frame goes with
every predicate of its sort, in the tenses that it licenses; nothing else is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

from subjunctive_admin.content.conjugation import Paradigm, conjugate
from subjunctive_admin.content.diagnosis import SPANISH_NAMES, diagnose
from subjunctive_admin.vocabulary import (
    SUBJUNCTIVE_TENSES,
    DifficultyLevel,
    ErrorKind,
    ExerciseType,
    Person,
    Tense,
    TriggerClass,
)


class Sort(StrEnum):
    """What a predicate says: an act that one may ask for, a state, an event without a person, or what nobody wants."""

    ACT = "act"
    STATE = "state"
    EVENT = "event"
    MISHAP = "mishap"


@dataclass(frozen=True, slots=True)
class Frame:
    """A main clause with its trigger; `{clause}` in the texts is where the clause goes.

    `english` takes the base form ("I recommend that {clause}") or is empty where English has no such form. A frame
    with `speaker` has that person as its subject, which the clause then does not have: *quiero que yo* is no Spanish.
    """

    id: str
    trigger: str
    trigger_class: TriggerClass
    tenses: tuple[Tense, ...]
    sorts: frozenset[Sort]
    spanish: str
    english: str = ""
    speaker: Person | None = None
    difficulty: DifficultyLevel = DifficultyLevel.INTERMEDIATE


@dataclass(frozen=True, slots=True)
class Predicate:
    """A verb with what follows it: *comer* · *más fruta* · *eat more fruit*."""

    infinitive: str
    sort: Sort
    complement: str = ""
    english: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """An exercise as it was made; `kinds` says which error each distractor stands for, in their order."""

    frame: str
    verb: str
    exercise_type: ExerciseType
    tense: Tense
    person: Person
    trigger_class: TriggerClass | None
    trigger_phrase: str
    difficulty_level: DifficultyLevel
    prompt: str
    accepted_answers: tuple[str, ...]
    explanation: str
    distractors: tuple[str, ...] = ()
    kinds: tuple[ErrorKind, ...] = field(default=())


class NothingToMake(ValueError):
    """No frame goes with any predicate in what was asked for."""


_PRESENT = (Tense.PRESENT_SUBJUNCTIVE, Tense.PRESENT_PERFECT_SUBJUNCTIVE)
_PAST = (Tense.IMPERFECT_SUBJUNCTIVE, Tense.PLUPERFECT_SUBJUNCTIVE)
_ACT, _ANY = frozenset({Sort.ACT}), frozenset(Sort)
_WELCOME = _ANY - {Sort.MISHAP}
_B, _M, _A, _X = DifficultyLevel


def _frame(
    id: str,  # noqa: A002 - the field's word
    spanish: str,
    trigger_class: TriggerClass,
    tenses: Sequence[Tense],
    sorts: frozenset[Sort] = _ANY,
    difficulty: DifficultyLevel = _M,
    *,
    trigger: str = "",
    english: str = "",
    speaker: Person | None = None,
) -> Frame:
    """A frame; its trigger is what stands before the clause, where no other is given."""
    words = trigger or spanish.partition(" {clause}")[0]
    return Frame(id, words, trigger_class, tuple(tenses), sorts, spanish, english, speaker, difficulty)


_YO, _T = Person.YO, TriggerClass
FRAMES: tuple[Frame, ...] = (
    _frame("querer", "Quiero que {clause}.", _T.WISH, _PRESENT[:1], _ACT, _B, speaker=_YO,
           english="I want {object} to {act}."),
    _frame("querer-past", "Quería que {clause}.", _T.WISH, _PAST[:1], _ACT, speaker=_YO,
           english="I wanted {object} to {act}."),
    _frame("esperar", "Espero que {clause}.", _T.WISH, _PRESENT, _WELCOME, _B, speaker=_YO),
    _frame("desear-past", "Habría deseado que {clause}.", _T.WISH, _PAST[1:], _WELCOME, _A, speaker=_YO),
    _frame("alegrar", "Me alegra que {clause}.", _T.EMOTION, _PRESENT, _WELCOME, _B, speaker=_YO),
    _frame("sorprender-past", "Me sorprendió que {clause}.", _T.EMOTION, _PAST, _ANY, _A, speaker=_YO),
    _frame("importante", "Es importante que {clause}.", _T.IMPERSONAL, _PRESENT[:1], _ACT, _B,
           english="It is important for {object} to {act}."),
    _frame("normal", "Es normal que {clause}.", _T.IMPERSONAL, _PRESENT, _ANY),
    _frame("raro-past", "Era raro que {clause}.", _T.IMPERSONAL, _PAST, _ANY, _A),
    _frame("recomendar", "El médico recomienda que {clause}.", _T.INFLUENCE, _PRESENT[:1], _ACT,
           english="The doctor recommends that {subject} {act}."),
    _frame("pedir-past", "La profesora pidió que {clause}.", _T.INFLUENCE, _PAST[:1], _ACT,
           english="The teacher asked that {subject} {act}."),
    _frame("dudar", "Dudo que {clause}.", _T.DOUBT_DENIAL, _PRESENT, _ANY, speaker=_YO),
    _frame("negar-past", "Nadie creía que {clause}.", _T.DOUBT_DENIAL, _PAST, _ANY, _A),
    _frame("ojala", "Ojalá {clause}.", _T.OJALA, (*_PRESENT, *_PAST), _WELCOME, _B),
    _frame("posible", "Es posible que {clause}.", _T.POSSIBILITY, _PRESENT, _ANY),
    _frame("podia", "Podía ser que {clause}.", _T.POSSIBILITY, _PAST, _ANY, _X),
    _frame("para", "Hay tiempo para que {clause}.", _T.PURPOSE_CONDITION, _PRESENT[:1], _ACT, trigger="para que"),
    _frame("sin-past", "Pasó una semana sin que {clause}.", _T.PURPOSE_CONDITION, _PAST[:1], _ACT, _A, trigger="sin que"),
    _frame("cuando", "Avisaré a todos cuando {clause}.", _T.TIME, _PRESENT, _ACT, _B, trigger="cuando", speaker=_YO),
    _frame("antes-past", "La reunión acabó antes de que {clause}.", _T.TIME, _PAST[:1], _ACT, _A,
           trigger="antes de que"),
    _frame("aunque", "No cambiaré de idea, aunque {clause}.", _T.CONCESSION, _PRESENT[:1], _ACT, trigger="aunque",
           speaker=_YO),
    _frame("si", "Todo sería más fácil si {clause}.", _T.CONDITIONAL, _PAST[:1], _WELCOME, trigger="si"),
    _frame("si-past", "Todo habría sido más fácil si {clause}.", _T.CONDITIONAL, _PAST[1:], _WELCOME, _A, trigger="si"),
)  # fmt: skip
"""The frames there are; a trigger that takes both moods is only here in a sentence that leaves one."""

PREDICATES: tuple[Predicate, ...] = (
    Predicate("hablar", Sort.ACT, "con la vecina", "talk to the neighbour"),
    Predicate("comer", Sort.ACT, "más fruta", "eat more fruit"),
    Predicate("vivir", Sort.STATE, "cerca del mar", "live near the sea"),
    Predicate("estar", Sort.STATE, "en casa", "be at home"),
    Predicate("ir", Sort.ACT, "al mercado", "go to the market"),
    Predicate("tener", Sort.STATE, "tiempo libre", "have free time"),
    Predicate("hacer", Sort.ACT, "la cena", "make dinner"),
    Predicate("poder", Sort.STATE, "venir a la fiesta", "be able to come to the party"),
    Predicate("dormir", Sort.ACT, "ocho horas", "sleep eight hours"),
    Predicate("buscar", Sort.ACT, "un piso más barato", "look for a cheaper flat"),
    Predicate("escribir", Sort.ACT, "una carta", "write a letter"),
    Predicate("abrir", Sort.ACT, "las ventanas", "open the windows"),
    Predicate("llegar", Sort.ACT, "a tiempo", "arrive on time"),
    Predicate("pagar", Sort.ACT, "la cuenta", "pay the bill"),
    Predicate("empezar", Sort.ACT, "un curso de cocina", "start a cookery course"),
    Predicate("volver", Sort.ACT, "antes de las diez", "come back before ten"),
    Predicate("pedir", Sort.ACT, "ayuda", "ask for help"),
    Predicate("seguir", Sort.ACT, "las instrucciones", "follow the instructions"),
    Predicate("decir", Sort.ACT, "la verdad", "tell the truth"),
    Predicate("poner", Sort.ACT, "la mesa", "set the table"),
    Predicate("salir", Sort.ACT, "con los amigos", "go out with friends"),
    Predicate("venir", Sort.ACT, "al concierto", "come to the concert"),
    Predicate("traer", Sort.ACT, "los documentos", "bring the documents"),
    Predicate("saber", Sort.STATE, "la respuesta", "know the answer"),
    Predicate("conocer", Sort.STATE, "bien la ciudad", "know the city well"),
    Predicate("leer", Sort.ACT, "el contrato", "read the contract"),
    Predicate("conducir", Sort.ACT, "con cuidado", "drive carefully"),
    Predicate("elegir", Sort.ACT, "un buen regalo", "choose a good present"),
    Predicate("perder", Sort.MISHAP, "las llaves", "lose the keys"),
    Predicate("llover", Sort.EVENT, "mucho", ""),
    Predicate("nevar", Sort.EVENT, "en la sierra", ""),
)
"""What one can do, be or have in a frame; one line a verb, so that the sentences stay apart."""

_SUBJECTS: dict[Person, tuple[tuple[str, str, str], ...]] = {
    Person.YO: (("yo", "I", "me"),),
    Person.TU: (("tú", "you (tú)", "you (tú)"),),
    Person.EL: (
        ("mi hermano", "my brother", "my brother"),
        ("Elena", "Elena", "Elena"),
        ("usted", "you (usted)", "you (usted)"),
    ),
    Person.NOSOTROS: (("nosotros", "we", "us"), ("mi hermana y yo", "my sister and I", "my sister and me")),
    Person.VOSOTROS: (("vosotros", "you (vosotros)", "you (vosotros)"),),
    Person.ELLOS: (("los vecinos", "the neighbours", "the neighbours"), ("mis padres", "my parents", "my parents")),
}


def generate(
    count: int,
    seed: int,
    *,
    types: Sequence[ExerciseType] = tuple(ExerciseType),
    tenses: Sequence[Tense] = SUBJUNCTIVE_TENSES,
    triggers: Sequence[TriggerClass] = tuple(TriggerClass),
    verbs: Iterable[str] | None = None,
    frames: Sequence[Frame] = FRAMES,
    predicates: Sequence[Predicate] = PREDICATES,
) -> list[Made]:
    """At most `count` exercises, no two with one prompt; the same for a seed, and fewer where there are no more.

    Raises `NothingToMake` when no frame licenses what is asked for, with the verbs that there are predicates of.
    """
    wanted = None if verbs is None else set(verbs)
    possible = [
        (frame, predicate, tense, kind)
        for frame in frames
        if frame.trigger_class in triggers
        for predicate in predicates
        if predicate.sort in frame.sorts and (wanted is None or predicate.infinitive in wanted)
        for tense in frame.tenses
        if tense in tenses
        for kind in types
        if kind is not ExerciseType.TRANSLATION or (frame.english and predicate.english)
    ]
    if not possible:
        raise NothingToMake(
            "No frame makes a sentence of these tenses, triggers, types and verbs;"
            f" there are predicates of {', '.join(sorted({p.infinitive for p in predicates}))}."
        )
    random = Random(f"exercises:{seed}")
    random.shuffle(possible)
    made: dict[str, Made] = {}
    for frame, predicate, tense, kind in possible:
        exercise = _make(random, frame, predicate, tense, kind)
        if exercise is not None:
            made.setdefault(exercise.prompt, exercise)
        if len(made) == count:
            break
    return list(made.values())


def _make(random: Random, frame: Frame, predicate: Predicate, tense: Tense, kind: ExerciseType) -> Made | None:
    paradigm = conjugate(predicate.infinitive)
    persons = [
        person
        for person in ([Person.EL] if predicate.sort is Sort.EVENT else Person)
        if person is not frame.speaker
        and {person, frame.speaker} != {Person.YO, Person.NOSOTROS}
        and paradigm[tense, person].forms
    ]
    person = random.choice(persons)
    subject = ("", "it", "it") if predicate.sort is Sort.EVENT else random.choice(_SUBJECTS[person])
    return _MAKERS[kind](_Sentence(random, frame, predicate, paradigm, tense, person, subject))


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One frame with one predicate, of one person in one tense."""

    random: Random
    frame: Frame
    predicate: Predicate
    paradigm: Paradigm
    tense: Tense
    person: Person
    subject: tuple[str, str, str]

    @property
    def forms(self) -> tuple[str, ...]:
        return self.paradigm[self.tense, self.person].forms

    def spanish(self, verb: str, *, named: bool = True) -> str:
        words = (self.subject[0] if named else "", verb, self.predicate.complement)
        return self.frame.spanish.replace("{clause}", " ".join(filter(None, words)))

    def made(self, kind: ExerciseType, prompt: str, accepted: Sequence[str], **more: Any) -> Made:
        cell = self.paradigm[self.tense, self.person]
        bare = kind is ExerciseType.CONJUGATION
        reason = "" if bare else f"{self.frame.trigger} takes the subjunctive. "
        return Made(
            frame=self.frame.id,
            verb=self.predicate.infinitive,
            exercise_type=kind,
            tense=self.tense,
            person=self.person,
            trigger_class=None if bare else self.frame.trigger_class,
            trigger_phrase="" if bare else self.frame.trigger,
            difficulty_level=self.frame.difficulty,
            prompt=prompt,
            accepted_answers=tuple(accepted),
            explanation=f"{reason}{cell.forms[0]}: {cell.rule}.",
            **more,
        )


def _fill_blank(sentence: _Sentence) -> Made:
    blank = f"___ ({sentence.predicate.infinitive})"
    return sentence.made(ExerciseType.FILL_BLANK, _said(sentence, sentence.spanish(blank)), sentence.forms)


def _said(sentence: _Sentence, prompt: str) -> str:
    """Where only the perfect is right the prompt says so: the simple tense would be good Spanish as well."""
    return f"{prompt} (tiempo compuesto)" if " " in sentence.forms[0] and not sentence.paradigm.is_reflexive else prompt


def _multiple_choice(sentence: _Sentence) -> Made | None:
    found: dict[ErrorKind, str] = {}
    candidates = [form for _, _, form in _wrong_forms(sentence)]
    sentence.random.shuffle(candidates)
    for form in candidates:
        readings = diagnose(sentence.predicate.infinitive, sentence.tense, sentence.person, form)
        kind = readings[0].error_kind
        if kind is not None and kind is not ErrorKind.UNKNOWN and form not in found.values():
            found.setdefault(kind, form)
    if len(found) < 2:
        return None
    chosen = list(found.items())[:3]
    prompt = _said(sentence, sentence.spanish(f"___ ({sentence.predicate.infinitive})"))
    return sentence.made(
        ExerciseType.MULTIPLE_CHOICE,
        prompt,
        sentence.forms,
        distractors=tuple(form for _, form in chosen),
        kinds=tuple(kind for kind, _ in chosen),
    )


_INDICATIVE_OF = {
    Tense.PRESENT_SUBJUNCTIVE: Tense.PRESENT_INDICATIVE,
    Tense.IMPERFECT_SUBJUNCTIVE: Tense.IMPERFECT_INDICATIVE,
    Tense.FUTURE_SUBJUNCTIVE: Tense.FUTURE_INDICATIVE,
    Tense.PRESENT_PERFECT_SUBJUNCTIVE: Tense.PRESENT_PERFECT_INDICATIVE,
    Tense.PLUPERFECT_SUBJUNCTIVE: Tense.PLUPERFECT_INDICATIVE,
    Tense.FUTURE_PERFECT_SUBJUNCTIVE: Tense.FUTURE_PERFECT_INDICATIVE,
}
_OTHER_TENSE = {
    Tense.PRESENT_SUBJUNCTIVE: Tense.IMPERFECT_SUBJUNCTIVE,
    Tense.IMPERFECT_SUBJUNCTIVE: Tense.PRESENT_SUBJUNCTIVE,
    Tense.PRESENT_PERFECT_SUBJUNCTIVE: Tense.PLUPERFECT_SUBJUNCTIVE,
    Tense.PLUPERFECT_SUBJUNCTIVE: Tense.PRESENT_PERFECT_SUBJUNCTIVE,
}


def _wrong_forms(sentence: _Sentence) -> Iterator[tuple[Tense, Person, str]]:
    """Real forms that are wrong here: the indicative, another tense of the mood, other persons."""
    cells = [(_INDICATIVE_OF[sentence.tense], sentence.person)]
    # A present after a past main clause can be good Spanish; an imperfect after a present one is not.
    if sentence.tense in _OTHER_TENSE and sentence.tense in _PRESENT and sentence.frame.trigger_class not in _EITHER:
        cells.append((_OTHER_TENSE[sentence.tense], sentence.person))
    cells += [(sentence.tense, person) for person in Person if person is not sentence.person]
    right = set(sentence.forms)
    for tense, person in cells:
        forms = sentence.paradigm[tense, person].forms
        if forms and not right & set(forms):
            yield tense, person, forms[0]


# A wish or a doubt about the past is as good in these: ojalá viniera, es posible que viniera.
_EITHER = frozenset({TriggerClass.OJALA, TriggerClass.POSSIBILITY, TriggerClass.DOUBT_DENIAL, TriggerClass.EMOTION,
                     TriggerClass.IMPERSONAL, TriggerClass.CONCESSION, TriggerClass.WISH})  # fmt: skip


def _conjugation(sentence: _Sentence) -> Made:
    prompt = f"{sentence.predicate.infinitive} — {SPANISH_NAMES[sentence.tense]}, {_PERSON[sentence.person]}"
    return sentence.made(ExerciseType.CONJUGATION, prompt, sentence.forms)


def _translation(sentence: _Sentence) -> Made | None:
    if sentence.tense not in {Tense.PRESENT_SUBJUNCTIVE, Tense.IMPERFECT_SUBJUNCTIVE}:
        return None
    _, subject, object_ = sentence.subject
    english = sentence.frame.english.format(object=object_, subject=subject, act=sentence.predicate.english)
    accepted = [sentence.spanish(form, named=named) for form in sentence.forms for named in (True, False)]
    if sentence.person in {Person.EL, Person.ELLOS}:
        accepted = accepted[::2]  # without the subject it would be somebody else
    prompt = f"Translate into Spanish with «{sentence.frame.trigger}»: “{english}”"
    return sentence.made(ExerciseType.TRANSLATION, prompt, accepted)


def _trigger_identification(sentence: _Sentence) -> Made:
    prompt = f"¿Qué palabras piden el subjuntivo? «{sentence.spanish(sentence.forms[0])}»"
    trigger = sentence.frame.trigger
    without = trigger.removesuffix(" que")
    accepted = dict.fromkeys(text[0].lower() + text[1:] for text in (trigger, without))
    return sentence.made(ExerciseType.TRIGGER_IDENTIFICATION, prompt, tuple(accepted))


def _error_correction(sentence: _Sentence) -> Made | None:
    wrong = sentence.paradigm[_INDICATIVE_OF[sentence.tense], sentence.person].forms
    if not wrong or set(wrong) & set(sentence.forms):
        return None
    prompt = f"Corrige el verbo equivocado: «{sentence.spanish(wrong[0])}»"
    return sentence.made(ExerciseType.ERROR_CORRECTION, prompt, sentence.forms)


_MAKERS = {
    ExerciseType.FILL_BLANK: _fill_blank,
    ExerciseType.MULTIPLE_CHOICE: _multiple_choice,
    ExerciseType.CONJUGATION: _conjugation,
    ExerciseType.TRANSLATION: _translation,
    ExerciseType.TRIGGER_IDENTIFICATION: _trigger_identification,
    ExerciseType.ERROR_CORRECTION: _error_correction,
}
_PERSON = {Person.YO: "yo", Person.TU: "tú", Person.EL: "él", Person.NOSOTROS: "nosotros", Person.VOSOTROS: "vosotros",
           Person.ELLOS: "ellos"}  # fmt: skip
