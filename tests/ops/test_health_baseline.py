"""A run against the one before: new, worse, gone, since how many runs; and baselines that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from subjunctive_admin import cli
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.ops import health
from subjunctive_admin.ops.health import registry, run_health
from subjunctive_admin.ops.health.registry import Check, Limits, Outcome, Probe
from subjunctive_admin.ops.health.report import Comparison, HealthReport, health_text
from subjunctive_admin.ops.health.runs import (
    compare,
    facts_of,
    health_runs,
    name_of,
    previous_facts,
    read_baseline,
    recorded_health,
    run_of,
)
from subjunctive_admin.ops.health.view import health_findings, health_view
from subjunctive_admin.ops.history import record, runs_folder
from subjunctive_admin.vocabulary import Status
from tests.ops.test_health_text import BEGAN, LOCAL, report, result

W, C, U, OK = Status.WARNING, Status.CRITICAL, Status.UNKNOWN, Status.OK
BEFORE = Comparison(
    "health-1", BEGAN - timedelta(days=1), {"a": W, "b": W, "c": OK, "d": C, "e": U}, {"a": 2, "b": 5, "d": 1, "e": 31}
)
NOW = report(result("a", W), result("b", C), result("c", W), result("d", OK), result("e", U), result("f", C))


@pytest.fixture
def own(database: Database, tmp_path: Path) -> Iterator[Database]:
    """The test's database with a home of its own."""
    made = Database(database.url, database.settings.model_copy(update={"home": tmp_path / "home"}), purpose="test")
    yield made
    made.dispose()


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """One more check, whose status and facts the test decides; it tells what it was given of the run before."""
    state: dict[str, Any] = {"status": OK, "facts": {}, "previous": []}

    def look(probe: Probe) -> Outcome:
        state["previous"].append(probe.previous)
        return Outcome(state["status"], "1", "It is so.", facts=state["facts"])

    added = Check("extra", "Extra", "Test", "connect", "do something", lambda _: Limits(), W, look)
    monkeypatch.setitem(registry._checks, "extra", added)
    return state


def test_findings_are_new_worse_gone_or_still_there() -> None:
    against = compare(NOW, BEFORE)
    assert against is not None
    assert (against.new, against.regressed, against.resolved) == (("c", "f"), ("b",), ("d",))
    assert against.since == {"a": 3, "b": 6, "c": 1, "e": 32, "f": 1}
    assert [against.tag(name) for name in "abcef"] == [
        "since 3 runs",
        "worse, since 6 runs",
        "new",
        "since 32 runs",
        "new",
    ]
    assert against.said == "2 new, 1 worse, 1 resolved"


def test_without_a_run_before_nothing_is_compared() -> None:
    assert compare(NOW, None) is None
    assert "Against" not in health_text(NOW)


def test_a_check_that_did_not_run_is_neither_gone_nor_new() -> None:
    against = compare(report(result("a", W)), BEFORE)
    assert against is not None
    assert (against.new, against.resolved, against.said) == ((), (), "nothing changed")


def test_a_server_that_did_not_answer_says_nothing_about_its_checks() -> None:
    down = report(result("connectivity", C), result("a", U), result("c", U), server={**LOCAL, "version": None})
    against = compare(down, BEFORE)
    assert against is not None
    assert (against.new, against.resolved, against.regressed) == (("connectivity",), (), ())


def test_the_text_marks_what_is_new_and_counts_at_its_end() -> None:
    written = health_text(replace(NOW, comparison=compare(NOW, BEFORE))).splitlines()
    assert written[-1] == "6 checks in 1.9 s. Against 21 Nov 06:00: 2 new, 1 worse, 1 resolved. Exit code 2."
    first = [line for line in written if line.startswith(("  ✕", "  !", "  ?"))]
    assert [line.split()[-1] for line in first] == ["worse", "new", "Fine.", "new", "Fine."]
    assert {len(line) for line in first if line.endswith(("new", "worse"))} == {80}


