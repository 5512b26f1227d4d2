"""`optimize` says what is worth doing without doing it, does it with --apply, and answers with its exit code."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from subjunctive_admin import cli, practice
from subjunctive_admin.db import Database
from subjunctive_admin.narration import Narrator
from subjunctive_admin.ops.cleaning import Cleaned
from subjunctive_admin.ops.health.grading import sized
from subjunctive_admin.ops.maintenance import Action, Outcome, Result, Task
from subjunctive_admin.ops.upkeep import change, look, maintain, upkeep_text
from subjunctive_admin.vocabulary import Status
from tests.builders import make_user

Ran = tuple[int, str, str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs a command on a database: exit code, stdout, stderr."""

    def run(database: Database, *arguments: str) -> Ran:
        monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", database.url.render_as_string(hide_password=False))
        monkeypatch.setenv("SUBJUNCTIVE_LOCK_TIMEOUT", "0.2")
        code = cli._run(list(arguments), False)
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def neglected(database: Database) -> Database:
    """A table full of dead rows, a session that was never closed, and an expired sample."""
    began = datetime.now(UTC) - timedelta(days=5)
    with database.session(write=True) as session:
        practice.open_session(session, make_user(session).id, at=began)
        session.execute(
            text("INSERT INTO ops.pool_samples (application_name, sampled_at) VALUES ('web', now() - interval '90 d')")
        )
    with database.connection(write=True) as connection:
        connection.execute(text("CREATE TABLE bulk (id int) WITH (autovacuum_enabled = off)"))
        connection.execute(text("INSERT INTO bulk SELECT generate_series(1, 5000)"))
    with database.connection(write=True) as connection:
        connection.execute(text("DELETE FROM bulk WHERE id > 2000"))
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    return database


@contextmanager
def snapshot(database: Database) -> Iterator[None]:
    other = Database(database.url, purpose="holder")
    with other.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("SELECT 1"))
        yield
    other.dispose()


def counts(database: Database) -> tuple[int, int, int]:
    """Dead rows, open sessions, samples."""
    query = (
        "SELECT pg_stat_get_dead_tuples('bulk'::regclass),"
        " (SELECT count(*) FROM study_sessions WHERE completed_at IS NULL), (SELECT count(*) FROM ops.pool_samples)"
    )
    with database.connection() as connection:
        dead, opened, samples = connection.execute(text(query)).one()
    return dead, opened, samples


def test_a_dry_run_says_what_is_worth_doing_changes_nothing_and_is_a_finding(
    neglected: Database, command: Callable[..., Ran]
) -> None:
    code, out, _ = command(neglected, "optimize")
    assert code == 1
    assert out.startswith("WARNING   1 thing is worth doing, 1 session never closed, 1 sample expired.")
    assert "  vacuum  bulk" in out
    assert "3,000 of 5,000 rows are dead (60%)" in out
    assert "Next: subjunctive-admin optimize --apply" in out
    assert counts(neglected) == (3000, 1, 1)


def test_apply_does_what_the_dry_run_said_with_the_figures_before_and_after(
    neglected: Database, command: Callable[..., Ran]
) -> None:
    code, out, _ = command(neglected, "optimize", "--apply")
    assert code == 0
    assert out.startswith("OK        1 of 1 tasks are done, 1 sessions closed, 1 samples deleted.")
    assert "3,000 → 0 dead" in out
    assert counts(neglected) == (0, 0, 0)

    code, out, _ = command(neglected, "optimize")
    assert (code, out.startswith("OK        Nothing is worth doing")) == (0, True)


@pytest.mark.injects("vacuum-without-permission")
def test_what_was_not_done_is_said_and_is_exit_code_2(neglected: Database, command: Callable[..., Ran]) -> None:
    with snapshot(neglected):
        with neglected.connection(write=True) as connection:
            connection.execute(text("UPDATE bulk SET id = id"))
            connection.execute(text("SELECT pg_stat_force_next_flush()"))
        code, out, _ = command(neglected, "optimize", "--apply")
    assert code == 2
    assert "0 of 1 tasks are done" in out
    assert "subjunctive:holder:" in " ".join(out.split())
    assert counts(neglected)[1:] == (0, 0)


