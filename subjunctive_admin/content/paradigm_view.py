"""A verb as a page: its forms with the rule behind each, what differs from a regular verb, and an answer tried on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from subjunctive_admin.content.conjugation import NotAVerb, Paradigm, Rule, conjugate
from subjunctive_admin.content.diagnosis import Reading, diagnose, verdict_of
from subjunctive_admin.errors import UsageError
from subjunctive_admin.look import Cell, Column, Header, KeyFigures, Note, Section, Table
from subjunctive_admin.vocabulary import LEARNT_TENSES, PERSON_NAMES, SUBJUNCTIVE_TENSES, Person, Tense

_SIMPLE_INDICATIVE = (
    Tense.PRESENT_INDICATIVE, Tense.PRETERITE_INDICATIVE, Tense.IMPERFECT_INDICATIVE, Tense.FUTURE_INDICATIVE,
    Tense.CONDITIONAL_INDICATIVE,
)  # fmt: skip
_IMPERATIVES = (Tense.IMPERATIVE_AFFIRMATIVE, Tense.IMPERATIVE_NEGATIVE)
_NOTES = """\
A form in **bold** is not what the regular endings would give; the letters that differ are coloured. Every form that stands in a cell is accepted, the \
first is the one to teach; -ra and -se are equal in the imperfect.

The rule behind a form names the table that the verb stands in. What stands in no table is regular: an ending alone \
says nothing about a verb."""


def read_paradigm(verb: str) -> Paradigm:
    """The verb's forms; raises `UsageError` for what is no infinitive."""
    try:
        return conjugate(verb)
    except NotAVerb as error:
        raise UsageError(str(error), next_step="give an infinitive such as hablar, irse, oír") from error


def try_answer(paradigm: Paradigm, tense: str, person: str, answer: str) -> list[Reading]:
    """What the answer may be, likeliest first; raises `UsageError` for an unknown tense or person."""
    for given, known, name in ((tense, Tense, "tense"), (person, Person, "person")):
        if given not in list(known):
            raise UsageError(f"{given!r} is no {name}; there are {', '.join(known)}.")
    return diagnose(paradigm.infinitive, tense, person, answer)


def paradigm_view(paradigm: Paradigm) -> list[Any]:
    """The fragments of the page, in reading order."""
    regular = conjugate(paradigm.infinitive, without=frozenset(Rule))
    return [
        Header(
            headline(paradigm),
            "; ".join(paradigm.features) + ".",
            [("Gerund", f"*{paradigm.gerund[0]}*"), ("Participle", f"*{' · '.join(paradigm.past_participle)}*")],
        ),
        _figures(paradigm, regular),
        Section("Subjunctive", "The four tenses in use; the two of the future survive in law and proverbs."),
        _forms(paradigm, regular, SUBJUNCTIVE_TENSES[:3]),
        _forms(paradigm, regular, SUBJUNCTIVE_TENSES[3:]),
        Section("Why each form is as it is", "The rule or table of each tense, and whom it holds for."),
        _rules(paradigm),
        Section("Indicative and imperative"),
        _forms(paradigm, regular, _SIMPLE_INDICATIVE),
        _forms(paradigm, regular, _IMPERATIVES),
        Note(_NOTES),
    ]


def headline(paradigm: Paradigm) -> str:
    """The verb in a sentence: what kind it is."""
    kind = paradigm.verb_type.value.replace("_", "-")
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{paradigm.infinitive} is {article} {kind} verb"


def answer_headline(readings: Sequence[Reading], answer: str) -> str:
    """The verdict in words."""
    return f"“{answer}” is {verdict_of(readings).value.replace('_', ' ')}"


def answer_view(readings: Sequence[Reading], answer: str) -> list[Any]:
    """The readings of one answer as a section with a table."""
    rows = [
        [one.error_kind.value if one.error_kind else "right", one.rule, Cell(one.en, note=one.es)] for one in readings
    ]
    columns: list[Column | str] = ["Error", "Rule", "What the learner is told"]
    return [
        Section(answer_headline(readings, answer), "Every way to read the answer, the likeliest first."),
        Table(columns, rows),
    ]


def _figures(paradigm: Paradigm, regular: Paradigm) -> KeyFigures:
    cells = [(tense, person) for tense in LEARNT_TENSES for person in Person if paradigm.accepted(tense, person)]
    differing = sum(paradigm.accepted(*cell)[0] not in regular.accepted(*cell) for cell in cells)
    several = sum(len(paradigm.accepted(*cell)) > 1 for cell in cells)
    return KeyFigures(
        [
            ("Forms to learn", len(cells), "persons of the four tenses in use"),
            ("Not regular", differing, f"of {len(cells)}, against regular endings"),
            ("Several right", several, "cells with more than one accepted form"),
            ("Used", "in part" if paradigm.defective else "in full", paradigm.defective or "every person and tense"),
        ]
    )


def _forms(paradigm: Paradigm, regular: Paradigm, tenses: Sequence[Tense]) -> Table:
    columns: list[Column | str] = ["", *(Column(_title(tense), lang="es") for tense in tenses)]
    rows = [[PERSON_NAMES[person], *(_cell(paradigm, regular, tense, person) for tense in tenses)] for person in Person]
    return Table(columns, rows)


def _cell(paradigm: Paradigm, regular: Paradigm, tense: Tense, person: Person) -> Cell | None:
    forms = paradigm.accepted(tense, person)
    if not forms:
        return None
    notes = "; ".join(paradigm[tense, person].notes)
    shown, usual = " / ".join(forms), regular.accepted(tense, person)
    if forms[0] in usual:
        return Cell(shown, note=notes)
    return Cell(shown, note=notes, strong=True, marked=_differing(forms[0], usual[0]) if usual else None)


def _differing(form: str, regular: str) -> tuple[int, int] | None:
    """From which letter to which a form is not the regular one; None where only letters are missing from it."""
    start = _shared(form, regular)
    end = len(form) - _shared(form[start:][::-1], regular[start:][::-1])
    return (start, end) if start < end else None


def _shared(one: str, other: str) -> int:
    """How many letters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _rules(paradigm: Paradigm) -> Table:
    rows = []
    for tense in (*LEARNT_TENSES, Tense.PRESENT_INDICATIVE, Tense.PRETERITE_INDICATIVE):
        persons: dict[str, list[str]] = {}
        for person in Person:
            if paradigm.accepted(tense, person):
                persons.setdefault(paradigm[tense, person].rule, []).append(PERSON_NAMES[person].partition(",")[0])
        for rule, these in persons.items():
            whom = "all persons" if len(these) == len(Person) else ", ".join(these)
            rows.append([tense.replace("_", " "), whom, rule])
    return Table(["Tense", "Persons", "Made by"], rows)


def _title(tense: Tense) -> str:
    return tense.replace("_subjunctive", "").replace("_indicative", "").replace("_", " ")
