"""The recorded runs as a page: what was found over time, how fast and how large the database is, what ran.

A chart is drawn only of what there is: without a run the page says so, and with few it promises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from statistics import median
from typing import TYPE_CHECKING, Any

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
    reference_line,
    soft,
)
from subjunctive_admin.look.markup import NARROW, day, duration, moment, number
from subjunctive_admin.ops.history import Run
from subjunctive_admin.ops.trends import (
    ENOUGH_RUNS,
    LONGEST_OUTLOOK,
    Forecast,
    Point,
    Points,
    Trends,
    forecast,
    thinned,
)
from subjunctive_admin.settings import Settings
from subjunctive_admin.vocabulary import Status, overall

if TYPE_CHECKING:
    import plotly.graph_objects as go

_COLOURS = {Status.CRITICAL: "crit", Status.UNKNOWN: "unk", Status.WARNING: "warn"}
_LISTED = 25
_KINDS = {"verify": "backup verified by restoring", "backup": "backup", "report": "report"}


def history_view(trends: Trends, settings: Settings) -> list[Any]:
    """The fragments of the page, in reading order."""
    shown: list[Any] = [_header(trends)]
    if found := history_findings(trends):
        shown.append(Findings("What needs you", "", found))
    if not trends.runs:
        shown.append(Note("The first run of `subjunctive-admin health` makes the first entry; so does every report."))
        return shown
    shown.append(_figures(trends))
    if len(trends.health) == 1:
        shown.append(Note("Findings, round trip and size are drawn over time from the second health run on."))
    elif trends.health:
        shown += [findings_over_time(trends), round_trip(trends, settings), size(trends)]
    return [*shown, *_tables(trends), *_others(trends)]


def history_headline(trends: Trends) -> str:
    """What the runs tell in one sentence, without full stop."""
    if not trends.runs:
        return "No run has been recorded yet"
    if not trends.health:
        return f"{_counted(len(trends.others), 'run')} recorded, none of them looked at the health of this database"
    runs, ill = len(trends.health), len(trends.with_findings)
    if runs == 1:
        found = "it found something" if ill else "it found nothing"
        return f"One health run has been recorded, and {found}"
    since = day(trends.health[0].started_at)
    if not ill:
        return f"None of the {number(runs)} health runs since {since} found anything"
    return f"{number(ill)} of the {number(runs)} health runs since {since} had a finding"


def history_status(trends: Trends) -> Status:
    """The worst finding about the history itself; what its runs found is told where they are."""
    return overall([one.status for one in history_findings(trends)])


def history_findings(trends: Trends) -> list[Finding]:
    """Lines that cannot be read: what they said is lost to every trend."""
    if not trends.unreadable:
        return []
    return [
        Finding(
            Status.WARNING,
            f"{_counted(trends.unreadable, 'line')} of the run history cannot be read.",
            "A full disk cut them short, or a newer version wrote them; the others are complete.",
            f"look at the files in `{trends.folder}`, and move what is damaged away",
            str(trends.unreadable),
            "warning at 1",
            "unreadable",
        )
    ]


def _counted(count: int, noun: str) -> str:
    return f"{number(count)} {noun if count == 1 else noun + 's'}"


def _header(trends: Trends) -> Header:
    facts: list[tuple[str, object]] = [("Runs", len(trends.runs)), ("Looked back", f"{trends.days} days")]
    if trends.runs:
        facts.append(("First", moment(trends.runs[0].started_at)))
    facts.append(("Kept in", f"`{trends.folder}`"))
    summary = "Each run of a check, a backup or a report leaves one line in a file, whatever becomes of the database."
    return Header(history_headline(trends), summary, facts, "Run history")


def _figures(trends: Trends) -> KeyFigures:
    trips, sizes, proved = trends.round_trips, trends.sizes, trends.verified
    last = trends.health[-1] if trends.health else None
    trip_note = (
        f"the median of {number(len(trips))} runs is {_ms(median(v for _, v in trips))}"
        if len(trips) > 1
        else "measured once"
    )
    reports = [run for run in trends.others if run.kind == "report"]
    failed = sum(bool(run.facts.get("failed")) for run in reports)
    return KeyFigures(
        [
            (
                "Last health run",
                last.status.value if last else None,
                moment(last.started_at) if last else "none recorded",
            ),
            ("Round trip", _ms(trips[-1][1]) if trips else None, trip_note if trips else "not measured"),
            ("Database", said_bytes(sizes[-1][1]) if sizes else None, _growth(sizes)),
            ("Last verified backup", f"{_age(proved)} ago" if proved else None, _proved(trends)),
            ("Reports", len(reports), f"{number(failed)} failed"),
        ]
    )


def _age(run: Run) -> str:
    return duration(timedelta(minutes=max((datetime.now(UTC) - run.finished_at) // timedelta(minutes=1), 1)))


def _proved(trends: Trends) -> str:
    if proved := trends.verified:
        return f"on {day(proved.started_at)}, took {duration(timedelta(seconds=round(proved.seconds)))}"
    made = sum(run.kind == "backup" for run in trends.others)
    return f"{_counted(made, 'backup')} made, none verified" if made else "no backup recorded"


def _growth(sizes: Points) -> str:
    line = forecast(sizes)
    if line is None:
        return "growth not known yet"
    return f"{_signed(line.slope)} a day over {duration(sizes[-1][0] - sizes[0][0])}"


def _ms(seconds: float) -> str:
    return f"{number(1000 * seconds, 2 if seconds < 0.01 else 0)} ms"


def said_bytes(count: float) -> str:
    """`55.6 MB`: decimal units, three significant figures or so."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= factor:
            return f"{number(count / factor, 1 if abs(count) < 100 * factor else 0)} {unit}"
    return f"{number(round(count))} B"


