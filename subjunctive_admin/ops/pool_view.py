"""The pool report as a page, with the waits of a small load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subjunctive_admin.look import (
    PALETTE,
    Chart,
    Column,
    Finding,
    Findings,
    GroupRow,
    Header,
    KeyFigures,
    Note,
    Section,
    Table,
    label_series,
    reference_line,
)
from subjunctive_admin.look.fragments import Row
from subjunctive_admin.ops.health.grading import lasting
from subjunctive_admin.ops.pool import Course, OtherProcess, PoolReport, Sample, said_claim, said_replaced
from subjunctive_admin.pooling import PoolReading, percentile
from subjunctive_admin.vocabulary import Status

if TYPE_CHECKING:
    import pandas as pd

_MANY_POINTS = 100
_NOTES = """\
A caller waits when every pooled connection is checked out, and longest for one that has to be opened first. \
The pool keeps its size open, adds the overflow while it is busy and closes that again.

The server's connections are shared by every process: size plus overflow, summed over the processes, has to fit \
into what it allows. Times here are of this process and this run."""


def pool_view(report: PoolReport, load: pd.DataFrame | None = None, course: Course | None = None) -> list[Any]:
    """The fragments of the page, in reading order; `load` and `course` are what `watch_load` measured."""
    return [
        _header(report),
        _figures(report),
        *([] if report.status is Status.OK else [Findings("What needs you", findings=pool_findings(report))]),
        *([] if course is None else [course_chart(course, report.reading)]),
        *([] if load is None else [_chart(load)]),
        *_suspects(report),
        Section("Other processes of this suite", _processes_lead(report)),
        *([_processes(report)] if report.processes else []),
        *([Section("Their sessions", _sessions_lead(report)), _sessions(report)] if report.sessions else []),
        Note(_NOTES),
    ]


def pool_findings(report: PoolReport) -> list[Finding]:
    """The one finding of a pool that is not well; none otherwise."""
    if report.status is Status.OK:
        return []
    budget = report.budget
    return [
        Finding(
            report.status,
            report.headline,
            next_step=_next_step(report),
            observed=f"{budget.used} of {budget.available}" if "of the server are in use" in report.headline else "",
            id="pool",
        )
    ]


def _next_step(report: PoolReport) -> str:
    if report.suspects:
        return "give the connection back where it was taken, in a `with` block; `db.reset_pool()` starts an empty pool"
    return "name the sessions with `subjunctive-admin pool`, then close the idle ones"


def _header(report: PoolReport) -> Header:
    reading = report.reading
    return Header(
        report.headline.rstrip("."),
        "Who holds connections now, and how long callers wait for one.",
        [("Process", f"`{report.process}`"), ("Pool", f"{reading.size} + {reading.max_overflow} overflow")],
    )


def _figures(report: PoolReport) -> KeyFigures:
    reading, budget = report.reading, report.budget
    waits = f"p50 {reading.wait_p50_ms:.1f}, max {reading.wait_max_ms:.1f} ms, n {reading.checkouts}"
    held = f"{reading.idle} idle, {reading.overflow} overflow, {reading.pending} pending"
    replaced = reading.reconnects + reading.invalidations + reading.recycles
    return KeyFigures(
        [
            ("Checked out", reading.checked_out, held),
            ("Wait, p95", f"{reading.wait_p95_ms:.1f} ms", waits),
            ("Timeouts", reading.timeouts, "callers without a connection"),
            ("Replaced", replaced, said_replaced(reading)),
            ("Server", f"{budget.used} of {budget.available}", f"all pools {said_claim(report)}"),
        ]
    )


