"""What an answer is worth, and which rule a wrong one missed: pure, standard library and vocabulary only.

An answer is compared after Unicode composition, without regard to case, surrounding punctuation, invisible
characters and extra spaces. Written accents count: a missing, wrong or needless one has a verdict of its own,
and only where the word is not another form of the verb – *hablara* for *hablará* is a different tense.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from subjunctive_admin.vocabulary import ErrorKind, Person, Tense, Verdict

_DROPPED_MARKS = dict.fromkeys(map(ord, "\u0300\u0301\u0302\u0308"))

Forms = Mapping[str, Mapping[str, Sequence[str]]]
"""Tense → person → accepted forms, primary first: what `spanish_verbs.conjugations` holds."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: the accepted answers, primary first, and the cell of the paradigm they fill."""

    accepted_answers: tuple[str, ...]
    tense: Tense
    person: Person | None
    forms: Forms


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


def grade(question: Question, answer: str) -> Grade:
    """The verdict; for a wrong answer that is another form of the verb, the error and the form it is."""
    given = normalised(answer)
    accepted = [normalised(text) for text in question.accepted_answers]
    if given in accepted:
        return Grade(Verdict.CORRECT if given == accepted[0] else Verdict.ACCEPTED)
    if reading := _nearest(question, given):
        tense, person = reading
        return Grade(Verdict.WRONG, _missed(question, tense, person), tense, person)
    if given and without_accents(given) in map(without_accents, accepted):
        return Grade(Verdict.ACCENT_ONLY, ErrorKind.ACCENT, question.tense, question.person)
    return Grade(Verdict.WRONG, ErrorKind.UNKNOWN)


def normalised(text: str) -> str:
    """The text as it is compared: composed (NFC), lower case, single spaces, no punctuation around it."""
    visible = "".join(c for c in unicodedata.normalize("NFC", text.lower()) if unicodedata.category(c) != "Cf")
    words = " ".join(visible.split())
    first = next((n for n, c in enumerate(words) if not _is_edge(c)), len(words))
    last = next((n for n in range(len(words), first, -1) if not _is_edge(words[n - 1])), first)
    return words[first:last]


def _is_edge(character: str) -> bool:
    """Punctuation, symbols of quotation and spaces, which say nothing around an answer."""
    return unicodedata.category(character)[0] in "PZ" or character in "`´^"


def without_accents(text: str) -> str:
    """The text without accents and diaereses; ñ is a letter of its own and stays."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).translate(_DROPPED_MARKS))


def mood(tense: Tense) -> str:
    """`subjunctive`, `indicative` or `imperative`."""
    return "imperative" if tense.startswith("imperative") else tense.rsplit("_", 1)[1]


def _nearest(question: Question, given: str) -> tuple[Tense, Person] | None:
    """Of all cells that hold the form, the one nearest to what was asked; ties in the vocabulary's order."""
    return min(_cells(question.forms, given), key=lambda cell: _distance(question, *cell), default=None)


def _cells(forms: Forms, given: str) -> Iterator[tuple[Tense, Person]]:
    for tense in Tense:
        for person, accepted in forms.get(tense, {}).items():
            if given in accepted:
                yield tense, Person(person)


def _distance(question: Question, tense: Tense, person: Person) -> tuple[bool, bool, bool]:
    # One slip is likelier than two: the person alone, then the tense alone, then the mood alone.
    return (
        tense is not question.tense and person is not question.person,
        mood(tense) != mood(question.tense),
        tense is not question.tense,
    )


def _missed(question: Question, tense: Tense, person: Person) -> ErrorKind:
    if tense is question.tense:
        # A form of the very cell that is not accepted: right elsewhere, not in this sentence.
        return ErrorKind.UNKNOWN if question.person in (person, None) else ErrorKind.PERSON
    return ErrorKind.TENSE if mood(tense) == mood(question.tense) else ErrorKind.MOOD
