"""Maintenance as one report: what is worth doing to tables, indexes and leftovers, and what became of it.

found = look(database)                # a dry run: reads only
done = maintain(database, found)      # does what the dry run listed, and measures again
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from subjunctive_admin.db import Database
from subjunctive_admin.narration import symbol
from subjunctive_admin.ops.cleaning import Cleaned, Leftovers, clean, read_leftovers
from subjunctive_admin.ops.health.grading import sized
from subjunctive_admin.ops.maintenance import (
    Outcome,
    Plan,
    Result,
    TableFigures,
    Task,
    Worth,
    optimize,
    plan_of,
    read_tables,
)
from subjunctive_admin.vocabulary import Status

STATUS_OF_OUTCOME = {
    Outcome.DONE: Status.OK,
    Outcome.NOT_DONE: Status.WARNING,
    Outcome.FAILED: Status.CRITICAL,
}
_WIDTH = 80

Progress = Callable[[int, int, str], None]


def _silent(_done: int, _total: int, _said: str) -> None:
    return None


@dataclass(frozen=True)
class Upkeep:
    """What was found; and, once applied, what became of each task, what was cleaned, and the tables afterwards."""

    taken_at: datetime
    database: str
    plan: Plan
    leftovers: Leftovers
    results: tuple[Result, ...] = ()
    cleaned: Cleaned | None = None
    after: tuple[TableFigures, ...] = ()

    @property
    def is_applied(self) -> bool:
        """Whether it was more than a dry run."""
        return self.cleaned is not None

    @property
    def unfinished(self) -> int:
        """How many tasks and sessions were not done though they were to be."""
        refused = len(self.cleaned.refused) if self.cleaned else 0
        return sum(one.outcome is not Outcome.DONE for one in self.results) + refused

    @property
    def status(self) -> Status:
        """Warning when a dry run found something, critical when not all of it was done, else ok."""
        if self.is_applied:
            return Status.CRITICAL if self.unfinished else Status.OK
        return Status.WARNING if self.plan.tasks or not self.leftovers.is_empty else Status.OK

    @property
    def headline(self) -> str:
        """What was found, or done, as one sentence."""
        if self.is_applied:
            return _said_done(self)
        worth = list(_said_worth(self))
        return f"{', '.join(worth)}." if worth else "Nothing is worth doing: tables, indexes and leftovers are fine."

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "taken_at": self.taken_at.isoformat(),
            "database": self.database,
            "applied": self.is_applied,
            "status": self.status.value,
            "headline": self.headline,
            "tables": [_table(one) for one in self.plan.tables],
            "tasks": [one.as_dict() for one in self.plan.tasks],
            "unknown_bloat": list(self.plan.unknown),
            "cleaning": self.leftovers.as_dict(),
            "results": [one.as_dict() for one in self.results],
            "cleaned": self.cleaned.as_dict() if self.cleaned else None,
            "tables_after": [_table(one) for one in self.after],
        }


def look(database: Database, worth: Worth | None = None) -> Upkeep:
    """Everything that is worth doing now; nothing is changed."""
    with database.connection() as connection:
        plan = plan_of(connection, worth or Worth())
        leftovers = read_leftovers(connection, database.settings.pool_samples_days)
    return Upkeep(datetime.now(UTC), str(database.url.database), plan, leftovers)


def maintain(database: Database, found: Upkeep, progress: Progress = _silent) -> Upkeep:
    """Do what `look` found: the tables and indexes, then the cleaning.

    `progress(done, total, said)` is called before each step. Raises what `optimize` raises.
    """

    def closing(done: int, total: int) -> None:
        progress(done, total, "closing stale sessions")

    results = optimize(database, found.plan.tasks, progress)
    cleaned = clean(database, found.leftovers, closing)
    with database.connection() as connection:
        after = read_tables(connection)
    return replace(found, results=tuple(results), cleaned=cleaned, after=after)


def upkeep_text(found: Upkeep, *, ascii_only: bool = False) -> str:
    """The report for a terminal, at most 80 columns wide."""
    lines = [f"{found.status.upper():<9} {found.headline}", "", "Tables and indexes"]
    if found.results:
        lines += [line for one in found.results for line in _result_lines(one, ascii_only)]
    else:
        lines += [line for one in found.plan.tasks for line in _task_lines(one)] or ["  nothing is worth doing"]
    lines += [f"  bloat not known: {name}"[:_WIDTH] for name in found.plan.unknown]
    lines += ["", "Cleaning", *(f"  {line}" for line in cleaning_lines(found))]
    if found.status is Status.WARNING:
        lines += ["", "This was a dry run. Next: subjunctive-admin optimize --apply"]
    return "\n".join(lines)


def cleaning_lines(found: Upkeep) -> Iterator[str]:
    """What was found, or done, about sessions and samples, a sentence a line."""
    left, cleaned = found.leftovers, found.cleaned
    if cleaned is None:
        yield f"{len(left.sessions):,} open sessions to be closed at their last answer, more than a day ago"
        yield f"{left.expired_samples:,} of {left.all_samples:,} samples of pools older than {left.samples_days:g} days"
    else:
        resumed = f", {cleaned.resumed:,} were answered again meanwhile" if cleaned.resumed else ""
        yield f"{cleaned.closed:,} sessions closed at their last answer{resumed}"
        yield f"{cleaned.samples:,} samples of pools deleted, older than {left.samples_days:g} days"
        yield from cleaned.refused
    if left.of_deactivated:
        yield f"{left.of_deactivated:,} more of deactivated accounts stay open"


def change(before: int, after: int | None, write: Callable[[int], str] = "{:,}".format) -> str:
    """`12,000 → 0`; one figure where nothing changed that can be seen."""
    if after is None:
        return f"{write(before)} → gone"
    return write(before) if write(before) == write(after) else f"{write(before)} → {write(after)}"


def _said_worth(found: Upkeep) -> Iterator[str]:
    tasks, left = len(found.plan.tasks), found.leftovers
    if tasks:
        yield f"{tasks} {'thing is' if tasks == 1 else 'things are'} worth doing"
    if left.sessions:
        yield f"{len(left.sessions):,} {'session' if len(left.sessions) == 1 else 'sessions'} never closed"
    if left.expired_samples:
        yield f"{left.expired_samples:,} {'sample' if left.expired_samples == 1 else 'samples'} expired"


def _said_done(found: Upkeep) -> str:
    done = sum(one.outcome is Outcome.DONE for one in found.results)
    said = f"{done} of {len(found.results)} tasks are done" if found.results else "Tables and indexes needed nothing"
    assert found.cleaned is not None
    if found.cleaned.closed:
        said += f", {found.cleaned.closed:,} sessions closed"
    if found.cleaned.samples:
        said += f", {found.cleaned.samples:,} samples deleted"
    return f"{said}."


def _task_lines(task: Task) -> Iterator[str]:
    dead = f"{task.dead:,} dead" if task.dead else ""
    yield f"  {task.action:<8}{task.target[:44]:<44}{sized(task.size):>10}{dead:>15}"
    yield from textwrap.wrap(task.reason, _WIDTH, initial_indent=" " * 10, subsequent_indent=" " * 10)


def _result_lines(one: Result, ascii_only: bool) -> Iterator[str]:
    sign = symbol(STATUS_OF_OUTCOME[one.outcome], ascii_only=ascii_only)
    figures = change(one.task.size, one.size, sized)
    if one.task.dead or one.dead:
        figures += f", {change(one.task.dead, one.dead)} dead"
    yield f"  {sign:<2} {one.task.action:<8}{one.task.target[:56]:<56}{one.seconds:>8.1f} s"[:_WIDTH]
    yield f"     {figures}"[:_WIDTH]
    if one.said:
        # In full: who holds it up is what somebody needs.
        yield from textwrap.wrap(
            f"{one.outcome}: {one.said}", _WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5
        )


def _table(one: TableFigures) -> dict[str, Any]:
    found = asdict(one)
    found["analysed_at"] = one.analysed_at.isoformat() if one.analysed_at else None
    return found
