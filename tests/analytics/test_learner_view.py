"""The page on learners in words: findings as titles, honest states without data, the notebook as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from subjunctive_admin import derived
from subjunctive_admin.analytics import learner_charts as charts
from subjunctive_admin.analytics import learner_view as view
from subjunctive_admin.analytics.intervals import Tally
from subjunctive_admin.analytics.learners import (
    Activity,
    Award,
    DueDay,
    ErrorLine,
    FormAccuracy,
    Learner,
    OneLearner,
    Performance,
    Recall,
    ScenarioProgress,
    Streaks,
    Thresholds,
    Window,
    read_performance,
)
from subjunctive_admin.analytics.recall import RecallBin, Review
from subjunctive_admin.db import Database
from subjunctive_admin.look import Chart, Findings, Header, KeyFigures, Note, Section, Table
from subjunctive_admin.reports import ReportRun, find_notebook, run_report
from subjunctive_admin.settings import load_settings
from subjunctive_admin.vocabulary import ErrorKind, ExerciseType, Person, Status, Tense, Tier
from tests.analytics.practice import MONDAY, School

WEEK = Window(date(2026, 3, 2), date(2026, 3, 8))
FIRM = Thresholds()
PRESENT, PLUPERFECT = Tense.PRESENT_SUBJUNCTIVE, Tense.PLUPERFECT_SUBJUNCTIVE


def equal(share: float, learners: int = 20, n: int = 10) -> Tally:
    """A tally of learners who are all alike."""
    return Tally.of([(round(share * n), n)] * learners)


def texts(fragments: list[Any]) -> str:
    parts = [f"{one.title}\n{one.subtitle}\n{one.note}" if isinstance(one, Chart) else one.text() for one in fragments]
    return "\n".join(parts)


def part(fragments: list[Any], kind: type) -> Any:
    return next(one for one in fragments if isinstance(one, kind))


def figures(chart: Any) -> list[Any]:
    """The rows behind a chart."""
    return list(chart.frame.rows)


@pytest.fixture
def school(database: Database) -> Any:
    """Fill the test's own database: `school(lambda s: ...)` commits what the function enters."""

    def enter(fill: Any) -> None:
        with database.session(write=True) as session:
            fill(School(session))

    return enter


def three_answers(school: School) -> None:
    ana = school.learner("ana")
    for day in range(3):
        school.answer(ana, day, right=day > 0)


# --- Without data ---------------------------------------------------------------------------------------------------


def test_without_accounts_the_page_says_so_and_names_a_command(database: Database) -> None:
    found = read_performance(database)
    assert view.performance_headline(found) == "There are no learners yet"
    assert view.performance_status(found) is Status.INFO
    (finding,) = view.performance_findings(found)
    assert finding.next_step == "`subjunctive-admin user create` adds one"
    assert [type(one) for one in view.performance_view(found)] == [Header, Findings]
    assert view.habits_view(found) == []
    assert view.learner_view(found.learner, found.thresholds, found.window) == []


def test_accounts_without_an_answer_are_told_from_no_accounts(database: Database, school: Any) -> None:
    school(lambda s: s.learner("ana"))
    found = read_performance(database)
    assert view.performance_headline(found) == "No learner has answered anything yet"
    assert [one.title for one in view.performance_findings(found)] == [
        "1 learner has an account, and none has answered yet."
    ]


def test_a_window_without_answers_names_the_days_that_have_some(database: Database, school: Any) -> None:
    school(three_answers)
    found = read_performance(database, days=7, until="2025-12-31")
    assert view.performance_headline(found) == "Nobody practised between 25 Dec and 31 Dec 2025"
    finding = view.performance_findings(found)[0]
    assert finding.title == "Nobody practised in 7 days, 25 Dec – 31 Dec 2025."
    assert finding.detail == "The answers there are were given 2 Mar – 4 Mar 2026."
    assert finding.next_step == "set `until` to 2026-03-04, or leave it empty"


