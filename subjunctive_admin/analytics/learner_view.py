"""Learners' performance as a page: key figures, activity, accuracy, memory, one learner, habits, slips."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from subjunctive_admin.analytics import learner_charts as charts
from subjunctive_admin.analytics.intervals import Tally, wilson
from subjunctive_admin.analytics.learner_charts import limits, rate, span, tense_name, written_interval
from subjunctive_admin.analytics.learners import Award, ErrorLine, OneLearner, Performance, Thresholds, Window
from subjunctive_admin.look import Cell, Column, Finding, Findings, Header, KeyFigures, Note, Section, Table
from subjunctive_admin.look.markup import moment, number, per_cent
from subjunctive_admin.vocabulary import LEARNT_TENSES, ErrorKind, ExerciseType, Status, Tense, overall

_FEW_LEARNERS = 10
_LONGEST_ANSWER = 40
_BLANK = "___"

_MISSED: dict[ErrorKind, str] = {
    ErrorKind.MOOD: "indicative for subjunctive, or the reverse",
    ErrorKind.TENSE: "another tense",
    ErrorKind.PERSON: "another person",
    ErrorKind.STEM: "stem change missed or overdone",
    ErrorKind.IRREGULAR: "irregular verb made regular",
    ErrorKind.SPELLING: "spelling change missed",
    ErrorKind.ACCENT: "written accent missing or misplaced",
    ErrorKind.ENDING: "ending of another class",
    ErrorKind.PARTICIPLE: "participle made regular",
    ErrorKind.AUXILIARY: "another form of haber",
    ErrorKind.PRONOUN: "pronoun missing or another",
    ErrorKind.INFINITIVE: "left in the infinitive",
    ErrorKind.PHONETIC: "written as it sounds",
    ErrorKind.FOLK: "popular form",
    ErrorKind.VOSEO: "form of vos",
    ErrorKind.TYPO: "slip of the keys",
    ErrorKind.UNKNOWN: "no rule explains it",
}


def performance_headline(found: Performance) -> str:
    """The finding of the whole page as a sentence: the weakest tense, or the first thing that is missing."""
    if not found.population.accounts:
        return "There are no learners yet"
    if found.window is None:
        return "No learner has answered anything yet"
    total = found.activity.total
    if not total.n:
        return f"Nobody practised between {span(found.window).replace(' – ', ' and ')}"
    weakest, overall_tally = weakest_tense(found), found.accuracy.total
    if weakest is not None and overall_tally.share is not None:
        tense, tally = weakest
        said = per_cent(tally.share or 0.0)
        return f"The {tense_name(tense)} is the weakest tense: {said} right, {per_cent(overall_tally.share)} over all"
    if total.n < found.thresholds.minimum:
        return f"{_learners(total.learners)} gave {_answers(total.n)}: too few to say how well"
    return f"{_learners(total.learners)} gave {_answers(total.n)}, {per_cent(total.share or 0.0)} of them right"


def weakest_tense(found: Performance) -> tuple[Tense, Tally] | None:
    """The tense in use with the lowest accuracy, when it lies below all; None when no tense stands out."""
    tenses = {t: tally for t, tally in found.accuracy.tenses.items() if t in LEARNT_TENSES}
    firm = {t: tally for t, tally in tenses.items() if tally.n >= found.thresholds.firm}
    share = found.accuracy.total.share
    if not firm or share is None:
        return None
    weakest = min(firm, key=lambda tense: firm[tense].share or 0.0)
    return (weakest, firm[weakest]) if firm[weakest].lies_below(share, comparisons=len(firm)) else None


def performance_detail(found: Performance) -> str:
    """One line for the index of reports."""
    total = found.activity.total
    return f"{_learners(total.learners)}, {_answers(total.n)}"


def performance_status(found: Performance) -> Status:
    """Ok where there is something to see, info where there is not yet; a finding can make it worse."""
    worst = overall([finding.status for finding in performance_findings(found)])
    return Status.INFO if worst is Status.OK and not found.activity.total.n else worst


def performance_findings(found: Performance) -> list[Finding]:
    """What keeps the page from saying more; none usually."""
    population = found.population
    findings = []
    if not population.accounts:
        findings.append(
            Finding(
                Status.INFO,
                "There are no learners yet.",
                "This page fills as accounts are created and answer.",
                "`subjunctive-admin user create` adds one",
                id="learners-none",
            )
        )
    elif found.window is None:
        findings.append(
            Finding(
                Status.INFO,
                f"{_learners(population.accounts)} {_has(population.accounts)} an account, and none has answered yet.",
                "This page fills with the first answer.",
                "open an account's first session in the application",
                id="attempts-none",
            )
        )
    elif not found.activity.total.n:
        findings.append(_empty_window(found, found.window))
    if found.asked_for and found.learner is None:
        findings.append(
            Finding(
                Status.WARNING,
                f"There is no learner “{found.asked_for}”.",
                "The rest of the page does not depend on it.",
                "correct the parameter `learner`; empty takes the most active one",
                id="learner-unknown",
            )
        )
    if missing := population.practising - population.refreshed:
        findings.append(
            Finding(
                Status.INFO,
                f"The summaries of {_learners(missing)} were never refreshed.",
                "Streaks, goals, awards and scenarios below leave them out.",
                "`subjunctive-admin summaries refresh`",
                observed=number(missing),
                limit=f"of {number(population.practising)}",
                id="summaries-missing",
            )
        )
    return findings


def _empty_window(found: Performance, window: Window) -> Finding:
    first, last = found.population.first_day, found.population.last_day
    assert first is not None
    assert last is not None
    return Finding(
        Status.INFO,
        f"Nobody practised in {window.days} days, {span(window)}.",
        f"The answers there are were given {span(Window(first, last))}.",
        f"set `until` to {last.isoformat()}, or leave it empty",
        id="window-empty",
    )


def performance_view(found: Performance) -> list[Any]:
    """What stands above the one learner, in reading order: the finding, the figures, all learners together."""
    shown: list[Any] = [_header(found)]
    if findings := performance_findings(found):
        shown.append(Findings("What is missing here", "", findings))
    if found.window is None or not found.activity.total.n:
        return shown
    window, thresholds = found.window, found.thresholds
    return [
        *shown,
        _figures(found),
        Section("How much they practise", "Days are each learner's own, in the zone they had then."),
        *charts.activity_charts(found.activity, window),
        Section(
            "Where learners stand",
            "What is known when an item comes up: the first answer of the day counts, later ones repeat it.",
        ),
        charts.accuracy_chart(found.accuracy, thresholds, window),
        Section("What they remember", "An answer a day or more after the last one to the same item."),
        charts.recall_chart(found.recall, thresholds, window),
    ]


def learner_view(one: OneLearner | None, thresholds: Thresholds, window: Window | None) -> list[Any]:
    """One learner: a heading, figures, and two charts side by side; always four fragments, or none."""
    if one is None or window is None:
        return []
    name = one.learner.username
    if not one.tally.n:
        return [
            Section(f"One learner: {name}", f"No answer in {window.days} days, {span(window)}."),
            Note("Nothing was practised in these days."),
            Note("A wider window may hold more: set `days`, or `until`."),
            Note("The control below lists who practised."),
        ]
    return [
        Section(f"One learner: {name}", f"{span(window)}. Zone now {one.learner.timezone}."),
        _learner_figures(one, thresholds, window),
        charts.practice_chart(one, window),
        charts.forgetting_chart(one, thresholds, window),
    ]


def habits_view(found: Performance) -> list[Any]:
    """What stands below the one learner: habits and goals, what comes due, and what is written instead."""
    if found.window is None:
        return []
    learners = found.population.refreshed
    shown: list[Any] = []
    if learners:
        as_of = _as_of(found.population.oldest_refresh, found.population.newest_refresh)
        shown += [
            Section("Streaks, goals and awards", f"Derived values as of {as_of}."),
            charts.streak_chart(found.streaks, as_of),
            charts.goal_chart(found.goals, found.thresholds, found.window),
            *([_awards(found.awards)] if found.awards else []),
            *([charts.scenario_chart(found.scenarios, learners)] if found.scenarios else []),
        ]
    shown += [
        Section("What comes next", "What the schedule asks of learners in the next two weeks."),
        charts.due_chart(found.due, moment(found.taken_at)),
    ]
    if found.errors:
        shown += [
            Section("What they write instead", _slips_lead(found.errors)),
            _slips(found.errors, found.thresholds, found.window),
        ]
    return shown


def _header(found: Performance) -> Header:
    facts: list[tuple[str, object]] = []
    if found.window is not None:
        facts = [
            ("Window", span(found.window)),
            ("Days", "each learner's own"),
            ("Read", moment(found.taken_at)),
        ]
    return Header(performance_headline(found), _summary(found), facts, "Learner performance")


def _summary(found: Performance) -> str:
    total, first_answers = found.activity.total, found.accuracy.total
    if not total.n:
        return "Nothing is charted where nothing was answered."
    if total.learners < _FEW_LEARNERS:
        return f"These rates rest on {_learners(total.learners)}: they describe who is here, not learners in general."
    weakest = weakest_tense(found)
    if weakest is None:
        return "No tense stands out below the others. Intervals allow for learners who differ."
    rest = rate(weakest[1], found.thresholds)
    return (
        f"First answers of a day to an item: {rest}; all tenses {rate(first_answers, found.thresholds)}. "
        "Intervals allow for learners who differ."
    )


def _figures(found: Performance) -> KeyFigures:
    total, retention, aim = found.activity.total, found.recall.total, per_cent(found.thresholds.retention)
    typical = f"median {number(round(found.activity.median_answers or 0))} a learner"
    return KeyFigures(
        [
            ("Active learners", total.learners, f"of {number(found.population.accounts)}, at least one answer"),
            ("Answers", total.n, typical),
            ("Right", _share(total, found.thresholds), _basis(total, found.thresholds)),
            (
                "True retention",
                _share(retention, found.thresholds),
                f"{_basis(retention, found.thresholds)}; after a day or more, aim {aim}",
            ),
        ]
    )


def _learner_figures(one: OneLearner, thresholds: Thresholds, window: Window) -> KeyFigures:
    retention = Tally.of([(sum(review.is_correct for review in one.reviews), len(one.reviews))])
    streak, note = "?", "the summary was never refreshed"
    if one.stored is not None:
        current, longest, mastered, refreshed_at = one.stored
        streak = f"{current} d"
        note = f"longest {longest} d, {number(mastered)} items mastered, as of {moment(refreshed_at)}"
    return KeyFigures(
        [
            ("Answers", one.tally.n, f"on {len(one.days)} of {window.days} days"),
            ("Right", _share(one.tally, thresholds), _basis(one.tally, thresholds)),
            ("True retention", _share(retention, thresholds), _basis(retention, thresholds)),
            ("Streak", streak, note),
        ]
    )


def _share(tally: Tally, thresholds: Thresholds) -> str:
    return per_cent(tally.share, 1) if tally.share is not None and tally.n >= thresholds.minimum else "?"


def _basis(tally: Tally, thresholds: Thresholds) -> str:
    """`74.7–75.3, n 320`, or why there is no rate."""
    if tally.n < thresholds.minimum:
        return f"n {number(tally.n)}, {thresholds.minimum} are needed"
    few = " · few" if tally.n < thresholds.firm else ""
    return f"{limits(tally, 1)}, n {number(tally.n)}{few}"


def _awards(awards: tuple[Award, ...]) -> Table:
    columns: list[Column | str] = [
        "Award",
        Column("Tier", muted=True, optional=True),
        Column("Unlocked", align="right"),
        Column("Share %", decimals=1),
        Column("95 % interval", align="right", muted=True),
        Column("Others' progress %", decimals=0, optional=True),
    ]
    rows = []
    for award in awards:
        # Each learner counts once, so they are no clusters here.
        interval = written_interval(wilson(award.unlocked, award.learners), 1) if award.learners else None
        rest = None if award.median_rest is None else 100 * award.median_rest
        share = 100 * award.unlocked / award.learners if award.learners else None
        named = Cell(award.name, award.description, strong=True)
        rows.append([named, award.tier.value, award.unlocked, share, interval, rest])
    return Table(
        columns,
        rows,
        f"n = {_learners(max(award.learners for award in awards))} whose progress was derived. Others' progress: the median of those without the award.",
    )


def _slips_lead(errors: tuple[ErrorLine, ...]) -> str:
    total = errors[0].share.n
    hits, kinds = 0, 0
    for line in errors:
        hits, kinds = hits + line.share.hits, kinds + 1
        if hits >= 0.8 * total:
            break
    rules = "One kind accounts" if kinds == 1 else f"{kinds} kinds account"
    return f"{rules} for {per_cent(hits / total)} of the {number(total)} answers with an error."


def _slips(errors: tuple[ErrorLine, ...], thresholds: Thresholds, window: Window) -> Table:
    columns: list[Column | str] = [
        "Rule missed",
        Column("Sentence, expected form in bold", lang="es"),
        "Learners wrote",
        Column("n"),
        Column("Share %", decimals=1),
        Column("95 % interval", align="right", muted=True),
        Column("Learners"),
    ]
    enough = errors[0].share.n >= thresholds.minimum
    rows = []
    for line in errors:
        share = 100 * (line.share.share or 0.0) if enough else None
        rule = Cell(line.kind.value, _MISSED[line.kind], strong=True)
        times = f"{number(line.written_n)} times" if line.written_n > 1 else "once"
        written = Cell(_cited(line.written), times)
        interval = limits(line.share, 1) if enough else None
        rows.append([rule, sentence(line), written, line.share.hits, share, interval, line.learners])
    return Table(
        columns,
        rows,
        f"n = {number(errors[0].share.n)} answers with an error, {span(window)}; slips of accent that were forgiven "
        "among them. The answer shown is the one most learners wrote, with the present text of its exercise.",
    )


def sentence(line: ErrorLine) -> str:
    """The prompt with the expected form in bold: in its blank, or after it where there is none."""
    prompt = line.prompt.replace("*", "")
    if line.exercise_type is ExerciseType.FILL_BLANK or _BLANK in prompt:
        return prompt.replace(_BLANK, f"**{line.expected}**")
    return f"{prompt} → **{line.expected}**"


def _cited(answer: str) -> str:
    """What a learner typed, in italics and of bearable length; their stars and backticks are no markup."""
    plain = answer.replace("*", "").replace("`", "").strip()
    if not plain:
        return "(nothing)"
    return f"*{plain if len(plain) <= _LONGEST_ANSWER else plain[: _LONGEST_ANSWER - 1] + '…'}*"


def _as_of(oldest: datetime | None, newest: datetime | None) -> str:
    assert oldest is not None
    assert newest is not None
    if oldest.date() == newest.date():
        return moment(newest)
    return f"{moment(oldest)} to {moment(newest)}"


def _learners(count: int) -> str:
    return f"{number(count)} learner{'' if count == 1 else 's'}"


def _answers(count: int) -> str:
    return f"{number(count)} answer{'' if count == 1 else 's'}"


def _has(count: int) -> str:
    return "has" if count == 1 else "have"
