"""Exercises made from sentence frames: pure, the same for a seed, and none rather than one that makes no sense.

A *frame* is a main clause with its trigger: which tenses it licenses, who may stand in the clause, and whether that
clause is something one does (*Quiero que…* asks for an act) or anything that is the case (*Me alegra que…*). A
*predicate* is a verb with what follows it, in Spanish and English, and of which sort it is. Every frame goes with
every predicate of its sort, in the tenses that it licenses; nothing else is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import chain, islice, product
from random import Random
from typing import Any

from subjunctive_admin.content.conjugation import Paradigm, conjugate
from subjunctive_admin.content.diagnosis import SPANISH_NAMES, diagnose
from subjunctive_admin.vocabulary import (
    PERSON_NAMES,
    DifficultyLevel,
    ErrorKind,
    ExerciseType,
    Person,
    Tense,
    TriggerClass,
)


class Sort(StrEnum):
    """What a predicate says, and so which main clauses it makes sense in."""

    ACT = "act"  # done once, and one may ask for it
    HABIT = "habit"  # a way of doing things, which one may ask for but not wait for
    STATE = "state"
    EVENT = "event"  # without a person
    MISHAP = "mishap"  # what nobody wants
    SKILL = "skill"  # of a person whom somebody looks for
    FEAT = "feat"  # an experience that few have had: only in compound tenses
    FEATURE = "feature"  # of a flat
    PROPOSAL = "proposal"  # without an object, which is what the main clause accepts
    BLESSING = "blessing"  # what one wishes others, in a sentence of its own
    DREAM = "dream"  # what one would like for oneself, and has not
    ABSURDITY = "absurdity"  # what is plainly not the case


@dataclass(frozen=True, slots=True)
class Frame:
    """A main clause with its trigger; `{clause}` in the texts is where the clause goes.

    `english` takes the base form ("I recommend that {subject} {act}"), the infinitive ("I want {object} to {act}") or
    the present ("when {subject} {acts}"), or is empty where English has no such form. A frame with `speaker` speaks
    for that person, whom the clause then is not about: *quiero que yo* is no Spanish. With `antecedent` the clause
    is about the noun before it, in that person: *un piso que*.
    """

    id: str
    trigger: str
    trigger_class: TriggerClass
    tenses: tuple[Tense, ...]
    sorts: frozenset[Sort]
    spanish: str
    english: str = ""
    speaker: Person | None = None
    antecedent: Person | None = None
    difficulty: DifficultyLevel = DifficultyLevel.INTERMEDIATE
    why: str = ""
    """Why the mood, as a sentence for the learner; without one the trigger is named."""
    is_open: bool = False
    """Whether another simple tense would be as good, so that the blank has to say which one is meant."""
    both_moods: bool = False
    """Whether the indicative is good Spanish too, so that nothing may call it wrong."""
    pronoun_unsaid: bool = False
    """Whether a pronoun would be odd in the sentence; the blank names the person then."""
    verb_first: bool = False
    without: frozenset[ExerciseType] = frozenset()
    """Types that its sentences cannot be asked as."""

    @property
    def types(self) -> frozenset[ExerciseType]:
        """The types of exercise that it makes."""
        left_out = {ExerciseType.ERROR_CORRECTION} if self.both_moods else set()
        return (
            frozenset(ExerciseType) - self.without - left_out - (set() if self.english else {ExerciseType.TRANSLATION})
        )


@dataclass(frozen=True, slots=True)
class Predicate:
    """A verb with what follows it: *comer* · *en casa* · *eat at home*."""

    infinitive: str
    sort: Sort
    complement: str = ""
    english: str = ""
    lasting: bool = False
    """Whether it has no end to look back on, so that nothing hopes or doubts that it has been so."""


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
_COMPOUND = frozenset({Tense.PRESENT_PERFECT_SUBJUNCTIVE, Tense.PLUPERFECT_SUBJUNCTIVE})
_ONCE, _ASKED = frozenset({Sort.ACT}), frozenset({Sort.ACT, Sort.HABIT})
_WISHED = _ASKED | {Sort.STATE}
_WELCOME = _WISHED | {Sort.EVENT}
_ANY = _WELCOME | {Sort.MISHAP}
_SKILL, _FEAT, _FEATURE, _PROPOSAL = (frozenset({s}) for s in (Sort.SKILL, Sort.FEAT, Sort.FEATURE, Sort.PROPOSAL))
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
    **more: Any,
) -> Frame:
    """A frame; its trigger is what stands before the clause, where no other is given."""
    words = trigger or spanish.partition(" {clause}")[0].lstrip("¿¡")
    return Frame(id, words, trigger_class, tuple(tenses), sorts, spanish, difficulty=difficulty, **more)


_YO, _EL, _ELLOS, _T = Person.YO, Person.EL, Person.ELLOS, TriggerClass
_SOUGHT = "What is only looked for may not exist, so its clause takes the subjunctive."
_DENIED = "What is said not to exist is described in the subjunctive."
_ASKED_FOR = "A question whether there is any such person or thing takes the subjunctive."
_WHATEVER = "Cualquier cosa que leaves open which thing is meant, so the subjunctive stands."
_OR_NOT = "A clause that ends in o no, whichever of the two is the case, takes the subjunctive."
_NI_QUE = "Ni que, as if, says what is not so: the imperfect or pluperfect subjunctive."
_QUIEN = "Quién at the head of a wish that cannot come true takes the imperfect or pluperfect subjunctive."
_QUE = "Que at the head of a sentence wishes somebody something in the subjunctive."
_AUNQUE = "Aunque takes the subjunctive for what may or may not be so."
_MAYBE = "After {} the subjunctive says that one is not sure; the indicative is good Spanish too."
_NO_SEARCH = frozenset({ExerciseType.TRIGGER_IDENTIFICATION})
# The same words with the indicative are a sentence that is said, though it means something else or is careless.
_NO_FAULT = frozenset({ExerciseType.ERROR_CORRECTION})

FRAMES: tuple[Frame, ...] = (
    _frame("querer", "Quiero que {clause}.", _T.WISH, _PRESENT[:1], _ASKED, _B, speaker=_YO,
           english="I want {object} to {act}."),
    _frame("querer-past", "Quería que {clause}.", _T.WISH, _PAST[:1], _ASKED, speaker=_YO,
           english="I wanted {object} to {act}."),
    _frame("esperar", "Espero que {clause}.", _T.WISH, _PRESENT, _WELCOME, _B, speaker=_YO),
    _frame("desear-past", "Habría deseado que {clause}.", _T.WISH, _PAST[1:], _WELCOME, _A, speaker=_YO),
    _frame("alegrar", "Me alegra que {clause}.", _T.EMOTION, _PRESENT, _WELCOME, _B, speaker=_YO, is_open=True),
    _frame("sorprender-past", "Me sorprendió que {clause}.", _T.EMOTION, _PAST, _ANY, _A, speaker=_YO),
    _frame("importante", "Es importante que {clause}.", _T.IMPERSONAL, _PRESENT[:1], _ASKED, _B,
           english="It is important for {object} to {act}."),
    _frame("normal", "Es normal que {clause}.", _T.IMPERSONAL, _PRESENT, _ANY, is_open=True),
    _frame("raro-past", "Era raro que {clause}.", _T.IMPERSONAL, _PAST, _ANY, _A),
    _frame("recomendar", "Carmen recomienda que {clause}.", _T.INFLUENCE, _PRESENT[:1], _ASKED,
           english="Carmen recommends that {subject} {act}."),
    _frame("pedir-past", "Carmen pidió que {clause}.", _T.INFLUENCE, _PAST[:1], _ASKED,
           english="Carmen asked that {subject} {act}."),
    _frame("dudar", "Dudo que {clause}.", _T.DOUBT_DENIAL, _PRESENT, _ANY, speaker=_YO, is_open=True),
    _frame("negar-past", "Nadie creía que {clause}.", _T.DOUBT_DENIAL, _PAST, _ANY, _A),
    _frame("ojala", "Ojalá {clause}.", _T.OJALA, _PRESENT, _WELCOME, _B, speaker=_YO, is_open=True),
    _frame("ojala-que", "Ojalá que {clause}.", _T.OJALA, _PRESENT, _WELCOME, speaker=_YO, is_open=True),
    _frame("ojala-unlikely", "Ojalá {clause}, pero no es así.", _T.OJALA, _PAST[:1], _WISHED - _ONCE,
           why="Ojalá with the imperfect subjunctive wishes for what is not so."),
    _frame("ojala-past", "Ojalá {clause}, pero ya es tarde.", _T.OJALA, _PAST[1:], _ASKED, _A,
           why="Ojalá with the pluperfect subjunctive regrets what can no longer be changed."),
    _frame("posible", "Es posible que {clause}.", _T.POSSIBILITY, _PRESENT, _ANY, speaker=_YO, is_open=True),
    _frame("podia", "Podía ser que {clause}.", _T.POSSIBILITY, _PAST, _ANY, _X, speaker=_YO),
    _frame("quizas", "Quizás {clause}.", _T.POSSIBILITY, (*_PRESENT, _PAST[0]), _ANY, speaker=_YO, is_open=True, both_moods=True,
           why=_MAYBE.format("quizás")),
    _frame("tal-vez", "Tal vez {clause}.", _T.POSSIBILITY, (*_PRESENT, _PAST[0]), _ANY, speaker=_YO, is_open=True, both_moods=True,
           why=_MAYBE.format("tal vez")),
    _frame("para", "He dejado una nota para que {clause}.", _T.PURPOSE_CONDITION, _PRESENT[:1], _ONCE,
           trigger="para que", speaker=_YO),
    _frame("para-past", "Dejé una nota para que {clause}.", _T.PURPOSE_CONDITION, _PAST[:1], _ONCE,
           trigger="para que", speaker=_YO),
    _frame("sin-past", "Pasó una semana sin que {clause}.", _T.PURPOSE_CONDITION, _PAST[:1], _ONCE, _A,
           trigger="sin que"),
    _frame("cuando", "Me sentiré mejor cuando {clause}.", _T.TIME, _PRESENT, _ONCE, _B, trigger="cuando", speaker=_YO,
           english="I will feel better when {subject} {acts}.",
           why="After cuando, what has not happened yet is in the subjunctive."),
    _frame("antes-past", "Me fui antes de que {clause}.", _T.TIME, _PAST[:1], _ONCE, _A, trigger="antes de que",
           speaker=_YO),
    _frame("aunque", "No cambiaré de idea, aunque {clause}.", _T.CONCESSION, _PRESENT[:1], _ONCE, trigger="aunque",
           speaker=_YO, both_moods=True, why=_AUNQUE),
    _frame("aunque-unlikely", "No cambiaría de idea, aunque {clause}.", _T.CONCESSION, _PAST[:1], _ONCE, _A,
           trigger="aunque", speaker=_YO, why=_AUNQUE),
    _frame("aunque-past", "No habría cambiado de idea, aunque {clause}.", _T.CONCESSION, _PAST[1:], _ONCE, _X,
           trigger="aunque", speaker=_YO, why=_AUNQUE),
    _frame("si", "Sería mejor si {clause}.", _T.CONDITIONAL, _PAST[:1], _WISHED, trigger="si"),
    _frame("si-past", "Habría sido mejor si {clause}.", _T.CONDITIONAL, _PAST[1:], _WISHED, _A, trigger="si"),
    _frame("si-event", "El campo estaría más verde si {clause}.", _T.CONDITIONAL, _PAST[:1], frozenset({Sort.EVENT}),
           trigger="si"),
    _frame("buscar-piso", "Busco un piso que {clause}, pero no encuentro ninguno.", _T.RELATIVE, _PRESENT[:1],
           _FEATURE, _B, antecedent=_EL, why=_SOUGHT),
    _frame("ningun-piso", "En este barrio no hay ningún piso que {clause}.", _T.RELATIVE, _PRESENT[:1], _FEATURE,
           antecedent=_EL, trigger="no hay ningún piso que", why=_DENIED,
           english="There is no flat in this neighbourhood that {acts}."),
    _frame("quedar-pisos", "Ya no quedan pisos que {clause}.", _T.RELATIVE, _PRESENT[:1], _FEATURE, antecedent=_ELLOS,
           trigger="no quedan pisos que", why=_DENIED),
    _frame("buscar-piso-past", "Buscábamos un piso que {clause}, pero no vimos ninguno.", _T.RELATIVE, _PAST[:1],
           _FEATURE, antecedent=_EL, why=_SOUGHT),
    _frame("buscar-alguien", "Busco a alguien que {clause}, pero no encuentro a nadie.", _T.RELATIVE, _PRESENT[:1],
           _SKILL, _B, antecedent=_EL, why=_SOUGHT),
    _frame("hay-nadie", "Aquí no hay nadie que {clause}.", _T.RELATIVE, _PRESENT[:1], _SKILL, antecedent=_EL,
           trigger="no hay nadie que", why=_DENIED, english="There is nobody here who {acts}."),
    _frame("conoces", "¿Conoces a alguien que {clause}?", _T.RELATIVE, _PRESENT[:1], _SKILL, _B, antecedent=_EL,
           why=_ASKED_FOR, without=_NO_FAULT, english="Do you (tú) know anyone who {acts}?"),
    _frame("buscar-personas", "Buscamos personas que {clause}, pero no encontramos ninguna.", _T.RELATIVE,
           _PRESENT[:1], _SKILL, antecedent=_ELLOS, why=_SOUGHT),
    _frame("buscar-alguien-past", "Buscaban a alguien que {clause}, pero no encontraron a nadie.", _T.RELATIVE,
           _PAST[:1], _SKILL, _A, antecedent=_EL, why=_SOUGHT),
    _frame("habia-nadie", "En la oficina no había nadie que {clause}.", _T.RELATIVE, _PAST[:1], _SKILL,
           antecedent=_EL, trigger="no había nadie que", why=_DENIED),
    _frame("conoces-feat", "¿Conoces a alguien que {clause}?", _T.RELATIVE, _PRESENT[1:], _FEAT, antecedent=_EL,
           why=_ASKED_FOR, without=_NO_FAULT),
    _frame("conozco-feat", "No conozco a nadie que {clause}.", _T.RELATIVE, _PRESENT[1:], _FEAT, antecedent=_EL,
           why=_DENIED),
    _frame("personas-feat", "Buscamos personas que {clause}, pero no encontramos ninguna.", _T.RELATIVE,
           _PRESENT[1:], _FEAT, _A, antecedent=_ELLOS, why=_SOUGHT),
    _frame("conocia-feat", "Hasta entonces no conocía a nadie que {clause}.", _T.RELATIVE, _PAST[1:], _FEAT, _X,
           antecedent=_EL, trigger="no conocía a nadie que", why=_DENIED),
    _frame("personas-feat-past", "Buscaban personas que {clause}, pero no encontraron ninguna.", _T.RELATIVE,
           _PAST[1:], _FEAT, _X, antecedent=_ELLOS, why=_SOUGHT),
    _frame("cualquiera", "Aceptaré cualquier cosa que {clause}.", _T.RELATIVE, _PRESENT, _PROPOSAL, speaker=_YO,
           trigger="cualquier cosa que", why=_WHATEVER, english="I will accept anything that {subject} {acts}."),
    _frame("cualquiera-past", "Prometí aceptar cualquier cosa que {clause}.", _T.RELATIVE, _PAST[:1], _PROPOSAL, _A,
           speaker=_YO, trigger="cualquier cosa que", why=_WHATEVER),
    _frame("que", "¡Que {clause}!", _T.INDEPENDENT, _PRESENT[:1], frozenset({Sort.BLESSING}), _B, speaker=_YO,
           pronoun_unsaid=True, why=_QUE, without=_NO_FAULT),
    _frame("o-no", "Todo seguirá igual, {clause} o no.", _T.INDEPENDENT, _PRESENT, _ONCE | {Sort.EVENT}, trigger="o no",
           verb_first=True, is_open=True, why=_OR_NOT, without=_NO_SEARCH),
    _frame("o-no-past", "Todo seguía igual, {clause} o no.", _T.INDEPENDENT, _PAST[:1], _ONCE | {Sort.EVENT}, _A, trigger="o no",
           verb_first=True, why=_OR_NOT, without=_NO_SEARCH),
    _frame("ni-que", "¡Ni que {clause}!", _T.INDEPENDENT, _PAST[:1], frozenset({Sort.ABSURDITY}), _A, why=_NI_QUE),
    _frame("ni-que-past", "¡Ni que {clause}!", _T.INDEPENDENT, _PAST[1:], _FEAT, _X, why=_NI_QUE),
    _frame("quien", "¡Quién {clause}!", _T.INDEPENDENT, _PAST[:1], frozenset({Sort.DREAM}), _A, antecedent=_EL,
           why=_QUIEN),
    _frame("quien-past", "¡Quién {clause}!", _T.INDEPENDENT, _PAST[1:], _FEAT, _X, antecedent=_EL, why=_QUIEN),
)  # fmt: skip
"""The frames there are; where its sentence leaves two moods or tenses, the blank says which one is meant."""


def _predicates(sort: Sort, *lines: tuple[str, str, str]) -> tuple[Predicate, ...]:
    return tuple(Predicate(infinitive, sort, complement, english) for infinitive, complement, english in lines)


PREDICATES: tuple[Predicate, ...] = (
    *_predicates(
        Sort.ACT,
        ("hablar", "con el profesor", "talk to the teacher"),
        ("ir", "al mercado", "go to the market"),
        ("hacer", "la cena", "make dinner"),
        ("escribir", "la carta", "write the letter"),
        ("abrir", "las ventanas", "open the windows"),
        ("pagar", "la cuenta", "pay the bill"),
        ("empezar", "a trabajar", "start working"),
        ("pedir", "una cita", "ask for an appointment"),
        ("decir", "la verdad", "tell the truth"),
        ("poner", "la mesa", "set the table"),
        ("preparar", "el postre", "prepare the dessert"),
        ("cerrar", "la puerta con llave", "lock the door"),
        ("devolver", "el dinero", "give the money back"),
        ("enviar", "el paquete", "send the parcel"),
        ("resolver", "el problema", "solve the problem"),
        ("apagar", "la televisión", "turn off the television"),
        ("servir", "el café", "serve the coffee"),
        ("traer", "los documentos", "bring the documents"),
        ("leer", "el contrato", "read the contract"),
        ("elegir", "un regalo", "choose a present"),
    ),
    *_predicates(
        Sort.HABIT,
        ("comer", "en casa", "eat at home"),
        ("dormir", "la siesta", "take a nap"),
        ("buscar", "un piso más barato", "look for a cheaper flat"),
        ("llegar", "a tiempo", "arrive on time"),
        ("volver", "antes de las diez", "come back before ten"),
        ("seguir", "las instrucciones", "follow the instructions"),
        ("salir", "a correr", "go running"),
        ("conducir", "con cuidado", "drive carefully"),
    ),
    Predicate("vivir", Sort.STATE, "cerca del mar", "live near the sea", lasting=True),
    Predicate("saber", Sort.STATE, "la respuesta", "know the answer", lasting=True),
    *_predicates(
        Sort.STATE,
        ("estar", "en casa", "be at home"),
        ("tener", "tiempo libre", "have free time"),
        ("poder", "ir a la fiesta", "be able to go to the party"),
        ("conocer", "a Carmen", "know Carmen"),
    ),
    *_predicates(Sort.EVENT, ("llover", "mucho", ""), ("nevar", "en la sierra", "")),
    *_predicates(Sort.MISHAP, ("perder", "las llaves", "lose the keys")),
    *_predicates(
        Sort.SKILL,
        ("hablar", "japonés", "speak Japanese"),
        ("saber", "tocar la guitarra", "know how to play the guitar"),
        ("conducir", "camiones", "drive lorries"),
        ("entender", "de ordenadores", "know about computers"),
        ("tener", "carné de conducir", "have a driving licence"),
        ("conocer", "bien el barrio", "know the neighbourhood well"),
        ("poder", "trabajar los sábados", "be able to work on Saturdays"),
        ("querer", "trabajar en agosto", "want to work in August"),
        ("traducir", "del ruso", "translate from Russian"),
        ("vivir", "en el centro", "live in the centre"),
        ("estar", "en forma", "be fit"),
        ("escribir", "sin faltas", "write without mistakes"),
        ("cocinar", "bien", "cook well"),
        ("jugar", "bien al ajedrez", "play chess well"),
        ("medir", "más de dos metros", "be over two metres tall"),
        ("ser", "de confianza", "be trustworthy"),
    ),
    *_predicates(
        Sort.FEAT,
        ("leer", "todo el Quijote", ""),
        ("ver", "la aurora boreal", ""),
        ("ir", "a la Antártida", ""),
        ("correr", "un maratón", ""),
        ("escribir", "una novela", ""),
        ("vivir", "en un faro", ""),
        ("dormir", "en un iglú", ""),
        ("subir", "al Everest", ""),
        ("hablar", "con un astronauta", ""),
        ("hacer", "el Camino de Santiago", ""),
        ("salir", "en la televisión", ""),
        ("cruzar", "el Atlántico en barco", ""),
        ("descubrir", "un cometa", ""),
        ("viajar", "en globo", ""),
    ),
    *_predicates(
        Sort.FEATURE,
        ("tener", "balcón", "have a balcony"),
        ("estar", "cerca del metro", "be near the underground"),
        ("costar", "menos de mil euros", "cost less than a thousand euros"),
        ("dar", "al parque", "look onto the park"),
        ("recibir", "mucha luz", "get a lot of light"),
        ("incluir", "la calefacción en el precio", "include heating in the price"),
        ("merecer", "la pena", "be worth it"),
    ),
    *_predicates(
        Sort.PROPOSAL,
        ("decir", "", "say"),
        ("pedir", "", "ask for"),
        ("proponer", "", "propose"),
        ("decidir", "", "decide"),
        ("sugerir", "", "suggest"),
        ("recomendar", "", "recommend"),
        ("elegir", "", "choose"),
        ("ofrecer", "", "offer"),
    ),
    *_predicates(
        Sort.BLESSING,
        ("tener", "buen viaje", ""),
        ("dormir", "bien", ""),
        ("soñar", "con cosas bonitas", ""),
        ("cumplir", "muchos años más", ""),
        ("volver", "pronto", ""),
        ("llegar", "bien", ""),
        ("encontrar", "trabajo pronto", ""),
        ("recibir", "buenas noticias", ""),
        ("empezar", "bien el año", ""),
        ("seguir", "así de bien", ""),
    ),
    *_predicates(
        Sort.DREAM,
        ("tener", "veinte años otra vez", ""),
        ("poder", "volar", ""),
        ("saber", "cantar", ""),
        ("estar", "ahora en la playa", ""),
        ("hablar", "siete idiomas", ""),
        ("dormir", "hasta las doce", ""),
        ("vivir", "en una isla", ""),
        ("volver", "a ser joven", ""),
    ),
    *_predicates(
        Sort.ABSURDITY,
        ("tener", "mil manos", ""),
        ("vivir", "en un palacio", ""),
        ("hacer", "milagros", ""),
        ("saber", "volar", ""),
        ("hablar", "en chino", ""),
        ("venir", "de otro planeta", ""),
        ("ser", "de piedra", ""),
        ("oler", "mal", ""),
    ),
)
"""What one can do, be or have in a frame, by sort; of one sort, one line a verb, so that the sentences stay apart."""

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
_PRONOUNS = frozenset({"yo", "tú", "usted", "nosotros", "vosotros"})
_NOBODY = ("", "it", "it")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What exercises are asked for: any of the values of each field, and None for whatever there is."""

    types: Collection[ExerciseType] | None = None
    tenses: Collection[Tense] | None = None
    persons: Collection[Person] | None = None
    triggers: Collection[TriggerClass] | None = None
    verbs: Collection[str] | None = None
    difficulties: Collection[DifficultyLevel] | None = None