def test_three_answers_of_one_learner_give_counts_and_no_rate(database: Database, school: Any) -> None:
    school(three_answers)
    found = read_performance(database, days=7)
    page = [
        *view.performance_view(found),
        *view.learner_view(found.learner, found.thresholds, found.window),
        *view.habits_view(found),
    ]
    said = texts(page)

    assert view.performance_headline(found) == "1 learner gave 3 answers: too few to say how well"
    assert "they describe who is here, not learners in general" in said
    assert part(page, KeyFigures).figures[2] == ("Right", "?", "n 3, 10 are needed")
    assert "No form has 30 answers yet, so none is called the weakest" in said
    assert "Forgetting is not known yet" in said
    assert "What ana forgets is not known yet: no bin of days has 10 answers" in said
    assert "%" not in "".join(one.title for one in page if isinstance(one, Chart))


def test_an_unknown_learner_is_a_warning_and_the_rest_of_the_page_stands(database: Database, school: Any) -> None:
    school(three_answers)
    found = read_performance(database, days=7, learner="nobody")
    warning = view.performance_findings(found)[0]
    assert (warning.status, warning.title) == (Status.WARNING, "There is no learner “nobody”.")
    assert warning.next_step == "correct the parameter `learner`; empty takes the most active one"
    assert view.performance_status(found) is Status.WARNING
    assert view.learner_view(found.learner, found.thresholds, found.window) == []
    assert len([one for one in view.performance_view(found) if isinstance(one, Chart)]) == 3


def test_a_learner_who_was_away_is_shown_as_away(database: Database, school: Any) -> None:
    school(three_answers)
    school(lambda s: s.learner("idle"))
    found = read_performance(database, days=7, learner="IDLE")
    heading, *notes = view.learner_view(found.learner, found.thresholds, found.window)
    assert heading.title == "One learner: idle"
    assert len(notes) == 3
    assert all(isinstance(note, Note) for note in notes)


def test_summaries_that_were_never_refreshed_name_the_command(database: Database, school: Any) -> None:
    school(three_answers)
    found = read_performance(database)
    (finding,) = view.performance_findings(found)
    assert finding.title == "The summaries of 1 learner were never refreshed."
    assert finding.next_step == "`subjunctive-admin summaries refresh`"
    assert "Streaks, goals and awards" not in texts(view.habits_view(found))

    with database.connection(write=True) as connection:
        derived.refresh(connection)
    found = read_performance(database)
    assert view.performance_findings(found) == []
    assert "Streaks, goals and awards" in texts(view.habits_view(found))


# --- Findings -------------------------------------------------------------------------------------------------------


def accuracy(weak: float, n: int = 10) -> FormAccuracy:
    """Two tenses and two persons; nosotros in the pluperfect is the weak one."""
    cells = {
        (PRESENT, Person.YO): equal(0.8),
        (PRESENT, Person.NOSOTROS): equal(0.8),
        (PLUPERFECT, Person.YO): equal(0.8),
        (PLUPERFECT, Person.NOSOTROS): equal(weak, n=n),
    }
    tenses = {PRESENT: equal(0.8, n=20), PLUPERFECT: equal((0.8 + weak) / 2, n=20)}
    return FormAccuracy(cells, tenses, {}, equal((2.4 + weak) / 4, n=40))


def test_the_weakest_form_is_named_when_it_lies_below_all() -> None:
    chart = charts.accuracy_chart(accuracy(0.3), FIRM, WEEK)
    assert chart.title == "*Nosotros* in the pluperfect is the weakest form: 30 % right, 68 % over all".replace(
        " %", "\u202f%"
    )
    assert chart.subtitle.endswith("First answers of a day to an item, 2 Mar – 8 Mar 2026, each learner's own days.")


def test_no_form_is_named_for_what_chance_explains() -> None:
    assert charts.accuracy_chart(accuracy(0.8), FIRM, WEEK).title.startswith("No form stands out below the 80")


def test_cells_show_n_always_and_a_rate_only_when_there_are_enough_answers() -> None:
    given = accuracy(0.8)
    cells = {
        (PRESENT, Person.YO): equal(0.8, learners=20),
        (PRESENT, Person.TU): equal(0.8, learners=2),
        (PRESENT, Person.EL): Tally.of([(7, 9)]),
    }
    chart = charts.accuracy_chart(replace(given, cells=cells), FIRM, WEEK)

    present, imperfect, *_ = [trace.text for trace in chart.figure.data if trace.type == "scatter"]

    assert [label.replace("\u202f", " ") for label in present] == [
        "<b>80 %</b><br>n 200", "80 %<br>n 20 · few", "n 9", "n 0", "n 0", "n 0",
    ]  # fmt: skip
    assert set(imperfect) == {"n 0"}
    assert figures(chart)[2][:2] == ["present", "él, ella, usted"]
    assert figures(chart)[2][4:] == [None, None, None]


