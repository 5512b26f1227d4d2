"""A backup says what is in it, is proved by restoring it, and is neither lost nor put over anything by mistake."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from filelock import FileLock
from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.errors import (
    AccessDenied,
    Conflict,
    CouldNotBegin,
    NotFound,
    ServerUnreachable,
    SubjunctiveError,
    UsageError,
)
from subjunctive_admin.ops.backup import (
    BackupFailed,
    DamagedBackup,
    Manifest,
    RestoreFailed,
    create_backup,
    find,
    programs,
    prune,
    read_folder,
    repair_swap,
    restore,
    restore_beside,
    swap,
    verify_backup,
)
from subjunctive_admin.ops.backup import create as creating
from subjunctive_admin.ops.backup.contents import Contents, differences, read_contents
from subjunctive_admin.ops.backup.manifest import Verified, new_name, time_of, write_manifest
from subjunctive_admin.ops.backup.retention import choose
from subjunctive_admin.settings import Settings, load_settings
from tests.conftest import Cluster
from tests.folders import reachable_folder
from tests.ops.backup_verbs import (
    ROWS,
    Saved,
    autocommit,
    copy_of,
    databases,
    lock_held_elsewhere,
    rest_of,
    saved_small,
    saving_to,
    scalar,
    visible,
)
from tests.ops.health_verbs import another_role, run_as_superuser, run_sql, session, with_settings

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def original(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    """One backup of a migrated database for the whole file; tests damage copies of it."""
    folder = tmp_path_factory.mktemp("original") / "backups"
    with cluster.database(cluster.template) as database:
        settings = database.settings.model_copy(update={"backup_folder": folder, "home": folder.parent})
        own = Database(database.url, settings, purpose="test")
        run_sql(own, "INSERT INTO ops.instance (environment, epoch) VALUES ('school', 3)")
        yield saved_small(own, folder)
        own.dispose()


@pytest.fixture
def saved(original: Saved, tmp_path: Path) -> Saved:
    return copy_of(original, tmp_path / "backups")


@pytest.fixture
def tiny(empty_database: Database, tmp_path: Path) -> Database:
    """A database of one table, quickly backed up."""
    run_sql(empty_database, "CREATE TABLE one (n int)", "INSERT INTO one VALUES (1), (2)")
    return saving_to(empty_database, tmp_path / "backups")


@pytest.fixture
def beside(original: Saved, server: EmbeddedServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a database that may be made, dropped at the end together with what a swap kept."""
    name = f"beside_{os.getpid()}"
    before = {*databases(original.database)}
    yield name
    for left in {*databases(original.database)} - before:
        if left == name or "_before_" in left:
            autocommit(server, f'DROP DATABASE "{left}" WITH (FORCE)')


# What a backup is


def test_a_backup_is_a_dump_the_roles_and_a_manifest_named_by_database_and_time(original: Saved) -> None:
    name = original.manifest.name
    assert visible(original.folder) == [f"{name}.dump", f"{name}.globals.sql", f"{name}.json"]
    assert name == f"{original.database.url.database}-{original.manifest.created_at:%Y%m%dT%H%M%SZ}"
    assert time_of(name) == original.manifest.created_at


def test_only_its_user_may_read_a_backup(original: Saved) -> None:
    assert stat.S_IMODE(original.folder.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in original.folder.iterdir()}
    assert modes == {0o600}


def test_a_manifest_says_what_is_in_it(original: Saved) -> None:
    made = original.manifest
    assert made.contents.tables["public.words"][0] == ROWS
    assert made.contents.tables["public.Odd Näme"][0] == 3
    assert made.contents.revision == scalar(original.database, "SELECT version_num FROM ops.alembic_version")
    assert (made.environment, made.epoch) == ("school", 3)
    assert made.bytes == original.dump.stat().st_size
    assert made.server_major == find_major(original.database)
    assert made.tool_major >= made.server_major
    assert made.verified_at is None


def test_a_manifest_reads_back_as_it_was_written(original: Saved) -> None:
    full = replace(
        original.manifest,
        verified=(Verified(NOW, "18.1", 1.5),),
        after={"command": "true", "succeeded": True, "said": ""},
        roles=("reader",),
        database_settings={"work_mem": "8MB"},
    )
    assert Manifest.from_dict(json.loads(json.dumps(full.as_dict()))) == full
    assert read_folder(original.folder) == ([original.manifest], [])


def test_the_saved_roles_have_no_passwords(original: Saved) -> None:
    written = (original.folder / f"{original.manifest.name}.globals.sql").read_text()
    assert "CREATE ROLE subjunctive" in written
    assert "PASSWORD" not in written


@pytest.mark.injects("two-backups-in-one-second")
def test_two_backups_in_one_second_have_two_names(tmp_path: Path) -> None:
    first = new_name(tmp_path, "school", NOW)
    (tmp_path / f"{first}.dump.partial").touch()
    second = new_name(tmp_path, "school", NOW)
    assert [first, second] == ["school-20261123T060000Z", "school-20261123T060000Z-2"]
    assert time_of(first) == time_of(second) == NOW


def test_a_database_with_an_odd_name_gives_a_plain_file_name(tmp_path: Path) -> None:
    assert new_name(tmp_path, "my/../db ñ.x", NOW) == "my____db___x-20261123T060000Z"


def test_a_name_has_the_time_in_utc(tmp_path: Path) -> None:
    there = NOW.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    assert new_name(tmp_path, "school", there) == "school-20261123T060000Z"


# Hashes