def _signed(count: float) -> str:
    return f"+{said_bytes(count)}" if count > 0 else f"−{said_bytes(-count)}" if count < 0 else "0 B"


# Charts


def _figure() -> go.Figure:
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    return go.Figure()


def _line(figure: go.Figure, points: Sequence[Point], name: str, colour: str, **given: Any) -> None:
    # Few runs are seen one by one; of many the line is what counts.
    figure.add_scatter(
        x=[at.isoformat() for at, _ in points],
        y=[value for _, value in points],
        name=name,
        mode="lines+markers" if len(points) <= 40 else "lines",
        line={"color": PALETTE[colour], **given.pop("line", {})},
        marker={"color": PALETTE[colour], "size": 8, "symbol": given.pop("symbol", "circle")},
        **given,
    )


def _dated(figure: go.Figure, points: Sequence[Point]) -> None:
    """Within two days the hour says more than the date."""
    if points[-1][0] - points[0][0] < timedelta(days=2):
        figure.update_xaxes(tickformat="%-d %b<br>%H:%M", hoverformat="%-d %b %Y, %H:%M", nticks=8)


def _span(points: Sequence[Point]) -> str:
    first, last = points[0][0], points[-1][0]
    return f"{moment(first)} – {moment(last)}" if last - first < timedelta(days=2) else f"{day(first)} – {day(last)}"


def _too_few(points: Sequence[Point], what: str) -> Note | None:
    if len(points) >= 2:
        return None
    said = "no run has measured it" if not points else "one run has measured it so far"
    return Note(f"**{what}** is not drawn yet: {said}.")


def findings_over_time(trends: Trends) -> Chart | Note:
    """Findings of each health run by status; a note where no run had any, or there is but one."""
    counted = {status: trends.findings(status) for status in _COLOURS}
    points = counted[Status.CRITICAL]
    if few := _too_few(points, "Findings over time"):
        return few
    met = {status: found for status, found in counted.items() if any(value for _, value in found)}
    if not met:
        return Note(f"**Findings over time**: none in any of the {number(len(points))} health runs, {_span(points)}.")
    figure = _figure()
    for status, found in met.items():
        shown = thinned(found, max)
        figure.add_scatter(
            x=[at.isoformat() for at, _ in shown], y=[value for _, value in shown], name=status.value, stackgroup="all",
            mode="lines", line={"color": PALETTE[_COLOURS[status]], "shape": "hv", "width": 1.5},
            fillcolor=soft(PALETTE[_COLOURS[status]], 0.4), hovertemplate="%{x}: %{y} " + status.value + "<extra></extra>",
        )  # fmt: skip
    most = max(sum(values) for values in zip(*([v for _, v in found] for found in met.values()), strict=True))
    figure.update_layout(height=260, yaxis={"range": [0, 1.1 * most]}, margin={"t": 32})
    if most <= 6:
        figure.update_yaxes(dtick=1)
    _key(figure, list(met))
    _dated(figure, points)
    return Chart(
        figure,
        title=_findings_title(trends),
        subtitle=f"Checks that need somebody, by status, in each health run, {_span(points)}. Times in UTC.",
        note=f"n = {_counted(len(points), 'health run')}; of a day with very many, the worst.",
        frame=Table(
            ["Run", "Status", *[Column(status.value.capitalize()) for status in _COLOURS]],
            [
                [moment(run.started_at), run.status, *[int(counted[status][at][1]) for status in _COLOURS]]
                for at, run in list(enumerate(trends.health))[: -_LISTED - 1 : -1]
            ],
            f"The last {_counted(min(len(trends.health), _LISTED), 'run')}.",
        ),
    )