def test_tenses_beyond_the_four_in_use_need_enough_answers() -> None:
    tenses = {Tense.FUTURE_SUBJUNCTIVE: equal(0.5), Tense.PRESENT_INDICATIVE: equal(0.5)}
    found = replace(accuracy(0.8), tenses=tenses)
    assert charts.shown_tenses(found, 30)[4:] == [Tense.FUTURE_SUBJUNCTIVE]
    assert charts.shown_tenses(found, 1000)[4:] == []


def bins(*shares: float, n: int = 10) -> tuple[RecallBin, ...]:
    return tuple(RecallBin(2.0**at, 1.4 * 2.0**at, equal(share, n=n)) for at, share in enumerate(shares))


@pytest.mark.parametrize(
    ("by_tense", "title"),
    [
        ({PRESENT: bins(0.9, 0.9, 0.9)}, "Recall stays near the 90 % that reviews aim at"),
        (
            {PRESENT: bins(0.9, 0.9, 0.9), PLUPERFECT: bins(0.9, 0.6, 0.5)},
            "Recall of the pluperfect falls below 90 % after 2 days",
        ),
        ({PRESENT: bins(0.7, 0.6)}, "Recall is below the 90 % that reviews aim at from the first day on"),
    ],
)
def test_the_title_says_which_tense_is_forgotten_first(by_tense: dict[Tense, Any], title: str) -> None:
    chart = charts.recall_chart(Recall(equal(0.8), by_tense), FIRM, WEEK)
    assert isinstance(chart, Chart)
    assert chart.title.replace("\u202f", " ") == title


def test_bins_of_few_reviews_are_no_points() -> None:
    recall = Recall(equal(0.9), {PRESENT: (*bins(0.9, 0.9), RecallBin(64.0, 90.0, equal(0.1, learners=2)))})
    chart = charts.recall_chart(recall, FIRM, WEEK)
    assert isinstance(chart, Chart)
    assert len(chart.figure.data[0].x) == 2
    assert [row[1:3] for row in figures(chart)] == [["1–2", 200], ["2–4", 200]]


def one_learner(reviews: list[Review], name: str = "ana") -> OneLearner:
    learner = Learner(id=None, username=name, timezone="Europe/Madrid", answers=9, last_day=WEEK.last)  # type: ignore[arg-type]
    return OneLearner(learner, ((WEEK.first, 6, 5), (WEEK.last, 3, 1)), tuple(reviews), None)


def alternating(short: int, long: int) -> list[Review]:
    """A hundred reviews after one day and after 300, so many of them right, in turn."""
    pairs = [((at * short) % 100 < short, (at * long) % 100 < long) for at in range(100)]
    return [Review(days, right, 4.0) for pair in pairs for days, right in zip((1.0, 300.0), pair, strict=True)]


def test_a_curve_that_beats_the_average_is_drawn_with_both_losses() -> None:
    chart = charts.forgetting_chart(one_learner(alternating(97, 49)), FIRM, WEEK)
    assert isinstance(chart, Chart)
    assert [trace.name for trace in chart.figure.data] == ["", "model"]
    assert "The line is FSRS forgetting at a stability of 4.0 days; it beats the average, log loss" in chart.note


def test_a_curve_that_does_not_is_left_out_and_the_note_says_why() -> None:
    chart = charts.forgetting_chart(one_learner(alternating(90, 90)), FIRM, WEEK)
    assert isinstance(chart, Chart)
    assert [trace.name for trace in chart.figure.data] == [""]
    assert "No forgetting curve is drawn: at the median stability of 4.0 days it predicts no better" in chart.note


def test_one_learners_days_show_right_and_wrong_answers_and_every_day_between() -> None:
    chart = charts.practice_chart(one_learner([]), WEEK)
    right, wrong = chart.figure.data
    assert list(right.y) == [5, 0, 0, 0, 0, 0, 1]
    assert list(wrong.y) == [1, 0, 0, 0, 0, 0, 2]
    assert chart.title == "ana practised on 2 of 7 days"
    assert chart.note.startswith("n = 9 answers, 4 on a usual")