def generate(
    count: int,
    seed: int,
    wanted: Wanted = Wanted(),
    *,
    frames: Sequence[Frame] = FRAMES,
    predicates: Sequence[Predicate] = PREDICATES,
) -> list[Made]:
    """At most `count` exercises, no two with one prompt; the same for a seed, and fewer where there are no more.

    Raises `NothingToMake` when no frame licenses what is asked for, with the verbs that there are predicates of.
    """
    return list(islice(exercises(seed, wanted, frames=frames, predicates=predicates), count))


def exercises(
    seed: int, wanted: Wanted, *, frames: Sequence[Frame] = FRAMES, predicates: Sequence[Predicate] = PREDICATES
) -> Iterator[Made]:
    """Every exercise that is asked for, in the order of the seed, no two with one prompt.

    Raises `NothingToMake` at once when there is none.
    """
    random = Random(f"exercises:{seed}")
    made = _each(random, _shuffled(random, _possible(wanted, frames, predicates)))
    first = next(made, None)
    if first is None:
        raise NothingToMake(
            "No frame makes a sentence of these tenses, persons, triggers, types, verbs and difficulties;"
            f" there are predicates of {', '.join(sorted({p.infinitive for p in predicates}))}."
        )
    return chain([first], made)


_Choice = tuple[Frame, Predicate, Tense, Person, ExerciseType]