def course_chart(course: Course, reading: PoolReading) -> Chart:
    """The pool over the time of a load: connections in use, of them overflow, and callers that wait."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    figure, seconds = go.Figure(), [round(point.seconds, 3) for point in course.points]
    shown = (("checked_out", "checked out", "c1"), ("overflow", "overflow", "c2"), ("pending", "pending", "c4"))
    series = {name: [getattr(point, name) for point in course.points] for name, _, _ in shown}
    for name, said, colour in shown:
        figure.add_scatter(
            x=seconds,
            y=series[name],
            mode="lines",
            name=said,
            line={"color": PALETTE[colour], "width": 2, "shape": "hv"},
            hovertemplate=f"%{{x:.2f}} s: %{{y}} {said}<extra></extra>",
        )
    limit = reading.size + reading.max_overflow
    for value in (reading.size, limit):
        reference_line(figure, value)
    label_series(figure)
    figure.update_yaxes(title="connections, callers", rangemode="tozero")
    figure.update_xaxes(title="seconds since the load began")
    return Chart(
        figure,
        title=_course_title(max(series["checked_out"], default=0), max(series["pending"], default=0), limit),
        subtitle="Connections in use and, of these, overflow; callers that wait for one. Dotted: the size, and with overflow.",
        note=f"n = {len(course.points)} looks at the pool, one every {1000 * course.every:.0f} ms.",
        frame=_course_figures(series),
    )


def _course_title(most: int, pending: int, limit: int) -> str:
    if pending and most >= limit:
        return f"All {limit} connections were in use, and up to {pending} callers waited"
    return f"At most {most} of {limit} connections were in use"


def _course_figures(series: dict[str, list[int]]) -> Table:
    columns: list[Column | str] = ["Figure", Column("Median", decimals=0), Column("p95", decimals=0), Column("Most")]
    rows = []
    for name, values in series.items():
        taken = [float(value) for value in values]
        rows.append([name.replace("_", " "), percentile(taken, 0.5), percentile(taken, 0.95), max(values, default=0)])
    return Table(columns, rows)


def _suspects(report: PoolReport) -> list[Any]:
    if not report.suspects:
        return []
    lead = "Held for longer than a piece of work should take; below, where each was taken, innermost first."
    rows: list[Row] = []
    for one in report.suspects:
        rows.append(GroupRow(f"{one.owner}, for {lasting(one.seconds)}"))
        rows += [[line] for line in one.stack or ("not known",)]
    return [Section("Connections that may have been forgotten", lead), Table([Column("Taken at", code=True)], rows)]


def _processes_lead(report: PoolReport) -> str:
    if not report.processes:
        return "No other process of the suite is connected."
    said = f"All pools together {said_claim(report)}."
    if report.silent and not report.unread:
        return f"{said} What publishes no samples counts with the sessions it has: `db.publish_pool()` tells more."
    return said


def _processes(report: PoolReport) -> Table:
    number: dict[str, Any] = {"align": "right"}
    columns: list[Column | str] = [
        Column("Process", code=True),
        Column("Sessions"),
        "Pool",
        Column("Out", **number),
        Column("Pending"),
        Column("Wait p50, ms", decimals=1),
        Column("p95", decimals=1),
        Column("Max", decimals=1),
        Column("Timeouts, 1 h"),
        "Sample",
    ]
    rows: list[Row] = []
    for one in report.processes:
        if not one.samples:
            unread = "not readable" if report.unread else "publishes none"
            rows.append([one.name, one.sessions, *[None] * 7, unread])
        rows += [_sample_row(one, sample) for sample in one.samples]
    return Table(columns, rows)


def _sample_row(process: OtherProcess, sample: Sample) -> list[Any]:
    return [
        process.name,
        process.sessions,
        sample.pool,
        f"{sample.checked_out} of {sample.limit}",
        sample.pending,
        sample.wait_p50_ms,
        sample.wait_p95_ms,
        sample.wait_max_ms,
        sample.recent_timeouts,
        f"{sample.age_s:.0f} s ago" if sample.is_fresh else f"ended {sample.age_s:.0f} s ago",
    ]


def _chart(load: pd.DataFrame) -> Chart:
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    figure = go.Figure()
    for column, name, colour, symbol in (("hold_ms", "held", "c2", "diamond"), ("wait_ms", "waited", "c1", "circle")):
        shown = load[load[column].notna()]
        figure.add_scatter(
            x=shown["checkout"].tolist(),
            y=shown[column].tolist(),
            mode="markers",
            marker={"color": PALETTE[colour], "symbol": symbol, **_mark(len(shown))},
            hovertemplate=f"checkout %{{x}}: {name} %{{y:.2f}} ms<extra></extra>",
        )
        median = percentile(shown[column].tolist(), 0.5)
        # Held lies above waited unless the pool is too small; either way the labels keep clear of each other.
        figure.add_annotation(
            x=1, xref="paper", xanchor="left", xshift=8, y=median, yshift=9 if name == "held" else -3, text=name
        )
    figure.update_yaxes(title="milliseconds", rangemode="tozero")
    figure.update_xaxes(title="checkout, in the order asked")
    figure.update_layout(margin={"r": 64, "t": 16})
    waits = load["wait_ms"].tolist()
    refused = int((~load["got"]).sum())
    return Chart(
        figure,
        title=f"Callers of this load waited {percentile(waits, 0.95):.1f} ms (p95) for a connection",
        subtitle="Milliseconds waited for a connection and held, one pair of marks for each checkout.",
        note=f"n = {len(load)} checkouts from {load['thread'].nunique()} threads; {refused} timed out. "
        "The first checkouts open the connections.",
        frame=_load_figures(load),
    )


def _mark(points: int) -> dict[str, Any]:
    """Many marks are small and without the ring that would cover their neighbours."""
    return {"size": 4, "line": {"width": 0}, "opacity": 0.7} if points > _MANY_POINTS else {"size": 7}


def _load_figures(load: pd.DataFrame) -> Table:
    columns: list[Column | str] = [
        "Time",
        Column("n"),
        *[Column(f"{name}, ms", decimals=2) for name in ("Median", "p95", "Max")],
    ]
    rows = []
    for title, column in (("Wait", "wait_ms"), ("Hold", "hold_ms")):
        values = load[column].dropna().tolist()
        rows.append([title, len(values), percentile(values, 0.5), percentile(values, 0.95), max(values, default=0.0)])
    return Table(columns, rows)


def _sessions_lead(report: PoolReport) -> str:
    hidden = sum(one.state == "unknown" for one in report.sessions)
    seen = f"{len(report.sessions)} connected at {report.taken_at:%H:%M:%S} UTC."
    return f"{seen} The state of {hidden} is not visible to this role." if hidden else seen


def _sessions(report: PoolReport) -> Table:
    columns: list[Column | str] = [Column("Session", code=True), Column("Process id"), "State", "Since, UTC"]
    rows = [
        [one.name, str(one.pid), one.state, f"{one.since:%H:%M:%S}" if one.since else "?"] for one in report.sessions
    ]
    return Table(columns, rows)