def test_a_day_without_an_answer_is_drawn_as_zero() -> None:
    activity = Activity(equal(0.5), 10.0, ((WEEK.first, equal(0.5)), (WEEK.last, equal(0.5, learners=2))))
    learners, answers = charts.activity_charts(activity, WEEK)
    assert list(learners.figure.data[0].y) == [20, 0, 0, 0, 0, 0, 2]
    assert list(answers.figure.data[0].y) == [200, 0, 0, 0, 0, 0, 20]
    assert learners.title == "On a usual day 0 learners practise"
    assert answers.title == "2 Mar 2026 was the busiest day, with 200 answers"


def test_streaks_are_grouped_and_a_running_one_counts() -> None:
    chart = charts.streak_chart(Streaks({0: 5, 1: 1, 8: 2}, {0: 1, 5: 3, 40: 4}), "today")
    assert chart.title == "3 of 8 learners have a streak now"
    assert figures(chart) == [
        ("0", 5, 1), ("1", 1, 0), ("2", 0, 0), ("3–6", 0, 3), ("7–13", 2, 0), ("14–29", 0, 0), ("30+", 0, 4),
    ]  # fmt: skip


def test_goals_of_few_days_are_in_the_table_and_not_in_the_chart() -> None:
    chart = charts.goal_chart({10: equal(0.5), 30: Tally.of([(1, 2)])}, FIRM, WEEK)
    assert isinstance(chart, Chart)
    assert list(chart.figure.data[0].y) == ["10\u202fmin"]
    assert [row[:3] for row in figures(chart)] == [[10, 200, 20], [30, 2, 1]]
    assert isinstance(charts.goal_chart({30: Tally.of([(1, 2)])}, FIRM, WEEK), Note)


def test_the_heaviest_coming_day_is_named_and_what_is_overdue_stands_apart() -> None:
    due = [DueDay(-1, 7, 2), DueDay(0, 1, 1), DueDay(1, 5, 2), *(DueDay(at, 0, 0) for at in range(2, 14))]
    chart = charts.due_chart(due, "now")
    assert isinstance(chart, Chart)
    assert chart.title == "7 reviews are overdue; the heaviest day is tomorrow, with 5"
    assert list(chart.figure.data[0].x)[:3] == ["overdue", "today", "+1"]
    assert isinstance(charts.due_chart([replace(one, items=0) for one in due], "now"), Note)


def slip(**given: Any) -> ErrorLine:
    columns: dict[str, Any] = {
        "kind": ErrorKind.MOOD, "share": Tally.of([(8, 10)]), "learners": 1, "written": "hace",
        "expected": "haga", "prompt": "Espero que ___ sol.", "exercise_type": ExerciseType.FILL_BLANK, "written_n": 8,
    }  # fmt: skip
    return ErrorLine(**(columns | given))


def test_the_expected_form_stands_in_its_blank_or_behind_the_prompt() -> None:
    assert view.sentence(slip()) == "Espero que **haga** sol."
    bare = slip(prompt="hacer, *yo*", exercise_type=ExerciseType.CONJUGATION)
    assert view.sentence(bare) == "hacer, yo → **haga**"


def test_what_learners_typed_becomes_no_markup_and_no_wall_of_text() -> None:
    typed = [slip(written=text) for text in ("`**x**`", "", "a" * 90)]
    (_, table) = view.habits_view(_page(errors=tuple(typed)))[-2:]
    assert [row[2].value for row in table.rows] == ["*x*", "(nothing)", f"*{'a' * 39}…*"]
    assert "<script" not in part([replace(table, rows=[[slip(written="<script>").written, *[""] * 6]])], Table).html()


def _page(**given: Any) -> Performance:
    from subjunctive_admin.analytics.learners import Population

    columns: dict[str, Any] = {
        "taken_at": MONDAY, "thresholds": FIRM,
        "population": Population(30, 20, WEEK.first, WEEK.last, 0, None, None),
        "window": WEEK, "activity": Activity(equal(0.8), 10.0, ()), "accuracy": accuracy(0.8),
        "recall": Recall(equal(0.9), {}), "asked_for": "", "learner": None, "streaks": Streaks({}, {}),
        "goals": {}, "awards": (), "scenarios": (), "due": (), "errors": (),
    }  # fmt: skip
    return Performance(**(columns | given))