def _possible(wanted: Wanted, frames: Sequence[Frame], predicates: Sequence[Predicate]) -> Iterator[_Choice]:
    for frame in frames:
        if not (_asked(wanted.triggers, frame.trigger_class) and _asked(wanted.difficulties, frame.difficulty)):
            continue
        # A bare form has no trigger: who asks for one does not ask for that.
        kinds = [
            kind
            for kind in ExerciseType
            if kind in frame.types
            and _asked(wanted.types, kind)
            and (wanted.triggers is None or kind is not ExerciseType.CONJUGATION)
        ]
        for predicate in predicates:
            if predicate.sort in frame.sorts and _asked(wanted.verbs, predicate.infinitive):
                tenses = [tense for tense in _tenses(frame, predicate) if _asked(wanted.tenses, tense)]
                persons = [person for person in _persons(frame, predicate) if _asked(wanted.persons, person)]
                yield from ((frame, predicate, *rest) for rest in product(tenses, persons, kinds))


def _asked(values: Collection[Any] | None, value: object) -> bool:
    return values is None or value in values


def _tenses(frame: Frame, predicate: Predicate) -> Iterator[Tense]:
    return (tense for tense in frame.tenses if not (predicate.lasting and tense in _COMPOUND))


def _persons(frame: Frame, predicate: Predicate) -> Iterator[Person]:
    if frame.antecedent is not None:
        yield frame.antecedent
    elif predicate.sort is Sort.EVENT:
        yield Person.EL
    else:
        # Who speaks does not stand in the clause, nor is among those who do.
        yield from (p for p in Person if frame.speaker is None or p not in {frame.speaker, Person.NOSOTROS})


