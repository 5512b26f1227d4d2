"""What the first notebooks say, on every state a database can be in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from subjunctive_admin import overview, schema, seeding
from subjunctive_admin.db import Database
from subjunctive_admin.errors import NotSetUp
from subjunctive_admin.look import Chart, GroupRow, Table
from subjunctive_admin.models import TWELVE_TABLES
from subjunctive_admin.vocabulary import ItemKind, Status


def seeded(database: Database) -> Database:
    with database.session(write=True) as session:
        seeding.seed(session, seeding.read_seeds())
    return database


def shown(views: list[object]) -> str:
    return "\n".join(map(repr, views))


def test_an_empty_database_was_never_set_up_and_says_so(empty_database: Database) -> None:
    state = overview.read_overview(empty_database)
    assert (state.status, state.headline, state.rows) == (Status.CRITICAL, "The database was never set up", {})
    assert "subjunctive-admin setup" in shown(overview.overview_view(state))


def test_a_database_without_content_names_the_command_that_seeds_it(database: Database) -> None:
    state = overview.read_overview(database)
    assert (state.status, state.headline) == (Status.WARNING, "There is no content yet")
    assert "subjunctive-admin seed" in shown(overview.overview_view(state))


def test_a_seeded_database_is_ready_and_counted_table_by_table(database: Database) -> None:
    state = overview.read_overview(seeded(database))
    assert state.status is Status.OK
    assert (
        state.headline == f"Ready: {state.rows['spanish_verbs']} verbs and {state.rows['exercises']} exercises are live"
    )
    assert tuple(state.rows) == TWELVE_TABLES
    assert sum(state.exercises_by_tense.values()) == state.rows["exercises"]


def test_the_chart_of_tenses_says_its_largest_bar_in_the_title(database: Database) -> None:
    state = overview.read_overview(seeded(database))
    chart = next(view for view in overview.overview_view(state) if isinstance(view, Chart))
    tense, most = max(state.exercises_by_tense.items(), key=lambda pair: pair[1])
    assert chart.title == (
        f"Most exercises ask for the {tense.replace('_', ' ')}: {most} of {sum(state.exercises_by_tense.values())}"
    )


def test_a_database_behind_the_migrations_is_critical(database: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("UPDATE ops.alembic_version SET version_num = '0000'"))
    state = overview.read_overview(database)
    assert state.status is Status.CRITICAL
    assert state.headline.startswith("The schema is at revision 0000")


def test_the_guide_lists_every_notebook() -> None:
    guide = overview.guide()
    assert isinstance(guide, Table)
    listed = {row[0] for row in guide.rows if not isinstance(row, GroupRow)}
    assert {"00_start", "10_setup", "11_seed", "12_health", "13_pool", "20_curate_verbs"} <= listed


def test_a_setup_that_is_not_applied_changes_nothing_and_says_what_it_would(empty_database: Database) -> None:
    outcome = overview.set_up(empty_database, environment=None, apply=False)
    assert "migrate from an empty database to 0005" in outcome.headline
    with empty_database.connection() as connection:
        assert schema.current_revision(connection) is None


def test_an_applied_setup_reaches_the_head_and_a_second_one_has_nothing_to_do(empty_database: Database) -> None:
    overview.set_up(empty_database, environment="staging", apply=True)
    again = overview.set_up(empty_database, environment=None, apply=True)
    assert again.headline == "Nothing was left to do"
    with empty_database.connection() as connection:
        assert schema.read_state(connection).environment == "staging"


def test_a_seeding_that_is_not_applied_writes_nothing(database: Database) -> None:
    outcome = overview.seed_content(database, take=[], apply=False)
    assert outcome.report is not None
    assert not outcome.report.applied
    assert outcome.status is Status.OK
    with database.connection() as connection:
        assert connection.scalar(text("SELECT count(*) FROM spanish_verbs")) == 0


def test_seeding_a_database_without_tables_is_refused_in_words(empty_database: Database) -> None:
    with pytest.raises(NotSetUp, match="never set up"):
        overview.seed_content(empty_database, take=[], apply=True)


def test_what_an_editor_changed_is_a_warning_that_names_the_item(database: Database) -> None:
    with seeded(database).connection(write=True) as connection:
        connection.execute(text("UPDATE spanish_verbs SET usage_notes = 'Mine.' WHERE infinitive = 'hablar'"))
    outcome = overview.seed_content(database, take=[], apply=True)
    assert outcome.status is Status.WARNING
    assert "verb:hablar" in shown(overview.seed_view(outcome))


def test_seeds_that_the_content_checks_fault_are_a_finding(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [item for item in seeding.read_seeds() if item.content.kind is not ItemKind.EXERCISE]
    example = next(item for item in seeding.read_seeds() if item.content.kind is ItemKind.EXERCISE)
    wrong = [
        replace(example, content=example.content.model_copy(update={"slug": f"wrong-{n}", "prompt": f"{n} ¿___."}))
        for n in range(5)
    ]
    monkeypatch.setattr(seeding, "read_seeds", lambda: [*items, *wrong])

    outcome = overview.seed_content(database, take=[], apply=True)

    finding = next(one for one in outcome.findings if one.id == "content")
    assert outcome.status is Status.WARNING
    assert "exercise wrong-0: " in finding.detail
    assert finding.detail.endswith(f"; and {int(finding.observed) - 3} more.")