def hash_of(database: Database, *statements: str) -> Contents:
    with database.engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        found = read_contents(connection)
        connection.rollback()
    return found


def test_a_hash_does_not_depend_on_the_order_of_rows(empty_database: Database) -> None:
    rows = "SELECT n, 'w' || n FROM generate_series(1, 50) n ORDER BY n"
    one, other = (
        hash_of(empty_database, "CREATE TABLE t (n int, w text)", f"INSERT INTO t {rows} {order}")
        for order in ("", "DESC")
    )
    assert differences(one, other) == []
    assert one.rows == 50


def test_a_hash_does_not_depend_on_how_a_session_writes_values(original: Saved) -> None:
    other = hash_of(
        original.database,
        "SET LOCAL DateStyle = 'German'",
        "SET LOCAL TimeZone = 'Asia/Tokyo'",
        "SET LOCAL extra_float_digits = 0",
        "SET LOCAL bytea_output = 'escape'",
        "SET LOCAL IntervalStyle = 'sql_standard'",
    )
    assert differences(original.manifest.contents, other) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE words SET word = word || ' ' WHERE id = 7", "public.words has other values in its 200 rows"),
        ("UPDATE words SET share = share + 1e-12 WHERE id = 2", "public.words has other values in its 200 rows"),
        ("UPDATE \"Odd Näme\" SET v = '' WHERE v IS NULL", "public.Odd Näme has other values in its 3 rows"),
        ("DELETE FROM words WHERE id = 7", "public.words has 199 rows instead of 200"),
        ("CREATE INDEX ON words (word)", "its schema is another"),
        ("UPDATE ops.alembic_version SET version_num = '0'", "it is at migration 0 instead of"),
    ],
)
def test_one_change_is_told(original: Saved, change: str, told: str) -> None:
    found = differences(original.manifest.contents, hash_of(original.database, change))
    assert any(told in one for one in found), found


def test_a_missing_and_a_foreign_table_are_told(original: Saved) -> None:
    found = hash_of(original.database, "DROP TABLE words", "CREATE TABLE public.more ()")
    assert differences(original.manifest.contents, found) == [
        "public.more is not part of the backup",
        "public.words is missing",
        "its schema is another",
    ]


def test_of_many_differences_five_tables_are_told() -> None:
    many = Contents({f"t{n}": (1, "0") for n in range(9)}, "a", "f")
    told = differences(many, Contents({}, "a", "f"))
    assert [*told[:1], *told[4:]] == ["t0 is missing", "t4 is missing", "and 4 more tables"]


# Restore beside


def test_what_is_restored_beside_equals_what_was_saved(saved: Saved, beside: str) -> None:
    steps = []
    assert restore_beside(
        saved.database, None, beside, progress=lambda what, _done, _total: steps.append(what)
    ) == find(saved.folder, None)
    assert steps[0] == "Check"
    assert steps[-1] == "Compare, table"
    copy = Database(saved.database.url.set(database=beside), purpose="test")
    with copy.connection() as connection:
        assert differences(saved.manifest.contents, read_contents(connection)) == []
    copy.dispose()


@pytest.mark.injects("restore-over-a-filled-database")
def test_a_restore_over_the_live_database_is_refused(saved: Saved) -> None:
    live = str(saved.database.url.database)
    with pytest.raises(UsageError, match="is the live database"):
        restore_beside(saved.database, None, live, confirmed=live)
    assert scalar(saved.database, "SELECT count(*) FROM words") == ROWS


