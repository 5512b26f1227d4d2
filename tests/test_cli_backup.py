"""The commands of backups and reset: what they print, what they leave in the history, their exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from subjunctive_admin import schema
from subjunctive_admin.db import Database
from subjunctive_admin.ops.history import Run as Line
from subjunctive_admin.ops.history import read_runs
from tests.builders import make_user
from tests.conftest import Cluster
from tests.folders import reachable_folder
from tests.test_cli import Run, run

__all__ = ["run"]  # a fixture


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A HOME of its own, where a throwaway server can live too."""
    with reachable_folder() as folder:
        monkeypatch.setenv("SUBJUNCTIVE_HOME", str(folder))
        yield folder


@pytest.fixture
def own(cluster: Cluster) -> Iterator[Database]:
    """A database that is set up as development, with one user."""
    with cluster.database(cluster.template) as made:
        schema.setup(made, "development")
        with made.session(write=True) as session:
            make_user(session)
        yield made


def users(database: Database) -> int:
    with database.connection() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM users")) or 0)


def lines(home: Path) -> list[Line]:
    found, unreadable = read_runs(home)
    assert unreadable == 0
    return found


def test_a_backup_is_made_listed_proved_and_restored_beside(run: Run, own: Database, home: Path) -> None:
    made = run("backup", "create", "--json", on=own)
    name = json.loads(made.out)["name"]
    assert (made.code, made.err) == (0, "")
    assert run("backup", "list").out.splitlines()[1].split()[0] == name

    proved = run("backup", "verify")
    assert (proved.code, proved.out.partition(" was restored into PostgreSQL 18")[0]) == (0, name)
    assert json.loads(run("backup", "list", "--json").out)["backups"][0]["verified"][0]["server_version"]

    beside = f"{own.url.database}_beside"
    restored = run("backup", "restore", "--to", beside, on=own)
    assert (restored.code, restored.out.startswith(f"{name} is in the database {beside}")) == (0, True)
    copy = Database(own.url.set(database=beside))
    assert users(copy) == 1
    copy.dispose()
    with own.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"DROP DATABASE {beside} WITH (FORCE)"))
    assert [(line.kind, line.status.value) for line in lines(home)] == [
        ("backup", "ok"),
        ("verify", "ok"),
        ("restore", "ok"),
    ]


def test_without_a_backup_each_command_says_so(run: Run, own: Database, home: Path) -> None:
    assert run("backup", "list").out == "There is no backup yet. Next: subjunctive-admin backup create\n"
    for command in (["verify"], ["restore", "--to", "elsewhere"]):
        ran = run("backup", *command, on=own)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"There is no backup in {home / 'backups'}.\nNext: subjunctive-admin backup create")
    assert [line.status.value for line in lines(home)] == ["critical", "critical"]


def test_a_swap_wants_the_live_name_before_it_restores_anything(run: Run, own: Database, home: Path) -> None:
    run("backup", "create", on=own)
    refused = run("backup", "restore", "--to", "beside", "--swap", "--yes", "other", on=own)
    assert (refused.code, refused.out) == (64, "")
    assert f"add --yes {own.url.database}" in refused.err
    with own.connection() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_database WHERE datname = 'beside'")) == 0


def test_pruning_says_what_would_go_and_deletes_when_told(
    run: Run, own: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [json.loads(run("backup", "create", "--json", on=own).out)["name"] for _ in range(2)]
    for rule in ("LAST", "DAILY", "WEEKLY", "MONTHLY"):
        monkeypatch.setenv(f"SUBJUNCTIVE_BACKUP_KEEP_{rule}", "1")
    told = run("backup", "prune")
    assert (told.code, "1 backup would go" in told.out) == (0, True)
    assert f"keep    {names[1]}" in told.out
    assert json.loads(run("backup", "prune", "--apply", "--json").out)["deleted"] == [names[0]]
    assert [one["name"] for one in json.loads(run("backup", "list", "--json").out)["backups"]] == [names[1]]
    assert run("backup", "prune", "--apply").out.endswith("Nothing is to be deleted.\n")


def test_a_folder_that_is_none_is_said_before_anything_begins(
    run: Run, own: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("SUBJUNCTIVE_BACKUP_FOLDER", str(home / "file"))
    ran = run("backup", "create", on=own)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"Backups cannot be kept in {home / 'file'}: ")


def test_reset_empties_after_a_backup_and_keeps_what_the_database_is(run: Run, own: Database, home: Path) -> None:
    done = json.loads(run("reset", "--yes", str(own.url.database), "--json", on=own).out)
    assert (done["database"], done["environment"], users(own)) == (own.url.database, "development", 0)
    with own.connection() as connection:
        assert connection.execute(text("SELECT environment, epoch FROM ops.instance")).one() == ("development", 2)
        assert schema.drift(schema.expected_fingerprint(), schema.fingerprint(connection)) == []
    back = run("backup", "restore", done["backup"], "--to", f"{own.url.database}_back", "--swap", "--yes", str(own.url.database), on=own)  # fmt: skip
    assert (back.code, users(own)) == (0, 1)
    assert "It is in epoch 3." in back.out
    kept = back.out.split("kept as ")[1].split(".")[0]
    with own.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"DROP DATABASE {kept} WITH (FORCE)"))


@pytest.mark.parametrize("typed", ["", "other"])
def test_reset_wants_the_name_typed(run: Run, own: Database, home: Path, typed: str) -> None:
    refused = run("reset", "--yes", typed, on=own)
    assert (refused.code, users(own), (home / "backups").exists()) == (64, 1, False)


def test_production_is_never_reset(run: Run, own: Database, home: Path) -> None:
    schema.setup(own, "production")
    refused = run("reset", "--yes", str(own.url.database), on=own)
    assert (refused.code, users(own), (home / "backups").exists()) == (2, 1, False)
    assert "is marked production and is not emptied" in refused.err


def test_without_a_backup_nothing_is_emptied(
    run: Run, own: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("SUBJUNCTIVE_BACKUP_FOLDER", str(home / "file"))
    assert (run("reset", "--yes", str(own.url.database), on=own).code, users(own)) == (3, 1)
