"""The command line as a contract: names, options, stdout for data, stderr for people, exit codes as answers."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, text

from subjunctive_admin import __version__, cli, seeding
from subjunctive_admin.db import Database
from subjunctive_admin.errors import SubjunctiveError
from subjunctive_admin.models import User
from tests.builders import make_attempt, make_user
from tests.conftest import Cluster, close
from tests.content.items import rows_of

PASSWORD = "correct horse battery"
SECRET = "s3cret-of-the-address"
NOWHERE = f"postgresql://ana:{SECRET}@127.0.0.1:1/nowhere"


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code, its data and what it told a person."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything, in whatever stream."""
        return self.out + self.err


Run = Callable[..., Ran]


def address(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process, on a database or an address, with what stdin holds."""

    def run(*arguments: str, on: Database | str | None = None, stdin: str = "", debug: bool = False) -> Ran:
        if on is not None:
            monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", on if isinstance(on, str) else address(on))
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = cli._run(list(arguments), debug)
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def seeded(cluster: Cluster) -> Iterator[Database]:
    """A database with the shipped seeds that nothing here changes."""
    with cluster.database(cluster.template) as database:
        with database.session(write=True) as session:
            seeding.seed(session, seeding.read_seeds())
        yield database


@pytest.fixture
def own_seeded(cluster: Cluster, seeded: Database) -> Iterator[Database]:
    """A copy of it to change."""
    close(seeded)
    assert seeded.url.database is not None
    with cluster.database(seeded.url.database) as database:
        yield database


def started(*arguments: str, **given: Any) -> subprocess.Popen[bytes]:
    """The command as a process of its own."""
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "subjunctive_admin", *arguments], **(options | given))


def ended(process: subprocess.Popen[bytes]) -> Ran:
    out, err = process.communicate(timeout=20)
    return Ran(process.returncode, (out or b"").decode(), err.decode())


def one_line(said: str) -> bool:
    return said.count("\n") == 1 and "Traceback" not in said


# Wrong usage.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "No such command 'nope'. Next: subjunctive-admin --help"),
        (["db", "nope"], "No such command 'nope'. Next: subjunctive-admin db --help"),
        (["health", "--nope"], "No such option: --nope Next: subjunctive-admin health --help"),
        (["config", "get"], "Missing argument 'key'. Next: subjunctive-admin config get --help"),
        (["user", "create", "ana"], "Missing option '--email'. Next: subjunctive-admin user create --help"),
        (["health", "--format", "xml"], "There is no format 'xml'."),
        (["report", "run", "nope"], "There is no notebook 'nope'.\nNext: subjunctive-admin report list"),
        (["report", "run", "health", "-p", "only"], "'only' is no parameter.\nNext: write it as -p key=value"),
        (["report", "run", "health", "-p", "colour=red"], "12_health has no parameter 'colour'."),
        (
            ["report", "run", "health", "-p", "fail_on=often"],
            "is not 'often'.\nNext: use one of none, warning, critical",
        ),
        (
            ["report", "run", "setup", "-p", "apply=perhaps"],
            "is a bool, not 'perhaps'.\nNext: write it like the default",
        ),
        (["report", "list", "--out", "x"], "No such option: --out Next: subjunctive-admin report list --help"),
    ],
)
def test_wrong_usage_is_64_with_a_sentence_and_the_next_step_on_stderr(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments)
    assert (ran.code, ran.out) == (64, "")
    assert sentence in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_a_file_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ran = run("report", "run", "health", "--out", str(file))
    assert ran.code == 64
    assert "is a file" in ran.err


@pytest.mark.parametrize("group", [[], ["db"], ["user"], ["config"], ["summaries"], ["report"]])
def test_a_group_without_a_command_shows_its_help_as_wrong_usage(run: Run, group: list[str]) -> None:
    ran = run(*group)
    assert (ran.code, ran.out) == (64, "")
    assert ran.err.startswith(f"Usage: {' '.join(['subjunctive-admin', *group])} ")


def test_an_unknown_check_is_wrong_usage_and_known_ones_are_listed(run: Run, seeded: Database) -> None:
    ran = run("health", "--only", "nope", on=seeded)
    assert (ran.code, ran.out) == (64, "")
    assert "nope" in ran.err
    assert "connectivity" in ran.err


# Help and version.


def test_help_and_version_are_data_and_0(run: Run) -> None:
    shown = run("--help")
    assert (shown.code, shown.err) == (0, "")
    for command in (
        "demo",
        "db",
        "setup",
        "migrate",
        "seed",
        "health",
        "pool",
        "user",
        "config",
        "summaries",
        "report",
    ):
        assert f"\n  {command} " in shown.out
    assert run("--version") == Ran(0, f"{__version__}\n", "")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from subjunctive_admin import cli\n"
        "assert cli._run(['--help'], False) == 0\n"
        "heavy = {'sqlalchemy', 'pandas', 'numpy', 'plotly', 'papermill', 'nbformat', 'pydantic', 'psycopg', 'IPython'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


# What could not begin is 3, in a sentence.


@pytest.mark.parametrize(
    "arguments",
    [["seed"], ["user", "list"], ["config", "list"], ["setup"], ["migrate"], ["pool"], ["seed", "--dry-run"]],
)
@pytest.mark.injects("server-down")
def test_without_a_server_a_command_cannot_begin(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments, on=NOWHERE)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("No usable server at 127.0.0.1")
    assert "Next: check the address and the server" in ran.err
    assert SECRET not in ran.err


def test_a_database_that_is_not_there_is_named(run: Run, seeded: Database) -> None:
    ran = run("config", "list", on=seeded.url.set(database="nowhere").render_as_string(hide_password=False))
    assert ran.code == 3
    assert "has no database nowhere" in ran.err


@pytest.mark.injects("wrong-password")
def test_a_wrong_password_is_refused_and_never_shown(run: Run, seeded: Database) -> None:
    ran = run("config", "list", on=seeded.url.set(password=SECRET).render_as_string(hide_password=False))
    assert (ran.code, ran.out) == (3, "")
    assert "Next: check the user and the password of SUBJUNCTIVE_DATABASE_URL" in ran.err
    assert SECRET not in ran.err


@pytest.mark.parametrize("url", [f"mysql://ana:{SECRET}@db/x", f"ana:{SECRET}@db"])
def test_what_is_no_address_is_refused_without_showing_it(run: Run, url: str) -> None:
    ran = run("config", "list", on=url)
    assert ran.code == 3
    assert ran.err.startswith("SUBJUNCTIVE_DATABASE_URL ")
    assert SECRET not in ran.said


@pytest.mark.parametrize("arguments", [["seed"], ["user", "list"], ["config", "get", "practice.scheduler"]])
def test_a_database_that_was_never_set_up_says_how_to(run: Run, empty_database: Database, arguments: list[str]) -> None:
    ran = run(*arguments, on=empty_database)
    assert (ran.code, ran.out) == (3, "")
    assert "was never set up" in ran.err
    assert "Next: subjunctive-admin setup" in ran.err


@pytest.mark.parametrize(
    ("name", "value"),
    [("POOL_SIZE", "many"), ("EMBEDDED_MAJOR", "17"), ("READ_ONLY", "perhaps"), ("POOLER", "session")],
)
def test_a_setting_that_cannot_be_used_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SUBJUNCTIVE_{name}", value)
    ran = run("config", "list")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"SUBJUNCTIVE_{name}: ")
    assert "Next: correct or unset the variable" in ran.err


@pytest.mark.parametrize("arguments", [["db", "start"], ["demo"], ["config", "list"]])
def test_a_data_folder_that_cannot_be_made_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUBJUNCTIVE_HOME", str(tmp_path / "file" / "home"))
    ran = run(*arguments)
    assert ran.code == 3
    assert str(tmp_path / "file") in ran.err
    assert "Unexpected error" not in ran.err
    assert "Next: " in ran.err


@pytest.mark.injects("output-folder-not-writable")
def test_reports_cannot_begin_in_a_folder_that_cannot_be_written(run: Run, seeded: Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = run("report", "run", "health", "--out", str(tmp_path / "file" / "out"), on=seeded)
    assert (ran.code, ran.out) == (3, "")
    assert "cannot be written: Not a directory." in ran.err


def test_a_server_that_only_reads_by_setting_refuses_writes(
    run: Run, monkeypatch: pytest.MonkeyPatch, own_seeded: Database
) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_READ_ONLY", "1")
    ran = run("config", "set", "practice.daily_new_items", "5", on=own_seeded)
    assert ran.code == 2
    assert "SUBJUNCTIVE_READ_ONLY is set, so nothing is written." in ran.err


# What nobody foresaw is 3, in one line; the traceback on request.


def boom(*_arguments: object) -> None:
    raise RuntimeError("boom")


def test_an_unexpected_error_is_one_line_that_says_how_to_see_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subjunctive_admin.reports.list_notebooks", boom)
    ran = run("report", "list")
    assert ran == Ran(3, "", "Unexpected error: RuntimeError: boom Next: run it again with --debug\n")


@pytest.mark.parametrize("arguments", [["--debug", "report", "list"], ["report", "list", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("subjunctive_admin.reports.list_notebooks", boom)
    monkeypatch.setattr("signal.signal", lambda *_given: None)
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 3
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], ["cancellation failed"]),
        (["--debug"], ["error ignored in rollback", "cancellation failed", "Exception during reset or similar"]),
    ],
)
def test_libraries_speak_up_only_where_they_add_to_the_error(options: list[str], shown: list[str]) -> None:
    code = """
import contextlib, sys
from subjunctive_admin import cli
with contextlib.suppress(SystemExit):
    cli.main(["--version", *sys.argv[1:]])
from psycopg import connection, transaction
from sqlalchemy import QueuePool, create_engine, event
transaction.logger.warning("error ignored in rollback")
connection.logger.warning("cancellation failed")
engine = create_engine("sqlite://", poolclass=QueuePool)
event.listen(engine, "reset", lambda *_given: cli._raise_terminated(15, None))
with contextlib.suppress(SystemExit):
    engine.connect().close()
"""
    ran = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, check=True)
    assert [line for line in shown if line in ran.stderr] == shown
    assert ("Traceback" in ran.stderr) == bool(options)
    if not options:
        assert ran.stderr.splitlines() == shown


def test_a_known_error_has_no_traceback_unless_asked_for(run: Run) -> None:
    assert "Traceback" not in run("config", "list", on=NOWHERE).err
    debugged = run("config", "list", on=NOWHERE, debug=True)
    assert "Traceback" in debugged.err
    assert SECRET not in debugged.err


# Setting up and migrating.


def test_setup_makes_an_empty_database_ready_and_says_the_environment(run: Run, empty_database: Database) -> None:
    first = run("setup", "--environment", "staging", on=empty_database)
    assert (first.code, first.out) == (
        0,
        "The database is at revision 0005, the newest, and is marked staging.\n",
    )
    again = run("setup", "--json", on=empty_database)
    assert (again.code, json.loads(again.out)) == (0, {"revision": "0005", "head": "0005", "environment": "staging"})


def test_the_sql_of_a_migration_runs_on_an_empty_database(run: Run, empty_database: Database) -> None:
    ran = run("migrate", "--sql", on=NOWHERE)
    assert (ran.code, ran.err) == (0, "")
    with empty_database.connection(write=True) as connection:
        connection.connection.cursor().execute(ran.out)
    assert run("config", "list", on=empty_database).code == 0


def test_migrating_goes_down_and_up_again(run: Run, database: Database) -> None:
    assert run("migrate", "--to", "base", on=database).out == "The database is at revision base; the newest is 0005.\n"
    assert run("migrate", on=database).out == "The database is at revision 0005; the newest is 0005.\n"


def test_a_revision_that_is_not_there_is_named(run: Run, database: Database) -> None:
    ran = run("migrate", "--to", "9999", on=database)
    assert ran.code in (2, 64)
    assert "9999" in ran.err
    assert "Unexpected" not in ran.err


# Seeding.


def test_seeding_is_0_and_told_on_stdout_and_a_dry_run_writes_nothing(run: Run, database: Database) -> None:
    dry = run("seed", "--dry-run", on=database)
    assert (dry.code, dry.err) == (0, "")
    assert dry.out.splitlines()[0] == "+ added    verb:abrir"
    assert dry.out.endswith("nothing was written, this was a dry run.\n")
    assert not any(rows_of(database).values())
    whole = run("seed", on=database)
    assert (whole.code, whole.err) == (0, "")
    assert whole.out.splitlines()[-1].endswith(" added.")
    again = run("seed", on=database)
    assert (again.code, again.out.count("\n")) == (0, 1)


def test_seeding_is_1_when_something_was_kept_and_0_once_it_was_taken(run: Run, own_seeded: Database) -> None:
    assert run("config", "set", "practice.daily_new_items", "5", on=own_seeded).code == 0
    kept = run("seed", "--json", on=own_seeded)
    assert kept.code == 1
    report = json.loads(kept.out)
    assert report["counts"]["kept"] == 1
    assert [item["item"] for item in report["items"]] == ["configuration:practice.daily_new_items"]
    assert run("seed", "--take", "practice.daily_new_items", on=own_seeded).code == 0
    assert run("config", "get", "practice.daily_new_items", on=own_seeded).out == "10\n"


def test_taking_what_no_seed_has_fails(run: Run, own_seeded: Database) -> None:
    ran = run("seed", "--take", "verb:nada", on=own_seeded)
    assert (ran.code, ran.out) == (2, "")
    assert "No seed is called 'verb:nada'." in ran.err


# Accounts.


def test_an_account_is_made_with_the_password_of_stdin_and_shown_without_it(run: Run, database: Database) -> None:
    made = run("user", "create", "Ana", "--email", "ana@example.org", on=database, stdin=f"{PASSWORD}\nmore\n")
    assert (made.code, made.err) == (0, "Ana was created.\n")
    shown = run("user", "show", "ANA", "--json", on=database)
    account = json.loads(shown.out)
    assert (account["id"], account["username"], account["is_active"]) == (made.out.strip(), "Ana", True)
    with database.session() as session:
        stored = session.scalars(select(User.hashed_password)).one()
    assert PasswordHasher().verify(stored, PASSWORD)
    everything = made.said + shown.said + run("user", "list", on=database).said + run("user", "show", "ana").said
    assert PASSWORD not in everything
    assert "argon2" not in everything


@pytest.mark.parametrize(("stdin", "characters"), [("", 0), ("short\n", 5)])
def test_a_password_that_is_too_short_makes_no_account(
    run: Run, database: Database, stdin: str, characters: int
) -> None:
    ran = run("user", "create", "ana", "--email", "ana@example.org", on=database, stdin=stdin)
    assert ran == Ran(2, "", f"The password has {characters} characters; 12 are needed.\n")
    assert rows_of(database, "users") == {"users": []}


def test_a_second_account_of_that_name_is_refused_in_words(run: Run, database: Database) -> None:
    given = {"on": database, "stdin": PASSWORD}
    assert run("user", "create", "ana", "--email", "ana@example.org", **given).code == 0
    ran = run("user", "create", "ANA", "--email", "berta@example.org", **given)
    assert (ran.code, ran.out) == (2, "")
    assert "there is already a user with this username" in ran.err


def test_an_account_is_closed_and_its_password_replaced(run: Run, database: Database) -> None:
    run("user", "create", "ana", "--email", "ana@example.org", on=database, stdin=PASSWORD)
    changed = run("user", "set-password", "ana", on=database, stdin="another good one\n")
    assert changed == Ran(0, "ana has a new password.\n", "")
    assert run("user", "deactivate", "ana", on=database) == Ran(0, "ana was deactivated.\n", "")
    again = run("user", "deactivate", "ana", on=database)
    assert again == Ran(2, "", "ana is deactivated already.\n")
    assert json.loads(run("user", "list", "--active", "--json", on=database).out) == []


def test_an_empty_list_of_accounts_is_no_data_and_a_hint(run: Run, seeded: Database) -> None:
    ran = run("user", "list", on=seeded)
    assert (ran.code, ran.out) == (0, "")
    assert "There are no users yet." in ran.err
    assert run("user", "list", "--json", on=seeded) == Ran(0, "[]\n", "")


def test_an_unknown_account_is_2(run: Run, seeded: Database) -> None:
    ran = run("user", "show", "nobody", on=seeded)
    assert ran == Ran(2, "", "There is no user 'nobody'.\nNext: subjunctive-admin user list\n")


# Configuration.


def test_a_value_is_printed_as_json_and_an_entry_on_request(run: Run, seeded: Database) -> None:
    assert run("config", "get", "practice.scheduler", on=seeded) == Ran(0, '"fsrs"\n', "")
    whole = json.loads(run("config", "get", "practice.mastery_threshold", "--json", on=seeded).out)
    assert (whole["value"], whole["value_type"], whole["min"], whole["max"]) == (0.8, "number", 0, 1)


def test_the_configuration_is_listed_by_key(run: Run, seeded: Database) -> None:
    keys = [entry["name"] for entry in json.loads(run("config", "list", "--json", on=seeded).out)]
    assert keys == sorted(keys)
    assert [line.split()[0] for line in run("config", "list", on=seeded).out.splitlines()] == keys


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("2", "is at most 1, not 2"),
        ("-1", "is at least 0, not -1"),
        ("often", "'often' is no JSON"),
        ("true", "not true"),
    ],
)
def test_a_value_beyond_its_limits_or_type_fails(run: Run, seeded: Database, value: str, sentence: str) -> None:
    ran = run("config", "set", "practice.mastery_threshold", "--", value, on=seeded)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err
    assert run("config", "get", "practice.mastery_threshold").out == "0.8\n"


def test_who_set_a_value_is_recorded(run: Run, own_seeded: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "berta")
    ran = run("config", "set", "practice.scheduler", "sm2", on=own_seeded)
    assert ran == Ran(0, 'practice.scheduler is now "sm2".\n', "")
    with own_seeded.connection() as connection:
        query = "SELECT updated_by FROM system_configuration WHERE key = 'practice.scheduler'"
        assert connection.scalar(text(query)) == "berta"


# Looking.


def test_health_prints_a_report_whose_worst_finding_is_the_exit_code(
    run: Run, seeded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twice the same, however slow the machine is at one of them.
    monkeypatch.setenv("SUBJUNCTIVE_READ_WARNING", "30")
    monkeypatch.setenv("SUBJUNCTIVE_READ_CRITICAL", "60")
    ran = run("health", on=seeded)
    parsed = json.loads(run("health", "--json", on=seeded).out)
    assert ran.code == {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}[parsed["overall"]]
    assert ran.out.strip()
    assert json.loads(run("health", "--format", "json", on=seeded).out).keys() == parsed.keys()


@pytest.mark.injects("server-down")
def test_an_unreachable_server_is_critical_for_health(run: Run) -> None:
    ran = run("health", "--json", on=NOWHERE)
    assert (ran.code, json.loads(ran.out)["overall"]) == (2, "critical")
    assert SECRET not in ran.said


def test_the_pool_is_reported_as_text_and_json(run: Run, seeded: Database) -> None:
    parsed = run("pool", "--json", on=seeded)
    assert parsed.code == 0
    assert json.loads(parsed.out)["status"] == "ok"
    assert run("pool", on=seeded).out.strip()


def test_the_embedded_server_that_is_not_there_is_3_and_says_how_to_start_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_HOME", str(tmp_path / "home"))
    ran = run("db", "status")
    assert ran.code == 3
    assert ran.out.endswith("yet. Next: subjunctive-admin db start\n")
    facts = json.loads(run("db", "status", "--json").out)
    assert (facts["state"], facts["pid"], facts["version"]) == ("absent", None, None)
    assert run("db", "stop") == Ran(0, "The server was not running.\n", "")
    assert not (tmp_path / "home").exists()


def test_the_notebooks_are_listed_with_what_they_take(run: Run) -> None:
    listed = json.loads(run("report", "list", "--json").out)
    health = next(notebook for notebook in listed if notebook["name"] == "12_health")
    assert (health["effect"], health["audience"]) == ("read", "operations")
    assert [parameter["name"] for parameter in health["parameters"]] == ["only", "deep", "baseline", "fail_on"]
    assert len(run("report", "list").out.splitlines()) == len(listed)


# Processes: signals, pipes, encodings.


INTERRUPTIONS = pytest.mark.parametrize(
    ("number", "code", "sentence"),
    [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "Ended by SIGTERM.\n")],
)


def wait_for(database: Database, query: str, count: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while seen(database, text(query)) != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@INTERRUPTIONS
def test_a_command_that_waits_for_its_password_is_interrupted_and_leaves_nothing(
    database: Database, number: int, code: int, sentence: str
) -> None:
    environment = os.environ | {"SUBJUNCTIVE_DATABASE_URL": address(database)}
    process = started("user", "create", "ana", "--email", "ana@example.org", env=environment)
    wait_for(database, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'subjunctive:user:%'", 1)
    process.send_signal(number)
    assert ended(process) == Ran(code, "", sentence)
    assert rows_of(database, "users") == {"users": []}


@pytest.mark.parametrize("failure", [SubjunctiveError("The rollback was cancelled."), RuntimeError("boom")], ids=repr)
@pytest.mark.parametrize(
    ("interruption", "code", "sentence"),
    [(KeyboardInterrupt, 130, "Interrupted.\n"), (cli._Terminated, 143, "Ended by SIGTERM.\n")],
)
def test_an_error_of_cleaning_up_does_not_hide_the_interruption(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    interruption: type[BaseException],
    code: int,
    sentence: str,
    failure: Exception,
) -> None:
    def interrupted() -> None:
        try:
            raise interruption
        finally:
            raise type(failure)(*failure.args) from None

    monkeypatch.setattr("subjunctive_admin.reports.list_notebooks", interrupted)
    assert run("report", "list") == Ran(code, "", sentence)


@INTERRUPTIONS
def test_a_command_interrupted_within_a_statement_cancels_it_on_the_server(
    own_seeded: Database, number: int, code: int, sentence: str
) -> None:
    environment = os.environ | {"SUBJUNCTIVE_DATABASE_URL": address(own_seeded), "SUBJUNCTIVE_LOCK_TIMEOUT": "30"}
    activity = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'subjunctive:config:%'"
    with own_seeded.connection(write=True) as holding:
        holding.execute(text("SELECT 1 FROM system_configuration FOR UPDATE"))
        process = started("config", "set", "practice.daily_new_items", "5", env=environment)
        wait_for(own_seeded, f"{activity} AND wait_event_type = 'Lock'", 1)
        process.send_signal(number)
        assert ended(process) == Ran(code, "", sentence)
        # The lock is held still: only a cancelled statement is gone.
        wait_for(own_seeded, activity, 0, seconds=3)


def seen(database: Database, query: Any) -> int:
    with database.connection() as connection:
        return connection.scalar(query) or 0


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_went_away_changes_no_exit_code(buffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"SUBJUNCTIVE_DATABASE_URL": NOWHERE, "PYTHONUNBUFFERED": buffered}
    process = started("health", stdout=writing, env=environment)
    os.close(writing)
    assert ended(process) == Ran(2, "", "")


def test_an_output_that_is_full_is_3_in_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        ran = ended(started("report", "list", stdout=full))
    assert ran.code == 3
    assert ran.err.startswith("Unexpected error: OSError: [Errno 28] No space left on device")
    assert one_line(ran.err)


def test_a_terminal_without_letters_beyond_ascii_is_written_to_all_the_same(own_seeded: Database) -> None:
    with own_seeded.connection(write=True) as connection:
        connection.execute(text("UPDATE system_configuration SET value = '\"Señal ✓\"' WHERE key = 'application.name'"))
    environment = os.environ | {
        "SUBJUNCTIVE_DATABASE_URL": address(own_seeded),
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    plain = ended(started("config", "get", "application.name", env=environment))
    assert (plain.code, plain.out, plain.err) == (0, '"Se?al ?"\n', "")
    as_json = ended(started("config", "get", "application.name", "--json", env=environment))
    assert json.loads(as_json.out)["value"] == "Señal ✓"
    failing = ended(started("report", "run", "señal ✓", env=environment))
    assert failing.code == 64
    assert failing.err.startswith("There is no notebook 'se")


# Summaries


def test_refreshing_summaries_says_what_was_written(run: Run, own_seeded: Database) -> None:
    with own_seeded.session(write=True) as session:
        ana, _ = make_user(session, username="ana"), make_user(session, username="berta")
        make_attempt(session, user_id=ana.id)
    ran = run("summaries", "refresh", on=own_seeded)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "user_progress_summary            2 rows written"
    one = run("summaries", "refresh", "--learner", "Ana", "--json", on=own_seeded)
    assert (one.code, json.loads(one.out)["user_progress_summary"]) == (0, 1)
    every = run("summaries", "refresh", "--all", "--json", on=own_seeded)
    assert json.loads(every.out)["user_achievements"] == 0


def test_refreshing_the_summary_of_nobody_is_said_and_changes_nothing(run: Run, seeded: Database) -> None:
    ran = run("summaries", "refresh", "--learner", "nobody", on=seeded)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("There is no user 'nobody'.")
