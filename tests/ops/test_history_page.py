"""The page of the run history: honest without a run, with one, with few and with many, and no forecast without grounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.look import Chart, Findings, Header, KeyFigures, Note, Section, Table
from subjunctive_admin.ops import history_view as view
from subjunctive_admin.ops.health.runs import KIND, name_of, recorded_health
from subjunctive_admin.ops.history import Run, record, runs_folder
from subjunctive_admin.ops.trends import Trends, forecast, read_trends, student, thinned
from subjunctive_admin.reports import find_notebook, run_report
from subjunctive_admin.settings import load_settings
from subjunctive_admin.vocabulary import Status

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def a_run(at: datetime, megabytes: float = 50.0, milliseconds: float = 0.4, **statuses: str) -> Run:
    facts: dict[str, Any] = {
        "connectivity": {"seconds": milliseconds / 1000},
        "table-access": {"database_bytes": megabytes * 1e6, "bytes.users": megabytes * 1e5, "rows.users": 300},
    }
    checks = {name: {"status": statuses.get(name.replace("-", "_"), "ok"), "facts": facts[name]} for name in facts}
    checks |= {name: {"status": status, "facts": {}} for name, status in statuses.items()}
    return Run(
        KIND, f"health-{at:%d%H%M}", at, at + timedelta(seconds=1), Status.OK, "All well", "app", {"checks": checks}
    )


def other(kind: str, at: datetime, status: Status = Status.OK, **facts: Any) -> Run:
    return Run(kind, f"{kind}-1", at, at + timedelta(seconds=40), status, "Done", "app", facts)


def trends(*health: Run, others: tuple[Run, ...] = (), unreadable: int = 0) -> Trends:
    return Trends(Path("/data/runs"), 90, list(health), list(others), unreadable)


def daily(number: int, **given: Any) -> list[Run]:
    """A run a day up to now, each a megabyte larger."""
    return [a_run(NOW - (number - 1 - n) * DAY, 50.0 + n, **given) for n in range(number)]


def shown(found: Trends) -> list[Any]:
    return view.history_view(found, load_settings())


def charts(found: Trends) -> list[Chart]:
    return [one for one in shown(found) if isinstance(one, Chart)]


def notes(found: Trends) -> str:
    return "\n".join(one.content for one in shown(found) if isinstance(one, Note))


def figures(found: Trends) -> dict[str, tuple[object, str]]:
    (found_figures,) = [one for one in shown(found) if isinstance(one, KeyFigures)]
    return {label: (value, note) for label, value, note in found_figures.figures}


def test_without_a_run_the_page_says_so_and_how_to_begin() -> None:
    page = shown(trends())
    assert [type(one) for one in page] == [Header, Note]
    assert page[0].title == "No run has been recorded yet"
    assert "subjunctive-admin health" in page[1].content
    assert view.history_status(trends()) is Status.OK


def test_one_run_draws_no_chart_and_shows_what_it_measured() -> None:
    one = trends(a_run(NOW))
    assert charts(one) == []
    assert "drawn over time from the second health run on" in notes(one)
    assert figures(one)["Round trip"] == ("0.40 ms", "measured once")
    assert next(fragment for fragment in shown(one) if isinstance(fragment, Table)).rows == [
        ["users", 300, "5.0 MB", None]
    ]
    assert figures(one)["Database"] == ("50.0 MB", "growth not known yet")
    assert view.history_headline(one) == "One health run has been recorded, and it found nothing"


def test_what_only_one_of_several_runs_measured_is_said_to_be_so() -> None:
    blind = replace(a_run(NOW + DAY), facts={"checks": {"connectivity": {"status": "critical", "facts": {}}}})
    found = trends(a_run(NOW), blind)
    assert notes(found).count("one run has measured it so far") == 2
    assert [type(one) for one in charts(found)] == [Chart]


def test_reports_alone_are_listed_without_an_empty_chart() -> None:
    found = trends(others=(other("report", NOW, notebook="00_start", failed=False),))
    assert charts(found) == []
    assert view.history_headline(found) == "1 run recorded, none of them looked at the health of this database"
    (table,) = [one for one in shown(found) if isinstance(one, Table)]
    assert "report 00_start" in table.text()


def test_few_runs_are_drawn_and_nothing_is_promised() -> None:
    found = trends(*daily(4))
    size = charts(found)[-1]
    assert size.title == "The database holds 53.0 MB, +3.0 MB since the first run"
    assert "No forecast: that needs 5 runs over at least a day." in size.note
    assert len(size.figure.data) == 1


def test_many_runs_within_an_hour_are_no_ground_for_a_forecast_either() -> None:
    found = trends(*[a_run(NOW + timedelta(minutes=n), 50.0 + n) for n in range(30)])
    assert "No forecast" in charts(found)[-1].note
    assert forecast(found.sizes) is None


def test_enough_runs_have_a_forecast_no_further_than_was_looked_back() -> None:
    found = trends(*daily(10))
    size = charts(found)[-1]
    assert len(size.figure.data) == 3
    ends = [datetime.fromisoformat(trace.x[-1]) for trace in size.figure.data[1:]]
    assert ends == [NOW + 9 * DAY, NOW]
    assert "about 68.0 MB (68.0 MB – 68.0 MB)" in size.title
    assert "+1.0 MB a day" in size.note


def test_the_outlook_ends_after_thirty_days() -> None:
    assert datetime.fromisoformat(charts(trends(*daily(60)))[-1].figure.data[1].x[-1]) == NOW + 30 * DAY


def test_a_forecast_is_least_squares_with_its_prediction_interval() -> None:
    ys = [1.0, 2.1, 2.9, 4.2, 4.8]
    line = forecast([(NOW + n * DAY, y) for n, y in enumerate(ys)])
    assert line is not None
    value, low, high = line.at(NOW + 5 * DAY)
    # By hand: slope 0.97, intercept 1.06, s² = 0.091 / 3, t(3) = 3.182, 1 + 1/5 + 9/10 = 2.1
    assert [line.slope, line.start] == pytest.approx([0.97, 1.06])
    assert value == pytest.approx(5.91)
    reach = 3.182 * (0.091 / 3 * 2.1) ** 0.5
    assert [value - low, high - value] == pytest.approx([reach, reach], rel=0.01)


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_students_quantile_is_within_a_hundredth(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=0.01)


def test_a_size_that_does_not_change_has_a_forecast_without_growth() -> None:
    found = trends(*[a_run(NOW - n * DAY, 50.0) for n in range(9, -1, -1)])
    assert figures(found)["Database"] == ("50.0 MB", "0 B a day over 9 d")
    assert "about 50.0 MB" in charts(found)[-1].title


def test_findings_are_stacked_by_status() -> None:
    found = trends(
        *daily(3), a_run(NOW + DAY, bloat="unknown", backup="critical"), a_run(NOW + 2 * DAY, bloat="unknown")
    )
    first = charts(found)[0]
    assert [(trace.name, list(trace.y)) for trace in first.figure.data] == [
        ("critical", [0, 0, 0, 1, 0]),
        ("unknown", [0, 0, 0, 1, 1]),
    ]
    assert first.title == "Something has needed somebody for 2 runs"
    assert view.history_headline(found).startswith("2 of the 5 health runs since ")


@pytest.mark.parametrize(
    ("statuses", "title"),
    [
        (["ok", "warning"], "The last run found something"),
        (["warning", "ok"], "1 of 2 runs found something; the last one did not"),
        (["warning", "warning", "warning"], "Something has needed somebody for 3 runs"),
    ],
)
def test_the_title_says_whether_it_still_holds(statuses: list[str], title: str) -> None:
    found = trends(*[a_run(NOW + n * DAY, disk=status) for n, status in enumerate(statuses)])
    assert charts(found)[0].title == title


def test_without_any_finding_there_is_a_sentence_and_no_empty_chart() -> None:
    found = trends(*daily(12))
    assert "none in any of the 12 health runs" in notes(found)
    assert view.history_headline(found).startswith("None of the 12 health runs since ")
    assert len(charts(found)) == 2


def test_a_limit_is_drawn_only_where_it_is_near() -> None:
    far, near = (charts(trends(*daily(3, milliseconds=ms)))[0] for ms in (0.4, 200.0))
    assert "far above what is drawn" in far.note
    assert not far.figure.layout.annotations
    assert [one.text for one in near.figure.layout.annotations] == ["warning 250 ms"]


def test_very_many_runs_are_drawn_one_a_day() -> None:
    points = [(NOW + n * timedelta(hours=1), float(n)) for n in range(240)]
    few = thinned(points, max)
    assert len(few) in (10, 11)
    assert few[-1] == points[-1]
    assert thinned(points[:200], max) == points[:200]


def test_tables_come_largest_first_with_what_they_gained() -> None:
    found = trends(*daily(3))
    table = next(one for one in shown(found) if isinstance(one, Table))
    assert table.rows == [["users", 300, "5.2 MB", "+200 kB"]]


def test_only_a_verification_that_succeeded_counts_as_proof() -> None:
    failed = other("verify", NOW - DAY, Status.CRITICAL)
    assert figures(trends(a_run(NOW), others=(other("backup", NOW), failed)))["Last verified backup"] == (
        None,
        "1 backup made, none verified",
    )
    value, note = figures(trends(a_run(NOW), others=(other("verify", NOW - 3 * DAY - timedelta(hours=1)), failed)))[
        "Last verified backup"
    ]
    assert str(value).startswith("3 d")
    assert note.endswith("took 40 s")
    assert figures(trends(a_run(NOW)))["Last verified backup"] == (None, "no backup recorded")


def test_lines_that_cannot_be_read_are_a_warning() -> None:
    found = trends(a_run(NOW), unreadable=2)
    (finding,) = view.history_findings(found)
    assert (finding.status, finding.title) == (Status.WARNING, "2 lines of the run history cannot be read.")
    assert view.history_status(found) is Status.WARNING
    assert any(isinstance(one, Findings) for one in shown(found))


def test_runs_are_read_for_this_database_and_within_the_time_asked_for(database: Database, tmp_path: Path) -> None:
    own = Database(database.url, database.settings.model_copy(update={"home": tmp_path}))
    recorded_health(own, only=["connectivity"])
    record(tmp_path, replace(a_run(NOW), database="elsewhere/app"))
    record(tmp_path, replace(a_run(NOW - 100 * DAY), database=name_of(own)))
    record(tmp_path, replace(other("report", NOW), database=None))
    record(tmp_path, replace(other("backup", NOW), database=str(own.url.database)))
    record(tmp_path, replace(other("backup", NOW), database="elsewhere"))
    found = read_trends(own)
    own.dispose()
    assert (len(found.health), len(found.others), found.folder) == (1, 2, runs_folder(tmp_path))
    assert len(read_trends(own, days=200).health) == 2


@pytest.mark.parametrize("number", [0, 1, 8])
def test_the_notebook_makes_a_page_of_any_number_of_runs(database: Database, tmp_path: Path, number: int) -> None:
    for run in daily(number, bloat="unknown"):
        record(tmp_path / "home", replace(run, database=name_of(database)))
    settings = load_settings(database_url=database.url.render_as_string(hide_password=False), home=tmp_path / "home")
    ran = run_report(find_notebook("history"), out=tmp_path, settings=settings)
    page = (tmp_path / "16_history" / "16_history.html").read_text()
    assert (ran.status, ran.error) == (Status.OK, None)
    assert ('class="sj-plot"' in page) is (number > 1)
    assert ran.headline.replace("'", "&#39;") in page


def test_a_history_with_damage_fails_the_notebook_on_request(database: Database, tmp_path: Path) -> None:
    runs_folder(tmp_path).mkdir()
    (runs_folder(tmp_path) / f"{NOW:%Y-%m}.jsonl").write_text("{half")
    settings = load_settings(database_url=database.url.render_as_string(hide_password=False), home=tmp_path)
    ran = run_report(find_notebook("history"), {"fail_on": "warning"}, out=tmp_path / "out", settings=settings)
    assert (ran.exit_code, "ReportFailed" in str(ran.error)) == (1, True)


def test_sections_stand_in_reading_order() -> None:
    page = shown(trends(*daily(3), others=(other("backup", NOW),)))
    assert [one.title for one in page if isinstance(one, Section)] == ["The tables", "Reports and backups"]