def test_the_headline_names_the_weakest_tense_only_when_it_stands_out() -> None:
    weak = view.performance_headline(_page(accuracy=accuracy(0.2)))
    assert weak.replace("\u202f", " ") == "The pluperfect is the weakest tense: 50 % right, 65 % over all"
    alike = view.performance_headline(_page(accuracy=accuracy(0.8)))
    assert alike.replace("\u202f", " ") == "20 learners gave 200 answers, 80 % of them right"


def test_figures_carry_their_interval_and_n() -> None:
    figures = part(view.performance_view(_page()), KeyFigures).figures
    assert [
        (label, str(value).replace("\u202f", " "), note.replace("\u202f", " ")) for label, value, note in figures
    ] == [
        ("Active learners", "20", "of 30, at least one answer"),
        ("Answers", "200", "median 10 a learner"),
        ("Right", "80.0 %", "73.9–85.0, n 200"),
        ("True retention", "90.0 %", "85.1–93.4, n 200; after a day or more, aim 90 %"),
    ]


# --- The notebook ---------------------------------------------------------------------------------------------------


def run_notebook(database: Database, out: Path, **parameters: Any) -> ReportRun:
    url = database.url.render_as_string(hide_password=False)
    notebook = find_notebook("30_learner_performance")
    return run_report(notebook, parameters, out=out, settings=load_settings(database_url=url))


def busy(school: School) -> None:
    """Twelve learners, five weeks; the pluperfect is hard."""
    for number in range(12):
        learner = school.learner(f"pupil{number:02d}", first_name="Secret", email=f"private{number}@example.org")
        for day in range(0, 35, 3):
            school.answer(learner, day, right=(day + number) % 5 > 0)
            school.answer(learner, day + 0.01, right=(day + number) % 2 > 0, tense=PLUPERFECT, wrote="había")


def test_the_notebook_reports_the_weakest_tense_without_a_real_name(
    database: Database, school: Any, tmp_path: Path
) -> None:
    school(busy)
    with database.connection(write=True) as connection:
        derived.refresh(connection)

    run = run_notebook(database, tmp_path, days=35, learner="PUPIL03")

    assert (run.status, run.error) == (Status.OK, None)
    assert run.headline.startswith("The pluperfect is the weakest tense: 50")
    assert run.detail == "12 learners, 288 answers"
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "One learner: pupil03" in written
    assert "private" not in written
    assert "Secret" not in written


def test_the_notebook_without_learners_ends_well(database: Database, tmp_path: Path) -> None:
    run = run_notebook(database, tmp_path, fail_on="critical")
    assert (run.status, run.exit_code, run.headline) == (Status.INFO, 0, "There are no learners yet")
    executed = json.loads((tmp_path / "30_learner_performance" / "30_learner_performance.ipynb").read_text())
    assert "application/vnd.jupyter.widget-view+json" not in json.dumps(executed)


def test_a_span_names_its_first_year_only_where_it_differs() -> None:
    assert charts.span(WEEK) == "2 Mar – 8 Mar 2026"
    assert charts.span(Window(date(2025, 12, 30), date(2026, 1, 2))) == "30 Dec 2025 – 2 Jan 2026"
    assert charts.span(Window(WEEK.last, WEEK.last)) == "8 Mar 2026"
    assert WEEK.last - WEEK.first == timedelta(days=6)


# --- Habits, goals and slips ----------------------------------------------------------------------------------------


def refreshed(**given: Any) -> Performance:
    """A page whose twenty learners all have a summary."""
    found = _page(**given)
    population = replace(found.population, refreshed=20, oldest_refresh=MONDAY, newest_refresh=MONDAY)
    return replace(found, population=population)


