"""The whole system in one go: server, schema, content, every reading notebook, one folder to open."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from subjunctive_admin import reports, schema, seeding
from subjunctive_admin.db import Database, open_database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.errors import Conflict, SettingsError
from subjunctive_admin.models import TWELVE_TABLES, Base
from subjunctive_admin.narration import Narrator
from subjunctive_admin.settings import Settings
from subjunctive_admin.synthetic.loading import ensure
from subjunctive_admin.synthetic.population import Plan
from subjunctive_admin.vocabulary import EXIT_CODE_OF_STATUS, ItemKind, Status

if TYPE_CHECKING:
    from subjunctive_admin.nursery import Nursery


@dataclass(frozen=True)
class DemoOutcome:
    """Where the demo left everything, and how its reports ended."""

    index: Path
    runs: tuple[reports.ReportRun, ...]

    @property
    def failed(self) -> tuple[reports.ReportRun, ...]:
        """The reports that could not be made, whatever the others found."""
        return tuple(run for run in self.runs if run.error is not None)


def run_demo(settings: Settings, out: Path, narrator: Narrator, plan: Plan | None = None) -> DemoOutcome:
    """Start, migrate, seed, simulate the plan's learners, report; without a plan, nobody is simulated.

    Safe to repeat: what is there is kept, and no row changes.
    Raises what its steps raise; a second demo at the same time waits for the first.
    """
    started = time.monotonic()
    _refuse_unwritable(settings.home)
    lock = FileLock(settings.home / "demo.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        narrator.say("  Another demo is running on this computer; waiting for it.")
        lock.acquire()
    try:
        # The nursery imports what notebooks need while the server starts and the learners are made.
        with reports.prepared(_reading()) as nursery:
            database = _prepare(settings, narrator, plan)
            runs = _report(database, settings, out, narrator, nursery)
    finally:
        lock.release()
    narrator.total(time.monotonic() - started)
    return DemoOutcome(out / "index.html", tuple(runs))


def _refuse_unwritable(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / "demo.lock").touch()
    except OSError as error:
        raise SettingsError(
            f"The data folder {home} cannot be written: {error.strerror}.",
            next_step="set SUBJUNCTIVE_HOME to a folder you own",
        ) from error


def _prepare(settings: Settings, narrator: Narrator, plan: Plan | None) -> Database:
    with narrator.step("Start the embedded PostgreSQL") as step:
        database = open_database(settings, purpose="demo")
        version = EmbeddedServer(settings.home, major=settings.embedded_major).status().version
        step.detail = f"version {version}"
    with narrator.step("Migrate to the newest schema") as step:
        schema.setup(database, narrate=narrator.progress)
        step.detail = f"{len(TWELVE_TABLES)} tables, and {len(Base.metadata.tables) - len(TWELVE_TABLES)} behind them"
    with narrator.step("Seed") as step:
        items = seeding.read_seeds()
        with database.session(write=True) as session:
            report = seeding.seed(session, items, progress=narrator.counter("Seed"))
        count = {kind: sum(item.content.kind is kind for item in items) for kind in ItemKind}
        kept = len(report.of(seeding.Outcome.KEPT))
        step.detail = f"{count[ItemKind.VERB]} verbs, {count[ItemKind.EXERCISE]} exercises"
        if kept:
            step.status, step.detail = Status.INFO, f"{step.detail}, {kept} kept as edited"
        if report.faults:
            step.status, step.detail = Status.WARNING, f"{step.detail}, {len(report.faults)} with a fault"
    if plan is not None:
        _simulate(database, plan, narrator)
    return database


def _simulate(database: Database, plan: Plan, narrator: Narrator) -> None:
    with narrator.step("Simulate learners") as step:
        try:
            loaded = ensure(database, plan, progress=narrator.counter("Simulate, answer"))
        except Conflict:
            # Somebody's own simulation: it is as good to look at, and theirs to remove.
            step.status, step.detail = Status.INFO, "others are there, and kept"
        else:
            step.detail = f"{loaded.plan.learners:,} learners, {loaded.plan.attempts:,} answers"


def _reading() -> list[reports.Notebook]:
    return [notebook for notebook in reports.list_notebooks() if notebook.effect == "read"]


def _report(
    database: Database, settings: Settings, out: Path, narrator: Narrator, nursery: Nursery | None
) -> list[reports.ReportRun]:
    reading = _reading()
    narrator.say(f"     Run {len(reading)} reports")
    runs = []
    for notebook in reading:
        label = f"{notebook.number} {notebook.title}"
        with narrator.step(label, indent=5) as step:
            run = reports.run_report(
                notebook, out=out, settings=settings, on_cell=narrator.counter(label), within=nursery
            )
            step.status, step.detail = run.status, "ok" if run.status is Status.OK else run.headline
        runs.append(run)
    with database.connection() as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar_one().split()[0]
    reports.write_index(out, about=[("Database", f"PostgreSQL {version}, embedded")])
    database.dispose()
    return runs


def closing_lines(outcome: DemoOutcome, settings: Settings) -> list[str]:
    """What the demo says at its end: the count, where everything is, how to stop and delete it."""
    needing = [run for run in outcome.runs if EXIT_CODE_OF_STATUS[run.status]]
    found = f"{len(needing)} with a finding" if needing else "nothing needs you"
    index = outcome.index
    shown = index.relative_to(Path.cwd()) if index.is_relative_to(Path.cwd()) else index
    # Under `uv run` the commands are on nobody's PATH but ours.
    run = "python -m uv run " if "UV_RUN_RECURSION_DEPTH" in os.environ else ""
    return [
        f"  {len(outcome.runs)} reports: {found}.",
        "",
        f"  Read the reports    {shown}",
        f"  Open the notebooks  {run}subjunctive-admin lab",
        f"  Ask again           {run}subjunctive-admin health",
        f"  Stop the server     {run}subjunctive-admin db stop",
        f"  Delete everything   stop it, then remove {settings.home}",
        "",
        "  Run the demo again at any time: what is already there is kept.",
    ]
