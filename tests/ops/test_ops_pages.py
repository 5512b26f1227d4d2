"""What the pages of health and pool say, with and without findings, and the notebooks that make them."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.look import Chart, CheckTable, Findings, GroupRow, Header, StatusBoard, Table
from subjunctive_admin.ops.health import check_ids, run_health
from subjunctive_admin.ops.health.view import health_findings, health_view
from subjunctive_admin.ops.pool import (
    Course,
    Glance,
    OtherProcess,
    OtherSession,
    PoolReport,
    Sample,
    exercise_pool,
    pool_report,
)
from subjunctive_admin.ops.pool_view import pool_findings, pool_view
from subjunctive_admin.pooling import Holder
from subjunctive_admin.reports import ReportRun, find_notebook, run_report
from subjunctive_admin.settings import load_settings
from subjunctive_admin.vocabulary import Status


def part(fragments: list[Any], kind: type) -> Any:
    (found,) = [one for one in fragments if isinstance(one, kind)]
    return found


def without(fragments: list[Any], kind: type) -> bool:
    return not [one for one in fragments if isinstance(one, kind)]


def run_notebook(name: str, database: Database, out: Path, **parameters: Any) -> ReportRun:
    url = database.url.render_as_string(hide_password=False)
    return run_report(find_notebook(name), parameters, out=out, settings=load_settings(database_url=url))


def test_a_page_without_findings_says_so_and_shows_every_check(database: Database, sound_server: None) -> None:
    report = run_health(database)
    page = health_view(report)

    assert part(page, Header).title == report.headline
    assert report.headline.endswith(" skipped")
    assert part(page, Header).summary == "Every check could look, and nothing needs you."
    assert part(page, Findings).findings == []
    assert sum(len(tiles) for tiles in part(page, StatusBoard).groups.values()) == len(check_ids())
    assert [row.id for row in part(page, CheckTable).checks] == check_ids()


def test_the_chart_shows_each_read_and_both_limits(database: Database) -> None:
    chart = part(health_view(run_health(database, only=["performance"])), Chart)

    assert "The slowest common read is" in chart.title
    assert {note.text for note in chart.figure.layout.annotations} == {"warning 100 ms", "critical 1 s"}
    assert len(chart.frame.rows) == 5
    assert chart.note.startswith("n = 25 reads")


def test_a_finding_carries_its_value_its_limit_and_a_command(database: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("DROP TABLE user_achievements"))
    report = run_health(database, only=["connectivity", "schema-integrity", "table-access"])

    findings = {one.id: one for one in health_findings(report)}
    second = findings["table-access"]

    assert next(iter(findings)) == "schema-integrity"
    assert findings["schema-integrity"].status is Status.CRITICAL
    assert second.title == "user_achievements is missing."
    assert (second.observed, second.limit) == ("11 of 12", "critical at 1 missing or damaged")
    assert second.detail.startswith("`table-access`  Each of the twelve tables")
    assert part(health_view(report), Header).title.endswith("; 1 other finding")
    assert len(findings) == 2


def test_commands_in_a_next_step_are_set_as_code(empty_database: Database) -> None:
    steps = {one.id: one.next_step for one in health_findings(run_health(empty_database, only=["schema-integrity"]))}
    assert steps["schema-integrity"] == "`subjunctive-admin setup`"


def test_an_unreachable_server_has_a_page_without_a_chart(database: Database, tmp_path: Path) -> None:
    gone = Database(database.url.update_query_dict({"host": str(tmp_path)}), database.settings)
    page = health_view(run_health(gone))

    assert without(page, Chart)
    assert "nothing is reported as ok" in part(page, Header).summary
    assert "?" in part(page, CheckTable).text()


def test_unknown_checks_are_counted_in_the_summary(empty_database: Database) -> None:
    five = ["connectivity", "pool", "performance", "schema-integrity", "table-access"]
    summary = part(health_view(run_health(empty_database, only=five)), Header).summary
    assert summary == "Of 5 checks: 2 critical, 1 unknown, 2 ok. What could not be looked at is unknown, not ok."


@pytest.fixture
def quiet(database: Database) -> PoolReport:
    return replace(pool_report(database), sessions=(), processes=(), suspects=())


def test_a_pool_with_room_has_no_finding(quiet: PoolReport) -> None:
    page = pool_view(quiet)

    assert part(page, Header).title.startswith("The pool has room")
    assert pool_findings(quiet) == []
    assert without(page, Findings)
    assert without(page, Table)


def test_a_pool_in_need_has_one_finding(quiet: PoolReport) -> None:
    full = replace(quiet, status=Status.CRITICAL, headline="97 of 97 connections of the server are in use.")
    (finding,) = part(pool_view(full), Findings).findings
    assert (finding.status, finding.title) == (Status.CRITICAL, full.headline)


def test_a_session_whose_state_is_hidden_is_shown_as_not_known(quiet: PoolReport) -> None:
    report = replace(quiet, sessions=(OtherSession("subjunctive:web", 7, "unknown", None),))
    page = "\n".join(one.text() for one in pool_view(report))
    assert "The state of 1 is not visible to this role." in page
    assert part(pool_view(report), Table).rows == [["subjunctive:web", "7", "unknown", "?"]]


def test_other_processes_are_listed_with_what_they_publish(quiet: PoolReport) -> None:
    numbers: dict[str, Any] = {field.name: 0 for field in fields(Sample)}
    told = Sample(**(numbers | {"pool": "async", "size": 5, "checked_out": 2, "age_s": 4.0}))
    web = OtherProcess("subjunctive:web:host:7", 2, (told,))
    silent = OtherProcess("subjunctive:job:host:8", 1)
    page = pool_view(replace(quiet, processes=(web, silent), claim=6))

    first, second = part(page, Table).rows
    assert (first[0], first[2], first[3], first[-1]) == ("subjunctive:web:host:7", "async", "2 of 5", "4 s ago")
    assert (second[0], second[-1]) == ("subjunctive:job:host:8", "publishes none")
    assert "1 process publishes none" in "\n".join(one.text() for one in page)


def test_a_forgotten_connection_is_shown_with_each_line_of_its_stack(quiet: PoolReport) -> None:
    held = Holder("order 7", 90.0, ("shop/views.py:44 in submit", "shop/app.py:9 in main"))
    warned = replace(quiet, suspects=(held,), status=Status.WARNING, headline="1 connection held.")
    page = pool_view(warned)

    rows = part(page, Table).rows
    assert rows == [GroupRow("order 7, for 90 s"), [held.stack[0]], [held.stack[1]]]
    assert "give the connection back where it was taken" in pool_findings(warned)[0].next_step


@pytest.mark.parametrize(
    ("most", "pending", "title"),
    [
        (10, 3, "All 10 connections were in use, and up to 3 callers waited"),
        (4, 0, "At most 4 of 10 connections were in use"),
    ],
)
def test_the_course_of_a_pool_says_whether_it_was_full(quiet: PoolReport, most: int, pending: int, title: str) -> None:
    course = Course(0.02, [Glance(0.0, 0, 0, 0, 0), Glance(0.02, most, 0, 0, pending)])
    chart = part(pool_view(quiet, None, course), Chart)
    assert chart.title == title
    assert [trace.name for trace in chart.figure.data] == ["checked out", "overflow", "pending"]
    assert [row[-1] for row in chart.frame.rows] == [most, 0, pending]


def test_the_load_is_drawn_with_its_waits_and_holds(database: Database, quiet: PoolReport) -> None:
    load = exercise_pool(database, checkouts=20, threads=3, hold_ms=1)
    chart = part(pool_view(quiet, load), Chart)

    assert "ms (p95) for a connection" in chart.title
    assert [len(trace.x) for trace in chart.figure.data] == [20, 20]
    assert chart.note.startswith("n = 20 checkouts from ")
    assert [row[0] for row in chart.frame.rows] == ["Wait", "Hold"]


def test_the_health_notebook_reports_what_the_checks_found(database: Database, tmp_path: Path) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("ALTER TABLE users DISABLE TRIGGER tg_users_touch"))

    run = run_notebook("12_health", database, tmp_path, only="schema-integrity, table-access")

    assert (run.status, run.exit_code, run.error) == (Status.CRITICAL, 2, None)
    assert run.headline == "The schema is not the one the migrations make"
    assert "tg_users_touch differs" in run.findings[0]["detail"]
    assert [one["id"] for one in run.findings] == ["schema-integrity"]
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert str(database.url.password) not in written


def test_the_health_notebook_fails_on_request(database: Database, tmp_path: Path) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("DROP TABLE user_achievements"))
    run = run_notebook("12_health", database, tmp_path, only="table-access", fail_on="critical")
    assert "ReportFailed" in str(run.error)
    assert run.exit_code == 2


def test_the_pool_notebook_exercises_the_pool(database: Database, tmp_path: Path) -> None:
    run = run_notebook("13_pool", database, tmp_path, checkouts=20, threads=2, hold_ms=1.0)

    assert (run.status, run.error) == (Status.OK, None)
    executed = json.loads((tmp_path / "13_pool" / "13_pool.ipynb").read_text())
    assert "n = 20 checkouts" in json.dumps(executed)