def test_awards_show_their_share_its_interval_and_how_far_the_others_are() -> None:
    awards = (
        Award("First steps", "Answer ten.", Tier.BRONZE, learners=20, unlocked=15, median_rest=0.4),
        Award("A month", "Thirty days.", Tier.GOLD, learners=20, unlocked=0, median_rest=None),
        Award("New", "Added since.", Tier.GOLD, learners=0, unlocked=0, median_rest=None),
    )
    table = part(view.habits_view(refreshed(awards=awards)), Table)
    assert [[row[0].value, *row[1:]] for row in table.rows] == [
        ["First steps", "bronze", 15, 75.0, "53.1–88.8", 40.0],
        ["A month", "gold", 0, 0.0, "0.0–16.1", None],
        ["New", "gold", 0, None, None, None],
    ]
    assert table.caption.startswith("n = 20 learners whose progress was derived.")


@pytest.mark.parametrize(
    ("completed", "title"),
    [
        (3, "Dinner is completed most often, by 3 of 20 learners"),
        (0, "No scenario is completed yet; Dinner is begun by 9"),
    ],
)
def test_the_scenario_completed_most_often_is_named(completed: int, title: str) -> None:
    scenarios = [ScenarioProgress("Trip", 5, 0, 0.1), ScenarioProgress("Dinner", 9, completed, 0.5)]
    chart = charts.scenario_chart(scenarios, learners=20)
    assert chart.title == title
    assert {trace.name: list(trace.x) for trace in chart.figure.data} == {
        "completed": [0, completed],
        "begun": [5, 9 - completed],
        "not begun": [15, 11],
    }
    assert figures(chart) == [["Trip", 5, 0, 10.0], ["Dinner", 9, completed, 50.0]]


def test_derived_values_say_when_they_were_derived() -> None:
    sections = texts([one for one in view.habits_view(refreshed()) if isinstance(one, Section)])
    assert "Derived values as of 2 Mar 2026, 12:00 UTC." in sections
    later = refreshed()
    population = replace(later.population, newest_refresh=MONDAY + timedelta(days=2))
    said = texts([one for one in view.habits_view(replace(later, population=population)) if isinstance(one, Section)])
    assert "Derived values as of 2 Mar 2026, 12:00 UTC to 4 Mar 2026, 12:00 UTC." in said


def test_slips_show_shares_with_intervals_and_how_few_kinds_matter() -> None:
    lines = (
        slip(share=Tally.of([(45, 50), (35, 50)]), learners=2),
        slip(kind=ErrorKind.ACCENT, share=Tally.of([(5, 50), (15, 50)]), learners=2, written_n=1),
    )
    section, table = view.habits_view(_page(errors=lines))[-2:]
    assert section.lead.replace("\u202f", " ") == "One kind accounts for 80 % of the 100 answers with an error."
    mood, accent = table.rows
    assert (mood[0].value, mood[0].note, mood[2].note) == (
        "mood",
        "indicative for subjunctive, or the reverse",
        "8 times",
    )
    assert (mood[3], mood[4], mood[6], accent[4], accent[2].note) == (80, 80.0, 2, 20.0, "once")
    # Two learners who differ: less certain than a hundred independent answers, 71.1–86.7.
    low, high = map(float, mood[5].split("–"))
    assert low < 71.1
    assert high > 86.7


def test_shares_of_few_slips_are_not_shown() -> None:
    (_, table) = view.habits_view(_page(errors=(slip(share=Tally.of([(3, 3)])),)))[-2:]
    assert [table.rows[0][at] for at in (3, 4, 5)] == [3, None, None]


def test_every_kind_of_error_is_explained() -> None:
    lines = tuple(slip(kind=kind) for kind in ErrorKind)
    (_, table) = view.habits_view(_page(errors=lines))[-2:]
    assert all(row[0].note for row in table.rows)


def test_every_chart_says_n_and_how_it_was_counted(database: Database, school: Any) -> None:
    school(busy)
    with database.connection(write=True) as connection:
        derived.refresh(connection)
    found = read_performance(database, days=35)
    page = [
        *view.performance_view(found),
        *view.learner_view(found.learner, found.thresholds, found.window),
        *view.habits_view(found),
    ]
    drawn = [one for one in page if isinstance(one, Chart)]
    assert len(drawn) >= 8
    assert [one.title for one in drawn if not one.note.startswith("n = ")] == []
    assert [one.title for one in drawn if one.frame is None or not one.subtitle.endswith((".", "own."))] == []
    assert [one.title for one in drawn if one.title.endswith(".")] == []
