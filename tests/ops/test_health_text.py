"""What a person reads in the terminal: 80 columns, findings first, one next step each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from subjunctive_admin.ops.health.report import CheckResult, HealthReport, health_text
from subjunctive_admin.vocabulary import Status

BEGAN = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LOCAL = {"version": "18.4", "address": "/run/s", "role": "subjunctive_ops", "database": "subjunctive", "embedded": True}


def result(check_id: str, status: Status, message: str = "Fine.", **changed: Any) -> CheckResult:
    fields: dict[str, Any] = {
        "id": check_id,
        "title": check_id.title(),
        "group": "Schema and tables",
        "status": status,
        "observed": "1",
        "threshold": {"warning": None, "critical": None},
        "message": message,
        "remedy": "subjunctive-admin setup",
        "duration_ms": 1.0,
    }
    return CheckResult(**{**fields, **changed})


def report(*checks: CheckResult, server: dict[str, Any] | None = None) -> HealthReport:
    return HealthReport("health-20261122-060000", BEGAN, BEGAN + timedelta(seconds=1.94), server or LOCAL, checks)


MIXED = report(
    result("speed", Status.WARNING, "Reading takes 150 ms.", observed="150 ms", threshold={"warning": "100 ms", "critical": "1 s"}),
    result("pool", Status.OK, group="Connections and activity"),
    result("bloat", Status.UNKNOWN, "Could not look: no right.", observed=None, remedy="grant it"),
    result("table-access", Status.CRITICAL, "users is missing.", observed="11 of 12", threshold={"warning": None, "critical": "1"}),
    result("unused-index", Status.INFO, "1 index is unused."),
    result("replication", Status.SKIPPED, "There is no standby."),
    result("schema", Status.OK),
)  # fmt: skip


def test_findings_come_first_and_the_most_urgent_before_the_others() -> None:
    assert (
        health_text(MIXED)
        == """\
CRITICAL  1 critical, 1 warning, 1 unknown, 1 info, 2 ok, 1 skipped
          PostgreSQL 18.4, embedded · subjunctive_ops · 22 Nov 2026 06:00 UTC

  ✕ critical  users is missing.
              table-access: 11 of 12, critical at 1
              Next: subjunctive-admin setup

  ! warning   Reading takes 150 ms.
              speed: 150 ms, warning at 100 ms, critical at 1 s
              Next: subjunctive-admin setup

  ? unknown   Could not look: no right.
              bloat: not seen
              Next: grant it

  i info      unused-index  1 index is unused.

  – skipped   replication  There is no standby.

  ✓ ok        Schema and tables 1 of 6 · Connections and activity 1 of 1

7 checks in 1.9 s. Exit code 2."""
    )


def test_without_findings_the_report_is_short() -> None:
    assert (
        health_text(report(result("schema", Status.OK)))
        == """\
OK        1 ok
          PostgreSQL 18.4, embedded · subjunctive_ops · 22 Nov 2026 06:00 UTC

  ✓ ok        Schema and tables 1 of 1

1 check in 1.9 s. Exit code 0."""
    )


def test_a_server_that_is_down_is_said_once() -> None:
    down = {**LOCAL, "version": None, "address": "db.example.org", "embedded": False}
    lost = result("connectivity", Status.CRITICAL, "The server did not answer.", remedy="subjunctive-admin db start")
    others = [result(str(number), Status.UNKNOWN, "Could not look.") for number in range(4)]
    assert (
        health_text(report(lost, *others, server=down))
        == """\
CRITICAL  The server did not answer.
          4 other checks could not look: unknown, none is reported as ok.
          Next: subjunctive-admin db start

1 check in 1.9 s. Exit code 2."""
    )


@pytest.mark.parametrize("ascii_only", [True, False])
def test_no_line_is_longer_than_80_columns(ascii_only: bool) -> None:
    long = result("table-access", Status.CRITICAL, "users.a_very_long_name " * 20, observed="x" * 200)
    far = {**LOCAL, "embedded": False, "address": "a-rather-long-name.of-a-server.in-a-zone.example.org"}
    lines = health_text(report(*MIXED.checks, long, server=far), ascii_only=ascii_only).splitlines()
    assert max(map(len, lines)) <= 80


def test_a_terminal_without_unicode_gets_plain_symbols() -> None:
    plain = health_text(MIXED, ascii_only=True)

    assert plain.isascii()
    assert "?" not in plain.replace("? unknown", "")
    for line in ("  x critical  users", "  ! warning ", "  i info ", "  - skipped ", "  ok          Schema"):
        assert line in plain


@pytest.mark.parametrize(
    ("checks", "headline"),
    [
        ([], "All 0 checks passed"),
        ([result("a", Status.OK)], "The check passed"),
        ([result("a", Status.OK), result("b", Status.SKIPPED)], "The check passed, 1 skipped"),
        ([*[result("a", Status.OK)] * 3, *[result("b", Status.SKIPPED)] * 2], "All 3 checks passed, 2 skipped"),
        ([result("b", Status.SKIPPED)], "No check could judge yet"),
        ([result("a", Status.WARNING, "It is slow.")], "It is slow"),
        ([result("a", Status.WARNING, "Slow."), result("b", Status.CRITICAL, "Gone.")], "Gone; 1 other finding"),
        ([result("a", Status.CRITICAL, f"It differs: {'x' * 90}.")], "It differs"),
        ([result(str(n), Status.UNKNOWN, "Unseen.") for n in range(3)], "Unseen; 2 other findings"),
    ],
)
def test_the_headline_is_the_most_urgent_finding(checks: list[CheckResult], headline: str) -> None:
    assert report(*checks).headline == headline