def _key(figure: go.Figure, statuses: Sequence[Status]) -> None:
    """What each colour stands for, above the chart: stacked areas have no end to write a name behind."""
    parts = [f'<span style="color:{PALETTE[_COLOURS[status]]}">■</span> {status.value}' for status in statuses]
    figure.add_annotation(
        text="   ".join(parts), x=0, xref="x domain", xanchor="left", y=1, yref="y domain", yanchor="bottom", yshift=8,
        font={"size": 13, "color": PALETTE["ink"]},
    )  # fmt: skip


def _findings_title(trends: Trends) -> str:
    ill = trends.with_findings
    if ill[-1] is not trends.health[-1]:
        return f"{number(len(ill))} of {_counted(len(trends.health), 'run')} found something; the last one did not"
    found = {id(run) for run in ill}
    lasting = sum(1 for _ in takewhile(lambda run: id(run) in found, reversed(trends.health)))
    return (
        f"Something has needed somebody for {number(lasting)} runs" if lasting > 1 else "The last run found something"
    )


def round_trip(trends: Trends, settings: Settings) -> Chart | Note:
    """The median round trip of each health run in milliseconds, with its limits where they are near."""
    measured = trends.round_trips
    if few := _too_few(measured, "The round trip"):
        return few
    points = [(at, 1000 * value) for at, value in thinned(measured, median)]
    slowest = max(points, key=lambda point: point[1])
    figure = _figure()
    _line(figure, points, "", "c1", hovertemplate="%{x}: %{y:.2f} ms<extra></extra>")
    figure.update_layout(height=250, yaxis={"rangemode": "tozero", "ticksuffix": f"{NARROW}ms"})
    warning = 1000 * settings.round_trip_warning
    if slowest[1] > warning / 4:
        reference_line(figure, warning, f"warning {warning:g} ms", colour=PALETTE["warn"])
    _dated(figure, points)
    usual = median(value for _, value in points)
    return Chart(
        figure,
        title=f"The server usually answers in {_ms(usual / 1000)}, and in {_ms(slowest[1] / 1000)} at its slowest",
        subtitle=f"Median of seven `select 1` in each health run, {_span(points)}. Times in UTC.",
        note=f"n = {_counted(len(measured), 'health run')}. Warning from {warning:g} ms"
        f"{'' if slowest[1] > warning / 4 else ', which is far above what is drawn'}.",
        frame=Table(
            ["Run", Column("Round trip, ms", decimals=2)],
            [[moment(at), value] for at, value in points[: -_LISTED - 1 : -1]],
            f"The last {_counted(min(len(points), _LISTED), 'point')}.",
        ),
    )


def size(trends: Trends) -> Chart | Note:
    """The database's size over time; with enough runs where it is heading, with the interval of that."""
    measured = trends.sizes
    if few := _too_few(measured, "The size of the database"):
        return few
    points = [(at, value / 1e6) for at, value in thinned(measured, max)]
    line = forecast(points)
    figure = _figure()
    if line:
        _draw_outlook(figure, line, points)
    _line(figure, points, "", "c1", hovertemplate="%{x}: %{y:,.1f} MB<extra></extra>")
    figure.update_layout(height=300, yaxis={"ticksuffix": f"{NARROW}MB", "range": _room(points, line)})
    _dated(figure, [points[0], (_outlook(points), 0.0)] if line else points)
    return Chart(
        figure,
        title=_size_title(points, line),
        subtitle=_size_subtitle(points, line),
        note=_size_note(len(measured), line),
        frame=Table(
            ["Run", Column("Size, MB", decimals=1)],
            [[moment(at), value] for at, value in points[: -_LISTED - 1 : -1]],
            f"The last {_counted(min(len(points), _LISTED), 'point')}.",
        ),
    )


