"""Health for other programs: Nagios' one line, OpenMetrics whole in one file, JSON by contract, silence for cron."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from subjunctive_admin import cli
from subjunctive_admin.db import Database
from subjunctive_admin.ops.health import HealthReport
from subjunctive_admin.ops.health.formats import figures, nagios_line, openmetrics
from subjunctive_admin.ops.health.runs import recorded_health
from subjunctive_admin.vocabulary import Status
from tests.ops.test_health_text import BEGAN, MIXED, report, result

MEASURED = report(
    result("connectivity", Status.OK, facts={"seconds": 0.0004}),
    result("table-access", Status.OK, facts={"database_bytes": 12_345_678_901.0, "rows.users": 3}),
    result("open-sessions", Status.WARNING, "14 study sessions | were\nnever closed.", facts={"sessions": 14}),
    result("replication", Status.SKIPPED),
)


def samples(written: str) -> dict[str, float]:
    """Name with labels → value, of every line that is no comment."""
    lines = [line for line in written.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_nagios_reads_one_line_of_status_sentence_and_perfdata() -> None:
    assert nagios_line(MIXED) == (
        "SUBJUNCTIVE CRITICAL - users is missing; 2 other findings | critical=1 warning=1 unknown=1 ok=2 time=1.940s"
    )


def test_a_sentence_cannot_end_nagios_line_or_begin_its_perfdata() -> None:
    line = nagios_line(MEASURED)
    assert "\n" not in line
    assert line.count("|") == 1
    assert line.startswith("SUBJUNCTIVE WARNING - 14 study sessions were never closed | ")


def test_perfdata_have_units_and_no_exponent() -> None:
    perfdata = nagios_line(MEASURED).partition(" | ")[2].split()
    assert "connectivity_seconds=0.0004s" in perfdata
    assert "table_access_database_bytes=12345678901B" in perfdata
    assert all(re.fullmatch(r"[a-z_0-9]+=[0-9.]+[a-zB]*", one) for one in perfdata)


def test_figures_of_single_tables_are_none_of_the_reports_figures() -> None:
    assert list(figures(MEASURED)) == ["connectivity_seconds", "table_access_database_bytes", "open_sessions_sessions"]


def test_openmetrics_names_types_and_ends_as_the_standard_asks() -> None:
    written = openmetrics(MEASURED)
    assert written.endswith("\n# EOF\n")
    named = re.findall(r"^# TYPE (\S+) gauge$", written, re.MULTILINE)
    assert len(named) == len(set(named))
    assert {re.split(r"[{ ]", name)[0] for name in samples(written)} == set(named)
    assert re.findall(r"^# HELP (\S+) .+$", written, re.MULTILINE) == named


def test_openmetrics_tells_each_status_and_when() -> None:
    found = samples(openmetrics(replace(MEASURED, last_success=datetime(2026, 11, 21, 6, tzinfo=UTC))))
    assert found["subjunctive_health_status"] == 1
    assert found['subjunctive_health_checks{status="ok"}'] == 2
    assert found['subjunctive_health_check_status{check="open-sessions"}'] == 1
    assert 'subjunctive_health_check_status{check="replication"}' not in found
    assert found["subjunctive_health_last_run_timestamp_seconds"] == BEGAN.timestamp() + 1.94
    assert found["subjunctive_health_last_success_timestamp_seconds"] == BEGAN.timestamp() - 86_400
    assert found["subjunctive_health_figure_open_sessions_sessions"] == 14


def test_a_success_that_never_was_is_no_metric() -> None:
    assert "last_success" not in openmetrics(MEASURED)


def test_labels_hold_no_names_of_objects(database: Database) -> None:
    written = openmetrics(recorded_health(database))
    assert set(re.findall(r"{(\w+)=", written)) == {"status", "check"}
    assert "practice_attempts" not in written


@pytest.fixture
def run(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", database.url.render_as_string(hide_password=False))


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["health", *arguments])
    return int(ended.value.code or 0)


def test_quiet_prints_nothing_when_all_is_well(
    run: None, sound_server: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("--quiet", "--only", "connectivity", "--only", "schema-integrity") == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_quiet_prints_the_report_when_something_is_found(
    run: None, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    break_it(database)
    assert exit_code("--quiet", "--only", "schema-integrity") == 2
    assert capsys.readouterr().out.startswith("CRITICAL")


def break_it(database: Database) -> None:
    with database.connection(write=True) as connection:
        connection.execute(text("ALTER TABLE users DISABLE TRIGGER tg_users_touch"))


@pytest.mark.parametrize(
    ("output", "start"), [("text", "OK "), ("nagios", "SUBJUNCTIVE OK - "), ("openmetrics", "# TYPE ")]
)
def test_each_format_is_printed_and_written(
    run: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, start: str
) -> None:
    assert exit_code("--format", output, "--only", "connectivity") == 0
    assert capsys.readouterr().out.startswith(start)
    assert exit_code("--format", output, "--only", "connectivity", "--out", str(tmp_path / "health.prom")) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "health.prom").read_text().startswith(start)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_json_has_its_contract_with_the_baseline(run: None, capsys: pytest.CaptureFixture[str]) -> None:
    exit_code("--json", "--only", "connectivity")
    first = json.loads(capsys.readouterr().out)
    exit_code("--format", "json", "--only", "connectivity")
    second = json.loads(capsys.readouterr().out)
    assert list(first) == [
        "contract_version", "run_id", "started_at", "finished_at", "server", "overall", "counts", "checks", "baseline",
    ]  # fmt: skip
    assert first["baseline"] is None
    assert second["baseline"] == {
        "run_id": first["run_id"], "started_at": first["started_at"], "new": [], "resolved": [], "regressed": [], "since": {},
    }  # fmt: skip


def test_a_file_that_cannot_be_written_is_named(run: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--only", "connectivity", "--out", str(tmp_path / "no" / "x.prom")) == 2
    assert "x.prom could not be written: No such file" in capsys.readouterr().err


def test_a_last_success_is_remembered_while_something_is_wrong(database: Database, tmp_path: Path) -> None:
    own = Database(database.url, database.settings.model_copy(update={"home": tmp_path}))
    well = recorded_health(own, only=["schema-integrity"])
    break_it(database)
    ill: HealthReport = recorded_health(own, only=["schema-integrity"])
    own.dispose()
    assert well.last_success == well.finished_at
    assert ill.last_success is not None
    assert abs((ill.last_success - well.finished_at).total_seconds()) < 0.01
