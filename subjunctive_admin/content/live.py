"""The checks over what is live: published verbs and exercises, without what an editor dismissed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from subjunctive_admin.content.checks import CHECKS, Finding, Library, run_checks
from subjunctive_admin.content.store import load_all
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.models import Dismissal, SpanishVerb
from subjunctive_admin.structures import Content, ExerciseContent, ScenarioContent, VerbContent
from subjunctive_admin.vocabulary import ContentStatus, ItemKind


def live_library(session: Session) -> Library:
    """The published verbs, exercises and scenarios, as the checks read them."""
    kinds = (ItemKind.VERB, ItemKind.EXERCISE, ItemKind.SCENARIO)
    return published_library(content for kind in kinds for content in load_all(session, kind).values())


def live_infinitives(database: Database) -> list[str]:
    """The published verbs, the most frequent first."""
    query = select(SpanishVerb.infinitive).where(SpanishVerb.status == ContentStatus.PUBLISHED)
    with database.session() as session:
        return list(session.scalars(query.order_by(SpanishVerb.frequency_rank, SpanishVerb.infinitive)))


def published_library(contents: Iterable[Content]) -> Library:
    """What of these items is published, as the checks read it."""
    verbs, exercises, scenarios = dict[str, VerbContent](), list[ExerciseContent](), set[str]()
    for content in contents:
        if getattr(content, "status", ContentStatus.PUBLISHED) is not ContentStatus.PUBLISHED:
            continue
        match content:
            case VerbContent():
                verbs[content.infinitive] = content
            case ExerciseContent():
                exercises.append(content)
            case ScenarioContent():
                scenarios.add(content.slug)
    return Library(verbs, tuple(exercises), frozenset(scenarios))


def check_live(session: Session, only: Sequence[str] | None = None, *, library: Library | None = None) -> list[Finding]:
    """Every fault of what is published but those dismissed for this very content; raises `UsageError` for a wrong id.

    `library` is what is published, for a caller that has read it.
    """
    if unknown := sorted(set(only or ()) - CHECKS.keys()):
        raise UsageError(
            f"There is no check {', '.join(unknown)}.", next_step=f"name one of {', '.join(sorted(CHECKS))}"
        )
    library = library or live_library(session)
    found = run_checks(library, only)
    items = {(ItemKind.VERB, key): verb for key, verb in library.verbs.items()}
    items |= {(ItemKind.EXERCISE, exercise.slug): exercise for exercise in library.exercises}  # type: ignore[misc]
    dismissed = {
        (row.check_id, row.item_kind, row.item_key, row.content_hash) for row in session.scalars(select(Dismissal))
    }
    if not dismissed:
        return found
    return [
        one
        for one in found
        if (one.check, one.kind, one.key, items[one.kind, one.key].content_hash()) not in dismissed  # type: ignore[attr-defined]
    ]
