"""Every fault that this package survives, listed once; a test that injects one is marked `injects(id)`."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

FAULTS = {
    "server-down": "No server listens where the address points.",
    "wrong-password": "The server refuses the password.",
    "tls-required-but-absent": "The address requires TLS and the server has none.",
    "no-connection-left": "The server, or the role, is at its limit of connections.",
    "postmaster-killed-in-migration": "The whole server is killed while a migration is at work.",
    "backend-killed": "The server's process of one session is ended.",
    "statistics-lost": "A crash took the server's statistics along.",
    "idle-transaction-blocks-ddl": "A transaction left open holds the lock that a migration needs.",
    "statement-timeout-in-a-check": "A statement of one health check takes too long.",
    "vacuum-without-permission": "The role may not vacuum a table, and the server reports success.",
    "dropped-table": "A table was dropped.",
    "dropped-column": "A column was dropped.",
    "dropped-index": "An index was dropped.",
    "dropped-constraint": "A constraint was dropped.",
    "enum-label-added": "An enum of the database has a label that Python does not know.",
    "enum-label-missing": "An enum of the database lacks a label that Python knows.",
    "sequence-exhausted": "A sequence has reached what its column can hold.",
    "read-only-standby": "The server that was asked to write is a standby.",
    "replication-lag": "A standby is behind its primary.",
    "bit-flip-in-a-table-file": "A bit of a table's file changed on disk.",
    "disk-full-during-backup": "The disk is full while a backup is written.",
    "disk-full-during-data": "The disk is full while rows are written.",
    "backup-killed": "A backup is killed while it is made.",
    "backup-truncated": "The end of a backup is missing.",
    "backup-flipped": "A bit of a backup changed on disk.",
    "backup-of-a-newer-server": "A backup is of a newer server than the one it is to be restored in.",
    "restore-over-a-filled-database": "A backup is to be restored where tables are.",
    "two-setups-at-once": "Two processes set the same database up at once.",
    "seeding-killed": "A seeding is killed half-way.",
    "notebook-timed-out": "A notebook does not end within its time.",
    "notebook-killed": "The kernel of a notebook is killed.",
    "sys-exit-in-a-notebook": "A notebook calls sys.exit.",
    "output-folder-not-writable": "The folder for the reports cannot be written.",
    "clock-moved-back": "The clock was moved back.",
    "two-backups-in-one-second": "Two backups are made within one second.",
    "client-dead-query-lives": "A client dies while its query is at work.",
}


def tally(reports: Iterable[pytest.TestReport]) -> str | None:
    """How many faults were injected and survived, in one line; None when no test that injects one has run.

    A fault has survived when every test that injected it passed, and its cleaning up too.
    """
    ran = [report for report in reports if not report.skipped and report.when != "setup"]
    injected = {fault for report in ran if report.when == "call" for fault in faults_of(report)}
    if not injected:
        return None
    failed = injected & {fault for report in ran if report.failed for fault in faults_of(report)}
    line = f"faults: {len(injected)} injected, {len(injected - failed)} survived"
    return f"{line}; not survived: {', '.join(sorted(failed))}" if failed else line


def faults_of(report: pytest.TestReport) -> set[str]:
    """What the test of a report injects."""
    return {str(value) for name, value in report.user_properties if name == "injects"}