def _shuffled(random: Random, possible: Iterable[_Choice]) -> list[_Choice]:
    """The choices in the order of the seed, the frames by turns: a few exercises are of as many frames."""
    choices = list(possible)
    random.shuffle(choices)
    turns: Counter[str] = Counter()

    def turn(choice: _Choice) -> int:
        turns[choice[0].id] += 1
        return turns[choice[0].id]

    return sorted(choices, key=turn)


def _each(random: Random, choices: Iterable[_Choice]) -> Iterator[Made]:
    seen: set[str] = set()
    paradigm_of = cache(conjugate)
    for frame, predicate, tense, person, kind in choices:
        paradigm = paradigm_of(predicate.infinitive)
        if not paradigm[tense, person].forms:
            continue
        unnamed = frame.antecedent is not None or predicate.sort is Sort.EVENT
        subject = _NOBODY if unnamed else random.choice(_SUBJECTS[person])
        made = _MAKERS[kind](_Sentence(random, frame, predicate, paradigm, tense, person, subject))
        if made is not None and made.prompt not in seen:
            seen.add(made.prompt)
            yield made


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

    @property
    def says_who(self) -> bool:
        """Whether the sentence names its subject, and not the blank."""
        return not (self.frame.pronoun_unsaid and self.subject[0] in _PRONOUNS)

    def spanish(self, verb: str, *, named: bool = True) -> str:
        words = [self.subject[0] if named and self.says_who else "", verb]
        if self.frame.verb_first:
            words.reverse()
        return self.frame.spanish.replace("{clause}", " ".join(filter(None, [*words, self.predicate.complement])))

    def with_blank(self) -> str:
        """The sentence with its blank, which says what the sentence leaves open."""
        said = [self.predicate.infinitive, *([] if self.says_who else [self.subject[0]]), *self._meant()]
        return self.spanish(f"___ ({', '.join(said)})")

    def _meant(self) -> Iterator[str]:
        if self.tense in _COMPOUND:
            yield "tiempo compuesto"  # the simple tense would be good Spanish as well
        elif self.frame.is_open:
            yield "presente" if self.tense is Tense.PRESENT_SUBJUNCTIVE else "imperfecto"
        if self.frame.both_moods:
            yield "subjuntivo"

    def made(self, kind: ExerciseType, prompt: str, accepted: Sequence[str], **more: Any) -> Made:
        cell = self.paradigm[self.tense, self.person]
        bare = kind is ExerciseType.CONJUGATION
        reason = "" if bare else f"{self.frame.why or f'{self.frame.trigger} takes the subjunctive.'} "
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
    return sentence.made(ExerciseType.FILL_BLANK, sentence.with_blank(), sentence.forms)


