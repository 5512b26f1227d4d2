"""What an answer is worth, and which rule a wrong one missed: pure, standard library, vocabulary and morphology.

An answer is compared after Unicode composition, without regard to case, surrounding punctuation, invisible
characters and extra spaces. Written accents count: a missing, wrong or needless one has a verdict of its own,
and only where the word is not another form of the verb – *hablara* for *hablará* is a different tense.

A wrong answer is explained by making what learners write: the form of every other cell, the same cell with one rule
of the morphology switched off or applied where it does not hold, then what is heard or typed instead. Kinds of
error after Corder (1967) and Dulay, Burt & Krashen (1982); mood apart from morphology after Collentine (1995).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from subjunctive_admin.content.conjugation import NotAVerb, Paradigm, Rule, conjugate
from subjunctive_admin.vocabulary import PERSON_NAMES, ErrorKind, Person, Tense, Verdict

_DROPPED_MARKS = dict.fromkeys(map(ord, "\u0300\u0301\u0302\u0308"))

Forms = Mapping[str, Mapping[str, Sequence[str]]]
"""Tense → person → accepted forms, primary first: what `spanish_verbs.conjugations` holds."""
Cell = tuple[Tense, Person]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: the accepted answers, primary first, and the cell of the paradigm they fill.

    `forms` are the stored forms, which an editor may have changed; `infinitive` is None where the answer is no form
    of a verb, such as the words that ask for the subjunctive.
    """

    accepted_answers: tuple[str, ...]
    tense: Tense
    person: Person | None
    forms: Forms
    infinitive: str | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on one answer; `error_kind` is None exactly for `correct` and `accepted`."""

    verdict: Verdict
    error_kind: ErrorKind | None = None
    produced_tense: Tense | None = None
    produced_person: Person | None = None

    def is_correct(self, *, accent_only_counts: bool) -> bool:
        """Whether it counts as right under the configured policy for slips of accents."""
        if self.verdict is Verdict.ACCENT_ONLY:
            return accent_only_counts
        return self.verdict is not Verdict.WRONG


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand an answer: what was missed, the cell it would be right for, and a sentence about it.

    `error_kind` is None for an accepted form of the cell that was asked; `is_primary` says that it is the usual one.
    """

    error_kind: ErrorKind | None
    form_of: Cell | None
    rule: str
    en: str
    es: str
    is_primary: bool = False

    def as_dict(self) -> dict[str, object]:
        """The same as plain JSON."""
        cell = None if self.form_of is None else {"tense": self.form_of[0].value, "person": self.form_of[1].value}
        kind = None if self.error_kind is None else self.error_kind.value
        return {"error_kind": kind, "form_of": cell, "rule": self.rule, "feedback": {"en": self.en, "es": self.es}}


# Grading


def grade(question: Question, answer: str) -> Grade:
    """The verdict; for a wrong answer the error, and the form of the verb that it is, if it is one."""
    given = normalised(answer)
    accepted = _normalised_all(tuple(question.accepted_answers))
    if given in accepted:
        return Grade(Verdict.CORRECT if given == accepted[0] else Verdict.ACCEPTED)
    if cell := _nearest(question.tense, question.person, _stored(question.forms, given)):
        return Grade(Verdict.WRONG, _missed(question.tense, question.person, cell), *cell)
    if given and without_accents(given) in map(without_accents, accepted):
        return Grade(Verdict.ACCENT_ONLY, ErrorKind.ACCENT, question.tense, question.person)
    return _diagnosed(question, given, accepted)


def _diagnosed(question: Question, given: str, accepted: Sequence[str]) -> Grade:
    unknown = Grade(Verdict.WRONG, ErrorKind.UNKNOWN)
    if question.infinitive is None or question.person is None:
        return unknown
    try:
        part, bare = _differing_part(question, given, accepted)
        readings = diagnose(question.infinitive, question.tense, question.person, part, bare=bare)
    except NotAVerb:
        return unknown
    wrong = [reading for reading in readings if reading.error_kind is not None]
    if not wrong:
        return unknown
    first = wrong[0].error_kind
    cells = [reading.form_of for reading in wrong if reading.form_of and reading.error_kind is first]
    return Grade(Verdict.WRONG, first, *(_nearest(question.tense, question.person, cells) or (None, None)))


