"""The whole system in one command, on a fresh home: repeated it changes no row, and two at once take turns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.reports import list_notebooks
from tests.conftest import close
from tests.content.items import HISTORY_TABLES, rows_of
from tests.folders import reachable_folder

SECRET = "s3cret-of-the-address"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for sockets")


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder of its own, whose server is stopped at the end."""
    with reachable_folder() as folder:
        yield folder / "home"
        EmbeddedServer(folder / "home").stop()


def started(home: Path, out: Path, **variables: str) -> subprocess.Popen[str]:
    environment = os.environ | {"SUBJUNCTIVE_HOME": str(home)} | variables
    command = [sys.executable, "-m", "subjunctive_admin", "demo", "--out", str(out)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a demo that went well printed and told."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err


def rows(home: Path) -> dict[str, list[str]]:
    database = Database(EmbeddedServer(home).url(), purpose="test")
    try:
        return rows_of(database) | rows_of(database, *HISTORY_TABLES)
    finally:
        close(database)


def test_a_repeated_demo_changes_no_row_and_ignores_the_address_of_another_database(home: Path, tmp_path: Path) -> None:
    other = f"postgresql://ana:{SECRET}@127.0.0.1:1/nowhere"
    printed, told = ended(started(home, tmp_path / "out", SUBJUNCTIVE_DATABASE_URL=other))
    first = rows(home)
    assert "SUBJUNCTIVE_DATABASE_URL is ignored" in told
    assert len(first["spanish_verbs"]) == 169
    assert (len(first["users"]), len(first["practice_attempts"])) == (300, 60_000)
    # Nothing but finished lines, each with its time, none wider than a terminal.
    assert all(len(line) <= 80 for line in told.splitlines()), told
    assert "\x1b" not in told
    steps = [line for line in told.splitlines() if line.endswith(" s")]
    reading = [notebook.name for notebook in list_notebooks() if notebook.effect == "read"]
    assert len(steps) == 4 + len(reading) + 1
    assert re.search(r"Total +\d+\.\d s$", told.strip())
    for said in (str(tmp_path / "out/index.html"), "subjunctive-admin lab", "subjunctive-admin db stop", str(home)):
        assert said in printed

    whole = json.loads((tmp_path / "out/result.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in whole["reports"]] == reading
    assert [run["error"] for run in whole["reports"]] == [None] * len(reading)
    for path in (tmp_path / "out").rglob("*.*"):
        assert SECRET not in path.read_text(encoding="utf-8"), path
    assert SECRET not in printed + told

    ended(started(home, tmp_path / "out"))
    assert rows(home) == first


@pytest.mark.faults
@pytest.mark.injects("two-setups-at-once")
def test_two_demos_at_once_take_turns_and_both_end_well(home: Path, tmp_path: Path) -> None:
    both = [started(home, tmp_path / name) for name in ("one", "two")]
    told = [ended(process)[1] for process in both]
    assert sum("Another demo is running" in said for said in told) == 1
    assert len(rows(home)["editorial.operations"]) == 1
    for name in ("one", "two"):
        assert (tmp_path / name / "index.html").is_file()