@pytest.mark.parametrize("words", [1, 12, 60])
def test_a_tag_never_makes_a_line_too_long(words: int) -> None:
    long = report(result("f", C, "word " * words))
    lines = health_text(replace(long, comparison=compare(long, BEFORE))).splitlines()
    assert max(map(len, lines)) == 80
    assert sum(line.count("word") for line in lines) == words


def test_the_page_tags_findings_and_says_what_they_were_compared_with() -> None:
    compared = replace(NOW, comparison=compare(NOW, BEFORE))
    assert {one.id: one.since for one in health_findings(compared)} == {
        "b": "worse, since 6 runs", "f": "new", "a": "since 3 runs", "c": "new", "e": "since 32 runs",
    }  # fmt: skip
    assert ("Against 21 Nov, 06:00", "2 new, 1 worse, 1 resolved") in health_view(compared)[0].facts


def test_runs_are_recorded_and_the_next_one_is_held_against_them(own: Database, judged: Any) -> None:
    said: list[str] = []
    for status in (OK, W, W, C, OK):
        judged["status"] = status
        said.append(getattr(recorded_health(own, only=["extra"]).comparison, "said", "first"))
    assert said == ["first", "1 new", "nothing changed", "1 worse", "1 resolved"]
    runs, unreadable = health_runs(own.settings.home, name_of(own))
    assert ([run.status for run in runs], unreadable) == ([OK, W, W, C, OK], 0)


def test_a_finding_knows_since_how_many_runs_it_is_there(own: Database, judged: Any) -> None:
    judged["status"] = W
    recorded_health(own, only=["extra"])
    recorded_health(own, only=["connectivity"])  # a run that did not look does not count
    found = recorded_health(own, only=["extra", "connectivity"]).comparison
    assert found is not None
    assert found.tag("extra") == "since 2 runs"


def test_a_check_gets_the_facts_of_the_last_run_that_looked(own: Database, judged: Any) -> None:
    for number in (1, 2):
        judged["facts"] = {"deadlocks": number}
        recorded_health(own, only=["extra"])
    recorded_health(own, only=["connectivity"])
    recorded_health(own, only=["extra"])
    first, second, third = judged["previous"]
    assert first is None
    assert [second.facts, third.facts] == [{"deadlocks": 1}, {"deadlocks": 2}]
    assert third.at > second.at


def test_what_trends_are_drawn_of_is_kept(own: Database) -> None:
    recorded_health(own, only=["connectivity", "table-access"])
    ((run,), _) = health_runs(own.settings.home, name_of(own))
    assert 0 < facts_of(run, "connectivity")["seconds"] < 5
    sizes = facts_of(run, "table-access")
    assert sizes["database_bytes"] > 1_000_000
    assert sizes["rows.users"] == 0
    assert sizes["bytes.practice_attempts"] > 0


def test_runs_of_another_database_are_not_compared_with(own: Database, judged: Any) -> None:
    judged["status"] = W
    there = recorded_health(own, only=["extra"])
    record(own.settings.home, replace(run_of(there, "elsewhere:5432/app"), database="elsewhere:5432/app"))
    runs, _ = health_runs(own.settings.home, name_of(own))
    assert len(runs) == 1


def test_facts_in_a_form_of_another_version_are_left_out(own: Database) -> None:
    run = run_of(run_health(own, only=["connectivity"]), "app")
    strange = {
        "checks": {
            "a": "ok",
            "b": {"status": "fine", "facts": {}},
            "c": {"status": "ok", "facts": [1]},
            "d": {"status": "ok", "facts": {"n": 1}},
        }
    }
    assert list(
        previous_facts([replace(run, facts=strange), replace(run, facts={"checks": 7}), replace(run, facts={})])
    ) == ["d"]


