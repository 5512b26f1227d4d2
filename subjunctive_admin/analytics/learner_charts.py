"""Charts of learners' practice: each states its finding, how it was counted, n and interval.

A function takes what `learners` read and gives a `Chart`, or a `Note` that says why there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import log10, sqrt
from statistics import median
from typing import TYPE_CHECKING, Any

from subjunctive_admin.analytics.intervals import Interval, Tally, shrunken
from subjunctive_admin.analytics.learners import (
    Activity,
    DueDay,
    FormAccuracy,
    OneLearner,
    Recall,
    ScenarioProgress,
    Streaks,
    Thresholds,
    Window,
)
from subjunctive_admin.analytics.recall import BIN_EDGES, Curve, RecallBin, binned, judged_curve
from subjunctive_admin.look import (
    PALETTE,
    TENSE_COLOURS,
    TENSE_SYMBOLS,
    Chart,
    Column,
    Note,
    Table,
    heat_map,
    label_series,
    reference_line,
    soft,
)
from subjunctive_admin.look.markup import NARROW, day, number, per_cent
from subjunctive_admin.vocabulary import LEARNT_TENSES, PERSON_NAMES, Person, Tense

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SYMBOL_SIGNS = {"circle": "●", "diamond": "◆", "square": "■", "triangle-up": "▲", "cross": "✚"}
_STREAK_BINS = ((0, 0), (1, 1), (2, 2), (3, 6), (7, 13), (14, 29), (30, None))
_HALF_SCALE = 0.15
_SUFFIX = f"{NARROW}%"


def tense_name(tense: Tense) -> str:
    """`imperfect`, `present perfect`, and `present indicative` where the mood is not the subjunctive."""
    return tense.removesuffix("_subjunctive").replace("_", " ")


def span(window: Window) -> str:
    """`26 Aug – 23 Nov 2026`; the first year is written where it differs."""
    first, last = day(window.first), day(window.last)
    if window.first.year == window.last.year:
        first = first.rsplit(" ", 1)[0]
    return last if window.days == 1 else f"{first} – {last}"


def rate(tally: Tally, thresholds: Thresholds) -> str:
    """`75 % 74–77, n 320`; below the threshold `n 8` alone."""
    if tally.share is None or tally.n < thresholds.minimum:
        return f"n {number(tally.n)}"
    return f"{per_cent(tally.share)} {limits(tally)}, n {number(tally.n)}"


def limits(tally: Tally, decimals: int = 0) -> str:
    """`74–77`: the 95 % interval in per cent."""
    return written_interval(tally.interval, decimals)


def written_interval(found: Interval, decimals: int = 0) -> str:
    """The limits in per cent with an en dash between them."""
    return f"{100 * found.low:.{decimals}f}–{100 * found.high:.{decimals}f}"


def _figure() -> go.Figure:
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    return go.Figure()


def _error_bars(tallies: Sequence[Tally], colour: str) -> dict[str, Any]:
    """Distances in per cent from the share to the limits of its interval."""
    ends = [(100 * (tally.share or 0.0), tally.interval) for tally in tallies]
    return {
        "type": "data",
        "array": [100 * found.high - share for share, found in ends],
        "arrayminus": [share - 100 * found.low for share, found in ends],
        "symmetric": False,
        "color": colour,
        "thickness": 2,
        "width": 0,
    }


# --- How much -------------------------------------------------------------------------------------------------------


def activity_charts(activity: Activity, window: Window) -> list[Chart]:
    """Learners and answers of each day, side by side; a day without an answer is a zero."""
    counted = dict(activity.days)
    days = [window.first + timedelta(days=at) for at in range(window.days)]
    learners = [counted[one].learners if one in counted else 0 for one in days]
    answers = [counted[one].n if one in counted else 0 for one in days]
    table = Table(
        ["Day", Column("Learners"), Column("Answers"), Column("Right", muted=True)],
        [
            [one, n_learners, n, per_cent(counted[one].share or 0) if n else None]
            for one, n_learners, n in zip(days, learners, answers, strict=True)
        ],
    )
    busiest = max(range(len(days)), key=answers.__getitem__)
    usual = median(learners)
    return [
        Chart(
            _daily(days, learners, "learners"),
            title=f"On a usual day {_counted(round(usual), 'learner')} {'practises' if round(usual) == 1 else 'practise'}",
            subtitle=f"Learners by their own day, {span(window)}.",
            note=f"n = {_counted(activity.total.learners, 'learner')}. Usual: the median of {window.days} days. "
            "The last day may not be over.",
            frame=table,
            half=True,
        ),
        Chart(
            _daily(days, answers, "answers", strong=busiest),
            title=f"{day(days[busiest])} was the busiest day, with {_counted(answers[busiest], 'answer')}",
            subtitle=f"Answers by the learner's own day, {span(window)}.",
            note=f"n = {_counted(activity.total.n, 'answer')}, {number(round(median(answers)))} on a usual day.",
            frame=table,
            half=True,
        ),
    ]


def _daily(days: Sequence[date], values: Sequence[int], noun: str, strong: int | None = None) -> go.Figure:
    colours = [PALETTE["c1"] if strong in (None, at) else PALETTE["edge"] for at in range(len(values))]
    figure = _figure()
    figure.add_bar(
        x=[one.isoformat() for one in days],
        y=list(values),
        marker={"color": colours},
        hovertemplate=f"%{{x|%a %-d %b %Y}}: %{{y}} {noun}<extra></extra>",
    )
    # Half a learner is no tick.
    figure.update_yaxes(title=noun, rangemode="tozero", **({"dtick": 1} if max(values) <= 5 else {"nticks": 5}))
    figure.update_xaxes(nticks=6)
    return figure.update_layout(height=250, bargap=0.2 if len(values) > 20 else 0.4)


def _counted(count: int, noun: str) -> str:
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


# --- Where learners stand -------------------------------------------------------------------------------------------


def accuracy_chart(accuracy: FormAccuracy, thresholds: Thresholds, window: Window) -> Chart:
    """Tense × person: shrunken rates with n in every cell, hatched where n is too small."""
    tenses = shown_tenses(accuracy, thresholds.firm)
    keys = [(tense, person) for tense in tenses for person in Person]
    tallies = {key: accuracy.cells.get(key, Tally.of([])) for key in keys}
    means = dict(zip(keys, shrunken(list(tallies.values())), strict=True))
    shown = {key: means[key] if tallies[key].n >= thresholds.minimum else None for key in keys}
    known = [mean for mean in shown.values() if mean is not None]
    middle = accuracy.total.share or 0.0
    figure = heat_map(
        [[shown[tense, person] for person in Person] for tense in tenses],
        x=list(PERSON_NAMES.values()),
        y=[tense_name(tense) for tense in tenses],
        labels=[[_cell(shown[t, p], tallies[t, p], thresholds) for p in Person] for t in tenses],
        # A scale as narrow as the differences would paint two points like twenty.
        low=min([*known, middle - _HALF_SCALE]),
        high=max([*known, middle + _HALF_SCALE]),
    )
    return Chart(
        figure,
        title=_weakest_form(accuracy.total, tallies, means, thresholds),
        subtitle="Share of right answers by tense and person, and the number of answers. "
        f"First answers of a day to an item, {span(window)}, each learner's own days.",
        note=f"n = {number(accuracy.total.n)}. Empirical-Bayes means: a cell with few answers is drawn towards all. "
        f"Hatched: fewer than {thresholds.minimum} answers, no rate shown. “Few”: fewer than {thresholds.firm}, "
        "read with care. Other tenses stand below the four in use where there are enough answers.",
        frame=_accuracy_table(keys, tallies, means, thresholds),
    )


def shown_tenses(accuracy: FormAccuracy, enough: int) -> list[Tense]:
    """The four tenses in use, then the other subjunctives with enough answers; indicatives are only contrasts."""
    rest = [t for t in accuracy.tenses if t not in LEARNT_TENSES and t.endswith("_subjunctive")]
    return [*LEARNT_TENSES, *(tense for tense in rest if accuracy.tenses[tense].n >= enough)]


def _cell(mean: float | None, tally: Tally, thresholds: Thresholds) -> str:
    if mean is None:
        return f"n {number(tally.n)}"
    if tally.n < thresholds.firm:
        return f"{per_cent(mean)}<br>n {number(tally.n)} · few"
    return f"<b>{per_cent(mean)}</b><br>n {number(tally.n)}"


def _weakest_form(
    total: Tally,
    tallies: dict[tuple[Tense, Person], Tally],
    means: dict[tuple[Tense, Person], float | None],
    thresholds: Thresholds,
) -> str:
    firm = [key for key, tally in tallies.items() if tally.n >= thresholds.firm]
    if not firm or total.share is None:
        return f"No form has {thresholds.firm} answers yet, so none is called the weakest"
    weakest = min(firm, key=lambda key: means[key] or 0.0)
    if not tallies[weakest].lies_below(total.share, comparisons=len(firm)):
        return f"No form stands out below the {per_cent(total.share)} right over all"
    tense, person = weakest
    name = PERSON_NAMES[person]
    return (
        f"*{name[0].upper()}{name[1:]}* in the {tense_name(tense)} is the weakest form: "
        f"{per_cent(means[weakest] or 0.0)} right, {per_cent(total.share)} over all"
    )


def _accuracy_table(
    keys: Sequence[tuple[Tense, Person]],
    tallies: dict[tuple[Tense, Person], Tally],
    means: dict[tuple[Tense, Person], float | None],
    thresholds: Thresholds,
) -> Table:
    columns: list[Column | str] = [
        "Tense",
        Column("Person", lang="es"),
        Column("n"),
        Column("Learners"),
        Column("Right %", decimals=1),
        Column("95 % interval", align="right", muted=True),
        Column("Shrunken %", decimals=1),
    ]
    rows = []
    for tense, person in keys:
        tally, mean = tallies[tense, person], means[tense, person]
        enough = tally.n >= thresholds.minimum
        rates = [100 * (tally.share or 0), limits(tally, 1), 100 * (mean or 0)] if enough else [None, None, None]
        rows.append([tense_name(tense), PERSON_NAMES[person], tally.n, tally.learners, *rates])
    return Table(columns, rows, "“–” where there are too few answers.")


# --- What they remember ---------------------------------------------------------------------------------------------


def recall_chart(recall: Recall, thresholds: Thresholds, window: Window) -> Chart | Note:
    """Recall by days since the last answer, one line per tense in use, with n below."""
    series = {
        tense: bins
        for tense in LEARNT_TENSES
        if (bins := [one for one in recall.by_tense.get(tense, ()) if one.tally.n >= thresholds.firm])
    }
    if not series:
        return Note(
            f"Forgetting is not known yet: no tense has {thresholds.firm} reviews after about the same number of days "
            f"(n {number(recall.total.n)} in all)."
        )
    figure = _figure()
    for at, (tense, bins) in enumerate(series.items()):
        look = (TENSE_COLOURS[tense], TENSE_SYMBOLS[tense])
        # Set apart, so that intervals do not hide each other.
        _add_recall(
            figure, bins, look, thresholds, name=tense_name(tense), shift=1 + 0.045 * (at - (len(series) - 1) / 2)
        )
    _recall_axes(figure, list(series.values()), thresholds)
    _rows_of_n(figure, series)
    label_series(figure)
    return Chart(
        figure,
        title=_falling(series, thresholds),
        subtitle="Share of right answers by days since the last answer to the same item, with 95 % intervals. "
        f"{span(window)}, each learner's own days.",
        note=f"n = {number(recall.total.n)} answers at least a day apart, below the axis by tense. Points stand near the "
        f"mean of their bin; bins with fewer than {thresholds.firm} are left out. Long gaps belong to items that are known well: read it as what reviews meet, "
        "not as one memory fading.",
        frame=_recall_table([(tense_name(tense), one) for tense, bins in series.items() for one in bins]),
    )


def _add_recall(
    figure: go.Figure,
    bins: Sequence[RecallBin],
    look: tuple[str, str],
    thresholds: Thresholds,
    *,
    name: str = "",
    shift: float = 1,
) -> None:
    """Points with their intervals, joined when the series has a name; open where there are few answers."""
    tallies = [one.tally for one in bins]
    colour, symbol = look
    symbols = [symbol if tally.n >= thresholds.firm else f"{symbol}-open" for tally in tallies]
    figure.add_scatter(
        x=[one.elapsed_days * shift for one in bins],
        y=[100 * (tally.share or 0.0) for tally in tallies],
        error_y=_error_bars(tallies, colour),
        mode="lines+markers" if name else "markers",
        line={"color": colour},
        marker={"color": colour, "symbol": symbol if name else symbols, "size": 9},
        name=name,
        text=[f"{one.label} days: {rate(one.tally, thresholds)}" for one in bins],
        hovertemplate=f"{name} %{{text}}<extra></extra>",
    )


def _recall_axes(
    figure: go.Figure, groups: Sequence[Sequence[RecallBin]], thresholds: Thresholds, first: float = 0.9
) -> None:
    """Days on a logarithmic axis from `first`, per cent upwards, and the line that reviews aim at."""
    bins = [one for group in groups for one in group]
    last = max(one.start for one in bins)
    figure.update_xaxes(
        type="log",
        range=[log10(first), log10(2.1 * last)],
        tickvals=[edge for edge in BIN_EDGES if edge <= 2 * last],
        title="days since the last answer to the item",
    )
    lowest = 10 * int(10 * min(*(one.tally.interval.low for one in bins), 0.7))
    figure.update_yaxes(range=[lowest, 101], ticksuffix=_SUFFIX, dtick=10)
    # Labelled inside: behind the line's end stand the names of the series.
    reference_line(figure, 100 * thresholds.retention)
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=100 * thresholds.retention, yref="y", yanchor="bottom",
        text=f"aim {per_cent(thresholds.retention)}", showarrow=False,
    )  # fmt: skip


def _rows_of_n(figure: go.Figure, series: dict[Tense, list[RecallBin]]) -> None:
    """The number of reviews under each bin, a row for each line."""
    notes: list[dict[str, Any]] = []
    for row, (tense, bins) in enumerate(series.items()):
        place = {"yref": "paper", "y": 0, "yanchor": "top", "yshift": -52 - 17 * row, "showarrow": False}
        sign = f'<span style="color:{TENSE_COLOURS[tense]}">{_SYMBOL_SIGNS[TENSE_SYMBOLS[tense]]}</span> n'
        notes.append({"x": 0, "xref": "paper", "xanchor": "right", "xshift": -4, "text": sign, **place})
        notes += [{"x": log10(one.start * sqrt(2)), "text": number(one.tally.n), **place} for one in bins]
    # All at once: plotly looks at every annotation there is again for each that is added.
    figure.update_layout(
        annotations=[*figure.layout.annotations, *notes],
        height=330 + 17 * len(series),
        margin={"b": 56 + 17 * len(series), "l": 48},
        meta={"min_width": 520},
    )


def _falling(series: dict[Tense, list[RecallBin]], thresholds: Thresholds) -> str:
    """The tense that falls below the aim first, or that none does."""
    starts = {
        tense: next((one.start for one in bins if one.tally.lies_below(thresholds.retention)), None)
        for tense, bins in series.items()
    }
    fallen = {tense: start for tense, start in starts.items() if start is not None}
    aim = per_cent(thresholds.retention)
    if not fallen:
        return f"Recall stays near the {aim} that reviews aim at"
    if len(fallen) == len(series) and set(fallen.values()) == {BIN_EDGES[0]}:
        return f"Recall is below the {aim} that reviews aim at from the first day on"
    first = min(fallen, key=lambda tense: fallen[tense])
    unit = "day" if fallen[first] == 1 else "days"
    return f"Recall of the {tense_name(first)} falls below {aim} after {fallen[first]:g} {unit}"


def _recall_table(rows: Sequence[tuple[str, RecallBin]]) -> Table:
    columns: list[Column | str] = [
        "Of",
        "Days since",
        Column("n"),
        Column("Learners"),
        Column("Right %", decimals=1),
        Column("95 % interval", align="right", muted=True),
    ]
    return Table(
        columns,
        [
            [name, one.label, one.tally.n, one.tally.learners, 100 * (one.tally.share or 0), limits(one.tally, 1)]
            for name, one in rows
        ],
    )


# --- One learner ----------------------------------------------------------------------------------------------------


def practice_chart(one: OneLearner, window: Window) -> Chart:
    """One learner's answers by day, right ones below wrong ones."""
    counted = {on: (n, hits) for on, n, hits in one.days}
    days = [window.first + timedelta(days=at) for at in range(window.days)]
    right = [counted.get(on, (0, 0))[1] for on in days]
    wrong = [counted[on][0] - counted[on][1] if on in counted else 0 for on in days]
    figure = _figure()
    for values, name, colour in ((right, "right", "c1"), (wrong, "wrong", "c2")):
        figure.add_bar(
            x=[on.isoformat() for on in days], y=values, name=name, marker={"color": PALETTE[colour]},
            hovertemplate=f"%{{x|%a %-d %b %Y}}: %{{y}} {name}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(title="answers", rangemode="tozero", nticks=5)
    figure.update_xaxes(nticks=6)
    figure.update_layout(height=290, barmode="stack", bargap=0.2, margin={"t": 28})
    key = "  ".join(
        f'<span style="color:{PALETTE[colour]}">■</span> {name}'
        for colour, name in (("c2", "wrong, on top"), ("c1", "right"))
    )
    figure.add_annotation(
        x=1, xref="paper", xanchor="right", y=1, yref="paper", yanchor="bottom", text=key, showarrow=False,
        font={"size": 12, "color": PALETTE["ink"]},
    )  # fmt: skip
    practised = len(one.days)
    return Chart(
        figure,
        title=f"{one.learner.username} practised on {practised} of {window.days} days",
        subtitle=f"Answers by day, {span(window)}. The learner's own days; zone now {one.learner.timezone}.",
        note=f"n = {_counted(one.tally.n, 'answer')}, {number(round(median(n for _, n, _ in one.days)))} "
        "on a usual practised day.",
        frame=Table(
            ["Day", Column("Answers"), Column("Right")],
            [[on, n, hits] for on, n, hits in one.days],
            "Days without an answer are left out.",
        ),
        half=True,
    )


def forgetting_chart(one: OneLearner, thresholds: Thresholds, window: Window) -> Chart | Note:
    """One learner's recall by days since the last answer, and the forgetting curve where it earned its place."""
    bins = [found for found in binned(one.reviews) if found.tally.n >= thresholds.minimum]
    if not bins:
        return Note(
            f"What {one.learner.username} forgets is not known yet: no bin of days has {thresholds.minimum} answers "
            f"at least a day apart (n {number(len(one.reviews))} in all)."
        )
    curve = judged_curve(one.reviews)
    figure = _figure()
    _add_recall(figure, bins, (PALETTE["c1"], "circle"), thresholds)
    _recall_axes(figure, [bins], thresholds, first=0.5)
    if curve is not None and curve.beats_average:
        _add_curve(figure, curve, bins)
    figure.update_layout(height=290)
    total = Tally.of([(sum(review.is_correct for review in one.reviews), len(one.reviews))])
    return Chart(
        figure,
        title=f"After a day or more, {one.learner.username} still knows {per_cent(total.share or 0.0)}",
        subtitle="Right answers by days since the last answer to the same item, with 95 % Wilson intervals. "
        f"{span(window)}.",
        note=f"n = {number(total.n)} answers at least a day apart; open marks have fewer than {thresholds.firm}, bins "
        f"with fewer than {thresholds.minimum} are left out. {said_of(curve)}",
        frame=_recall_table([(one.learner.username, found) for found in bins]),
        half=True,
    )


def _add_curve(figure: go.Figure, curve: Curve, bins: Sequence[RecallBin]) -> None:
    last = 2 * max(found.start for found in bins)
    days = [last ** (at / 40) for at in range(41)]
    figure.add_scatter(
        x=days,
        y=[100 * curve.recall(elapsed) for elapsed in days],
        mode="lines",
        line={"color": PALETTE["c6"], "width": 2},
        name="model",
        hovertemplate="model, %{x:.1f} days: %{y:.0f} %<extra></extra>",
    )
    label_series(figure)


def said_of(curve: Curve | None) -> str:
    """Why a forgetting curve is drawn, or is not, with both losses."""
    if curve is None:
        return "No forgetting curve is drawn: too few answers to judge one on the last fifth in time."
    losses = f"log loss {curve.loss:.3f} against {curve.average_loss:.3f} on the last {curve.held_out} answers"
    if curve.beats_average:
        return (
            f"The line is FSRS forgetting at a stability of {curve.stability:.1f} days; it beats the average, {losses}."
        )
    return (
        f"No forgetting curve is drawn: at the median stability of {curve.stability:.1f} days it predicts no better "
        f"than the average, {losses}."
    )


# --- Habits and goals -----------------------------------------------------------------------------------------------


def streak_chart(streaks: Streaks, as_of: str) -> Chart:
    """Learners by length of streak, now and at their best."""
    names = [_streak_name(low, high) for low, high in _STREAK_BINS]
    groups = {"longest": streaks.longest, "now": streaks.current}
    counts = {name: [_within(found, low, high) for low, high in _STREAK_BINS] for name, found in groups.items()}
    learners = sum(streaks.current.values())
    figure = _figure()
    for name, colour in (("longest", "edge"), ("now", "c1")):
        figure.add_bar(
            x=names, y=counts[name], name=name, marker={"color": PALETTE[colour]}, text=counts[name],
            textposition="outside", hovertemplate=f"{name}, %{{x}} days: %{{y}} learners<extra></extra>",
        )  # fmt: skip
    # Categories such as 7–13 must not be read as numbers or dates.
    figure.update_xaxes(type="category", title="days in a row")
    figure.update_yaxes(title="learners", rangemode="tozero", nticks=5)
    figure.update_layout(height=290, margin={"t": 32}, bargroupgap=0.06)
    key = f'<span style="color:{PALETTE["edge"]}">■</span> longest  <span style="color:{PALETTE["c1"]}">■</span> now'
    figure.add_annotation(
        x=1, xref="paper", xanchor="right", y=1, yref="paper", yanchor="bottom", yshift=8, text=key, showarrow=False,
        font={"size": 12, "color": PALETTE["ink"]},
    )  # fmt: skip
    running = learners - streaks.current.get(0, 0)
    return Chart(
        figure,
        title=f"{number(running)} of {_counted(learners, 'learner')} {'has' if running == 1 else 'have'} a streak now",
        subtitle="Learners by consecutive practised days: now, and their longest ever. Each learner's own days.",
        note=f"n = {_counted(learners, 'learner')} with an answer; as of {as_of}, when the summaries were refreshed. "
        "A streak is running that reaches today or yesterday.",
        frame=Table(
            ["Days in a row", Column("Now"), Column("Longest")],
            list(zip(names, counts["now"], counts["longest"], strict=True)),
        ),
        half=True,
    )


def _streak_name(low: int, high: int | None) -> str:
    return str(low) if low == high else f"{low}+" if high is None else f"{low}–{high}"


def _within(counts: dict[int, int], low: int, high: int | None) -> int:
    return sum(n for length, n in counts.items() if length >= low and (high is None or length <= high))


def goal_chart(goals: dict[int, Tally], thresholds: Thresholds, window: Window) -> Chart | Note:
    """Share of practised days on which the goal was met, by the goal in minutes."""
    shown = {minutes: tally for minutes, tally in goals.items() if tally.n >= thresholds.minimum}
    n = sum(tally.n for tally in goals.values())
    if not shown:
        return Note(f"Daily goals are not known yet: too few practised days with a session (n {number(n)}).")
    met = sum(tally.hits for tally in goals.values())
    tallies = list(shown.values())
    figure = _figure()
    figure.add_scatter(
        x=[100 * (tally.share or 0.0) for tally in tallies],
        y=[f"{minutes}{NARROW}min" for minutes in shown],
        error_x=_error_bars(tallies, PALETTE["c1"]),
        mode="markers",
        marker={
            "color": PALETTE["c1"],
            "symbol": ["circle" if tally.n >= thresholds.firm else "circle-open" for tally in tallies],
        },
        text=[rate(tally, thresholds) for tally in tallies],
        hovertemplate="goal of %{y}: %{text}<extra></extra>",
    )
    for minutes, tally in shown.items():
        figure.add_annotation(
            x=1, xref="paper", xanchor="left", xshift=8, y=f"{minutes}{NARROW}min", yref="y", text=number(tally.n)
        )
    figure.add_annotation(
        x=1, xref="paper", xanchor="left", xshift=8, y=1, yref="paper", yanchor="bottom", text="n", showarrow=False
    )
    highest = max(tally.interval.high for tally in tallies)
    figure.update_xaxes(
        range=[0, min(105 * highest, 102)], ticksuffix=_SUFFIX, title="practised days on which it was met"
    )
    figure.update_layout(height=max(110 + 36 * len(shown), 290), margin={"r": 64, "t": 24})
    return Chart(
        figure,
        title=f"The daily goal was met on {per_cent(met / n)} of practised days",
        subtitle=f"By the goal that held on the day, with 95 % intervals. {span(window)}, each learner's own days.",
        note=f"n = {_counted(n, 'practised day')}. Time counts from the start of a session to its last answer; "
        "intervals allow for learners who differ.",
        frame=Table(
            ["Goal, min", Column("Days"), Column("Learners"), Column("Met %", decimals=1), "95 % interval"],
            [[m, t.n, t.learners, 100 * (t.share or 0), limits(t, 1)] for m, t in goals.items()],
        ),
        half=True,
    )


def scenario_chart(scenarios: Sequence[ScenarioProgress], learners: int) -> Chart:
    """Learners by how far they are with each scenario."""
    # Who has begun since the summaries were refreshed is not among the learners yet.
    learners = max(learners, *(scenario.begun for scenario in scenarios))
    names = [scenario.title for scenario in scenarios]
    parts = {
        "completed": [scenario.completed for scenario in scenarios],
        "begun": [scenario.begun - scenario.completed for scenario in scenarios],
        "not begun": [max(learners - scenario.begun, 0) for scenario in scenarios],
    }
    colours = {"completed": PALETTE["c1"], "begun": soft(PALETTE["c1"], 0.45), "not begun": PALETTE["line"]}
    figure = _figure()
    for name, counts in parts.items():
        figure.add_bar(
            x=counts, y=names, orientation="h", name=name, marker={"color": colours[name]},
            text=[number(count) if count else "" for count in counts], textposition="inside", textangle=0,
            insidetextanchor="middle", constraintext="none", hovertemplate=f"%{{y}}: %{{x}} {name}<extra></extra>",
            textfont={"size": 12, "color": "#fff" if name == "completed" else PALETTE["ink"]},
        )  # fmt: skip
    key = "  ".join(f'<span style="color:{PALETTE[c]}">{s}</span> {n}' for c, s, n in _SCENARIO_KEY)
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", text=key, showarrow=False,
        font={"size": 12, "color": PALETTE["ink"]},
    )  # fmt: skip
    figure.update_xaxes(title="learners", range=[0, learners], showgrid=False)
    figure.update_layout(meta={"min_width": 440}, barmode="stack", height=100 + 36 * len(names), margin={"t": 28})
    best = max(scenarios, key=lambda scenario: (scenario.completed, scenario.begun))
    if best.completed:
        title = f"{best.title} is completed most often, by {number(best.completed)} of {_counted(learners, 'learner')}"
    else:
        title = f"No scenario is completed yet; {best.title} is begun by {number(best.begun)}"
    return Chart(
        figure,
        title=title,
        subtitle="Learners by how far they are with each published scenario, of all who ever answered.",
        note=f"n = {_counted(learners, 'learner')}. Completed: every published exercise was answered right once.",
        frame=Table(
            ["Scenario", Column("Begun"), Column("Completed"), Column("Median completion %", decimals=0)],
            [
                [s.title, s.begun, s.completed, None if s.median_completion is None else 100 * s.median_completion]
                for s in scenarios
            ],
        ),
    )