def test_the_report_is_json_too(neglected: Database, command: Callable[..., Ran]) -> None:
    code, out, _ = command(neglected, "optimize", "--json")
    found = json.loads(out)
    assert (code, found["applied"], found["status"], found["results"]) == (1, False, "warning", [])
    assert [(one["action"], one["table"], one["dead"]) for one in found["tasks"]] == [("vacuum", "bulk", 3000)]

    code, out, _ = command(neglected, "optimize", "--apply", "--json")
    found = json.loads(out)
    assert (code, found["applied"], found["cleaned"]["closed"]) == (0, True, 1)
    assert [(one["outcome"], one["dead"]) for one in found["results"]] == [("done", 0)]


def test_a_database_that_was_never_set_up_is_refused(empty_database: Database, command: Callable[..., Ran]) -> None:
    code, _, err = command(empty_database, "optimize")
    assert (code, "never set up" in err) == (3, True)


def test_the_text_fits_a_terminal(neglected: Database) -> None:
    found = look(neglected)
    long = Task(Action.REINDEX, "bulk", "ix_" + "x" * 60, "by estimate 12 MB of 20 MB are empty " * 4, 10**7, 0)
    found = replace(found, plan=replace(found.plan, tasks=(long,), unknown=("ix_" + "y" * 90,)))
    assert max(map(len, upkeep_text(found).splitlines()[1:])) <= 80

    result = Result(long, Outcome.NOT_DONE, "held up by " + "subjunctive:web:host:7, " * 9, 10**7, 0, 12.5)
    told = upkeep_text(replace(found, results=(result,), cleaned=Cleaned(0, 2, ("session 7: deactivated",), 0)))
    assert max(map(len, told.splitlines())) <= 80
    assert "session 7: deactivated" in told
    assert "2 were answered again meanwhile" in told


@pytest.mark.parametrize(
    ("outcome", "refused", "status"),
    [
        (Outcome.DONE, (), Status.OK),
        (Outcome.NOT_DONE, (), Status.CRITICAL),
        (Outcome.FAILED, (), Status.CRITICAL),
        (Outcome.DONE, ("session 7: deactivated",), Status.CRITICAL),
    ],
)
def test_only_what_was_done_is_done(
    database: Database, outcome: Outcome, refused: tuple[str, ...], status: Status
) -> None:
    result = Result(Task(Action.ANALYZE, "users", None, "", 0, 0), outcome, "", 0, 0, 0.1)
    found = replace(look(database), results=(result,), cleaned=Cleaned(0, 0, refused, 0))
    assert found.status is status


@pytest.mark.parametrize(
    ("before", "after", "write", "said"),
    [
        (12_000, 0, "{:,}".format, "12,000 → 0"),
        (5, 5, "{:,}".format, "5"),
        (2_000_000, 1_000_000, sized, "2 MB → 1 MB"),
        (2_000_000, 2_000_100, sized, "2 MB"),
        (8192, None, sized, "8.19 kB → gone"),
    ],
)
def test_a_change_is_said_before_and_after(
    before: int, after: int | None, write: Callable[[int], str], said: str
) -> None:
    assert change(before, after, write) == said


def test_progress_is_a_bar_on_a_terminal_and_nothing_in_a_file(neglected: Database) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    alive, file = Terminal(), io.StringIO()
    Narrator(alive).bar(1, 2, "VACUUM bulk")
    Narrator(file).bar(1, 2, "VACUUM bulk")
    assert "██████████░░░░░░░░░░ 1 of 2  VACUUM bulk" in alive.getvalue()
    assert file.getvalue() == ""
    seen: list[Any] = []
    maintain(neglected, look(neglected), lambda *at: seen.append(at))
    assert seen[0] == (0, 1, "VACUUM (ANALYZE) bulk")
    assert (0, 1, "closing stale sessions") in seen