def _outlook(points: Sequence[Point]) -> datetime:
    """No further ahead than was looked back."""
    return points[-1][0] + min(points[-1][0] - points[0][0], LONGEST_OUTLOOK)


def _draw_outlook(figure: go.Figure, line: Forecast, points: Sequence[Point]) -> None:
    start, end = points[-1][0], _outlook(points)
    times = [start + (end - start) * step / 20 for step in range(21)]
    ahead = [line.at(time) for time in times]
    there = [time.isoformat() for time in times]
    figure.add_scatter(
        x=[*there, *reversed(there)],
        y=[*(high for _, _, high in ahead), *(low for _, low, _ in reversed(ahead))],
        fill="toself", fillcolor=soft(PALETTE["c1"]), mode="lines", line={"width": 0}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=there, y=[value for value, _, _ in ahead], mode="lines",
        line={"color": PALETTE["c1"], "dash": "dot"}, hovertemplate="%{x}: %{y:,.1f} MB expected<extra></extra>",
    )  # fmt: skip
    reference_line(figure, start.isoformat(), "last run", along="x")  # type: ignore[arg-type]


def _room(points: Sequence[Point], line: Forecast | None) -> list[float]:
    """From below the least to above the greatest; a size that hardly changes is not drawn as if it leapt."""
    values = [value for _, value in points]
    if line:
        values += line.at(_outlook(points))
    low, high = min(values), max(values)
    spare = max(0.1 * (high - low), 0.05 * high)
    return [max(low - spare, 0), high + spare]


def _size_title(points: Sequence[Point], line: Forecast | None) -> str:
    now = said_bytes(1e6 * points[-1][1])
    if line is None:
        return f"The database holds {now}, {_signed(1e6 * (points[-1][1] - points[0][1]))} since the first run"
    value, low, high = line.at(_outlook(points))
    likely = f"{said_bytes(1e6 * max(low, 0))} – {said_bytes(1e6 * high)}"
    return f"The database holds {now}, and about {said_bytes(1e6 * value)} ({likely}) on {day(_outlook(points))} if it goes on so"


def _size_subtitle(points: Sequence[Point], line: Forecast | None) -> str:
    said = f"Size of the database in each health run, {_span(points)}"
    return (
        f"{said}, and a linear forecast. Band: 95 % prediction interval. Times in UTC."
        if line
        else f"{said}. Times in UTC."
    )


def _size_note(runs: int, line: Forecast | None) -> str:
    if line:
        said = (
            "Least squares through every point drawn; it takes the growth for steady, and knows of no clean-up to come."
        )
        return f"n = {_counted(runs, 'health run')}, {_signed(1e6 * line.slope)} a day. {said}"
    return f"n = {_counted(runs, 'health run')}. No forecast: that needs {ENOUGH_RUNS} runs over at least a day."


# Tables


def _tables(trends: Trends) -> list[Any]:
    rows = trends.tables()
    if not rows:
        return []
    columns = [
        Column("Table", code=True),
        Column("Rows", align="right"),
        Column("Size", align="right"),
        Column("Gained", align="right", muted=True),
    ]
    cells = [
        [name, round(count), said_bytes(held), None if gained is None else _signed(gained)]
        for name, count, held, gained in rows
    ]
    lead = "With indexes, as of the last run; gained since the first one here. Rows of large tables are estimates."
    return [Section("The tables", lead), Table(columns, cells)]


def _others(trends: Trends) -> list[Any]:
    shown: list[Any] = [Section("Reports and backups", "The last runs of each kind, the newest first.")]
    listed = list(reversed(trends.others))[:_LISTED]
    if not listed:
        return [*shown, Note("None has been recorded yet.")]
    columns: list[Column | str] = ["Status", "Began", "What", "Said", Column("Took", align="right")]
    rows = [
        [run.status, moment(run.started_at), Cell(_what(run)), run.headline, duration(timedelta(seconds=run.seconds))]
        for run in listed
    ]
    return [*shown, Table(columns, rows)]


def _what(run: Run) -> str:
    notebook = run.facts.get("notebook")
    kind = _KINDS.get(run.kind, run.kind)
    return f"{kind} {notebook}" if notebook else kind