@pytest.mark.parametrize("name", ["postgres", "template1", "template0"])
def test_a_restore_over_the_servers_own_databases_is_refused(saved: Saved, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is the server's own"):
        restore_beside(saved.database, None, name, confirmed=name)


@pytest.mark.injects("restore-over-a-filled-database")
def test_a_restore_over_a_database_with_tables_needs_its_typed_name(
    saved: Saved, beside: str, server: EmbeddedServer
) -> None:
    autocommit(server, f"CREATE DATABASE {beside} OWNER subjunctive")
    other = with_settings(Database(saved.database.url.set(database=beside), saved.settings))
    run_sql(other, "CREATE TABLE precious AS SELECT 1 AS n")
    for typed in (None, "yes", str(saved.database.url.database)):
        with pytest.raises(Conflict, match=f"{beside} exists and has 1 tables; nothing was restored"):
            restore_beside(saved.database, None, beside, confirmed=typed)
    assert scalar(other, "SELECT n FROM precious") == 1
    other.dispose()

    restore_beside(saved.database, None, beside, confirmed=beside)
    assert scalar(saved.database, "SELECT to_regclass('precious')", beside) is None
    assert scalar(saved.database, "SELECT count(*) FROM words", beside) == ROWS


def test_an_empty_database_is_restored_into(saved: Saved, beside: str, server: EmbeddedServer) -> None:
    autocommit(server, f"CREATE DATABASE {beside} OWNER subjunctive")
    restore_beside(saved.database, saved.manifest.name, beside)
    assert scalar(saved.database, "SELECT count(*) FROM words", beside) == ROWS


@pytest.mark.injects("backup-of-a-newer-server")
def test_a_backup_of_a_newer_server_is_refused(saved: Saved, beside: str) -> None:
    saved.edit(server_version="99.1")
    with pytest.raises(CouldNotBegin, match=r"is of PostgreSQL 99, and this server is .* older"):
        restore_beside(saved.database, None, beside)
    assert beside not in databases(saved.database)
    with pytest.raises(CouldNotBegin, match="newer than any embedded server"):
        verify_backup(saved.settings)


def test_a_backup_of_a_newer_pg_dump_needs_its_programs(saved: Saved, beside: str) -> None:
    saved.edit(tool_version="99.1")
    with pytest.raises(CouldNotBegin, match="no pg_dump for PostgreSQL 99 or newer"):
        restore_beside(saved.database, None, beside)
    assert beside not in databases(saved.database)


def test_what_restores_to_something_else_is_dropped_again(saved: Saved, beside: str) -> None:
    tables = saved.manifest.contents.as_dict()
    tables["tables"]["public.words"]["hash"] = "1"
    saved.edit(contents=tables)
    with pytest.raises(RestoreFailed, match=r"does not restore to what was saved: public.words has other values"):
        restore_beside(saved.database, None, beside)
    assert beside not in databases(saved.database)


def test_an_interrupted_restore_is_dropped_again(saved: Saved, beside: str) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        if what == "Compare, table":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_beside(saved.database, None, beside, progress=interrupt)
    assert beside not in databases(saved.database)
    assert rest_of(saved.database) == 0


def test_grants_are_restored_where_their_roles_exist_and_else_dropped(
    tiny: Database, server: EmbeddedServer, beside: str
) -> None:
    role = f"reader_{os.getpid()}"
    autocommit(server, f"CREATE ROLE {role}")
    run_sql(tiny, f"GRANT SELECT ON one TO {role}")
    manifest = create_backup(tiny)
    assert role in manifest.roles

    granted = "SELECT has_table_privilege('{}', 'one', 'SELECT')"
    restore_beside(tiny, None, beside)
    assert scalar(tiny, granted.format(role), beside) is True

    run_as_superuser(server, tiny, f"DROP OWNED BY {role}")
    autocommit(server, f'DROP DATABASE "{beside}"', f"DROP ROLE {role}")
    restore_beside(tiny, None, beside)
    assert scalar(tiny, "SELECT count(*) FROM one", beside) == 2
    assert scalar(tiny, "SELECT relacl IS NULL FROM pg_class WHERE relname = 'one'", beside) is True


# Which backup


def test_the_newest_backup_is_meant_without_a_name(saved: Saved) -> None:
    older = replace(saved.manifest, name="a-20200101T000000Z", created_at=datetime(2020, 1, 1, tzinfo=UTC))
    shutil.copy(saved.dump, saved.folder / f"{older.name}.dump")
    write_manifest(saved.folder, older)
    assert find(saved.folder, None) == saved.manifest
    assert find(saved.folder, older.name) == older


def test_an_unknown_name_and_an_empty_folder_are_named(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no backup 'school-1' in"):
        verify_backup(saved.settings, "school-1")
    with pytest.raises(NotFound, match="There is no backup in"):
        verify_backup(load_settings(home=tmp_path / "nothing"))
    assert read_folder(tmp_path / "nothing" / "backups") == ([], [])


# Damage


def test_a_dump_without_its_manifest_is_no_backup(saved: Saved) -> None:
    saved.json.unlink()
    manifests, (only,) = read_folder(saved.folder)
    assert manifests == []
    assert only.reason == f"{saved.manifest.name} was never completed: it has no manifest."
    assert only.bytes >= saved.manifest.bytes
    with pytest.raises(DamagedBackup, match="was never completed"):
        find(saved.folder, saved.manifest.name)
    with pytest.raises(NotFound):
        find(saved.folder, None)


@pytest.mark.parametrize("written", ["", "{", "[]", "null", "{}", '"a"', '{"format": 2}', "\udce9"])
def test_a_manifest_that_cannot_be_read_is_named(saved: Saved, written: str) -> None:
    saved.json.write_bytes(written.encode(errors="surrogateescape"))
    manifests, (only,) = read_folder(saved.folder)
    assert manifests == []
    assert only.reason.startswith(f"The manifest of {saved.manifest.name} cannot be read: ")


@pytest.mark.parametrize("wrong", [None, "x", -1, [1], {"a": 1}, "2026-11-23T06:00:00"])
def test_a_wrong_value_anywhere_in_a_manifest_breaks_nothing_but_this_backup(saved: Saved, wrong: Any) -> None:
    other = replace(saved.manifest, name="a-20200101T000000Z", created_at=datetime(2020, 1, 1, tzinfo=UTC))
    shutil.copy(saved.dump, saved.folder / f"{other.name}.dump")
    write_manifest(saved.folder, other)
    intact = json.loads(saved.json.read_text())
    for key in intact:
        saved.json.write_text(json.dumps(intact | {key: wrong}))
        manifests, unusable = read_folder(saved.folder)
        assert other in manifests, key
        assert len(manifests) + len(unusable) == 2, key
        prune(saved.settings)
        assert all(one.server_major and one.tool_major and one.as_dict() for one in manifests), key
    for key in intact.keys() - {"after", "database_settings", "roles"}:
        saved.json.write_text(json.dumps({name: value for name, value in intact.items() if name != key}))
        assert [one.name for one in read_folder(saved.folder)[1]] == [saved.manifest.name], key


def test_a_missing_dump_is_named(saved: Saved) -> None:
    saved.dump.unlink()
    with pytest.raises(DamagedBackup, match="has no dump"):
        verify_backup(saved.settings, saved.manifest.name)


def test_a_renamed_backup_is_named(saved: Saved) -> None:
    for path in (saved.json, saved.dump):
        path.rename(saved.folder / path.name.replace(saved.manifest.name, "other-20261123T060000Z"))
    with pytest.raises(DamagedBackup, match=f"other-20261123T060000Z.json is of {saved.manifest.name}"):
        find(saved.folder, "other-20261123T060000Z")


@pytest.mark.parametrize("change", [pytest.param(-1, marks=pytest.mark.injects("backup-truncated")), 1])
def test_a_truncated_or_longer_dump_is_named_with_its_bytes(saved: Saved, change: int) -> None:
    os.truncate(saved.dump, saved.manifest.bytes + change)
    with pytest.raises(
        DamagedBackup, match=f"has {saved.manifest.bytes + change:,} bytes instead of {saved.manifest.bytes:,}"
    ):
        verify_backup(saved.settings, saved.manifest.name)


@pytest.mark.injects("backup-flipped")
def test_one_flipped_bit_is_found_before_anything_is_restored(saved: Saved, beside: str) -> None:
    flipped = bytearray(saved.dump.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    saved.dump.write_bytes(flipped)
    with pytest.raises(DamagedBackup, match="its SHA-256 is another"):
        verify_backup(saved.settings)
    with pytest.raises(DamagedBackup, match="its SHA-256 is another"):
        restore_beside(saved.database, None, beside)
    assert beside not in databases(saved.database)


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "school-20261399T999999Z.dump", "school-20261123T060000Z.tar", "school-20261123T060000Z.dump.gpg"],
)
def test_files_of_others_are_no_backups_and_stay(saved: Saved, tiny: Database, name: str) -> None:
    (saved.folder / name).write_text("mine")
    assert read_folder(saved.folder) == ([saved.manifest], [])
    assert prune(saved.settings, apply=True).dropped == ()
    create_backup(saving_to(tiny, saved.folder))
    assert (saved.folder / name).read_text() == "mine"


# Verify


def test_a_backup_is_proved_in_a_server_that_is_gone_afterwards(original: Saved, tmp_path: Path) -> None:
    with reachable_folder() as folder:
        saved = copy_of(original, tmp_path / "backups")
        settings = saved.settings.model_copy(update={"home": folder / "home"})
        proved = verify_backup(settings)
        assert visible(folder / "home") == []
    assert proved.verified_at is not None
    assert proved.verified[0].server_version.startswith(f"{max(16, saved.manifest.server_major)}")
    assert find(saved.folder, None) == proved
    assert replace(proved, verified=()) == saved.manifest


# Making one


def test_what_cannot_be_a_folder_is_refused(tiny: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CouldNotBegin, match=r"Backups cannot be kept in .*file") as caught:
            create_backup(saving_to(tiny, folder))
        assert "SUBJUNCTIVE_BACKUP_FOLDER" in str(caught.value.next_step)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused(
    tiny: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path)
    with pytest.raises(CouldNotBegin, match="it cannot be written"):
        create_backup(saving_to(tiny, tmp_path))
    assert visible(tmp_path) == []


def test_a_full_disk_is_refused_before_anything_is_made(tiny: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.settings.backup_folder
    assert folder is not None
    usage = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(CouldNotBegin, match="has 1 MB left, and a backup may need"):
        create_backup(tiny)
    assert visible(folder) == []


def test_the_last_backup_tells_how_much_space_is_needed(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    for spare, begins in ((0, True), (-1, False)):
        usage = shutil.disk_usage("/")._replace(free=2 * saved.manifest.bytes + spare)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, usage=usage: usage)
        if begins:
            monkeypatch.setattr(creating, "_dump", refuse)
        with pytest.raises(Begun if begins else CouldNotBegin):
            create_backup(saved.database)
    assert [one.name for one in read_folder(saved.folder)[0]] == [saved.manifest.name]


class Begun(Exception):
    """What is put in the place of the dump."""


def refuse(*_: Any) -> Any:
    raise Begun


def test_a_backup_waits_for_no_other_one(tiny: Database) -> None:
    folder = tiny.settings.backup_folder
    assert folder is not None
    with lock_held_elsewhere(folder), pytest.raises(Conflict, match="Another backup is at work in"):
        create_backup(tiny)
    assert visible(folder) == []


def test_one_database_is_not_saved_twice_at_once_into_two_folders(tiny: Database) -> None:
    with tiny.engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": creating._LOCK_KEY})
        with pytest.raises(Conflict, match=f"Another backup of {tiny.url.database} is at work"):
            create_backup(tiny)


def test_what_a_killed_run_left_is_cleared_by_the_next_one(tiny: Database) -> None:
    folder = tiny.settings.backup_folder
    assert folder is not None
    folder.mkdir()
    dead = "school-20250101T000000Z"
    for ending in (".dump.partial", ".globals.sql.partial", ".json.partial", ".dump", ".globals.sql"):
        (folder / f"{dead}{ending}").write_text("half")
    (folder / "mine.partial").write_text("mine")
    made = create_backup(tiny)
    whole = [f"{dead}.dump", f"{dead}.globals.sql"]
    ours = [f"{made.name}{ending}" for ending in (".dump", ".globals.sql", ".json")]
    assert visible(folder) == sorted(["mine.partial", *whole, *ours])
    prune(tiny.settings, apply=True)
    assert visible(folder) == sorted(["mine.partial", *ours])


def test_a_server_without_fitting_programs_is_refused(tiny: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_installed", lambda: (programs.Programs(Path("/nowhere"), "14.9"),))
    with pytest.raises(CouldNotBegin, match=r"There is no pg_dump for PostgreSQL .* or newer") as caught:
        create_backup(tiny)
    assert "install the client programs" in str(caught.value.next_step)


def test_the_nearest_newer_programs_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    known = tuple(programs.Programs(Path(f"/{version}"), version) for version in ("15.2", "18.1", "16.4"))
    monkeypatch.setattr(programs, "_installed", lambda: known)
    assert [programs.programs_for(major).version for major in (15, 16, 17, 18)] == ["15.2", "16.4", "18.1", "18.1"]


def test_a_program_that_is_gone_is_named_and_nothing_remains(
    tiny: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "_installed", lambda: (programs.Programs(tmp_path / "gone", "99.1"),))
    with pytest.raises(BackupFailed, match=r"could not be started: No such file.* Nothing of the backup is left"):
        create_backup(tiny)
    assert visible(tmp_path / "backups") == []


def test_a_dump_that_takes_too_long_is_ended(tiny: Database, tmp_path: Path) -> None:
    impatient = saving_to(tiny, tmp_path / "backups", backup_timeout=0.5)
    with tiny.engine.connect() as connection, connection.begin():
        connection.execute(text("LOCK TABLE one IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(BackupFailed, match="pg_dump was ended: it took too long") as caught:
            create_backup(impatient)
    assert "SUBJUNCTIVE_BACKUP_TIMEOUT" in str(caught.value.next_step)
    assert visible(tmp_path / "backups") == []
    assert rest_of(tiny) == 0


def test_an_interrupted_dump_leaves_nothing(tiny: Database, tmp_path: Path) -> None:
    def interrupt(what: str, _done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with tiny.engine.connect() as connection, connection.begin():
        connection.execute(text("LOCK TABLE one IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(KeyboardInterrupt):
            create_backup(tiny, progress=interrupt)
    assert visible(tmp_path / "backups") == []
    assert rest_of(tiny) == 0


# What is done with it then


def find_major(database: Database) -> int:
    return int(scalar(database, "SHOW server_version_num")) // 10_000


def script(folder: Path, body: str) -> Path:
    path = folder / "command"
    path.write_text(f"#!{sys.executable}\nimport os, sys\n{body}\n")
    path.chmod(0o700)
    return path


def test_the_command_afterwards_gets_the_path_of_the_dump(tiny: Database, tmp_path: Path) -> None:
    body = "print('copied', *sys.argv[1:])"
    database = saving_to(tiny, tmp_path / "backups", backup_after=f"'{script(tmp_path, body)}' --to 'a b'")
    made = create_backup(database)
    dump = tmp_path / "backups" / f"{made.name}.dump"
    assert made.after == {
        "command": database.settings.backup_after,
        "succeeded": True,
        "said": f"copied --to a b {dump}",
    }
    assert find(tmp_path / "backups", None) == made


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("{script}", "no route to the vault"),
        ("/nowhere/copy", "/nowhere/copy: No such file or directory."),
        ("/bin/false", "exit code 1."),
        ("copy 'to", "No closing quotation."),
    ],
)
def test_a_command_that_fails_is_told_and_the_backup_stays(
    tiny: Database, tmp_path: Path, command: str, said: str
) -> None:
    failing = script(tmp_path, "sys.exit('no route to the vault')")
    database = saving_to(tiny, tmp_path / "backups", backup_after=command.format(script=failing))
    with pytest.raises(BackupFailed, match="is complete, but SUBJUNCTIVE_BACKUP_AFTER failed with it") as caught:
        create_backup(database)
    assert said in caught.value.message
    kept = find(tmp_path / "backups", None)
    assert kept.after == {"command": database.settings.backup_after, "succeeded": False, "said": said}
    assert kept.contents.tables["public.one"][0] == 2


# Passwords

RECORDER = """
import json
if sys.argv[1:2] not in (["--version"], ["-V"]):
    files = {name: open(os.environ[name]).read() for name in ("PGSERVICEFILE",) if name in os.environ}
    with open(%r, "a") as noted:
        noted.write(json.dumps([sys.argv, dict(os.environ), files]) + "\\n")
os.execv(os.path.join(%r, os.path.basename(sys.argv[0])), [sys.argv[0], *sys.argv[1:]])
"""


def test_a_password_is_in_no_command_line_and_no_environment(
    tiny: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: str
) -> None:
    real, fake = programs.programs_for(find_major(tiny)), tmp_path / "fake"
    fake.mkdir()
    for name in ("pg_dump", "pg_restore", "pg_dumpall"):
        shutil.copy(script(tmp_path, RECORDER % (str(tmp_path / "noted"), str(real.folder))), fake / name)
    monkeypatch.setattr(programs, "_installed", lambda: (programs.Programs(fake, real.version),))
    monkeypatch.setenv("PGPASSWORD", "of another server")
    monkeypatch.setenv("PGHOST", "another.example.org")
    create_backup(tiny)
    restore_beside(tiny, None, beside)

    password = str(tiny.url.password)
    noted = [json.loads(line) for line in (tmp_path / "noted").read_text().splitlines()]
    assert [Path(argv[0]).name for argv, *_ in noted] == ["pg_dump", "pg_restore", "pg_dumpall", "pg_restore"]
    for argv, environment, files in noted:
        assert not [value for value in (*argv, *environment.values()) if password in value]
        assert not {"PGPASSWORD", "PGHOST"} & environment.keys()
        assert not files or f"password={password}" in files["PGSERVICEFILE"]
        assert not any(Path(environment[name]).exists() for name in files)


@pytest.mark.parametrize("password", ["a=b#c;d", 'it\'s "quoted" \\ ñ', "%41 [x]"])
def test_any_password_reaches_the_server(tmp_path: Path, tiny: Database, password: str) -> None:
    url = tiny.url.set(password=password, host="db.example.org", port=5433)
    with programs.reaching(url, "tests") as environment:
        file = Path(environment["PGSERVICEFILE"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert f"\npassword={password}\n" in file.read_text()
    assert not file.exists()


KILLED_WITH_A_PASSWORD = """
import os, sys
from sqlalchemy import make_url
from subjunctive_admin.ops.backup.programs import reaching
with reaching(make_url("postgresql://me:secret@/db"), "tests"):
    if len(sys.argv) > 1:
        os.kill(os.getpid(), 9)
    print("holds it", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="written for signals")
def test_the_password_of_a_killed_process_is_removed_by_the_next_one(
    tiny: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, place = [sys.executable, "-c", KILLED_WITH_A_PASSWORD], tmp_path / "temporary"
    place.mkdir()
    (place / "subjunctive-notes-1").mkdir()
    (place / "subjunctive-notes-1" / "service.conf").write_text("mine")
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as alive:
        assert alive.stdout is not None
        assert alive.stdout.readline() == b"holds it\n"
        subprocess.run([*command, "die"], check=False)
        assert len(visible(place)) == 3
        create_backup(tiny)
        assert len(visible(place)) == 2
        assert any(name.startswith(f"subjunctive-{alive.pid}-") for name in visible(place))
        alive.communicate()
    assert visible(place) == ["subjunctive-notes-1"]


# Swap


@pytest.fixture
def live(cluster: Cluster, beside: str, tmp_path: Path) -> Iterator[Database]:
    """A small database of the test's own, and a copy of it restored beside; both may be renamed."""
    with cluster.database() as made:
        database = saving_to(made, tmp_path / "live")
        run_sql(
            database,
            "CREATE TABLE mark (n int)",
            "INSERT INTO mark VALUES (1)",
            "CREATE SCHEMA ops",
            "CREATE TABLE ops.instance (environment text, epoch int)",
            "INSERT INTO ops.instance VALUES ('test', 1)",
        )
        create_backup(database)
        run_sql(database, "UPDATE mark SET n = 2")
        restore_beside(database, None, beside)
        yield database


def test_a_swap_keeps_what_belongs_to_the_live_database(live: Database, beside: str, server: EmbeddedServer) -> None:
    name, role = str(live.url.database), f"guest_{os.getpid()}"
    autocommit(server, f"CREATE ROLE {role}")
    run_as_superuser(
        server,
        live,
        f"ALTER DATABASE {name} SET work_mem = '7MB'",
        f'ALTER DATABASE {name} SET search_path = public, ops, "Odd Näme"',
        f"ALTER DATABASE {name} SET application_name = 'it''s, here'",
        f"ALTER DATABASE {name} CONNECTION LIMIT 33",
        f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {role}",
        "UPDATE ops.instance SET environment = 'production', epoch = 4",
        f"GRANT CREATE ON DATABASE {name} TO {role} WITH GRANT OPTION",
    )
    query = (
        "SELECT datconnlimit || (SELECT array_agg(a ORDER BY a::text) FROM unnest(datacl) a)::text || (SELECT setconfig::text FROM pg_db_role_setting"
        " WHERE setdatabase = d.oid AND setrole = 0) FROM pg_database d WHERE datname = current_database()"
    )
    before = scalar(live, query)
    done = swap(live, beside, confirmed=name)
    try:
        assert scalar(live, query) == before
        assert scalar(live, "SELECT n FROM mark") == 1
        assert scalar(live, "SELECT environment || epoch FROM ops.instance") == "production5"
        assert (done.database, done.epoch) == (name, 5)
        assert scalar(live, "SELECT n FROM mark", done.kept_as) == 2
        assert beside not in databases(live)
    finally:
        for one in (name, done.kept_as):
            autocommit(server, f'REVOKE ALL ON DATABASE "{one}" FROM {role}')
        autocommit(server, f"DROP ROLE {role}")


def test_a_swap_ends_the_sessions_of_both(live: Database, beside: str) -> None:
    copy = Database(live.url.set(database=beside), purpose="test")
    with session(live, autocommit=True) as one, session(copy, autocommit=True) as other:
        swap(live, beside, confirmed=str(live.url.database))
        for connection in (one, other):
            with pytest.raises(psycopg.OperationalError, match="terminating connection"):
                connection.execute("SELECT 1")
    assert scalar(live, "SELECT n FROM mark") == 1


def test_a_swap_needs_the_name_of_what_it_replaces(live: Database, beside: str) -> None:
    for typed in (None, "yes", beside):
        with pytest.raises(UsageError, match="was not typed"):
            swap(live, beside, confirmed=typed)
    assert scalar(live, "SELECT n FROM mark") == 2


def test_a_swap_with_a_database_that_is_not_there_is_refused(live: Database, beside: str) -> None:
    name = str(live.url.database)
    for restored, error in (("not_there", NotFound), (name, UsageError), ("postgres", UsageError)):
        with pytest.raises(error, match=restored):
            swap(live, restored, confirmed=name)
    assert scalar(live, "SELECT n FROM mark") == 2


@pytest.mark.parametrize("failing", [1, 2])
def test_a_swap_that_fails_half_way_is_taken_back(
    live: Database, beside: str, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    rename: Callable[..., None] = restore._rename
    calls = []

    def fail(server: Any, old: str, new: str) -> None:
        calls.append((old, new))
        if len(calls) == failing:
            raise KeyboardInterrupt
        rename(server, old, new)

    before = databases(live)
    monkeypatch.setattr(restore, "_rename", fail)
    with pytest.raises(KeyboardInterrupt):
        swap(live, beside, confirmed=str(live.url.database))
    assert databases(live) == before
    assert [scalar(live, "SELECT n FROM mark"), scalar(live, "SELECT n FROM mark", beside)] == [2, 1]


def test_a_swap_interrupted_when_all_is_renamed_is_taken_back(
    live: Database, beside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit: Callable[..., None] = restore._admit
    opened = []

    def fail(server: Any, name: str, *, yes: bool) -> None:
        opened.extend([name] * yes)
        if yes and len(opened) == 1:
            raise KeyboardInterrupt
        admit(server, name, yes=yes)

    before = databases(live)
    monkeypatch.setattr(restore, "_admit", fail)
    with pytest.raises(KeyboardInterrupt):
        swap(live, beside, confirmed=str(live.url.database))
    assert databases(live) == before
    assert [scalar(live, "SELECT n FROM mark"), scalar(live, "SELECT n FROM mark", beside)] == [2, 1]


@pytest.mark.parametrize("heard", [True, False])
def test_a_swap_whose_session_is_ended_is_taken_back(
    live: Database, beside: str, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    rename: Callable[..., None] = restore._rename
    ended: list[int] = []

    def end(connection: Any, old: str, new: str) -> None:
        if not ended:
            ended.append(connection.info.backend_pid)
            if not heard:  # it is done, and nobody learns of it
                rename(connection, old, new)
            autocommit(server, f"SELECT pg_terminate_backend({ended[0]}, 5000)")
        rename(connection, old, new)

    before = databases(live)
    monkeypatch.setattr(restore, "_rename", end)
    with pytest.raises(RestoreFailed, match=f"The swap failed, and {live.url.database} is what it was: terminating"):
        swap(live, beside, confirmed=str(live.url.database))
    assert databases(live) == before
    assert [scalar(live, "SELECT n FROM mark"), scalar(live, "SELECT n FROM mark", beside)] == [2, 1]


# A server that is not there, a role that may not


def test_a_server_that_is_down_is_named(saved: Saved) -> None:
    down = with_settings(Database(saved.database.url.set(query={"host": "/nowhere", "port": "1"}), saved.settings))
    before = visible(saved.folder)
    with pytest.raises(ServerUnreachable):
        create_backup(down)
    with pytest.raises(ServerUnreachable):
        restore_beside(down, None, "beside")
    with pytest.raises(ServerUnreachable):
        swap(down, "beside", confirmed=str(down.url.database))
    assert visible(saved.folder) == before


def test_a_role_that_may_not_read_a_table_or_make_a_database_is_told(
    saved: Saved, tiny: Database, server: EmbeddedServer, tmp_path: Path
) -> None:
    with another_role(server, tiny) as other:
        with pytest.raises(BackupFailed, match="permission denied for table one"):
            create_backup(saving_to(other, tmp_path / "theirs"))
        assert visible(tmp_path / "theirs") == []
        with pytest.raises(RestoreFailed, match="The database beside could not be made: permission denied"):
            restore_beside(saving_to(other, saved.folder), None, "beside")
    with another_role(server, saved.database) as other, pytest.raises(AccessDenied, match="schema ops"):
        create_backup(saving_to(other, tmp_path / "theirs"))


# Retention


def made_at(folder: Path, at: datetime, *, verified: bool = False, size: int = 10) -> str:
    """The files of a backup of that time; the dump is not one."""
    folder.mkdir(exist_ok=True)
    name = new_name(folder, "school", at)
    (folder / f"{name}.dump").write_bytes(b"x" * size)
    (folder / f"{name}.globals.sql").write_text("")
    proofs = (Verified(at, "18.1", 1.0),) if verified else ()
    contents = Contents({}, None, "")
    write_manifest(folder, Manifest(name, at, "school", None, None, "18.1", "18.1", size, "", 1.0, contents, proofs))
    return name


def rules(tmp_path: Path, last: int = 1, daily: int = 0, weekly: int = 0, monthly: int = 0) -> Settings:
    return load_settings(
        home=tmp_path, backup_folder=tmp_path / "kept", backup_keep_last=last, backup_keep_daily=daily,
        backup_keep_weekly=weekly, backup_keep_monthly=monthly,
    )  # fmt: skip


def reasons(tmp_path: Path, **numbers: int) -> dict[str, tuple[str, ...]]:
    """Days before NOW → the rules that keep the backup of then."""
    kept = prune(rules(tmp_path, **numbers)).kept
    return {days_before(one.manifest): one.reasons for one in kept}


def days_before(manifest: Manifest) -> str:
    return f"{(NOW - manifest.created_at) / timedelta(days=1):g}"


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [
        ({"last": 3}, {"0": ("last",), "0.25": ("last",), "0.5": ("last",)}),
        ({"daily": 3}, {"0": ("last", "daily"), "0.5": ("daily",), "1.5": ("daily",)}),
        ({"weekly": 3}, {"0": ("last", "weekly"), "0.5": ("weekly",), "7.5": ("weekly",)}),
        ({"monthly": 3}, {"0": ("last", "monthly"), "22.5": ("monthly",), "53.5": ("monthly",)}),
    ],
)
def test_each_rule_keeps_the_newest_of_its_periods(
    tmp_path: Path, numbers: dict[str, int], kept: dict[str, tuple[str, ...]]
) -> None:
    # NOW is a Monday at six; each quarter of a day for sixty days.
    (one,) = (find(tmp_path / "kept", made_at(tmp_path / "kept", NOW)),)
    every = [replace(one, name=f"b{n}", created_at=NOW - timedelta(days=n / 4)) for n in range(240)]
    found, dropped = choose(every, rules(tmp_path, **numbers))
    assert {days_before(one.manifest): one.reasons for one in found} == kept
    assert len(found) + len(dropped) == 240


def test_days_without_a_backup_use_up_no_place(tmp_path: Path) -> None:
    for days in (0, 10, 30, 400):
        made_at(tmp_path / "kept", NOW - timedelta(days=days))
    assert [*reasons(tmp_path, daily=3)] == ["0", "10", "30"]
    assert [*reasons(tmp_path, monthly=9)] == ["0", "30", "400"]


def test_the_newest_verified_backup_is_never_dropped(tmp_path: Path) -> None:
    for days, verified in ((0, False), (1, False), (300, True), (301, True)):
        made_at(tmp_path / "kept", NOW - timedelta(days=days), verified=verified)
    assert reasons(tmp_path) == {"0": ("last",), "300": ("newest verified",)}


def test_pruning_is_a_dry_run_unless_applied(tmp_path: Path) -> None:
    names = [made_at(tmp_path / "kept", NOW - timedelta(days=days), size=100 + days) for days in range(3)]
    (tmp_path / "kept" / "school-20260101T000000Z.dump.partial").write_text("half")
    before = visible(tmp_path / "kept")
    found = prune(rules(tmp_path))
    assert [one.name for one in found.dropped] == names[1:]
    assert [one.name for one in found.unusable] == ["school-20260101T000000Z"]
    assert (found.bytes, found.applied) == (101 + 102 + 4, False)
    assert visible(tmp_path / "kept") == before

    assert prune(rules(tmp_path), apply=True) == replace(found, applied=True)
    assert visible(tmp_path / "kept") == [f"{names[0]}{ending}" for ending in (".dump", ".globals.sql", ".json")]
    assert prune(rules(tmp_path), apply=True).dropped == ()


def test_a_dump_whose_manifest_is_damaged_is_left_to_a_person(tmp_path: Path) -> None:
    made_at(tmp_path / "kept", NOW)
    damaged = made_at(tmp_path / "kept", NOW - timedelta(days=30))
    (tmp_path / "kept" / f"{damaged}.json").write_text("{")
    assert prune(rules(tmp_path), apply=True).unusable == ()
    assert f"{damaged}.dump" in visible(tmp_path / "kept")


def test_a_column_cannot_stand_for_its_row(tiny: Database) -> None:
    run_sql(tiny, "CREATE TABLE named (t int, other int)", "INSERT INTO named VALUES (1, 1)")
    with tiny.connection() as connection:
        before = read_contents(connection)
    run_sql(tiny, "UPDATE named SET other = 2")
    with tiny.connection() as connection:
        assert differences(before, read_contents(connection)) == ["public.named has other values in its 1 rows"]


def test_the_age_is_the_names_whatever_the_files_say(tmp_path: Path) -> None:
    old, new = (made_at(tmp_path / "kept", NOW - timedelta(days=days)) for days in (9, 0))
    for name, when in ((old, 2_000_000_000), (new, 0)):
        os.utime(tmp_path / "kept" / f"{name}.dump", (when, when))
    assert [one.name for one in prune(rules(tmp_path)).dropped] == [old]


def test_pruning_waits_for_no_backup_at_work(tmp_path: Path) -> None:
    made_at(tmp_path / "kept", NOW)
    with FileLock(tmp_path / "kept" / ".lock"), pytest.raises(Conflict, match="Another backup is at work"):
        prune(rules(tmp_path), apply=True)


def test_pruning_where_nothing_is_makes_nothing(tmp_path: Path) -> None:
    assert prune(rules(tmp_path), apply=True).kept == ()
    assert not (tmp_path / "kept").exists()


# A swap that was killed


def killed_after(live: Database, beside: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A swap that a kill stops before its rename number `steps`: nothing is taken back, the journal stays."""
    done = iter(range(steps))
    rename = restore._rename

    def renamed(server: Any, old: str, new: str) -> None:
        if next(done, None) is None:
            raise ZeroDivisionError
        rename(server, old, new)

    with monkeypatch.context() as patch:
        patch.setattr(restore, "_rename", renamed)
        patch.setattr(restore, "_take_back", lambda *_: None)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(ZeroDivisionError):
            swap(live, beside, confirmed=live.url.database)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_killed_swap_closes_the_database_until_it_is_repaired(
    live: Database, beside: str, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    killed_after(live, beside, steps, monkeypatch)
    said = "not currently accepting|is closed to connections|has no database"
    with pytest.raises(SubjunctiveError, match=said), live.connection():
        pass
    assert repair_swap(live) == (
        f"The swap was taken back: {live.url.database} is what it was, and {beside} is beside it."
    )
    with live.connection() as connection:
        assert connection.scalar(text("SELECT epoch FROM ops.instance")) == 1
    assert repair_swap(live) is None


def test_a_swap_that_was_killed_when_it_was_done_is_left_done(live: Database, beside: str) -> None:
    folder = live.settings.backup_folder
    assert folder is not None
    done = swap(live, beside, confirmed=live.url.database)
    noted = {"live": done.database, "restored": beside, "kept": done.kept_as}
    (folder / "swap.json").write_text(json.dumps(noted))
    assert repair_swap(live) == f"The swap had been finished; the database before it is kept as {done.kept_as}."
    with live.connection() as connection:
        assert connection.scalar(text("SELECT epoch FROM ops.instance")) == done.epoch
