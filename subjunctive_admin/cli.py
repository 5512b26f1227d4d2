"""The command line: a command is parse, call, print. stdout is data, stderr narration, the exit code an answer.

    0 ok · 1 warning or finding · 2 critical or failed · 3 unknown or could not begin · 64 wrong usage
    130 / 143 interrupted

Heavy modules are imported inside the commands that need them: `--help` answers at once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer._click.exceptions import UsageError as CommandLineError

from subjunctive_admin.errors import SubjunctiveError, UsageError
from subjunctive_admin.narration import Narrator, can_encode
from subjunctive_admin.vocabulary import EXIT_CODE_OF_STATUS

if TYPE_CHECKING:
    from subjunctive_admin.db import Database
    from subjunctive_admin.embedded import EmbeddedServer
    from subjunctive_admin.ops.health import HealthReport
    from subjunctive_admin.ops.history import Told
    from subjunctive_admin.settings import Settings

USAGE, UNEXPECTED, INTERRUPTED, TERMINATED = 64, 3, 130, 143


def _group(help_text: str) -> typer.Typer:
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


app = _group("Admin and analytics for a Spanish Subjunctive Practice application.")
db = _group("The embedded PostgreSQL.")
user = _group("Accounts. Passwords come from a prompt or from stdin.")
config = _group("The system configuration.")
summaries = _group("What follows from learners' answers.")
content = _group("Verbs, scenarios and exercises.")
backup = _group("Backups, proved by restoring them.")
report = _group("Run notebooks as reports.")
for _name, _commands in (
    ("db", db),
    ("user", user),
    ("config", config),
    ("summaries", summaries),
    ("content", content),
    ("backup", backup),
    ("report", report),
):
    app.add_typer(_commands, name=_name)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.", file_okay=False)]
Learners = Annotated[int, typer.Option("--learners", metavar="N", help="How many synthetic learners.")]
Attempts = Annotated[int, typer.Option("--attempts", metavar="N", help="How many answers they give in all.")]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="The same seed gives the same learners.")]


class Engine(StrEnum):
    """Where the cells of a notebook run."""

    STOCK = "stock"
    FAST = "fast"


OnEngine = Annotated[
    Engine, typer.Option("--engine", help="A Jupyter kernel for each notebook, or forks of one prepared process.")
]


class _Terminated(SystemExit):
    """SIGTERM, raised where the program stands so that files, locks and kernels are cleaned up.

    A SystemExit, because psycopg cancels the statement under way for that and for Ctrl-C alone.
    """


def _version(wanted: bool) -> None:
    if wanted:
        from subjunctive_admin import __version__  # noqa: PLC0415

        _print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    del version, debug  # --debug is read by main(), which outlives every command


def _print(text: str) -> None:
    stream = sys.stdout
    with _to_reader():
        stream.write((text if can_encode(stream, text) else text.encode("ascii", "replace").decode()) + "\n")


@contextmanager
def _to_reader() -> Iterator[None]:
    """A reader that went away, as `head` does, is no error: the rest goes nowhere, the exit code stays an answer."""
    try:
        yield
    except OSError as error:
        # What is buffered would fail once more when Python ends, with an exit code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def _print_json(value: Any) -> None:
    _print(json.dumps(value, ensure_ascii=not can_encode(sys.stdout), indent=2))


def _settings() -> Settings:
    from subjunctive_admin.settings import load_settings  # noqa: PLC0415

    return load_settings()


def _server() -> EmbeddedServer:
    from subjunctive_admin.embedded import EmbeddedServer  # noqa: PLC0415

    settings = _settings()
    return EmbeddedServer(settings.home, major=settings.embedded_major)


@contextmanager
def _database(purpose: str) -> Iterator[Database]:
    from subjunctive_admin.db import open_database  # noqa: PLC0415

    database = open_database(_settings(), purpose=purpose)
    try:
        yield database
    finally:
        database.dispose()


@contextmanager
def _set_up_database(purpose: str) -> Iterator[Database]:
    """A database at the newest revision; anything else is refused in words."""
    from subjunctive_admin.schema import require_current  # noqa: PLC0415

    with _database(purpose) as database:
        with database.connection() as connection:
            require_current(connection)
        yield database


@app.command()
def demo(
    learners: Learners = 300,
    attempts: Attempts = 60_000,
    seed: Seed = 1,
    out: Out = Path("subjunctive-demo"),
) -> None:
    """Start the embedded PostgreSQL, migrate, seed, simulate learners, run every reading notebook into one folder."""
    from subjunctive_admin.demo import closing_lines, run_demo  # noqa: PLC0415
    from subjunctive_admin.settings import load_settings  # noqa: PLC0415
    from subjunctive_admin.synthetic.loading import check_plan, plan_until  # noqa: PLC0415

    plan = check_plan(plan_until(None, learners, attempts, seed)) if learners else None
    narrator = Narrator()
    narrator.say("Subjunctive Admin demo")
    narrator.say()
    settings = _settings()
    if not settings.uses_embedded:
        narrator.say("  SUBJUNCTIVE_DATABASE_URL is ignored: the demo uses the embedded server.")
        settings = load_settings(database_url=None)
    outcome = run_demo(settings, out.absolute(), narrator, plan)
    narrator.say()
    _print("\n".join(closing_lines(outcome, settings)))
    for run in outcome.failed:
        narrator.say(f"{run.name} failed: {run.error}")
    raise typer.Exit(2 if outcome.failed else 0)


@app.command()
def lab(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open nothing.")] = False,
    workspace: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Keep the notebooks there, not in HOME.")
    ] = None,
) -> None:
    """Open JupyterLab on your copies of the notebooks, until Ctrl-C; print its address."""
    from subjunctive_admin.lab import open_lab  # noqa: PLC0415

    def print_at_once(address: str) -> None:
        _print(address)
        with _to_reader():
            sys.stdout.flush()

    folder = workspace.absolute() if workspace else None
    open_lab(_settings(), Narrator(), on_address=print_at_once, workspace=folder, port=port, browser=not no_browser)


@db.command("start")
def db_start(as_json: AsJson = False) -> None:
    """Start the embedded server, and create it the first time."""
    _print_status(_server().start(), as_json)


@db.command("stop")
def db_stop() -> None:
    """Stop the embedded server; its data stays."""
    stopped = _server().stop()
    _print("The server was stopped." if stopped else "The server was not running.")


@db.command("status")
def db_status(as_json: AsJson = False) -> None:
    """Say whether the embedded server runs; exit code 3 when it does not."""
    status = _server().status()
    _print_status(status, as_json)
    raise typer.Exit(0 if status.state == "running" else 3)


def _print_status(status: Any, as_json: bool) -> None:
    facts = {
        "state": status.state,
        "version": status.version,
        "pid": status.pid,
        "data": str(status.data),
        "socket_folder": str(status.socket_folder) if status.socket_folder else None,
    }
    if as_json:
        _print_json(facts)
    elif status.state == "running":
        _print(f"PostgreSQL {status.version} is running, pid {status.pid}, data in {status.data}.")
    elif status.state == "stopped":
        _print(f"The server in {status.data} is stopped. Next: subjunctive-admin db start")
    else:
        _print(f"There is no server in {status.data} yet. Next: subjunctive-admin db start")


@db.command("url")
def db_url(
    show_password: Annotated[bool, typer.Option("--show-password", help="Print it in full.")] = False,
) -> None:
    """Print the embedded server's address; its password only when asked for."""
    _print(_server().url(hide_password=not show_password))


