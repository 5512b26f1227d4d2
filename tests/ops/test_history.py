"""Runs are remembered in files: whole lines, in order, whatever happens to the database."""

from __future__ import annotations

import stat
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from subjunctive_admin.ops.history import Run, read_runs, record, runs_folder
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
