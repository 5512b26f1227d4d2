"""The pool report as a page, with the waits of a small load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subjunctive_admin.look import PALETTE, Chart, Column, Finding, Findings, Header, KeyFigures, Note, Section, Table
from subjunctive_admin.ops.pool import PoolReport
from subjunctive_admin.pooling import percentile
from subjunctive_admin.vocabulary import Status

if TYPE_CHECKING:
    import pandas as pd

_NOTES = """\
A caller waits when every pooled connection is checked out, and longest for one that has to be opened first. \
The pool keeps its size open, adds the overflow while it is busy and closes that again.

The server's connections are shared by every process: size plus overflow, summed over the processes, has to fit \
into what it allows. Times here are of this process and this run."""


def pool_view(report: PoolReport, load: pd.DataFrame | None = None) -> list[Any]:
    """The fragments of the page, in reading order; `load` is what `exercise_pool` measured."""
    return [
        _header(report),
        _figures(report),
        *([] if report.status is Status.OK else [Findings("What needs you", findings=pool_findings(report))]),
        *([] if load is None else [_chart(load)]),
        Section("Other sessions of this suite", _sessions_lead(report)),
        *([_sessions(report)] if report.sessions else []),
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
            next_step="name the sessions with `subjunctive-admin pool`, then close the idle ones",
            observed=f"{budget.used} of {budget.available}",
            id="pool",
        )
    ]


def _header(report: PoolReport) -> Header:
    reading = report.reading
    return Header(
        report.headline.rstrip("."),
        "Who holds connections now, and how long callers wait for one.",
        [("Process", f"`{report.process}`"), ("Pool", f"{reading.size} + {reading.max_overflow} overflow")],
    )


def _figures(report: PoolReport) -> KeyFigures:
    reading, budget = report.reading, report.budget
    return KeyFigures(
        [
            ("Checked out", reading.checked_out, f"{reading.idle} idle, {reading.overflow} overflow"),
            ("Wait, p95", f"{reading.wait_p95_ms:.1f} ms", f"max {reading.wait_max_ms:.1f} ms, n {reading.checkouts}"),
            ("Timeouts", reading.timeouts, "callers without a connection"),
            ("Server", f"{budget.used} of {budget.available}", f"{budget.reserved} more are reserved"),
        ]
    )


def _chart(load: pd.DataFrame) -> Chart:
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    figure = go.Figure()
    for column, name, colour, symbol in (("hold_ms", "held", "c2", "diamond"), ("wait_ms", "waited", "c1", "circle")):
        shown = load[load[column].notna()]
        figure.add_scatter(
            x=shown["checkout"].tolist(),
            y=shown[column].tolist(),
            mode="markers",
            marker={"color": PALETTE[colour], "symbol": symbol, "size": 7},
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
    if not report.sessions:
        return "No other process of the suite is connected."
    hidden = sum(one.state == "unknown" for one in report.sessions)
    seen = f"{len(report.sessions)} connected at {report.taken_at:%H:%M:%S} UTC."
    return f"{seen} The state of {hidden} is not visible to this role." if hidden else seen


def _sessions(report: PoolReport) -> Table:
    columns: list[Column | str] = [Column("Session", code=True), Column("Process id"), "State", "Since, UTC"]
    rows = [
        [one.name, str(one.pid), one.state, f"{one.since:%H:%M:%S}" if one.since else "?"] for one in report.sessions
    ]
    return Table(columns, rows)