def _differing_part(question: Question, given: str, accepted: Sequence[str]) -> tuple[str, bool]:
    """What stands where the form should be, and whether the sentence has a reflexive's pronoun already.

    A whole sentence is laid beside the accepted one that it shares most words with.
    """
    forms = _anatomy(question.infinitive or "").right(question.tense, question.person)
    best = min(accepted, key=lambda text: sum(map(len, _between(given.split(), text.split()))))
    mine, theirs = _between(given.split(), best.split())
    for form in forms:
        if form == best or form not in best:
            continue
        # The words of the form that both sentences share belong to it.
        words, start = form.split(), best.split()
        at = next((n for n in range(len(start)) if start[n : n + len(words)] == words), None)
        if at is not None and len(theirs) <= len(words):
            rest = given.split()
            end = len(rest) - (len(start) - at - len(words))
            return (" ".join(rest[at:end]) or " ".join(mine), False)
    return given, bool(forms) and not any(form in accepted for form in forms)


def _between(mine: Sequence[str], theirs: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    start = 0
    while start < min(len(mine), len(theirs)) and mine[start] == theirs[start]:
        start += 1
    end = 0
    while end < min(len(mine), len(theirs)) - start and mine[-1 - end] == theirs[-1 - end]:
        end += 1
    return mine[start : len(mine) - end], theirs[start : len(theirs) - end]


@lru_cache(maxsize=4096)
def _normalised_all(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Of an exercise's accepted answers, which are compared with every answer to it."""
    return tuple(map(normalised, texts))


def normalised(text: str) -> str:
    """The text as it is compared: composed (NFC), lower case, single spaces, no punctuation around its words."""
    visible = unicodedata.normalize("NFC", text.lower())
    if not visible.isprintable():  # most texts are, and need no look at each character
        visible = "".join(c for c in visible if unicodedata.category(c) != "Cf")
    return " ".join(filter(None, map(_bare, visible.split())))


def _bare(word: str) -> str:
    if word.isalnum():
        return word
    first = next((n for n, c in enumerate(word) if not _is_edge(c)), len(word))
    last = next((n for n in range(len(word), first, -1) if not _is_edge(word[n - 1])), first)
    return word[first:last]


def _is_edge(character: str) -> bool:
    """Punctuation, symbols of quotation and spaces, which say nothing around a word."""
    return unicodedata.category(character)[0] in "PZ" or character in "`´^"


def without_accents(text: str) -> str:
    """The text without accents and diaereses; ñ is a letter of its own and stays."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).translate(_DROPPED_MARKS))


def mood(tense: Tense) -> str:
    """`subjunctive`, `indicative` or `imperative`."""
    return "imperative" if tense.startswith("imperative") else tense.rsplit("_", 1)[1]


def _stored(forms: Forms, given: str) -> Iterator[Cell]:
    for tense in Tense:
        for person, accepted in forms.get(tense, {}).items():
            if given in accepted:
                yield tense, Person(person)


def _nearest(tense: Tense, person: Person | None, cells: Iterable[Cell]) -> Cell | None:
    """The cell nearest to what was asked; ties in the given order."""
    return min(cells, key=lambda cell: _distance(tense, person, cell), default=None)


def _distance(tense: Tense, person: Person | None, cell: Cell) -> tuple[bool, bool, bool]:
    # One slip is likelier than two: the person alone, then the tense alone, then the mood alone.
    return (
        cell[0] is not tense and cell[1] is not person,
        mood(cell[0]) != mood(tense),
        cell[0] is not tense,
    )


def _missed(tense: Tense, person: Person | None, cell: Cell) -> ErrorKind:
    if cell[0] is tense:
        # A form of the very cell that is not accepted: right elsewhere, not in this sentence.
        return ErrorKind.UNKNOWN if person in (cell[1], None) else ErrorKind.PERSON
    return ErrorKind.TENSE if mood(cell[0]) == mood(tense) else ErrorKind.MOOD


# Diagnosis


def diagnose(
    infinitive: str, tense: Tense | str, person: Person | str, answer: str, *, bare: bool = False
) -> list[Reading]:
    """What a learner may have meant, likeliest first; never empty, and one reading for a right answer.

    `bare`: the pronoun of a reflexive stands outside the blank, so that the answer is the form alone. Raises
    `NotAVerb` for what is no infinitive, ValueError for an unknown tense or person.
    """
    asked = Tense(tense), Person(person)
    anatomy = _anatomy(normalised(infinitive))
    given = normalised(answer)
    right = anatomy.right(*asked)
    if bare:
        right = tuple(map(_without_pronoun, right))
    look = _Look(anatomy, asked, given, right, bare)
    if given in right:
        return [look.accepted()]
    found = [reading for step in _LIKELY for reading in step(look)]
    for step in () if found else _REMOTE:
        if found := list(step(look)):
            break
    # The likeliest of those that say the same.
    return list({(one.error_kind, one.form_of): one for one in reversed(found)}.values())[::-1] or [look.unknown()]


def verdict_of(readings: Sequence[Reading]) -> Verdict:
    """The verdict that goes with these readings of an answer, when every form of the cell is accepted."""
    first = readings[0]
    if first.error_kind is not None:
        return Verdict.ACCENT_ONLY if first.error_kind is ErrorKind.ACCENT else Verdict.WRONG
    return Verdict.CORRECT if first.is_primary else Verdict.ACCEPTED


def slips_of(infinitive: str, tense: Tense, person: Person) -> list[str]:
    """What learners write for a cell when they miss a rule, in a settled order; raises `NotAVerb`."""
    anatomy, asked = _anatomy(normalised(infinitive)), (tense, person)
    if not anatomy.right(*asked):
        return []
    return [*anatomy.slips(asked), *sorted(anatomy.other_class(asked) | anatomy.folk(asked))]


@dataclass(frozen=True, slots=True)
class _Look:
    """One answer beside one cell."""

    anatomy: _Anatomy
    asked: Cell
    given: str
    right: tuple[str, ...]
    bare: bool

    @property
    def target(self) -> str:
        return self.right[0] if self.right else ""

    @property
    def is_compound(self) -> bool:
        return " " in _without_pronoun(self.target) and not self.asked[0].startswith("imperative")

    def reading(self, kind: ErrorKind, form_of: Cell | None, rule: str, en: str, es: str) -> Reading:
        if not self.right:
            none = f"{self.anatomy.paradigm.infinitive} has no form for {_name(self.asked)}"
            return Reading(kind, form_of, rule, f"{en}; {none}.", f"{es}; esa forma no existe.")
        return Reading(kind, form_of, rule, f"{en}: {self.target}.", f"{es}: {self.target}.")

    def accepted(self) -> Reading:
        primary = self.given == self.right[0]
        rule = self.anatomy.paradigm[self.asked].rule
        if primary:
            return Reading(None, self.asked, rule, "That is right.", "Correcto.", is_primary=True)
        return Reading(
            None,
            self.asked,
            rule,
            f"That is right too; the form most taught is {self.target}.",
            f"También es correcto; la forma más habitual es {self.target}.",
        )

    def unknown(self) -> Reading:
        if not self.given:
            return self.reading(
                ErrorKind.UNKNOWN,
                None,
                "no answer",
                "There is no answer; the form is",
                "Falta la respuesta; la forma es",
            )
        return self.reading(
            ErrorKind.UNKNOWN,
            None,
            "not recognised",
            f"“{self.given}” is no form of {self.anatomy.paradigm.infinitive} that we know; the form is",
            f"«{self.given}» no es una forma conocida de {self.anatomy.paradigm.infinitive}; la forma es",
        )


def _another_cell(look: _Look) -> Iterator[Reading]:
    cells = [cell for cell in look.anatomy.cells(bare=look.bare).get(look.given, ()) if cell != look.asked]
    nearest: dict[Tense, tuple[bool, bool, bool]] = {}
    for cell in cells:
        distance = _distance(*look.asked, cell)
        nearest[cell[0]] = min(nearest.get(cell[0], distance), distance)
    # Tenses by nearness, the persons of one tense in their order.
    for cell in sorted(cells, key=lambda cell: nearest[cell[0]]):
        yield _misplaced(look, cell)


def _misplaced(look: _Look, cell: Cell, but: str = "") -> Reading:
    kind = _missed(*look.asked, cell)
    if kind is ErrorKind.UNKNOWN:
        kind = ErrorKind.PERSON
    wanted = {
        ErrorKind.PERSON: (
            f"the subject asks for {PERSON_NAMES[look.asked[1]]}",
            f"el sujeto pide {PERSON_NAMES[look.asked[1]]}",
        ),
        ErrorKind.TENSE: (f"here it is the {_en(look.asked[0])}", f"aquí va el {_es(look.asked[0])}"),
        ErrorKind.MOOD: (
            f"this clause takes the {mood(look.asked[0])}",
            f"aquí hace falta el {_MOODS[mood(look.asked[0])]}",
        ),
    }[kind]
    return look.reading(
        kind,
        cell,
        f"{_name(cell)} for {_name(look.asked)}" + (f", {but}" if but else ""),
        f"“{look.given}” is the {_name(cell)}{' – ' + but if but else ''}; {wanted[0]}",
        f"«{look.given}» es {_nombre(cell)}; {wanted[1]}",
    )


def _infinitive_left(look: _Look) -> Iterator[Reading]:
    infinitive = look.anatomy.paradigm.infinitive
    if look.given in {infinitive, infinitive.removesuffix("se"), f"haber {look.anatomy.participle}"}:
        yield look.reading(
            ErrorKind.INFINITIVE,
            None,
            "infinitive left unconjugated",
            f"“{look.given}” is the infinitive; the {_name(look.asked)} is",
            f"«{look.given}» es el infinitivo; {_nombre(look.asked)} es",
        )


def _accent_only(look: _Look) -> Iterator[Reading]:
    if look.given and without_accents(look.given) in map(without_accents, look.right):
        yield look.reading(
            ErrorKind.ACCENT,
            look.asked,
            "written accent",
            "Only the written accent is off",
            "Solo falla la tilde",
        )


def _rule_missed(look: _Look) -> Iterator[Reading]:
    for kind, rule in look.anatomy.slips(look.asked, bare=look.bare).get(look.given, ()):
        en, es = _RULES[kind, "over" in rule]
        yield look.reading(kind, look.asked, rule, en, es)


def _compound_part(look: _Look) -> Iterator[Reading]:
    if not look.is_compound or not look.given:
        return
    auxiliary, _, participle = look.target.rpartition(" ")
    mine, _, last = look.given.rpartition(" ")
    participles = {form.rpartition(" ")[2] for form in look.right}
    auxiliaries = {form.rpartition(" ")[0] for form in look.right}
    if last in participles and mine not in auxiliaries:
        said = f"“{mine}” is not the auxiliary" if mine else "The auxiliary is missing"
        dicho = f"«{mine}» no es el auxiliar" if mine else "Falta el auxiliar"
        yield look.reading(
            ErrorKind.AUXILIARY,
            look.asked,
            f"auxiliary {auxiliary}",
            f"{said}; compound tenses take haber",
            f"{dicho}; los tiempos compuestos llevan haber",
        )
    elif mine in auxiliaries and last[:2] == participle[:2] and last not in participles:
        yield look.reading(
            ErrorKind.PARTICIPLE,
            look.asked,
            f"participle {participle}",
            f"“{last}” is not the participle, which never changes after haber",
            f"«{last}» no es el participio, que no varía con haber",
        )


def _pronoun(look: _Look) -> Iterator[Reading]:
    stripped = _without_pronoun(look.given)
    if look.given and stripped in map(_without_pronoun, look.right):
        infinitive = look.anatomy.paradigm.infinitive
        en, es = (
            ("The pronoun belongs to the verb", "El pronombre forma parte del verbo")
            if look.anatomy.paradigm.is_reflexive and not look.bare
            else ("No pronoun belongs here", "Aquí sobra el pronombre")
        )
        yield look.reading(ErrorKind.PRONOUN, look.asked, f"pronoun of {infinitive}", en, es)


def _other_ending(look: _Look) -> Iterator[Reading]:
    if look.given in look.anatomy.once(look.anatomy.other_class, look.asked):
        infinitive = look.anatomy.paradigm.infinitive
        ending = infinitive.removesuffix("se")[-2:].replace("í", "i")
        yield look.reading(
            ErrorKind.ENDING,
            look.asked,
            f"endings of -{ending} verbs",
            f"That is the ending of another class; {infinitive} is an -{ending} verb",
            f"Esa terminación es de otra conjugación; {infinitive} es un verbo en -{ending}",
        )


def _voseo(look: _Look) -> Iterator[Reading]:
    if look.asked[1] is not Person.VOSOTROS and look.given in look.anatomy.once(look.anatomy.voseo, look.asked[0]):
        yield look.reading(
            ErrorKind.VOSEO,
            (look.asked[0], Person.TU),
            "form of vos",
            f"“{look.given}” goes with vos, as in Argentina; the form for {PERSON_NAMES[look.asked[1]]} is",
            f"«{look.given}» va con vos; la forma de {PERSON_NAMES[look.asked[1]]} es",
        )


def _folk(look: _Look) -> Iterator[Reading]:
    if look.given in look.anatomy.once(look.anatomy.folk, look.asked):
        yield look.reading(
            ErrorKind.FOLK,
            look.asked,
            "spoken form outside the norm",
            f"“{look.given}” is heard, but is not standard",
            f"«{look.given}» se oye, pero no es norma",
        )


_LIKELY: tuple[Callable[[_Look], Iterator[Reading]], ...] = (
    _another_cell,
    _infinitive_left,
    _accent_only,
    _rule_missed,
    _compound_part,
    _pronoun,
    _other_ending,
    _voseo,
    _folk,
)


def _phonetic(look: _Look) -> Iterator[Reading]:
    if look.given and sounds(look.given) in map(sounds, look.right):
        yield look.reading(
            ErrorKind.PHONETIC,
            look.asked,
            "letters that sound alike",
            f"“{look.given}” sounds right and is spelt otherwise",
            f"«{look.given}» suena igual, pero se escribe de otro modo",
        )


def _cell_with_fault(look: _Look) -> Iterator[Reading]:
    found = look.anatomy.faulty.get(look.given, ())
    nearest = min(
        ((cell, rule) for cell, rule in found if cell != look.asked),
        key=lambda one: _distance(*look.asked, one[0]),
        default=None,
    )
    if nearest:
        yield _misplaced(look, nearest[0], f"not quite right: {nearest[1]}")


def _typo(look: _Look) -> Iterator[Reading]:
    if any(_is_slip(look.given, form) for form in look.right):
        yield look.reading(
            ErrorKind.TYPO,
            look.asked,
            "a letter missing, added, changed or swapped",
            f"“{look.given}” looks like a slip of the keys",
            f"«{look.given}» parece un error de teclado",
        )


_REMOTE: tuple[Callable[[_Look], Iterator[Reading]], ...] = (_phonetic, _cell_with_fault, _typo)


def sounds(text: str) -> str:
    """The text as most of Latin America says it: c, s and z before e and i, b and v, y and ll alike, h silent."""
    folded = without_accents(text)
    for written, said in _SOUNDS:
        folded = folded.replace(written, said)
    return folded


_SOUNDS = (
    ("ch", "\0"), ("h", ""), ("\0", "ch"), ("qu", "k"), ("ce", "se"), ("ci", "si"), ("c", "k"), ("kh", "ch"),
    ("z", "s"), ("v", "b"), ("ll", "y"), ("gue", "\1e"), ("gui", "\1i"), ("ge", "je"), ("gi", "ji"), ("\1", "g"),
    ("x", "ks"),
)  # fmt: skip


def _is_slip(given: str, form: str) -> bool:
    """One letter missing, added or changed, or two neighbours swapped (Damerau 1964); in words of four letters on."""
    if abs(len(given) - len(form)) > 1 or min(len(given), len(form)) < 4:
        return False
    start = 0
    while start < min(len(given), len(form)) and given[start] == form[start]:
        start += 1
    mine, theirs = given[start:], form[start:]
    if mine[1:] == theirs[1:] or mine[1:] == theirs or mine == theirs[1:]:
        return True
    return mine[:2] == theirs[1::-1] and mine[2:] == theirs[2:]


# What can go wrong with one verb

_SWITCHES = (
    (ErrorKind.SPELLING, Rule.SPELLING, "spelling rule missed"),
    (ErrorKind.STEM, Rule.STEM_CHANGE, "stem change missed"),
    (ErrorKind.IRREGULAR, Rule.IRREGULAR, "irregular form made regular"),
    (ErrorKind.ACCENT, Rule.ACCENT, "written accent missed"),
    (ErrorKind.PARTICIPLE, Rule.PARTICIPLE, "irregular participle made regular"),
)
_RULES = {
    (ErrorKind.SPELLING, False): (
        "The sound stays, so the spelling changes before this ending",
        "El sonido se mantiene y por eso cambia la letra ante esta terminación",
    ),
    (ErrorKind.STEM, False): ("The stem changes its vowel here", "Aquí la raíz cambia de vocal"),
    (ErrorKind.STEM, True): ("The stem keeps its vowel here", "Aquí la raíz no cambia de vocal"),
    (ErrorKind.IRREGULAR, False): ("This form is irregular", "Esta forma es irregular"),
    (ErrorKind.ACCENT, False): ("The weak vowel is stressed and written with an accent", "La vocal débil lleva tilde"),
    (ErrorKind.PARTICIPLE, False): ("The participle is irregular", "El participio es irregular"),
}


class _Anatomy:
    """The forms of one verb, and those that learners make of it; each kind is made when it is first asked for."""

    def __init__(self, infinitive: str) -> None:
        self.paradigm = conjugate(infinitive)
        self._variants: dict[tuple[frozenset[Rule], frozenset[Rule]], Paradigm] = {}
        self._slips: dict[tuple[Tense, Person, bool], Mapping[str, list[tuple[ErrorKind, str]]]] = {}
        self._sets: dict[tuple[object, ...], set[str]] = {}

    def right(self, tense: Tense, person: Person | None) -> tuple[str, ...]:
        return () if person is None else self.paradigm.accepted(tense, person)

    @property
    def participle(self) -> str:
        return self.paradigm.past_participle[0]

    def cells(self, *, bare: bool = False) -> Mapping[str, list[Cell]]:
        return self._bare_cells if bare else self._cells

    @cached_property
    def _cells(self) -> Mapping[str, list[Cell]]:
        return _index(self.paradigm, str)

    @cached_property
    def _bare_cells(self) -> Mapping[str, list[Cell]]:
        return _index(self.paradigm, _without_pronoun)

    def variant(self, *without: Rule, over: bool = False) -> Paradigm:
        """The verb as somebody makes it who misses these rules, or changes the stem everywhere."""
        key = frozenset(without), frozenset({Rule.STEM_CHANGE} if over else ())
        if key not in self._variants:
            self._variants[key] = conjugate(self.paradigm.infinitive, without=key[0], over=key[1])
        return self._variants[key]

    def slips(self, asked: Cell, *, bare: bool = False) -> Mapping[str, list[tuple[ErrorKind, str]]]:
        """What becomes of the cell when one rule is missed, else two, else all; or when one is applied too far."""
        key = (*asked, bare)
        if key not in self._slips:
            self._slips[key] = self._made_slips(asked, _without_pronoun if bare else str)
        return self._slips[key]

    def _made_slips(self, asked: Cell, shape: Callable[[str], str]) -> Mapping[str, list[tuple[ErrorKind, str]]]:
        right = set(map(shape, self.right(*asked)))
        found: dict[str, list[tuple[ErrorKind, str]]] = {}

        def put(variant: Paradigm, kind: ErrorKind, rule: str, *, only_new: bool) -> None:
            forms = set(map(shape, variant.accepted(*asked))) - right
            for form in forms - found.keys() if only_new else forms:
                found.setdefault(form, []).append((kind, rule))

        for kind, rule, name in _SWITCHES:
            put(self.variant(rule), kind, name, only_new=False)
        put(self.variant(over=True), ErrorKind.STEM, "stem change over-applied", only_new=False)
        for number, (kind, rule, name) in enumerate(_SWITCHES):
            for _, other, another in _SWITCHES[number + 1 :]:
                put(self.variant(rule, other), kind, f"{name}, {another}", only_new=True)
        put(self.variant(*Rule), ErrorKind.IRREGULAR, "irregular form made regular", only_new=True)
        return found

    def once(self, made: Callable[[Any], set[str]], of: object) -> set[str]:
        """What `made` gives, made when it is first asked for."""
        key = (made.__name__, of)
        if key not in self._sets:
            self._sets[key] = made(of)
        return self._sets[key]

    def other_class(self, asked: Cell) -> set[str]:
        """The cell with the endings of another conjugation, and the stem a learner would take."""
        infinitive = self.paradigm.infinitive
        if "perfect" in asked[0] and "imperfect" not in asked[0]:
            return set()
        reflexive = self.paradigm.is_reflexive
        body = infinitive[:-2] if reflexive else infinitive
        others = [body[:-2] + ending for ending in ("ar", "er", "ir") if ending != body[-2:]]
        found: set[str] = set()
        for other in others:
            try:
                found |= set(_regular(other + ("se" if reflexive else "")).accepted(*asked))
            except NotAVerb:
                continue
        # The regular endings of its own class are the irregular form made regular.
        return found - set(self.right(*asked)) - set(self.variant(*Rule).accepted(*asked))

    def voseo(self, tense: Tense) -> set[str]:
        """Forms of vos: those of vosotros without their i, and those of tú with the stress at the end."""
        plural = self.right(tense, Person.VOSOTROS)
        cut = {form.replace("áis", "ás").replace("éis", "és") for form in plural}
        if tense is Tense.IMPERATIVE_AFFIRMATIVE:
            cut = {_ACUTE.get(form[-2:-1], form[-2:-1]).join((form[:-2], "")) for form in plural if form.endswith("d")}
        stressed = {
            form[:-2] + _ACUTE[form[-2]] + "s"
            for form in self.right(tense, Person.TU)
            if form[-2:] in ("as", "es") and tense is Tense.PRESENT_SUBJUNCTIVE
        }
        known = {form for person in Person for form in self.right(tense, person)}
        return {_as_tu(form) for form in cut | stressed} - known

    def folk(self, asked: Cell) -> set[str]:
        """What is said beside the norm: haiga, váyamos, hablaranos."""
        tense, person = asked
        found = {heard for form in self.right(*asked) for heard in _folk_words(form)}
        if person is Person.NOSOTROS and tense.endswith("_subjunctive"):
            for form in self.right(*asked):
                found |= {form[:-3] + "nos"} if form.endswith("mos") else set()
            if tense is Tense.PRESENT_SUBJUNCTIVE:
                for form in self.right(tense, Person.YO):
                    early = _stressed_early(form)
                    found |= {early + "mos", early + "nos"}
        if tense is Tense.PRETERITE_INDICATIVE and person is Person.TU:
            found |= {form + "s" for form in self.right(*asked)}
        return found - set(self.right(*asked))

    @cached_property
    def faulty(self) -> Mapping[str, list[tuple[Cell, str]]]:
        """Every other form with one rule missed, or without its accents."""
        found: dict[str, list[tuple[Cell, str]]] = {}
        for _, rule, name in _SWITCHES:
            for form, cells in _index(self.variant(rule), str).items():
                if form not in self._cells:
                    found.setdefault(form, []).extend((cell, name) for cell in cells)
        for form, cells in self._cells.items():
            plain = without_accents(form)
            if plain not in self._cells:
                found.setdefault(plain, []).extend((cell, "written accent missed") for cell in cells)
            if (bare := _without_pronoun(form)) not in self._cells:
                found.setdefault(bare, []).extend((cell, "pronoun missed") for cell in cells)
        return found


_ACUTE = {"a": "á", "e": "é", "i": "í"}
_PRONOUNS = ("me ", "te ", "se ", "nos ", "os ")
_FOLK_STEMS = (("haya", "haiga"), ("hayá", "haigá"), ("vaya", "vaiga"), ("vayá", "vaigá"))
_FOLK_FORMS = {"dé": "dea", "des": "deas", "den": "dean", "esté": "estea", "estés": "esteas", "estén": "estean"}


def _folk_words(form: str) -> Iterator[str]:
    for norm, heard in _FOLK_STEMS:
        if form.startswith(norm):
            yield heard + form[len(norm) :]
    if form in _FOLK_FORMS:
        yield _FOLK_FORMS[form]


def _stressed_early(form: str) -> str:
    """The form of yo with an accent on its stressed vowel: tenga → ténga."""
    if any(letter in "áéíóú" for letter in form):
        return form
    places = [n for n, letter in enumerate(form) if letter in "aeo"]
    if len(places) < 2:
        return form
    at = places[-2]
    return form[:at] + {"a": "á", "e": "é", "o": "ó"}[form[at]] + form[at + 1 :]


def _as_tu(form: str) -> str:
    return "te " + form[3:] if form.startswith("os ") else form


def _without_pronoun(form: str) -> str:
    return next((form[len(pronoun) :] for pronoun in _PRONOUNS if form.startswith(pronoun)), form)


def _index(paradigm: Paradigm, key: Callable[[str], str]) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for tense, persons in paradigm.forms().items():
        for person, forms in persons.items():
            for form in forms:
                cells = found.setdefault(key(form), [])
                if (cell := (Tense(tense), Person(person))) not in cells:
                    cells.append(cell)
    return found


@lru_cache(maxsize=1024)
def _anatomy(infinitive: str) -> _Anatomy:
    return _Anatomy(infinitive)


@lru_cache(maxsize=1024)
def _regular(infinitive: str) -> Paradigm:
    return conjugate(infinitive, without=frozenset(Rule))


# Names

_MOODS = {"subjunctive": "subjuntivo", "indicative": "indicativo", "imperative": "imperativo"}
SPANISH_NAMES = {
    Tense.PRESENT_SUBJUNCTIVE: "presente de subjuntivo",
    Tense.IMPERFECT_SUBJUNCTIVE: "imperfecto de subjuntivo",
    Tense.FUTURE_SUBJUNCTIVE: "futuro de subjuntivo",
    Tense.PRESENT_PERFECT_SUBJUNCTIVE: "pretérito perfecto de subjuntivo",
    Tense.PLUPERFECT_SUBJUNCTIVE: "pluscuamperfecto de subjuntivo",
    Tense.FUTURE_PERFECT_SUBJUNCTIVE: "futuro perfecto de subjuntivo",
    Tense.PRESENT_INDICATIVE: "presente de indicativo",
    Tense.PRETERITE_INDICATIVE: "pretérito indefinido",
    Tense.IMPERFECT_INDICATIVE: "imperfecto de indicativo",
    Tense.FUTURE_INDICATIVE: "futuro de indicativo",
    Tense.CONDITIONAL_INDICATIVE: "condicional",
    Tense.PRESENT_PERFECT_INDICATIVE: "pretérito perfecto de indicativo",
    Tense.PLUPERFECT_INDICATIVE: "pluscuamperfecto de indicativo",
    Tense.PRETERITE_PERFECT_INDICATIVE: "pretérito anterior",
    Tense.FUTURE_PERFECT_INDICATIVE: "futuro perfecto de indicativo",
    Tense.CONDITIONAL_PERFECT_INDICATIVE: "condicional perfecto",
    Tense.IMPERATIVE_AFFIRMATIVE: "imperativo afirmativo",
    Tense.IMPERATIVE_NEGATIVE: "imperativo negativo",
}
"""What each tense is called in Spanish classes."""


def _en(tense: Tense) -> str:
    return tense.replace("_", " ")


def _es(tense: Tense) -> str:
    return SPANISH_NAMES[tense]


def _name(cell: Cell) -> str:
    return f"{_en(cell[0])}, {PERSON_NAMES[cell[1]]}"


def _nombre(cell: Cell) -> str:
    return f"el {_es(cell[0])}, {PERSON_NAMES[cell[1]]}"
