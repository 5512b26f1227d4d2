"""Page 15 says what maintenance would do; with `apply` it does it, and shows what was not done and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from subjunctive_admin import practice
from subjunctive_admin.db import Database
from subjunctive_admin.look import Chart, Findings, Header, KeyFigures, Table
from subjunctive_admin.ops.cleaning import Cleaned
from subjunctive_admin.ops.maintenance import Action, Outcome, Result, Task
from subjunctive_admin.ops.maintenance_view import maintenance_findings, maintenance_view
from subjunctive_admin.ops.upkeep import Upkeep, look, maintain
from subjunctive_admin.vocabulary import Status
from tests.builders import make_user
from tests.ops.test_ops_pages import part, run_notebook


@pytest.fixture
def neglected(database: Database) -> Database:
    """Dead rows in a table, and twelve sessions that were never closed."""
    with database.session(write=True) as session:
        learner = make_user(session, username="marisol").id
        for days in range(2, 14):
            practice.open_session(session, learner, at=datetime.now(UTC) - timedelta(days=days))
    with database.connection(write=True) as connection:
        connection.execute(text("CREATE TABLE bulk (id int) WITH (autovacuum_enabled = off)"))
        connection.execute(text("INSERT INTO bulk SELECT generate_series(1, 5000)"))
    with database.connection(write=True) as connection:
        connection.execute(text("DELETE FROM bulk WHERE id > 2000"))
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    return database


def figures(page: list[Any]) -> dict[str, object]:
    return {label: value for label, value, _ in part(page, KeyFigures).figures}


def tables_of(page: list[Any]) -> list[Any]:
    return [one for one in page if isinstance(one, Table)]


def page_text(page: list[Any]) -> str:
    return "\n".join(one.text() for one in page if hasattr(one, "text"))


def test_a_dry_run_shows_the_statements_with_their_reasons(neglected: Database) -> None:
    page = maintenance_view(look(neglected))

    assert part(page, Header).title == "1 thing is worth doing, 12 sessions never closed"
    plan, tables, sessions = tables_of(page)
    assert plan.rows[0][0] == "VACUUM (ANALYZE) bulk"
    assert plan.rows[0][1].startswith("3,000 of 5,000 rows are dead")
    assert {"bulk", "users", "ops.pool_samples"} <= {row[0] for row in tables.rows}
    assert (len(sessions.rows), sessions.caption) == (10, "The oldest 10; 2 more.")
    assert figures(page)["Never closed"] == "12"
    assert "marisol" not in page_text(page)


def test_applied_it_shows_before_and_after(neglected: Database) -> None:
    page = maintenance_view(maintain(neglected, look(neglected)))

    assert part(page, Header).title == "1 of 1 tasks are done, 12 sessions closed"
    results, tables = tables_of(page)
    assert (results.rows[0][0], results.rows[0][3]) == (Status.OK, "3\u202f000 → 0")
    (bulk,) = [row for row in tables.rows if row[0] == "bulk"]
    assert bulk[2] == "3\u202f000 → 0"
    assert figures(page)["Never closed"] == "12 → 0"
    assert not [one for one in page if isinstance(one, Findings)]


def undone(found: Upkeep, outcome: Outcome, said: str) -> Upkeep:
    task = Task(Action.VACUUM, "bulk", None, "", 100, 10)
    return replace(found, results=(Result(task, outcome, said, 100, 10, 0.1),), cleaned=Cleaned(0, 0, (), 0))


@pytest.mark.parametrize(
    ("outcome", "said", "status", "step"),
    [
        (Outcome.NOT_DONE, "held up after 5 s by web, pid 7", Status.WARNING, "end that session"),
        (Outcome.NOT_DONE, "9 of 10 dead rows had to stay: web, pid 7", Status.WARNING, "end that session"),
        (Outcome.NOT_DONE, "permission denied to vacuum", Status.WARNING, "use the owner's account"),
        (Outcome.FAILED, "the disk is full", Status.CRITICAL, "put right what the server names"),
    ],
)
def test_what_was_not_done_is_a_finding_with_its_reason(
    database: Database, outcome: Outcome, said: str, status: Status, step: str
) -> None:
    (finding,) = maintenance_findings(undone(look(database), outcome, said))
    assert (finding.status, finding.detail) == (status, f"{said[0].upper()}{said[1:]}.")
    assert step in finding.next_step
    assert finding.title.startswith("`VACUUM bulk` ")


def test_the_largest_tables_are_drawn(neglected: Database) -> None:
    chart = part(maintenance_view(look(neglected)), Chart)
    assert [trace.name for trace in chart.figure.data] == ["rows", "indexes"]
    assert " on disk" in chart.title


def test_the_notebook_changes_nothing_unless_told_to(neglected: Database, tmp_path: Path) -> None:
    run = run_notebook("15_maintenance", neglected, tmp_path)
    assert (run.status, run.error) == (Status.WARNING, None)
    assert not look(neglected).leftovers.is_empty

    run = run_notebook("15_maintenance", neglected, tmp_path, apply=True)
    assert (run.status, run.error) == (Status.OK, None)
    assert look(neglected).leftovers.is_empty
