"""Health asks for backups: their age, their size, their disk, and when one was last brought back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.ops.backup import Manifest
from subjunctive_admin.ops.backup.contents import Contents
from subjunctive_admin.ops.backup.manifest import Verified, dump_of, new_name, prepare_folder, write_manifest
from subjunctive_admin.vocabulary import Status
from tests.ops.health_verbs import check_finds, check_passes, run_sql, with_settings

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CHECKS = ["backup-age", "backup-size", "backup-verified", "disk-backup"]
Made = Callable[..., Manifest]


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Database:
    """The database with a folder of its own for backups."""
    return with_settings(database, backup_folder=tmp_path / "backups")


@pytest.fixture
def backed_up(kept: Database) -> Made:
    """Puts a backup of that age and size into the folder."""

    def make(age: timedelta, *, size: int = 1000, proved: timedelta | None = None, of: str | None = None) -> Manifest:
        folder = kept.settings.backup_folder
        assert folder is not None
        prepare_folder(folder)
        made = datetime.now(UTC) - age
        name = new_name(folder, of or str(kept.url.database), made)
        dump_of(folder, name).write_bytes(bytes(size))
        manifest = Manifest(
            name=name, created_at=made, database=of or str(kept.url.database), environment="development", epoch=1,
            server_version="18.4", tool_version="18.4", bytes=size, sha256="0" * 64, seconds=1.0,
            contents=Contents({}, "0001", "0" * 64),
        )  # fmt: skip
        if proved:
            manifest = replace(manifest, verified=(Verified(datetime.now(UTC) - proved, "18.4", 2.0),))
        write_manifest(folder, manifest)
        return manifest

    return make


@pytest.mark.parametrize("check_id", CHECKS)
def test_without_a_backup_outside_production_nothing_can_be_judged(kept: Database, check_id: str) -> None:
    run_sql(kept, "INSERT INTO ops.instance (environment) VALUES ('development')")
    check_finds(kept, check_id, Status.SKIPPED, "no backup yet", "no database of production")


@pytest.mark.parametrize("check_id", ["backup-age", "backup-verified"])
def test_production_without_a_backup_is_critical(kept: Database, check_id: str) -> None:
    run_sql(kept, "INSERT INTO ops.instance (environment) VALUES ('production')")
    found = check_finds(kept, check_id, Status.CRITICAL, "This database of production has no backup.")
    assert found.remedy == "subjunctive-admin backup create"


def test_a_backup_of_another_database_is_none_of_this_one(kept: Database, backed_up: Made) -> None:
    backed_up(HOUR, of="another")
    check_finds(kept, "backup-age", Status.SKIPPED, "no backup yet")


def test_a_backup_of_last_night_passes(kept: Database, backed_up: Made) -> None:
    backed_up(60 * HOUR)
    backed_up(7 * HOUR)
    assert check_passes(kept, "backup-age").observed == "7 h"


@pytest.mark.parametrize(("hours", "status"), [(27, Status.WARNING), (51, Status.CRITICAL)])
def test_a_night_without_a_backup_is_found(kept: Database, backed_up: Made, hours: int, status: Status) -> None:
    backed_up(hours * HOUR)
    check_finds(kept, "backup-age", status, f"The newest backup is {27 if hours == 27 else 2} ")


def test_a_backup_half_as_large_as_the_one_before_is_a_warning(kept: Database, backed_up: Made) -> None:
    backed_up(30 * HOUR, size=1000)
    backed_up(6 * HOUR, size=1100)
    assert check_passes(kept, "backup-size").observed == "+10.0\u202f%"
    backed_up(HOUR, size=400)
    check_finds(kept, "backup-size", Status.WARNING, "The newest backup has 400 bytes, the one before it 1.1 kB.")


def test_one_backup_has_none_to_be_compared_with(kept: Database, backed_up: Made) -> None:
    backed_up(HOUR)
    check_finds(kept, "backup-size", Status.SKIPPED, "none to compare it with")


def test_a_proof_of_this_week_passes_whichever_backup_it_is_of(kept: Database, backed_up: Made) -> None:
    backed_up(3 * DAY, proved=2 * DAY)
    backed_up(HOUR)
    assert check_passes(kept, "backup-verified").observed == "2 d"


@pytest.mark.parametrize(("days", "status"), [(9, Status.WARNING), (16, Status.CRITICAL)])
def test_a_proof_long_ago_is_found(kept: Database, backed_up: Made, days: int, status: Status) -> None:
    backed_up(20 * DAY, proved=days * DAY)
    found = check_finds(kept, "backup-verified", status, f"No backup has been restored for {days} d.")
    assert found.remedy == "subjunctive-admin backup verify"


def test_a_new_backup_has_time_to_be_proved_and_an_old_one_had_it(kept: Database, backed_up: Made) -> None:
    backed_up(HOUR)
    assert check_passes(kept, "backup-verified").observed == "never"
    backed_up(10 * DAY)
    check_finds(kept, "backup-verified", Status.WARNING, "No backup was ever restored.")


@pytest.mark.parametrize(
    ("used", "free", "status"),
    [
        (81, 19_000, Status.WARNING),
        (91, 9_000, Status.CRITICAL),
        (50, 1_500, Status.WARNING),
        (50, 900, Status.CRITICAL),
    ],
)
def test_a_disk_that_is_full_or_has_no_room_for_the_next_is_found(
    kept: Database, backed_up: Made, monkeypatch: pytest.MonkeyPatch, used: int, free: int, status: Status
) -> None:
    backed_up(HOUR, size=1000)
    disk = SimpleNamespace(used=free * used / (100 - used), free=free, total=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    check_finds(kept, "disk-backup", status, f"The backup disk is {used}\u202f% full")


def test_a_disk_with_room_passes(kept: Database, backed_up: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    backed_up(HOUR)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(used=50, free=50_000_000, total=0))
    check_passes(kept, "disk-backup")


def test_a_role_that_may_not_read_what_the_database_is_leaves_it_unknown(kept: Database, server: Any) -> None:
    from tests.ops.health_verbs import another_role

    with another_role(server, kept) as reader:
        other = Database(reader.url, kept.settings, purpose="test")
        check_finds(other, "backup-age", Status.UNKNOWN, "Could not look")
        other.dispose()
