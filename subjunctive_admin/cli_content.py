"""What the commands about Spanish print: verbs and answers, one at a time or a line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from subjunctive_admin.errors import UsageError

if TYPE_CHECKING:
    from subjunctive_admin.content.conjugation import Paradigm

STDIN = "-"
"""In place of a verb: read one question a line."""


def paradigm_of(infinitive: str) -> Paradigm:
    """The verb's forms; raises `UsageError` for what is no infinitive."""
    from subjunctive_admin.content.conjugation import NotAVerb, conjugate  # noqa: PLC0415

    try:
        return conjugate(infinitive)
    except NotAVerb as error:
        raise UsageError(str(error), next_step="subjunctive-admin conjugate hablar") from error


def conjugated_lines(lines: Iterator[str], say: Callable[[str], None]) -> bool:
    """One JSON line for each verb, in order; False when a line was no verb."""
    from subjunctive_admin.content.conjugation import NotAVerb, conjugate  # noqa: PLC0415

    sound = True
    for line in lines:
        try:
            found = conjugate(line).as_dict()
        except NotAVerb as error:
            found, sound = {"infinitive": line.strip(), "error": str(error)}, False
        say(json.dumps(found, ensure_ascii=False))
    return sound


def diagnosis_of(verb: str, tense: str, person: str, answer: str) -> dict[str, Any]:
    """`{verdict, readings}` of one answer; raises `UsageError` for an unknown verb, tense or person."""
    from subjunctive_admin.content.diagnosis import diagnose, verdict_of  # noqa: PLC0415
    from subjunctive_admin.vocabulary import Person, Tense  # noqa: PLC0415

    for given, known, name in ((tense, Tense, "tense"), (person, Person, "person")):
        if given not in list(known):
            raise UsageError(f"{given!r} is no {name}; there are {', '.join(known)}.")
    paradigm = paradigm_of(verb)
    readings = diagnose(paradigm.infinitive, tense, person, answer)
    return {"verdict": verdict_of(readings).value, "readings": [one.as_dict() for one in readings]}


def diagnosed_lines(lines: Iterator[str], say: Callable[[str], None]) -> bool:
    """One JSON line for each line of verb, tense, person and answer between tabs; False when a line made no sense."""
    sound = True
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        try:
            if len(fields) != 4:
                raise UsageError("A line has a verb, a tense, a person and an answer between tabs.")
            found = diagnosis_of(*fields)
        except UsageError as error:
            found, sound = {"error": error.message}, False
        say(json.dumps(found, ensure_ascii=False))
    return sound


def paradigm_lines(paradigm: Paradigm) -> Iterator[str]:
    """A paradigm for a terminal: what it is, then a row for each tense, all accepted forms."""
    from subjunctive_admin.vocabulary import Person  # noqa: PLC0415

    yield f"{paradigm.infinitive} – {paradigm.verb_type.value.replace('_', ' ')}: {'; '.join(paradigm.features)}"
    if paradigm.defective:
        yield f"Used in part: {paradigm.defective}"
    yield f"{', '.join(paradigm.gerund)} · {', '.join(paradigm.past_participle)}"
    for tense, row in paradigm.forms().items():
        yield ""
        yield tense.replace("_", " ")
        for person in Person:
            if forms := row[person]:
                cell = paradigm[tense, person]
                notes = f"  ({'; '.join(cell.notes)})" if cell.notes else ""
                yield f"  {person:<10}{' / '.join(forms):<44}{cell.rule}{notes}"


def stdin_lines() -> Iterator[str]:
    """The lines of stdin; bytes that are no UTF-8 become question marks, and their line is then no verb."""
    stream = sys.stdin
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding="utf-8", errors="replace")
    yield from (line.rstrip("\r\n") for line in stream)