_SCENARIO_KEY = (("c1", "■", "completed"), ("c1", "▥", "begun"), ("edge", "□", "not begun"))


def due_chart(due: Sequence[DueDay], taken_at: str) -> Chart | Note:
    """Reviews that fall due on each of the next days, and those that wait already."""
    items = {one.day: one.items for one in due}
    if not any(items.values()):
        return Note("No review is scheduled for the next two weeks.")
    names = {one.day: "overdue" if one.day < 0 else "today" if one.day == 0 else f"+{one.day}" for one in due}
    coming = {at: n for at, n in items.items() if at >= 0}
    heaviest = max(coming, key=coming.__getitem__)
    figure = _figure()
    figure.add_bar(
        x=list(names.values()),
        y=list(items.values()),
        text=[number(n) for n in items.values()],
        textposition="outside",
        constraintext="none",
        marker={
            "color": [PALETTE["c2"] if at < 0 else PALETTE["c1" if at == heaviest else "edge"] for at in items],
            "pattern": {
                "shape": ["/" if at < 0 else "" for at in items], "fgcolor": PALETTE["surface"], "size": 5
            },
        },
        hovertemplate="%{x}: %{y} reviews<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(type="category", title="days from today", tickangle=0)
    figure.update_yaxes(title="reviews", rangemode="tozero", nticks=6)
    figure.update_layout(height=300, margin={"t": 24}, meta={"min_width": 840})
    when = {0: "today", 1: "tomorrow"}.get(heaviest, f"in {heaviest} days")
    waiting = items.get(-1, 0)
    return Chart(
        figure,
        title=f"{number(waiting)} reviews are overdue; the heaviest day is {when}, with {number(coming[heaviest])}",
        subtitle=f"Scheduled reviews by day, all open accounts, at {taken_at}. Today is each learner's own.",
        note=f"n = {_counted(sum(items.values()), 'review')} of items learners have met; new items are not included. "
        "Overdue: due before today.",
        frame=Table(
            ["Day", Column("Reviews"), Column("Learners")],
            [[names[one.day], one.items, one.learners] for one in due],
        ),
    )
