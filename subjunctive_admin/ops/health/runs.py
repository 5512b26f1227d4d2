"""Health over time: each run is compared with those before it and recorded for those after it.

report = recorded_health(database)
report.comparison.new       # ids of findings that the last run did not have
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.narration import Narrator
from subjunctive_admin.ops import health
from subjunctive_admin.ops.health.registry import CONNECTIVITY, Previous
from subjunctive_admin.ops.health.report import (
    CONTRACT_VERSION,
    FOUND,
    CheckResult,
    Comparison,
    HealthReport,
)
from subjunctive_admin.ops.history import Run, database_name, read_runs, remember
from subjunctive_admin.vocabulary import Status

Narrate = Callable[[str], None]

KIND = "health"
REMEMBERED = timedelta(days=62)
"""How far back a run looks for the one before it."""

_WORSE = (Status.WARNING, Status.UNKNOWN, Status.CRITICAL)


def recorded_health(
    database: Database,
    *,
    only: Sequence[str] = (),
    deep: bool = False,
    baseline: Path | None = None,
    narrate: Narrate | None = None,
    say: Narrate | None = None,
) -> HealthReport:
    """Run the checks, compare with the report in `baseline` or with the last recorded run, and record this one.

    `say` gets the sentence that tells of a history which cannot be written or read; it changes no result.
    Raises `UsageError` for ids that do not exist and for a file that is no report of this database.
    """
    say = say or Narrator().say
    name = name_of(database)
    compared = read_baseline(baseline, database) if baseline else None
    before, unreadable = _recorded(database, name)
    if unreadable:
        say(f"{unreadable} lines of the run history cannot be read; they count as runs that never were.")
    report = health.run_health(database, only=only, deep=deep, previous=previous_facts(before), narrate=narrate)
    report = replace(
        report, comparison=compare(report, compared or _last(before)), last_success=_success(report, before)
    )
    remember(database.settings.home, run_of(report, name), say)
    return report


def name_of(database: Database) -> str:
    """What the history calls this database."""
    return database_name(database.url.render_as_string(hide_password=True))


def health_runs(home: Path, database: str, *, since: datetime | None = None) -> tuple[list[Run], int]:
    """The recorded health runs of one database, the oldest first, and how many lines could not be read."""
    runs, unreadable = read_runs(home, kind=KIND, since=since)
    return [run for run in runs if run.database == database], unreadable


def _recorded(database: Database, name: str) -> tuple[list[Run], int]:
    return health_runs(database.settings.home, name, since=datetime.now(UTC) - REMEMBERED)


def run_of(report: HealthReport, name: str) -> Run:
    """The report as a line of the history; of a server that did not answer, only the connection was looked at."""
    looked = [one for one in report.checks if one.id == CONNECTIVITY or not report.is_unreachable]
    checks = {one.id: {"status": one.status.value, "facts": dict(one.facts)} for one in looked}
    return Run(
        KIND,
        report.run_id,
        report.started_at,
        report.finished_at,
        report.overall,
        report.headline,
        name,
        {"counts": report.counts, "checks": checks},
    )


def _checks_of(run: Run) -> Mapping[str, tuple[Status, Mapping[str, float]]]:
    """What a line keeps of each check; what another version wrote otherwise is left out."""
    kept = run.facts.get("checks")
    found: dict[str, tuple[Status, Mapping[str, float]]] = {}
    for name, one in kept.items() if isinstance(kept, dict) else ():
        status = one.get("status") if isinstance(one, dict) else None
        if status in tuple(Status) and isinstance(one.get("facts"), dict):
            found[name] = (Status(status), one["facts"])
    return found


def facts_of(run: Run, check_id: str) -> Mapping[str, float]:
    """The numbers that a health run kept of one check; empty without any."""
    return _checks_of(run).get(check_id, (Status.OK, {}))[1]


def statuses_of(run: Run) -> Mapping[str, Status]:
    """How each check of a recorded health run ended."""
    return {name: status for name, (status, _) in _checks_of(run).items()}


def previous_facts(runs: Iterable[Run]) -> dict[str, Previous]:
    """By check, what the newest run that kept facts of it has kept; runs come oldest first."""
    found: dict[str, Previous] = {}
    for run in runs:
        for name, (_, facts) in _checks_of(run).items():
            if facts:
                found[name] = Previous(run.started_at, facts)
    return found


def _last(runs: Sequence[Run]) -> Comparison | None:
    """The state before this run: of each check the newest look at it, and for how many looks it has been a finding."""
    if not runs:
        return None
    statuses, since = dict[str, Status](), dict[str, int]()
    for run in runs:
        for name, status in statuses_of(run).items():
            since[name] = since.get(name, 0) + 1 if status in FOUND else 0
            statuses[name] = status
    newest = runs[-1]
    return Comparison(newest.run_id, newest.started_at, statuses, since)


def _success(report: HealthReport, before: Iterable[Run]) -> datetime | None:
    if report.exit_code == 0:
        return report.finished_at
    return max((run.finished_at for run in before if run.status is Status.OK), default=None)


def compare(report: HealthReport, before: Comparison | None) -> Comparison | None:
    """What is new, worse and gone in a report against an earlier one; None without an earlier one."""
    if before is None:
        return None
    looked = [one for one in report.checks if one.id == CONNECTIVITY or not report.is_unreachable]
    return replace(
        before,
        since={one.id: before.since.get(one.id, 0) + 1 for one in looked if one.status in FOUND},
        new=tuple(one.id for one in looked if one.status in FOUND and before.statuses.get(one.id) not in FOUND),
        resolved=tuple(one.id for one in looked if one.status not in FOUND and before.statuses.get(one.id) in FOUND),
        regressed=tuple(one.id for one in looked if _is_worse(one, before.statuses.get(one.id))),
    )


def _is_worse(one: CheckResult, before: Status | None) -> bool:
    if one.status not in FOUND or before not in FOUND:
        return False
    return _WORSE.index(one.status) > _WORSE.index(before)


def read_baseline(path: Path, database: Database) -> Comparison:
    """The state that a report written by `--format json` tells.

    Raises `UsageError` for a file that cannot be read, is no such report, or is one of another database.
    """
    again = "give a file that `subjunctive-admin health --format json` wrote for this database"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version, server = found["contract_version"], found["server"]
        if version == CONTRACT_VERSION:
            state = _state_in(found)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"The baseline {path} cannot be read: {reason}.", next_step=again) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"The baseline {path} is no health report.", next_step=again) from error
    if version != CONTRACT_VERSION:
        raise UsageError(
            f"The baseline {path} has contract version {version}, this version writes {CONTRACT_VERSION}.",
            next_step=again,
        )
    if server.get("database") != database.url.database or server.get("address") != health.address_of(database):
        said = f"{server.get('database')} at {server.get('address')}"
        raise UsageError(f"The baseline {path} is a report of another database, {said}.", next_step=again)
    return state


def _state_in(found: Mapping[str, Any]) -> Comparison:
    since = (found.get("baseline") or {}).get("since", {})
    statuses = {one["id"]: Status(one["status"]) for one in found["checks"]}
    return Comparison(
        str(found["run_id"]),
        datetime.fromisoformat(found["started_at"]).astimezone(UTC),
        statuses,
        {name: int(since.get(name, 1)) for name, status in statuses.items() if status in FOUND},
    )