@app.command()
def setup(
    environment: Annotated[
        str | None, typer.Option(help="development, staging, production, or a name of yours.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create or upgrade the schema, and record which environment this database is."""
    from subjunctive_admin import schema  # noqa: PLC0415

    with _database("setup") as database:
        state = schema.setup(database, environment, narrate=Narrator().say)
    facts = {"revision": state.current, "head": state.head, "environment": state.environment}
    if as_json:
        _print_json(facts)
    else:
        _print(f"The database is at revision {state.current}, the newest, and is marked {state.environment}.")


@app.command()
def migrate(
    to: Annotated[str, typer.Option("--to", metavar="REV", help="A revision, head or base.")] = "head",
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL from nothing to REV, and change nothing.")] = False,
) -> None:
    """Bring the schema to a revision, upwards or downwards."""
    from subjunctive_admin import schema  # noqa: PLC0415

    if sql:
        _print(schema.offline_sql(to))
        return
    with _database("migrate") as database:
        state = schema.migrate(database, to, narrate=Narrator().say)
    _print(f"The database is at revision {state.current or 'base'}; the newest is {state.head}.")


@app.command()
def reset(
    yes: Annotated[str, typer.Option("--yes", metavar="NAME", help="The name of the database, typed.")],
    as_json: AsJson = False,
) -> None:
    """Empty the database: a backup first, then the schema anew. Never in production."""
    from subjunctive_admin import cli_backup as words  # noqa: PLC0415
    from subjunctive_admin.ops.reset import reset_database  # noqa: PLC0415

    with _database("reset") as database, _remembered("reset", database.settings, database) as told:
        done = reset_database(database, yes, progress=words.bar(Narrator()))
        told.headline, told.facts = done.sentence, done.as_dict()
    _print_json(done.as_dict()) if as_json else _print(done.sentence)


@app.command()
def seed(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the differences and write nothing.")] = False,
    take: Annotated[
        list[str] | None, typer.Option("--take", metavar="ITEM", help="Overwrite this edited item.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the seeds into the database; an edited item that is kept, or a fault of content, is exit code 1."""
    from subjunctive_admin import seeding  # noqa: PLC0415

    narrator = Narrator()
    items = seeding.read_seeds()
    with _set_up_database("seed") as database, database.session(write=not dry_run) as session:
        result = seeding.seed(
            session,
            items,
            take=take or (),
            dry_run=dry_run,
            progress=narrator.counter("Seed"),
        )
    narrator.progress("")
    _print_json(result.as_dict()) if as_json else _print("\n".join(seeding.report_lines(result)))
    raise typer.Exit(1 if result.of(seeding.Outcome.KEPT) or result.faults else 0)


@app.command()
def health(
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ID", help="Run this check alone.")] = None,
    output: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, json, nagios or openmetrics.")
    ] = "text",
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", dir_okay=False, help="Compare with this JSON report.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Look at everything where a sample is usual.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing when all is well, as cron likes it.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", dir_okay=False, help="Write there, whole at once.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the database, compare with the run before; the exit code is the worst finding."""
    chosen = "json" if as_json else output
    if chosen not in _HEALTH_FORMATS:
        raise UsageError(f"There is no format {chosen!r}.", next_step=f"use {', '.join(_HEALTH_FORMATS)}")
    from subjunctive_admin.ops.health.runs import recorded_health  # noqa: PLC0415

    narrator = Narrator()
    with _database("health") as database:
        result = recorded_health(
            database,
            only=only or (),
            deep=deep,
            baseline=baseline,
            narrate=None if quiet else narrator.progress,
            say=narrator.say,
        )
    narrator.progress("")
    written = _health_as(chosen, result)
    if out:
        _write_file(out, written)
    elif not (quiet and result.exit_code == 0):
        _print(written)
    raise typer.Exit(EXIT_CODE_OF_STATUS[result.overall])


_HEALTH_FORMATS = ("text", "json", "nagios", "openmetrics")


def _health_as(output: str, result: HealthReport) -> str:
    from subjunctive_admin.ops.health import health_text  # noqa: PLC0415
    from subjunctive_admin.ops.health.formats import nagios_line, openmetrics  # noqa: PLC0415

    match output:
        case "json":
            return json.dumps(result.as_dict(), ensure_ascii=not can_encode(sys.stdout), indent=2)
        case "nagios":
            return nagios_line(result)
        case "openmetrics":
            return openmetrics(result).removesuffix("\n")
    return health_text(result, ascii_only=not can_encode(sys.stdout))


def _write_file(path: Path, text: str) -> None:
    from subjunctive_admin.reports import write_atomically  # noqa: PLC0415

    try:
        write_atomically(path, text + "\n")
    except OSError as error:
        raise SubjunctiveError(
            f"{path} could not be written: {error.strerror}.", next_step="give a file in a folder that can be written"
        ) from error


@app.command()
def pool(as_json: AsJson = False) -> None:
    """Show who holds connections: this process, the suite's others with what they publish, and the server's budget."""
    from subjunctive_admin.ops.pool import pool_report, pool_text  # noqa: PLC0415

    with _database("pool") as database:
        result = pool_report(database)
    _print_json(result.as_dict()) if as_json else _print(pool_text(result))
    raise typer.Exit(EXIT_CODE_OF_STATUS[result.status])


@app.command()
def optimize(
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this, only say what is worth doing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is worth doing to tables, indexes and leftovers (exit code 1), or do it (2 when some was not done)."""
    from subjunctive_admin.ops.upkeep import look, maintain, upkeep_text  # noqa: PLC0415

    narrator = Narrator()
    with _set_up_database("optimize") as database:
        result = look(database)
        if apply:
            with _remembered("optimize", database.settings, database) as told:
                result = maintain(database, result, narrator.bar)
                told.headline, told.status = result.headline, result.status
    _print_json(result.as_dict()) if as_json else _print(upkeep_text(result, ascii_only=not can_encode(sys.stdout)))
    raise typer.Exit(EXIT_CODE_OF_STATUS[result.status])


@contextmanager
def _remembered(kind: str, settings: Settings, database: Database | None = None) -> Iterator[Told]:
    """A line of the run history for the block, whatever ends it."""
    from subjunctive_admin.ops.health.runs import name_of  # noqa: PLC0415
    from subjunctive_admin.ops.history import remembered  # noqa: PLC0415

    narrator = Narrator()
    try:
        with remembered(settings.home, kind, name_of(database) if database else None, narrator.say) as told:
            yield told
    finally:
        narrator.progress("")


@backup.command("create")
def backup_create(as_json: AsJson = False) -> None:
    """Back the database up: hashes of every table, a compressed dump that was proof-read, a manifest."""
    from subjunctive_admin import cli_backup as words  # noqa: PLC0415
    from subjunctive_admin.ops.backup import create_backup  # noqa: PLC0415

    with _set_up_database("backup") as database, _remembered("backup", database.settings, database) as told:
        made = create_backup(database, progress=words.bar(Narrator()))
        told.headline, told.facts = words.created_line(made), {"name": made.name, "bytes": made.bytes}
    _print_json(made.as_dict()) if as_json else _print(words.created_line(made))


@backup.command("list")
def backup_list(as_json: AsJson = False) -> None:
    """List the backups with their age, size and last proof; no database is needed."""
    from subjunctive_admin import cli_backup as words  # noqa: PLC0415
    from subjunctive_admin.ops.backup import backup_folder, read_folder  # noqa: PLC0415

    found = read_folder(backup_folder(_settings()))
    _print_json(words.listed(*found)) if as_json else _print("\n".join(words.list_lines(*found)))


BackupName = Annotated[str | None, typer.Argument(metavar="NAME", help="A backup; without it, the newest.")]


@backup.command("verify")
def backup_verify(name: BackupName = None, as_json: AsJson = False) -> None:
    """Restore a backup into a throwaway server and compare every row; no database is needed."""
    from subjunctive_admin import cli_backup as words  # noqa: PLC0415
    from subjunctive_admin.ops.backup import verify_backup  # noqa: PLC0415

    settings = _settings()
    with _remembered("verify", settings) as told:
        proved = verify_backup(settings, name, progress=words.bar(Narrator()))
        told.headline, told.facts = words.verified_line(proved), {"name": proved.name, "bytes": proved.bytes}
    _print_json(proved.as_dict()) if as_json else _print(words.verified_line(proved))


@backup.command("restore")
def backup_restore(
    to: Annotated[str, typer.Option("--to", metavar="DB", help="The database to make and fill.")],
    name: BackupName = None,
    swap: Annotated[
        bool, typer.Option("--swap", help="Then put it in the place of the live one, which is kept.")
    ] = False,
    yes: Annotated[
        str | None, typer.Option("--yes", metavar="DB", help="The name of the database that this replaces.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into a database beside the live one, compare it, and swap it in when asked."""
    from subjunctive_admin import cli_backup as words  # noqa: PLC0415
    from subjunctive_admin.ops import backup as backups  # noqa: PLC0415

    with _database("backup") as database, _remembered("restore", database.settings, database) as told:
        if swap:
            backups.require_typed(database, yes)
        manifest = backups.restore_beside(database, name, to, confirmed=yes, progress=words.bar(Narrator()))
        lines = [words.restored_line(manifest, to)]
        facts: dict[str, Any] = {"name": manifest.name, "database": to}
        if swap:
            swapped = backups.swap(database, to, confirmed=yes)
            lines.append(words.swapped_line(swapped))
            facts |= {"database": swapped.database, "kept_as": swapped.kept_as, "epoch": swapped.epoch}
        told.headline, told.facts = lines[-1], facts
    _print_json(facts) if as_json else _print("\n".join(lines))


@backup.command("repair")
def backup_repair() -> None:
    """Finish or take back a swap that was killed half-way, so that the database is open again."""
    from subjunctive_admin.ops.backup import repair_swap  # noqa: PLC0415

    with _database("backup") as database:
        said = repair_swap(database)
    _print(said or "There is no swap to repair.")


@backup.command("prune")
def backup_prune(
    apply: Annotated[bool, typer.Option("--apply", help="Delete; without this, only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep the last backups and one a day, week and month; never lose the newest that was proved."""
    from subjunctive_admin import cli_backup as words  # noqa: PLC0415
    from subjunctive_admin.ops.backup import prune  # noqa: PLC0415

    pruning = prune(_settings(), apply=apply)
    _print_json(words.pruned(pruning)) if as_json else _print("\n".join(words.pruning_lines(pruning)))


def _read_password() -> str:
    import getpass  # noqa: PLC0415

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise UsageError("The two passwords differ.", next_step="type the same one twice")
    return first


@user.command("create")
def user_create(
    username: str,
    email: Annotated[str, typer.Option(help="E-mail address.")],
    first_name: Annotated[str | None, typer.Option()] = None,
    last_name: Annotated[str | None, typer.Option()] = None,
    timezone: Annotated[str, typer.Option(help="UTC or Area/City.")] = "UTC",
    superuser: Annotated[bool, typer.Option("--superuser", help="May administer the application.")] = False,
) -> None:
    """Create an account."""
    from subjunctive_admin import users  # noqa: PLC0415

    with _set_up_database("user") as database:
        password = _read_password()  # typed before the transaction begins
        with database.session(write=True) as session:
            created = users.create_user(
                session,
                username,
                email,
                password,
                first_name=first_name,
                last_name=last_name,
                timezone=timezone,
                is_superuser=superuser,
            )
    _print(str(created.id))
    Narrator().say(f"{username} was created.")


@user.command("list")
def user_list(
    active: Annotated[bool, typer.Option("--active", help="Leave out deactivated accounts.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the accounts."""
    from subjunctive_admin import users  # noqa: PLC0415

    with _set_up_database("user") as database, database.session() as session:
        accounts = [users.describe(account) for account in session.scalars(users.list_users(active_only=active))]
    if as_json:
        _print_json(accounts)
        return
    for account in accounts:
        state = "active" if account["is_active"] else "deactivated"
        _print(f"{account['username']:<24} {account['email']:<36} {state:<12} {account['timezone']}")
    if not accounts:
        Narrator().say("There are no users yet. Next: subjunctive-admin user create NAME --email ADDRESS")


@user.command("show")
def user_show(name: str, as_json: AsJson = False) -> None:
    """Show one account, by username or e-mail address."""
    from subjunctive_admin import users  # noqa: PLC0415

    with _set_up_database("user") as database, database.session() as session:
        account = users.describe(users.find_user(session, name))
    if as_json:
        _print_json(account)
        return
    for field, value in account.items():
        _print(f"{field:<22} {'–' if value is None else value}")


@user.command("deactivate")
def user_deactivate(name: str) -> None:
    """Close an account; what it recorded is kept."""
    from subjunctive_admin import users  # noqa: PLC0415

    with _set_up_database("user") as database, database.session(write=True) as session:
        closed = users.deactivate(session, name).username
    _print(f"{closed} was deactivated.")


@user.command("set-password")
def user_set_password(name: str) -> None:
    """Replace an account's password."""
    from subjunctive_admin import users  # noqa: PLC0415

    with _set_up_database("user") as database:
        password = _read_password()
        with database.session(write=True) as session:
            changed = users.set_password(session, name, password).username
    _print(f"{changed} has a new password.")


@config.command("get")
def config_get(key: str, as_json: AsJson = False) -> None:
    """Print one value as JSON, or the whole entry with --json."""
    from subjunctive_admin.configuration import get_entry  # noqa: PLC0415

    with _set_up_database("config") as database, database.session() as session:
        entry = get_entry(session, key)
    _print_json(entry.payload()) if as_json else _print(json.dumps(entry.payload()["value"], ensure_ascii=False))


@config.command("set")
def config_set(key: str, value: str) -> None:
    """Change one value within its type and limits."""
    from subjunctive_admin.configuration import set_entry  # noqa: PLC0415
    from subjunctive_admin.content.store import account_name  # noqa: PLC0415

    with _set_up_database("config") as database, database.session(write=True) as session:
        sentence = set_entry(session, key, value, actor=account_name())
    _print(sentence)


@config.command("list")
def config_list(as_json: AsJson = False) -> None:
    """List every value."""
    from subjunctive_admin.configuration import list_entries  # noqa: PLC0415

    with _set_up_database("config") as database, database.session() as session:
        entries = [entry.payload() for entry in list_entries(session)]
    if as_json:
        _print_json(entries)
        return
    for entry in entries:
        _print(f"{entry['name']:<40} {json.dumps(entry['value'], ensure_ascii=False)}")


@app.command()
def conjugate(
    verb: Annotated[str, typer.Argument(metavar="VERB", help="An infinitive; - reads one a line, and wants --json.")],
    as_json: AsJson = False,
) -> None:
    """Print every accepted form of a verb, and the rule behind each; no database is needed."""
    from subjunctive_admin import cli_content as spanish  # noqa: PLC0415

    if verb == spanish.STDIN:
        _wants_json(as_json)
        raise typer.Exit(0 if spanish.conjugated_lines(spanish.stdin_lines(), _print) else 1)
    paradigm = spanish.paradigm_of(verb)
    if as_json:
        _print_json(paradigm.as_dict())
        return
    for line in spanish.paradigm_lines(paradigm):
        _print(line)


@app.command()
def diagnose(
    verb: Annotated[str, typer.Argument(metavar="VERB", help="- reads lines of the four between tabs.")],
    tense: Annotated[str, typer.Argument(metavar="TENSE")] = "",
    person: Annotated[str, typer.Argument(metavar="PERSON")] = "",
    answer: Annotated[str, typer.Argument(metavar="ANSWER")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what an answer is, which rule it missed, and what to tell the learner; no database is needed."""
    from subjunctive_admin import cli_content as spanish  # noqa: PLC0415

    if verb == spanish.STDIN:
        _wants_json(as_json)
        raise typer.Exit(0 if spanish.diagnosed_lines(spanish.stdin_lines(), _print) else 1)
    found = spanish.diagnosis_of(verb, tense, person, answer)
    if as_json:
        _print_json(found)
        return
    _print(found["verdict"].replace("_", " "))
    for reading in found["readings"]:
        _print(f"  {reading['error_kind'] or 'right':<12}{reading['rule']}")
        _print(f"  {'':<12}{reading['feedback']['en']}")
        _print(f"  {'':<12}{reading['feedback']['es']}")


def _wants_json(as_json: bool) -> None:
    if not as_json:
        raise UsageError("Lines are answered in JSON, one each.", next_step="add --json")


@content.command("check")
def content_check(
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ID", help="One check only; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the live verbs and exercises; exit code 1 with a finding. Information alone is none."""
    from subjunctive_admin.content.checks import Severity  # noqa: PLC0415
    from subjunctive_admin.content.live import check_live  # noqa: PLC0415

    with _set_up_database("content") as database, database.session() as session:
        found = check_live(session, only)
    if as_json:
        _print_json([one.as_dict() for one in found])
    else:
        for one in found:
            _print(f"{one.severity:<8} {one.check:<24} {one.kind} {one.key}: {one.message}")
        _print(f"{len(found):,} {'finding' if len(found) == 1 else 'findings'}.")
    raise typer.Exit(1 if any(one.severity is not Severity.INFO for one in found) else 0)


@content.command("coverage")
def content_coverage(as_json: AsJson = False) -> None:
    """Count exercises by trigger and tense against what the library should have; exit code 1 when it falls short."""
    from subjunctive_admin.content.coverage import counts, trigger_matrix  # noqa: PLC0415
    from subjunctive_admin.content.live import live_library  # noqa: PLC0415
    from subjunctive_admin.seeding import coverage_targets  # noqa: PLC0415

    with _set_up_database("content") as database, database.session() as session:
        library = live_library(session)
    found = counts(library, coverage_targets())
    short = [count for count in found if not count.is_met]
    if as_json:
        matrix = {trigger: dict(row) for trigger, row in trigger_matrix(library.exercises).items()}
        _print_json({"counts": [count.as_dict() for count in found], "trigger_by_tense": matrix})
    else:
        _print(f"{'':<20}{'present':>10}{'imperfect':>12}{'perfect':>10}{'pluperfect':>12}")
        for trigger, row in trigger_matrix(library.exercises).items():
            present, imperfect, perfect, pluperfect = row.values()
            _print(f"{trigger:<20}{present:>10}{imperfect:>12}{perfect:>10}{pluperfect:>12}")
        for count in short:
            _print(f"{count.what}: {count.found:g}, wanted {count.wanted:g}")
        _print(f"{len(found) - len(short):,} of {len(found):,} targets are met.")
    raise typer.Exit(1 if short else 0)


@content.command("generate")
def content_generate(
    scenario: Annotated[str, typer.Option("--scenario", metavar="SLUG", help="The scenario that they are for.")],
    verb: Annotated[str, typer.Option("--verb", metavar="VERB", help="Of these verbs; commas between several.")] = "",
    trigger: Annotated[str, typer.Option("--trigger", metavar="CLASS", help="With triggers of these classes.")] = "",
    tense: Annotated[str, typer.Option("--tense", metavar="TENSE", help="In these tenses.")] = "",
    person: Annotated[str, typer.Option("--person", metavar="PERSON", help="In these persons.")] = "",
    exercise_type: Annotated[str, typer.Option("--type", metavar="TYPE", help="Of these types.")] = "",
    difficulty: Annotated[str, typer.Option("--difficulty", metavar="LEVEL", help="Of these difficulties.")] = "",
    count: Annotated[int, typer.Option("--count", metavar="N", help="How many, 500 at the most.")] = 10,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Another seed makes others.")] = 1,
    apply: Annotated[bool, typer.Option("--apply", help="Write them as drafts; nothing is published.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make exercises from sentence frames and show them, or write them as drafts; exit code 1 when they are fewer."""
    from subjunctive_admin.content import proposals  # noqa: PLC0415
    from subjunctive_admin.content.proposals_view import proposal_lines  # noqa: PLC0415
    from subjunctive_admin.content.store import account_name  # noqa: PLC0415

    wanted = proposals.read_wanted(
        verb=verb, trigger=trigger, tense=tense, person=person, exercise_type=exercise_type, difficulty=difficulty
    )
    with _set_up_database("content") as database, database.session(write=apply) as session:
        found = proposals.propose(session, scenario, count, seed, wanted)
        if apply:
            found, _ = proposals.write_drafts(session, found, actor=account_name())
    _print_json(found.as_dict()) if as_json else _print("\n".join(proposal_lines(found, applied=apply)))
    raise typer.Exit(1 if found.fewer else 0)


@app.command()
def simulate(
    learners: Learners = 300,
    attempts: Attempts = 60_000,
    seed: Seed = 1,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day, YYYY-MM-DD, up to its end in UTC; without it, now.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write what is true of them, as JSON.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Delete the synthetic learners instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add reproducible synthetic learners (sim_...@example.invalid); never in production."""
    from subjunctive_admin.synthetic import loading as synthetic  # noqa: PLC0415

    narrator = Narrator()
    if remove:
        with _set_up_database("simulate") as database:
            removed = synthetic.remove(database, progress=narrator.counter("Remove"))
        _print_json({"removed": removed}) if as_json else _print(f"{removed:,} synthetic learners removed.")
        return
    plan = synthetic.check_plan(synthetic.plan_until(until, learners, attempts, seed))
    with _set_up_database("simulate") as database:
        loaded = synthetic.ensure(database, plan, progress=narrator.counter("Simulate, answer"))
        if truth:
            synthetic.write_truth(database, loaded.plan, truth)
    _print_json(loaded.as_dict()) if as_json else _print(loaded.sentence)


@summaries.command("refresh")
def summaries_refresh(
    learner: Annotated[str | None, typer.Option("--learner", metavar="NAME", help="One learner only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Derive everything again, not only what is new.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring items, sessions, progress, awards and summaries up to date with the recorded answers."""
    from subjunctive_admin import derived  # noqa: PLC0415
    from subjunctive_admin.users import find_user  # noqa: PLC0415

    with _set_up_database("summaries") as database, database.session(write=True) as session:
        users = None if learner is None else [find_user(session, learner).id]
        written = derived.refresh(
            session.connection(), users, everything=everything, progress=Narrator().counter("Refresh")
        )
    if as_json:
        _print_json(dict(written))
        return
    for table, rows in written.items():
        _print(f"{table:<24}{rows:>10,} {'row' if rows == 1 else 'rows'} written")


def _run_notebooks(
    names: Sequence[str] | None, parameters: dict[str, str], out: Path, as_json: bool, *, fast: bool
) -> NoReturn:
    from subjunctive_admin import reports  # noqa: PLC0415
    from subjunctive_admin.vocabulary import overall  # noqa: PLC0415

    narrator, folder = Narrator(), out.absolute()
    chosen = [reports.find_notebook(name) for name in names] if names else None
    notebooks = chosen or [notebook for notebook in reports.list_notebooks() if notebook.effect == "read"]
    for notebook in notebooks:
        reports.checked_parameters(notebook, parameters)
    runs = []
    with reports.prepared(notebooks) if fast else nullcontext() as nursery:
        settings = _settings()  # while the nursery prepares itself
        for notebook in notebooks:
            with narrator.step(f"{notebook.number} {notebook.title}".strip()) as step:
                run = reports.run_report(
                    notebook,
                    parameters,
                    out=folder,
                    settings=settings,
                    on_cell=narrator.counter(f"{notebook.title}, cell"),
                    within=nursery,
                )
                step.status, step.detail = run.status, run.headline
            runs.append(run)
    index = reports.write_index(folder)
    if as_json:
        _print_json([run.as_dict() for run in runs] if chosen is None else runs[0].as_dict())
    else:
        _print(str(index if chosen is None else folder / runs[0].name / f"{runs[0].name}.html"))
    for run in runs:
        if run.error and run.headline == "The report failed":
            narrator.say(f"{run.name}: {run.error}")
    raise typer.Exit(EXIT_CODE_OF_STATUS[overall([run.status for run in runs])])


@report.command("run")
def report_run(
    name: Annotated[str, typer.Argument(help="A name such as health, or the path of a notebook.")],
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", metavar="KEY=VALUE")] = None,
    out: Out = Path("subjunctive-reports"),
    engine: OnEngine = Engine.STOCK,
    as_json: AsJson = False,
) -> None:
    """Run one notebook and print where its page is; the exit code is the report's status."""
    given = {}
    for pair in parameter or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r} is no parameter.", next_step="write it as -p key=value")
        given[key] = value
    _run_notebooks([name], given, out, as_json, fast=engine is Engine.FAST)


@report.command("all")
def report_all(out: Out = Path("subjunctive-reports"), engine: OnEngine = Engine.FAST, as_json: AsJson = False) -> None:
    """Run every notebook that only reads; the exit code is the worst status."""
    _run_notebooks(None, {}, out, as_json, fast=engine is Engine.FAST)


@report.command("list")
def report_list(as_json: AsJson = False) -> None:
    """List the notebooks with what they do and take."""
    from subjunctive_admin.reports import list_notebooks  # noqa: PLC0415

    notebooks = list_notebooks()
    if as_json:
        _print_json(
            [
                {
                    "name": notebook.name,
                    "title": notebook.title,
                    "audience": notebook.audience,
                    "effect": notebook.effect,
                    "parameters": [
                        {"name": p.name, "type": p.type, "default": p.default, "help": p.help}
                        for p in notebook.parameters
                    ],
                }
                for notebook in notebooks
            ]
        )
        return
    for notebook in notebooks:
        takes = ", ".join(parameter.name for parameter in notebook.parameters)
        _print(f"{notebook.name:<20} {notebook.effect:<6} {notebook.title:<24} {takes}")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with the code that the contract names."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Wherever it stands: who reads "run it again with --debug" adds it at the end.
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    if not debug and logging.lastResort:  # the handler that brings a library's log lines to stderr
        logging.lastResort.addFilter(_tells_more)
    signal.signal(signal.SIGTERM, _raise_terminated)
    sys.exit(_run(given, debug))


def _tells_more(record: logging.LogRecord) -> bool:
    """Whether a library's log line adds to the error that is on its way; a cancellation that failed does."""
    cause = record.exc_info[1] if record.exc_info else None
    return not (isinstance(cause, KeyboardInterrupt | SystemExit) or str(record.msg).startswith("error ignored "))


def _raise_terminated(_number: int, _frame: object) -> NoReturn:
    raise _Terminated


def _run(arguments: list[str], debug: bool) -> int:
    try:
        code = app(arguments, prog_name="subjunctive-admin", standalone_mode=False)
        with _to_reader():
            sys.stdout.flush()
    except SubjunctiveError as error:
        return _interrupted(error) or _say_error(error, debug)
    except CommandLineError as error:
        where = error.ctx.command_path if error.ctx else "subjunctive-admin"
        message = error.format_message()
        # Without a command the message is the help itself, which already is the next step.
        Narrator().say(message if message.startswith("Usage:") else f"{message} Next: {where} --help")
        return USAGE
    except (KeyboardInterrupt, typer.Abort):  # Ctrl-C outside a command, Ctrl-D at a prompt
        Narrator().say("Interrupted.")
        return INTERRUPTED
    except _Terminated as error:
        return _interrupted(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        if code := _interrupted(error):
            return code
        if debug:
            traceback.print_exc()
        Narrator().say(f"Unexpected error: {type(error).__name__}: {error} Next: run it again with --debug")
        return UNEXPECTED
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code and says nothing
        Narrator().say("Interrupted.")
    return code if isinstance(code, int) else 0


def _interrupted(error: BaseException) -> int:
    """The exit code of the interruption that the error is, or arose from while cleaning up; 0 for other errors."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, _Terminated):
            Narrator().say("Ended by SIGTERM.")
            return TERMINATED
        if isinstance(behind, KeyboardInterrupt):
            Narrator().say("Interrupted.")
            return INTERRUPTED
        behind = behind.__context__
    return 0


def _say_error(error: SubjunctiveError, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    narrator = Narrator()
    narrator.say(error.message)
    if error.next_step:
        narrator.say(f"Next: {error.next_step}")
    return error.exit_code
