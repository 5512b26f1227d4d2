"""Proposed exercises as a page and as lines: what is asked, what is accepted, what each wrong option stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from subjunctive_admin.content.generation import Wanted
from subjunctive_admin.content.proposals import IN_LIBRARY, Proposal, Proposals, propose, write_drafts
from subjunctive_admin.content.store import account_name
from subjunctive_admin.db import Database
from subjunctive_admin.look import Cell, Column, Finding, GroupRow, Header, KeyFigures, Note, Section, Table
from subjunctive_admin.structures import BLANK, ExerciseContent
from subjunctive_admin.vocabulary import PERSON_NAMES, ExerciseType, Status

_TYPES = {
    ExerciseType.FILL_BLANK: "Fill in the blank",
    ExerciseType.MULTIPLE_CHOICE: "Multiple choice",
    ExerciseType.CONJUGATION: "Conjugation",
    ExerciseType.TRANSLATION: "Translation",
    ExerciseType.TRIGGER_IDENTIFICATION: "Find the trigger",
    ExerciseType.ERROR_CORRECTION: "Correct the error",
}
_NOTES = """\
The blank shows as `___`, with the verb in brackets and, where a sentence leaves more than one tense, mood or person, \
the one that is meant: *presente*, *tiempo compuesto*, *subjuntivo*.

A wrong option of a multiple choice is a form of the verb; the error after it is what choosing it tells about the \
learner. Every exercise passed the content checks against the library and the drafts.

Drafts are not live. “Undo last change” in the workbench of `20_curate_verbs` takes back those of the last time \
together."""


def read_proposals(
    database: Database, scenario: str, count: int, seed: int, wanted: Wanted, *, actor: str = "", apply: bool = False
) -> Proposals:
    """Propose, and write drafts with `apply`, in one transaction; `actor` without a name is this account."""
    with database.session(write=apply) as session:
        found = propose(session, scenario, count, seed, wanted)
        return write_drafts(session, found, actor=actor or account_name())[0] if apply else found


def proposals_view(found: Proposals, *, applied: bool) -> list[Any]:
    """The fragments of the page, in reading order."""
    return [
        Header(f"{found.sentence}", _next(found, applied), [("Scenario", f"`{found.scenario}`"), ("Seed", found.seed)]),
        *proposals_findings(found),
        _figures(found),
        Section("The exercises", "What a learner is asked, every answer that is accepted, and why."),
        _table(found),
        Note(_NOTES),
    ]


def proposals_findings(found: Proposals) -> list[Finding]:
    """A warning when there are fewer than were wanted."""
    if not found.fewer:
        return []
    return [
        Finding(
            Status.WARNING,
            f"{len(found.found)} of the {found.wanted} wanted can be made",
            _left_out(found) or "The frames make no more of these verbs, triggers, tenses, persons and types.",
            "ask for more verbs, triggers, tenses, persons or types",
            id="fewer-than-wanted",
        )
    ]


def _left_out(found: Proposals) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.left_out.items())
    return f"Made and left out: {reasons}." if reasons else ""


def _next(found: Proposals, applied: bool) -> str:
    if applied:
        return found.outcome
    if not found.new:
        return "Every one of them has a draft already." if found.found else "There is nothing to write."
    return "Nothing was written: set `apply` to `True` to write them as drafts."


def _figures(found: Proposals) -> KeyFigures:
    asked = found.left_out.get(IN_LIBRARY, 0)
    faulty = sum(found.left_out.values()) - asked
    return KeyFigures(
        [
            ("Proposed", len(found.found), f"of {found.wanted} wanted"),
            ("New", len(found.new), f"{len(found.found) - len(found.new)} have a draft already"),
            ("Written", found.written, "as drafts, none of them live"),
            ("Left out", asked + faulty, f"{asked} already asked, {faulty} by a check"),
        ]
    )


def _table(found: Proposals) -> Table:
    columns: list[Column | str] = [
        Column("Asked", lang="es"),
        Column("Accepted", lang="es"),
        "Practises",
        "Explanation",
    ]
    rows: list[Any] = []
    counts = Counter(one.content.exercise_type for one in found.found)
    for kind in (kind for kind in ExerciseType if counts[kind]):
        rows.append(GroupRow(f"{_TYPES[kind]} · {counts[kind]}"))
        rows += [_row(one) for one in found.found if one.content.exercise_type is kind]
    return Table(columns, rows)


def _row(one: Proposal) -> list[object]:
    content = one.content
    wrong = f"Wrong: {wrong_options(one)}" if one.kinds else ""
    whom, level = " · ".join(described(content)[1:]), content.difficulty_level.value
    return [
        Cell(marked(content), note="Has a draft already." if one.is_draft else ""),
        Cell(
            " / ".join(content.accepted_answers),
            note=wrong,
            strong=content.exercise_type is not ExerciseType.TRANSLATION,
        ),
        Cell(described(content)[0], note=f"{whom} · {level}"),
        content.explanation,
    ]


def marked(content: ExerciseContent) -> str:
    """The prompt with its blank marked."""
    return content.prompt.replace(BLANK, f"`{BLANK}`")


def described(content: ExerciseContent) -> tuple[str, str, str]:
    """What an exercise practises: tense, person and trigger class."""
    trigger = content.trigger_class.replace("_", " ") if content.trigger_class else "no trigger"
    person = PERSON_NAMES[content.person].partition(",")[0] if content.person else "any person"
    return content.tense.replace("_", " "), person, trigger


def wrong_options(one: Proposal) -> str:
    """Each distractor with the error it stands for."""
    return ", ".join(f"*{form}* ({kind})" for form, kind in zip(one.content.distractors, one.kinds, strict=True))


def proposal_lines(found: Proposals, *, applied: bool) -> Iterator[str]:
    """The proposals for a terminal: each exercise, then what was made and what was written."""
    for one in found.found:
        content = one.content
        kind, sign = content.exercise_type.replace("_", " "), "=" if one.is_draft else "+"
        yield f"{sign} {kind} · {' · '.join(described(content))} · {content.difficulty_level}"
        yield f"    {content.prompt}"
        yield f"    right  {' / '.join(content.accepted_answers)}"
        if one.kinds:
            yield f"    wrong  {wrong_options(one).replace('*', '')}"
    if found.left_out:
        yield _left_out(found)
    yield f"{found.sentence}."
    yield found.outcome if applied else "Nothing was written, this was a dry run. Next: the same with --apply"