def test_a_history_that_cannot_be_written_is_said_and_changes_nothing(own: Database) -> None:
    own.settings.home.mkdir()
    runs_folder(own.settings.home).write_text("a file")
    said: list[str] = []
    found = recorded_health(own, only=["connectivity"], say=said.append)
    assert (found.overall, found.comparison) == (OK, None)
    assert [one for one in said if "could not be recorded" in one and one.endswith("Its result stands.")] == said
    assert said


def test_lines_that_cannot_be_read_are_counted_aloud(own: Database) -> None:
    recorded_health(own, only=["connectivity"])
    (path,) = runs_folder(own.settings.home).iterdir()
    path.write_text(path.read_text() + "{half")
    said: list[str] = []
    assert recorded_health(own, only=["connectivity"], say=said.append).comparison is not None
    assert said == ["1 lines of the run history cannot be read; they count as runs that never were."]


# A file to compare with


def written(tmp_path: Path, found: HealthReport, **changed: Any) -> Path:
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({**found.as_dict(), **changed}))
    return path


def test_a_json_report_of_this_database_is_a_baseline(own: Database, tmp_path: Path, judged: Any) -> None:
    judged["status"] = W
    recorded_health(own, only=["extra"])
    path = written(tmp_path, recorded_health(own, only=["extra", "connectivity"]))
    judged["status"] = C
    against = recorded_health(own, only=["extra", "connectivity"], baseline=path).comparison
    assert against is not None
    assert (against.regressed, against.since) == (("extra",), {"extra": 3})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no health report"),
        ("[]", "is no health report"),
        ("{}", "is no health report"),
        ('{"contract_version": 1, "server": {}, "checks": [{"id": "a", "status": "fine"}]}', "is no health report"),
        ('{"contract_version": 2, "server": {}}', "has contract version 2, this version writes 1"),
    ],
)
def test_a_file_that_is_no_report_is_wrong_usage(own: Database, tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=said) as refused:
        recorded_health(own, baseline=path)
    assert "--format json" in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_wrong_usage(own: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_baseline(tmp_path / "nothing.json", own)
    (tmp_path / "picture.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UsageError, match="cannot be read: it is no text"):
        read_baseline(tmp_path / "picture.json", own)


@pytest.mark.parametrize("changed", [{"database": "other"}, {"address": "db.example.org"}])
def test_a_report_of_another_database_is_wrong_usage(own: Database, tmp_path: Path, changed: dict[str, str]) -> None:
    found = run_health(own, only=["connectivity"])
    path = written(tmp_path, found, server={**found.server, **changed})
    with pytest.raises(UsageError, match="is a report of another database"):
        read_baseline(path, own)


def test_the_command_refuses_a_wrong_baseline_before_it_looks(
    own: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", own.url.render_as_string(hide_password=False))
    monkeypatch.setattr(health, "run_health", lambda *_, **__: pytest.fail("it looked"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["health", "--baseline", str(tmp_path / "nothing.json")])
    assert ended.value.code == 64
    assert "nothing.json cannot be read" in capsys.readouterr().err


def test_a_name_of_a_database_holds_no_password(own: Database) -> None:
    secret = Database(own.url.set(password="hunter2"), own.settings)
    assert "hunter2" not in name_of(secret)
    assert str(own.url.database) in name_of(secret)


def test_a_deep_run_asks_for_everything_and_has_longer(
    own: Database, judged: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes: list[Probe] = []

    def look(probe: Probe) -> Outcome:
        limit = probe.connection.scalar(text("SELECT current_setting('statement_timeout')"))
        probes.append(probe)
        return Outcome(OK, limit, "It is so.")

    monkeypatch.setitem(registry._checks, "extra", replace(registry._checks["extra"], look=look))
    usual, deep = (run_health(own, only=["extra"], deep=deep).checks[0].observed for deep in (False, True))
    assert (usual, deep) == ("5s", "1min")
    assert [probe.deep for probe in probes] == [False, True]
    assert probes[1].deadline - probes[0].deadline > 100