def _multiple_choice(sentence: _Sentence) -> Made | None:
    found: dict[ErrorKind, str] = {}
    candidates = [form for _, _, form in _wrong_forms(sentence)]
    sentence.random.shuffle(candidates)
    for form in candidates:
        readings = diagnose(sentence.predicate.infinitive, sentence.tense, sentence.person, form)
        kind = readings[0].error_kind
        if kind is ErrorKind.MOOD and sentence.frame.both_moods:
            continue
        if kind is not None and kind is not ErrorKind.UNKNOWN and form not in found.values():
            found.setdefault(kind, form)
    if len(found) < 2:
        return None
    chosen = list(found.items())[:3]
    return sentence.made(
        ExerciseType.MULTIPLE_CHOICE,
        sentence.with_blank(),
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
                     TriggerClass.IMPERSONAL, TriggerClass.CONCESSION, TriggerClass.WISH, TriggerClass.RELATIVE,
                     TriggerClass.INDEPENDENT})  # fmt: skip


def _conjugation(sentence: _Sentence) -> Made:
    prompt = f"{sentence.predicate.infinitive} — {SPANISH_NAMES[sentence.tense]}, {PERSON_NAMES[sentence.person].partition(',')[0]}"
    return sentence.made(ExerciseType.CONJUGATION, prompt, sentence.forms)


