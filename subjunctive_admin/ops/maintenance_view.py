"""Maintenance as a page: what is worth doing or what became of it, the tables, and what time left behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from subjunctive_admin.look import (
    PALETTE,
    Cell,
    Chart,
    Column,
    Finding,
    Findings,
    Header,
    KeyFigures,
    Note,
    Section,
    Table,
)
from subjunctive_admin.look.fragments import Row
from subjunctive_admin.look.markup import number
from subjunctive_admin.ops.health.grading import lasting, sized
from subjunctive_admin.ops.maintenance import Outcome, Result, TableFigures, Task
from subjunctive_admin.ops.upkeep import STATUS_OF_OUTCOME, Upkeep, change, cleaning_lines
from subjunctive_admin.vocabulary import Status

_CHARTED = 12
_SESSIONS = 10
_NOTES = """\
A row that was changed or deleted stays in its table as a dead row until VACUUM frees its place; an index that was \
emptied stays as large until it is rebuilt. Both happen beside the application: nothing here locks a table whole, \
and nothing waits for longer than the lock timeout.

PostgreSQL's own autovacuum does most of it. What stands here is what it has not come to, or could not do."""


def maintenance_view(found: Upkeep) -> list[Any]:
    """The fragments of the page, in reading order."""
    return [
        _header(found),
        _figures(found),
        *([Findings("What was not done", findings=findings)] if (findings := maintenance_findings(found)) else []),
        *_tasks(found),
        *([_chart(found)] if any(one.heap_bytes for one in found.plan.tables) else []),
        Section("Every table", "As the statistics know them; sizes are on disk."),
        _tables(found),
        Section("Left behind", " ".join(f"{line}." for line in cleaning_lines(found))),
        *([_sessions(found)] if found.leftovers.sessions and not found.is_applied else []),
        Note(_NOTES),
    ]


def maintenance_findings(found: Upkeep) -> list[Finding]:
    """What was to be done and was not, with the reason, most urgent first."""
    undone = [one for one in found.results if one.outcome is not Outcome.DONE]
    findings = [_finding(one) for one in sorted(undone, key=lambda one: one.outcome is not Outcome.FAILED)]
    refused = found.cleaned.refused if found.cleaned else ()
    return [*findings, *(Finding(Status.WARNING, f"{said}.", id="stale-session") for said in refused)]


def _finding(one: Result) -> Finding:
    return Finding(
        STATUS_OF_OUTCOME[one.outcome],
        f"`{one.task.statement}` is {one.outcome}."
        if one.outcome is Outcome.NOT_DONE
        else f"`{one.task.statement}` failed.",
        detail=f"{one.said[:1].upper()}{one.said[1:]}.",
        next_step=_next_step(one),
        id=f"{one.task.action}-{one.task.target}",
    )


def _next_step(one: Result) -> str:
    if "held up" in one.said or "had to stay" in one.said:
        return "end that session or let it finish, then run it again"
    if one.outcome is Outcome.FAILED:
        return "put right what the server names, then run it again"
    return "use the owner's account"


def _header(found: Upkeep) -> Header:
    mode = "applied" if found.is_applied else "dry run, nothing was changed"
    summary = {
        Status.OK: "Tables, indexes and what time leaves behind.",
        Status.WARNING: "What is worth doing, with its reason. `apply = True` does it.",
        Status.CRITICAL: "Some of it could not be done; why is said below.",
    }[found.status]
    return Header(
        found.headline.rstrip("."),
        summary,
        [("Database", f"`{found.database}`"), ("Mode", mode), ("At", f"{found.taken_at:%H:%M:%S} UTC")],
    )


def _figures(found: Upkeep) -> KeyFigures:
    tables, after = found.plan.tables, {one.name: one for one in found.after}
    size = sum(one.table_bytes + one.index_bytes for one in tables)
    size_after = sum(one.table_bytes + one.index_bytes for one in found.after) if after else None
    dead, rows = sum(one.dead for one in tables), sum(one.rows for one in tables)
    dead_after = sum(one.dead for one in found.after) if after else None
    wasted = sum(one.wasted for one in found.plan.indexes)
    left, cleaned = found.leftovers, found.cleaned
    left_open = len(left.sessions) - cleaned.closed - cleaned.resumed if cleaned else None
    kept = left.all_samples - cleaned.samples if cleaned else None
    return KeyFigures(
        [
            ("On disk", _now(size, size_after, as_bytes=True), f"{len(tables)} tables with their indexes"),
            ("Dead rows", _now(dead, dead_after), f"beside {rows:,} that live"),
            ("Empty in indexes", sized(wasted), f"by estimate, {len(found.plan.indexes)} indexes"),
            ("Never closed", _now(len(left.sessions), left_open), "sessions, last answer more than a day ago"),
            ("Samples of pools", _now(left.all_samples, kept), f"expired after {left.samples_days:g} days"),
        ]
    )


