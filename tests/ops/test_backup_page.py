"""Page 14: is there a proved backup, what does retention keep, what is broken, and which commands bring one back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.look import Chart, Findings, Header, KeyFigures, Table
from subjunctive_admin.ops.backup.manifest import dump_of
from subjunctive_admin.ops.backup_view import Shelf, backup_findings, backup_view, read_shelf
from subjunctive_admin.vocabulary import Status
from tests.ops.health_verbs import run_sql
from tests.ops.test_health_backups import DAY, HOUR, Made, backed_up, kept
from tests.ops.test_ops_pages import part, run_notebook

__all__ = ["backed_up", "kept"]  # fixtures


def page_of(shelf: Shelf) -> list[Any]:
    return backup_view(shelf)


def figures(page: list[Any]) -> dict[str, object]:
    return {label: value for label, value, _ in part(page, KeyFigures).figures}


def tables(page: list[Any]) -> list[Table]:
    return [one for one in page if isinstance(one, Table)]


def has(page: list[Any], kind: type) -> bool:
    return any(isinstance(one, kind) for one in page)


def test_without_a_backup_the_page_says_how_to_make_one(kept: Database) -> None:
    shelf = read_shelf(kept)
    page = page_of(shelf)
    assert (shelf.headline, shelf.status) == ("There is no backup yet", Status.OK)
    assert part(page, Header).summary == "`subjunctive-admin backup create` makes the first one."
    assert (figures(page)["Backups"], figures(page)["Last proved"]) == (0, "never")
    assert (has(page, Findings), has(page, Chart), len(tables(page))) == (False, False, 1)
    assert tables(page)[0].rows[0][0] == "subjunctive-admin backup create"  # type: ignore[index]


def test_production_without_a_backup_is_critical(kept: Database) -> None:
    run_sql(kept, "INSERT INTO ops.instance (environment) VALUES ('production')")
    shelf = read_shelf(kept)
    assert (shelf.status, shelf.headline) == (Status.CRITICAL, "This database of production has no backup")


def test_a_proved_backup_is_the_headline_and_its_name_stands_in_the_commands(kept: Database, backed_up: Made) -> None:
    made = backed_up(5 * HOUR, proved=3 * HOUR)
    shelf = read_shelf(kept)
    page = page_of(shelf)
    assert shelf.headline == "The newest backup is 5 h old, and a backup was proved 3 h ago"
    assert backup_findings(shelf) == []
    commands = [row[0] for row in tables(page)[-1].rows]  # type: ignore[index]
    assert f"subjunctive-admin backup verify {made.name}" in commands
    live = kept.url.database
    assert f"subjunctive-admin backup restore {made.name} --to {live}_restored --swap --yes {live}" in commands


def test_what_health_finds_stands_first_with_its_next_step(kept: Database, backed_up: Made) -> None:
    backed_up(20 * DAY, proved=16 * DAY)
    backed_up(30 * HOUR)
    shelf = read_shelf(kept)
    first, second = backup_findings(shelf)
    assert (first.id, first.status, first.next_step) == (
        "backup-verified", Status.CRITICAL, "`subjunctive-admin backup verify`",
    )  # fmt: skip
    assert (second.id, second.status) == ("backup-age", Status.WARNING)
    assert shelf.headline == "No backup has been restored for 16 d"


def test_every_backup_says_why_it_is_kept_and_sizes_are_drawn(kept: Database, backed_up: Made) -> None:
    for age in range(1, 12):
        backed_up(timedelta(hours=age), size=1000 * age, proved=timedelta(minutes=5) if age == 9 else None)
    page = page_of(read_shelf(kept))
    rows = tables(page)[0].rows
    assert rows[0][-1] == "last, daily, weekly, monthly"  # type: ignore[index]
    assert rows[8][-1] == "newest verified"  # type: ignore[index]
    assert rows[10][-1] == "goes with the next prune"  # type: ignore[index]
    chart = part(page, Chart)
    assert chart.note == "n = 11 backups, 1 proved."
    assert list(chart.figure.data[0].marker.symbol).count("circle") == 1


def test_damaged_ones_and_those_of_other_databases_are_no_backups(kept: Database, backed_up: Made) -> None:
    assert kept.settings.backup_folder is not None
    broken = backed_up(2 * HOUR)
    backed_up(HOUR, of="another")
    dump_of(kept.settings.backup_folder, broken.name).write_bytes(b"short")
    page = page_of(read_shelf(kept))
    assert (figures(page)["Backups"], ("Of other databases", "1") in part(page, Header).facts) == (0, True)
    assert [row[:2] for row in tables(page)[0].rows] == [  # type: ignore[index]
        [broken.name, f"{broken.name} has 5 bytes instead of 1,000."]
    ]


@pytest.mark.parametrize("backups", [0, 2])
def test_the_notebook_shows_the_shelf(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backed_up: Made, backups: int
) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_BACKUP_FOLDER", str(tmp_path / "backups"))
    for age in range(backups):
        backed_up((age + 1) * HOUR)
    run = run_notebook("14_backups", database, tmp_path / "out")
    said = "The newest backup is 60 min old; none is proved yet." if backups else "There is no backup yet."
    assert (run.error, run.status, run.headline) == (None, Status.OK, said)
