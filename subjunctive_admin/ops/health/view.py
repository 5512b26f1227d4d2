"""A health report as a page: the finding, every status at a glance, what needs somebody, all checks."""

from __future__ import annotations

import re
from datetime import UTC
from math import log10
from typing import Any

from subjunctive_admin.look import (
    PALETTE,
    Chart,
    CheckRow,
    CheckTable,
    Column,
    Finding,
    Findings,
    Header,
    Section,
    StatusBoard,
    Table,
)
from subjunctive_admin.ops.health.registry import Readings, registered, said_limit
from subjunctive_admin.ops.health.report import CheckResult, Comparison, HealthReport, said_counts, said_server
from subjunctive_admin.pooling import percentile
from subjunctive_admin.vocabulary import Status

# The command that a remedy is, or ends in.
_COMMAND = re.compile(r"subjunctive-admin( [\w-]+)+$")


def health_view(report: HealthReport) -> list[Any]:
    """The fragments of the page, in reading order."""
    groups: dict[str, list[tuple[Status, str]]] = {}
    for one in report.checks:
        groups.setdefault(one.group, []).append((one.status, one.title))
    number = f"All {len(report.checks)} checks" if len(report.checks) != 1 else "The check"
    return [
        _header(report),
        StatusBoard(groups),
        Findings(
            "What needs you",
            "Most urgent first. Each finding names the value, the limit and one next step.",
            health_findings(report),
        ),
        *[_chart(one.readings) for one in report.checks if one.readings],
        Section(number, "Limits are this installation's settings. “–” means the check has no such limit."),
        CheckTable([_row(one) for one in report.checks]),
    ]


def health_findings(report: HealthReport) -> list[Finding]:
    """What needs somebody, most urgent first."""
    return [_finding(one, report.comparison) for one in report.findings]


def _finding(one: CheckResult, against: Comparison | None) -> Finding:
    title, rest = one.sentences
    described = next((known.description for known in registered() if known.id == one.id), one.title)
    return Finding(
        one.status,
        f"{title}.",
        detail=f"{rest[:1].upper()}{rest[1:]}." if rest else f"`{one.id}`  {described}",
        next_step=_COMMAND.sub(lambda found: f"`{found[0]}`", one.remedy),
        observed="?" if one.observed is None else str(one.observed),
        limit=_limit_met(one),
        id=one.id,
        since=against.tag(one.id) if against else "",
    )


def _header(report: HealthReport) -> Header:
    facts: list[tuple[str, object]] = [
        ("Server", said_server(report.server)),
        ("Database", f"`{report.server['database']}`"),
        ("Role", f"`{report.server['role'] or 'not known'}`"),
        ("Took", f"{report.seconds:.1f} s"),
    ]
    if against := report.comparison:
        facts.append((f"Against {against.at.astimezone(UTC):%-d %b, %H:%M}", against.said))
    facts.append(("Exit code", report.exit_code))
    return Header(report.headline, _summary(report), facts)


def _summary(report: HealthReport) -> str:
    if report.is_unreachable:
        return "No other check could look, so nothing is reported as ok."
    if not report.findings:
        return "Every check could look, and nothing needs you."
    unseen = report.counts[Status.UNKNOWN]
    said = f"Of {len(report.checks)} checks: {said_counts(report.counts)}."
    return f"{said} What could not be looked at is unknown, not ok." if unseen else said


def _limit_met(one: CheckResult) -> str:
    if one.status is Status.UNKNOWN:
        return "not visible"
    limit = one.threshold.get(one.status.value)
    return f"{one.status.value} at {limit}" if limit else ""


def _row(one: CheckResult) -> CheckRow:
    return CheckRow(
        one.status,
        one.title,
        one.id,
        one.observed,
        one.threshold["warning"],
        one.threshold["critical"],
        one.group,
    )


def _chart(readings: Readings) -> Chart:
    """Every repetition as a dot on a logarithmic axis, with the limits as lines."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    worst = {title: 1000 * percentile(list(taken), 0.95) for title, taken in readings.seconds.items()}
    titles = sorted(worst, key=worst.__getitem__, reverse=True)
    points = [(1000 * second, title) for title in titles for second in readings.seconds[title]]
    figure = go.Figure(
        go.Scatter(
            x=[milliseconds for milliseconds, _ in points],
            y=[title for _, title in points],
            mode="markers",
            marker={"color": PALETTE["c1"], "size": 10},
            hovertemplate="%{y}: %{x:.2f} ms<extra></extra>",
        )
    )
    for word, seconds, colour in (("warning", readings.warning, "warn"), ("critical", readings.critical, "crit")):
        figure.add_vline(x=1000 * seconds, line={"color": PALETTE[colour], "width": 1.25, "dash": "dash"})
        # On a logarithmic axis plotly places annotations, unlike lines, by the exponent.
        figure.add_annotation(
            x=log10(1000 * seconds), y=1, yref="paper", yanchor="bottom", text=f"{word} {said_limit(seconds)}"
        )
    figure.update_xaxes(type="log", ticksuffix="\u202fms", dtick=1, showgrid=True)
    figure.update_layout(height=250, margin={"t": 28})
    return Chart(
        figure,
        title=f"The slowest common read is {titles[0]}, at {worst[titles[0]]:.1f} ms",
        subtitle="Milliseconds of each repetition, by read, for the learner with most attempts. Logarithmic axis.",
        note=f"n = {len(points)} reads in this run; the first of each, which fills the caches, is left out.",
        frame=_figures(readings, titles),
    )


def _figures(readings: Readings, titles: list[str]) -> Table:
    columns: list[Column | str] = ["Read", Column("n"), Column("Median, ms", decimals=2), Column("p95, ms", decimals=2)]
    rows = []
    for title in titles:
        taken = [1000 * second for second in readings.seconds[title]]
        rows.append([title, len(taken), percentile(taken, 0.5), percentile(taken, 0.95)])
    return Table(columns, rows)