def _now(before: int, after: int | None, *, as_bytes: bool = False) -> str:
    return change(before, before if after is None else after, sized if as_bytes else number)


def _tasks(found: Upkeep) -> list[Any]:
    if found.results:
        return [Section("What was done", "Each with its figures before and after."), _results(found.results)]
    if not found.plan.tasks:
        return []
    return [Section("What is worth doing", "In the order it would be done."), _plan(found.plan.tasks)]


def _plan(tasks: tuple[Task, ...]) -> Table:
    columns: list[Column | str] = [
        Column("Statement", code=True),
        "Why",
        Column("Size", align="right"),
        Column("Dead rows"),
    ]
    return Table(columns, [[one.statement, one.reason, sized(one.size), one.dead] for one in tasks])


def _results(results: tuple[Result, ...]) -> Table:
    columns: list[Column | str] = [
        "Outcome",
        Column("Statement", code=True),
        Column("Size", align="right"),
        Column("Dead rows", align="right"),
        Column("Took, s", decimals=1),
    ]
    rows: list[Row] = []
    for one in results:
        dead = _now(one.task.dead, one.dead)
        size = change(one.task.size, one.size, sized)
        rows.append([STATUS_OF_OUTCOME[one.outcome], Cell(one.task.statement, one.said), size, dead, one.seconds])
    return Table(columns, rows)


def _chart(found: Upkeep) -> Chart:
    """The largest tables: rows, indexes, stacked."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    tables = sorted(found.after or found.plan.tables, key=lambda one: -(one.table_bytes + one.index_bytes))
    shown = [one for one in tables if one.heap_bytes][:_CHARTED]
    names = [one.name for one in shown]
    figure = go.Figure()
    for attribute, said, colour in (("table_bytes", "rows", "c1"), ("index_bytes", "indexes", "c2")):
        megabytes = [getattr(one, attribute) / 1e6 for one in shown]
        figure.add_bar(
            x=megabytes,
            y=names,
            name=said,
            orientation="h",
            marker={"color": PALETTE[colour]},
            hovertemplate=f"%{{y}}: %{{x:.2f}} MB {said}<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        height=90 + 26 * len(shown),
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(title="megabytes on disk")
    whole = sum(one.table_bytes + one.index_bytes for one in tables)
    share = (shown[0].table_bytes + shown[0].index_bytes) / max(whole, 1)
    return Chart(
        figure,
        title=f"{names[0]} holds {share:.0%} of the {sized(whole)} on disk",
        subtitle="Megabytes of each table and of its indexes; the largest tables.",
        note=f"n = {len(shown)} of {len(tables)} tables.",
        frame=None,
    )


def _tables(found: Upkeep) -> Table:
    right: dict[str, Any] = {"align": "right"}
    after = {one.name: one for one in found.after}
    columns: list[Column | str] = [
        Column("Table", code=True),
        Column("Rows"),
        Column("Dead", **right),
        Column("Changed since analysed"),
        Column("Table", **right),
        Column("Indexes", **right),
        Column("Analysed", **right),
    ]
    rows = [_table_row(one, after.get(one.name), found.taken_at) for one in found.plan.tables]
    return Table(columns, rows)


def _table_row(one: TableFigures, after: TableFigures | None, now: datetime) -> list[Any]:
    last = after or one
    analysed = "never" if last.analysed_at is None else _ago((now - last.analysed_at).total_seconds())
    return [
        one.name,
        last.rows,
        _now(one.dead, last.dead),
        last.changed,
        _now(one.table_bytes, last.table_bytes, as_bytes=True),
        _now(one.index_bytes, last.index_bytes, as_bytes=True),
        analysed,
    ]


def _ago(seconds: float) -> str:
    return "just now" if seconds < 1 else f"{lasting(seconds)} ago"


def _sessions(found: Upkeep) -> Table:
    oldest = found.leftovers.sessions[:_SESSIONS]
    rest = len(found.leftovers.sessions) - len(oldest)
    columns: list[Column | str] = ["Began, UTC", Column("Answers"), "Would end, UTC"]
    rows = [[f"{one.started_at:%Y-%m-%d %H:%M}", one.answers, f"{one.ends_at:%Y-%m-%d %H:%M}"] for one in oldest]
    return Table(columns, rows, caption=f"The oldest {len(oldest)}; {rest:,} more." if rest else "")
