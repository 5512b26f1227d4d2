"""Runs are remembered in files: whole lines, in order, whatever happens to the database."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, UsageError
from subjunctive_admin.ops import history
from subjunctive_admin.ops.history import Run, database_name, read_runs, record, remember, remembered, runs_folder
from subjunctive_admin.reports import find_notebook, run_report
from subjunctive_admin.settings import load_settings
from subjunctive_admin.vocabulary import Status

BEGAN = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)


def a_run(kind: str = "health", *, minutes: int = 0, number: int = 1) -> Run:
    started = BEGAN + timedelta(minutes=minutes)
    facts = {"bytes": 12, "name": "señal"}
    return Run(kind, f"{kind}-{number}", started, started + timedelta(seconds=2), Status.OK, "All well", "app", facts)


def record_many(home: str, worker: int) -> None:
    for number in range(50):
        record(Path(home), a_run("report", minutes=worker, number=number))


def test_a_run_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    record(tmp_path, a_run())
    assert read_runs(tmp_path) == ([a_run()], 0)
    assert a_run().seconds == 2


def test_runs_come_in_the_order_of_their_start_across_months(tmp_path: Path) -> None:
    for minutes in (5, 0):
        record(tmp_path, a_run(minutes=minutes))
    assert sorted(path.name for path in runs_folder(tmp_path).iterdir()) == ["2026-11.jsonl", "2026-12.jsonl"]
    assert [run.started_at for run in read_runs(tmp_path)[0]] == [BEGAN, BEGAN + timedelta(minutes=5)]


def test_runs_are_chosen_by_kind_and_time(tmp_path: Path) -> None:
    for kind, minutes in (("health", 0), ("backup", 1), ("health", 2)):
        record(tmp_path, a_run(kind, minutes=minutes))
    assert [run.kind for run in read_runs(tmp_path, kind="backup")[0]] == ["backup"]
    assert [run.kind for run in read_runs(tmp_path, since=BEGAN + timedelta(minutes=1))[0]] == ["backup", "health"]


def test_a_line_cut_short_is_counted_and_hides_no_other(tmp_path: Path) -> None:
    record(tmp_path, a_run())
    (path,) = runs_folder(tmp_path).iterdir()
    path.write_bytes(path.read_bytes() + b'{"kind": "health", "run\n[]\n')
    record(tmp_path, a_run(number=2))
    runs, unreadable = read_runs(tmp_path)
    assert ([run.run_id for run in runs], unreadable) == (["health-1", "health-2"], 2)


def test_without_any_run_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read_runs(tmp_path) == ([], 0)


def test_only_the_owner_reads_the_lines(tmp_path: Path) -> None:
    record(tmp_path, a_run())
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (runs_folder(tmp_path), *runs_folder(tmp_path).iterdir())]
    assert modes == [0o700, 0o600]


def test_processes_that_record_at_once_do_not_mix_their_lines(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as workers:
        list(workers.map(record_many, [str(tmp_path)] * 4, range(4)))
    runs, unreadable = read_runs(tmp_path)
    assert (len(runs), unreadable) == (200, 0)


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(OSError, match="runs"):
        record(tmp_path, a_run())


def only_file(home: Path) -> Path:
    (path,) = runs_folder(home).iterdir()
    return path


def test_a_line_that_was_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    record(tmp_path, a_run())
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"kind": "backup", "run_')
    record(tmp_path, a_run(number=2))
    runs, unreadable = read_runs(tmp_path)
    assert ([run.run_id for run in runs], unreadable) == (["health-1", "health-2"], 1)


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_piece_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, a_run())
    before = only_file(tmp_path).read_bytes()
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:20]))
    with pytest.raises(OSError, match="No space left"):
        record(tmp_path, a_run(number=2))
    monkeypatch.undo()
    assert only_file(tmp_path).read_bytes() == before
    record(tmp_path, a_run(number=3))
    assert read_runs(tmp_path)[1] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "splendid"),
        ("started_at", "2026-11-30T23:59:00"),
        ("finished_at", 7),
        ("facts", [1]),
        ("headline", None),
        ("database", 5),
    ],
)
def test_a_line_of_another_version_is_counted_and_breaks_nothing(tmp_path: Path, field: str, value: Any) -> None:
    record(tmp_path, a_run())
    line = json.loads(only_file(tmp_path).read_text())
    with only_file(tmp_path).open("a") as stream:
        stream.write(json.dumps({**line, field: value}) + "\n")
    assert read_runs(tmp_path) == ([a_run()], 1)


def test_what_a_newer_version_adds_to_a_line_is_passed_over(tmp_path: Path) -> None:
    record(tmp_path, a_run())
    line = json.loads(only_file(tmp_path).read_text())
    only_file(tmp_path).write_text(json.dumps({**line, "host": "db1"}) + "\n\n")
    assert read_runs(tmp_path) == ([a_run()], 0)


def test_a_headline_may_hold_any_character(tmp_path: Path) -> None:
    odd = replace(a_run(), headline="one\u2028two\nthree\x85")
    record(tmp_path, odd)
    assert read_runs(tmp_path) == ([odd], 0)


def test_a_file_that_cannot_be_read_counts_and_hides_no_other(tmp_path: Path) -> None:
    record(tmp_path, a_run())
    (runs_folder(tmp_path) / "2026-10.jsonl").mkdir()
    assert read_runs(tmp_path) == ([a_run()], 1)


def test_files_of_earlier_months_are_not_read_for_later_runs(tmp_path: Path) -> None:
    record(tmp_path, a_run(minutes=5))
    (runs_folder(tmp_path) / "2026-10.jsonl").mkdir()
    assert read_runs(tmp_path, since=BEGAN) == ([a_run(minutes=5)], 0)


def test_a_run_that_cannot_be_recorded_is_told_and_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    said: list[str] = []
    remember(tmp_path, a_run(), said.append)
    assert said == [f"This run could not be recorded in {tmp_path / 'runs'}: File exists. Its result stands."]


def test_a_lock_that_another_process_keeps_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_LOCK_SECONDS", 0.05)
    said: list[str] = []
    with FileLock(tmp_path / "runs.lock"):
        remember(tmp_path, a_run(), said.append)
    assert len(said) == 1
    assert read_runs(tmp_path) == ([], 0)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://ana:secret@db.example.org:5433/app?sslmode=require", "db.example.org:5433/app"),
        ("postgresql+psycopg://db.example.org/app", "db.example.org/app"),
        ("postgresql://ana:secret@/app?host=/run/s&port=5432", "/run/s:5432/app"),
        ("postgresql:///app", "localhost/app"),
    ],
)
def test_a_database_is_named_without_user_and_password(url: str, name: str) -> None:
    assert database_name(url) == name


def test_every_report_leaves_a_line(database: Database, tmp_path: Path) -> None:
    url = database.url.render_as_string(hide_password=False)
    settings = load_settings(database_url=url, home=tmp_path / "home")
    ran = run_report(find_notebook("12_health"), {"only": "connectivity"}, out=tmp_path / "out", settings=settings)
    runs, unreadable = read_runs(tmp_path / "home")
    kinds = {run.kind: run for run in runs}
    assert (sorted(kinds), unreadable) == (["health", "report"], 0)
    assert (kinds["report"].run_id, kinds["report"].headline) == (ran.run_id, ran.headline)
    assert kinds["report"].facts == {"notebook": "12_health", "failed": False, "findings": 0}
    assert kinds["report"].database == kinds["health"].database


def test_a_report_whose_run_cannot_be_recorded_is_made_all_the_same(database: Database, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "runs").write_text("a file")
    url = database.url.render_as_string(hide_password=False)
    settings = load_settings(database_url=url, home=tmp_path / "home")
    ran = run_report(find_notebook("12_health"), {"only": "connectivity"}, out=tmp_path / "out", settings=settings)
    assert (ran.status, ran.error) == (Status.OK, None)


# A run under way


def test_a_block_is_remembered_with_what_it_told(tmp_path: Path) -> None:
    with remembered(tmp_path, "backup", "app", print) as told:
        told.headline, told.facts = "Backed up.", {"bytes": 3}
    (line,) = read_runs(tmp_path)[0]
    assert (line.kind, line.status, line.headline, line.database, line.facts) == (
        "backup", Status.OK, "Backed up", "app", {"bytes": 3},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status", "headline"),
    [
        (Conflict("It is locked."), Status.CRITICAL, "It is locked"),
        (ZeroDivisionError("by zero"), Status.CRITICAL, "by zero"),
        (KeyboardInterrupt(), Status.UNKNOWN, "Interrupted"),
    ],
)
def test_what_ends_a_block_is_remembered_and_goes_on(
    tmp_path: Path, error: BaseException, status: Status, headline: str
) -> None:
    with pytest.raises(type(error)), remembered(tmp_path, "verify", None, print):
        raise error
    assert [(line.status, line.headline) for line in read_runs(tmp_path)[0]] == [(status, headline)]


def test_wrong_usage_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError), remembered(tmp_path, "restore", None, print):
        raise UsageError("Its name was not typed.")
    assert read_runs(tmp_path) == ([], 0)
