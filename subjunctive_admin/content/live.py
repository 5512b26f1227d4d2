"""The checks over what is live: published verbs and exercises, without what an editor dismissed."""

from __future__ import annotations

from collections.abc import Sequence

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
    verbs = [c for c in _published(session, ItemKind.VERB) if isinstance(c, VerbContent)]
    exercises = [c for c in _published(session, ItemKind.EXERCISE) if isinstance(c, ExerciseContent)]
    scenarios = [c for c in _published(session, ItemKind.SCENARIO) if isinstance(c, ScenarioContent)]
    return Library(
        {verb.infinitive: verb for verb in verbs}, tuple(exercises), frozenset(scenario.slug for scenario in scenarios)
    )


def live_infinitives(database: Database) -> list[str]:
    """The published verbs, the most frequent first."""
    query = select(SpanishVerb.infinitive).where(SpanishVerb.status == ContentStatus.PUBLISHED)
    with database.session() as session:
        return list(session.scalars(query.order_by(SpanishVerb.frequency_rank, SpanishVerb.infinitive)))


def _published(session: Session, kind: ItemKind) -> list[Content]:
    return [
        content
        for content in load_all(session, kind).values()
        if getattr(content, "status", ContentStatus.PUBLISHED) is ContentStatus.PUBLISHED
    ]


def check_live(session: Session, only: Sequence[str] | None = None) -> list[Finding]:
    """Every fault of what is published but those dismissed for this very content; raises `UsageError` for a wrong id."""
    if unknown := sorted(set(only or ()) - CHECKS.keys()):
        raise UsageError(
            f"There is no check {', '.join(unknown)}.", next_step=f"name one of {', '.join(sorted(CHECKS))}"
        )
    library = live_library(session)
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