def _translation(sentence: _Sentence) -> Made | None:
    if sentence.tense in _COMPOUND or not sentence.predicate.english:
        return None
    _, subject, object_ = sentence.subject
    act = sentence.predicate.english
    english = sentence.frame.english.format(object=object_, subject=subject, act=act, acts=_agreeing(sentence, act))
    # Without the subject a third person would be somebody else.
    named = (True,) if sentence.person in {Person.EL, Person.ELLOS} else (True, False)
    accepted = [sentence.spanish(form, named=one) for form in sentence.forms for one in named]
    prompt = f"Translate into Spanish with «{sentence.frame.trigger}»: “{english}”"
    return sentence.made(ExerciseType.TRANSLATION, prompt, accepted)


def _agreeing(sentence: _Sentence, act: str) -> str:
    """The English present: *eat at home* → *eats at home* of a third person."""
    verb, space, rest = act.partition(" ")
    subject = sentence.subject[1]
    if sentence.person is not Person.EL or subject.startswith("you"):
        return f"{'am' if subject == 'I' else 'are'}{space}{rest}" if verb == "be" else act
    if verb in {"be", "have"}:
        return f"{'is' if verb == 'be' else 'has'}{space}{rest}"
    if verb[-1] == "y" and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies{space}{rest}"
    return f"{verb}{'es' if verb.endswith(('s', 'x', 'ch', 'sh', 'o')) else 's'}{space}{rest}"


def _trigger_identification(sentence: _Sentence) -> Made:
    prompt = f"¿Qué palabras piden el subjuntivo? «{sentence.spanish(sentence.forms[0])}»"
    trigger = sentence.frame.trigger
    # “para” or “ni” alone ask for nothing; “quiero” does, and “ojalá”.
    whole = sentence.frame.trigger_class in _CONJUNCTIONS
    without = trigger if whole else trigger.removesuffix(" que")
    accepted = dict.fromkeys(text[0].lower() + text[1:] for text in (trigger, without))
    return sentence.made(ExerciseType.TRIGGER_IDENTIFICATION, prompt, tuple(accepted))


_CONJUNCTIONS = frozenset({TriggerClass.PURPOSE_CONDITION, TriggerClass.TIME, TriggerClass.INDEPENDENT})


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
