"""What the first notebooks say: what the database holds, what a setup or a seeding would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select, text

from subjunctive_admin import schema, seeding
from subjunctive_admin.content.checks import Finding as ContentFinding
from subjunctive_admin.db import Database
from subjunctive_admin.look import (
    PALETTE,
    TENSE_COLOURS,
    Chart,
    Column,
    Finding,
    Findings,
    Header,
    KeyFigures,
    Note,
    Table,
)
from subjunctive_admin.models import TWELVE_TABLES, Exercise
from subjunctive_admin.reports import list_notebooks
from subjunctive_admin.vocabulary import ContentStatus, Status, Tense, overall

_HOLDS = {
    "users": "accounts of learners, editors and administrators",
    "spanish_verbs": "verbs with every form of the subjunctive",
    "scenarios": "situations to practise in",
    "exercises": "questions, each in one scenario",
    "practice_items": "each learner's schedule, by verb, tense and person",
    "user_progress": "how far each learner is with each scenario",
    "study_sessions": "sittings",
    "practice_attempts": "answers, with what was asked",
    "achievements": "awards and what earns them",
    "user_achievements": "progress towards awards",
    "user_progress_summary": "each learner's totals",
    "system_configuration": "settings of the application",
}


@dataclass(frozen=True)
class Overview:
    """The database at one moment; `rows` is table → number of rows, empty before the first setup."""

    server: str
    database: str
    environment: str | None
    revision: str | None
    head: str
    rows: dict[str, int]
    exercises_by_tense: dict[Tense, int]
    findings: Sequence[Finding] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """The worst finding."""
        return overall([finding.status for finding in self.findings])

    @property
    def headline(self) -> str:
        """The finding that comes first, or what there is."""
        if self.findings:
            return self.findings[0].title.rstrip(".")
        return f"Ready: {self.rows['spanish_verbs']} verbs and {self.rows['exercises']} exercises are live"

    @property
    def detail(self) -> str:
        """One line for the index of reports."""
        if not self.rows:
            return "no tables yet"
        return f"{self.rows['users']} users, {self.rows['practice_attempts']} answers"


def read_overview(database: Database) -> Overview:
    """Read it all in one transaction; a database that was never set up is a finding, not an error."""
    with database.connection() as connection:
        state = schema.read_state(connection)
        ready = state.current is not None
        rows = _count_rows(connection) if ready else {}
        return Overview(
            server=connection.exec_driver_sql("SHOW server_version").scalar_one().split()[0],
            database=str(database.url.database),
            environment=state.environment,
            revision=state.current,
            head=state.head,
            rows=rows,
            exercises_by_tense=_exercises_by_tense(connection) if ready else {},
            findings=_findings(state, rows),
        )


def _count_rows(connection: Connection) -> dict[str, int]:
    # The names are ours, from a constant: no text of a user's gets into the statement.
    counts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM public.{name}" for name in TWELVE_TABLES)  # noqa: S608
    return dict(connection.execute(text(counts)).all())


def _exercises_by_tense(connection: Connection) -> dict[Tense, int]:
    statement = (
        select(Exercise.tense, func.count())
        .where(Exercise.status == ContentStatus.PUBLISHED)
        .group_by(Exercise.tense)
        .order_by(Exercise.tense)
    )
    return dict(connection.execute(statement).all())


def _findings(state: schema.SchemaState, rows: dict[str, int]) -> list[Finding]:
    if state.current is None:
        return [
            Finding(
                Status.CRITICAL,
                "The database was never set up.",
                "It has none of the twelve tables.",
                "`subjunctive-admin setup`",
                id="setup",
            )
        ]
    found = []
    if not state.is_current:
        found.append(
            Finding(
                Status.CRITICAL,
                f"The schema is at revision {state.current}; this version needs {state.head}.",
                "Notebooks that need newer columns will fail.",
                "`subjunctive-admin migrate`",
                id="revision",
            )
        )
    if not rows["spanish_verbs"]:
        found.append(
            Finding(
                Status.WARNING,
                "There is no content yet.",
                "Learners would find neither verbs nor exercises.",
                "`subjunctive-admin seed`",
                id="content",
            )
        )
    return found


def overview_view(state: Overview) -> list[Any]:
    """The overview as things to display, in order."""
    facts = [("Server", f"PostgreSQL {state.server}"), ("Database", state.database)]
    facts += [("Environment", state.environment or "not recorded"), ("Revision", state.revision or "none")]
    summary = "Everything the other notebooks need is in place." if not state.findings else "One thing comes first."
    shown: list[Any] = [Header(state.headline, summary, facts, "Start here")]
    if state.findings:
        shown.append(Findings("What needs you", "Each finding names one next step.", state.findings))
    if not state.rows:
        return shown
    rows = state.rows
    shown.append(
        KeyFigures(
            [
                ("Verbs", rows["spanish_verbs"], "with all forms of the subjunctive"),
                ("Exercises", rows["exercises"], f"in {rows['scenarios']} scenarios"),
                ("Learners", rows["users"], "accounts of every kind"),
                ("Answers", rows["practice_attempts"], f"in {rows['study_sessions']} sessions"),
            ]
        )
    )
    if state.exercises_by_tense:
        shown.append(_tense_chart(state.exercises_by_tense))
    table_rows = [(name, rows[name], _HOLDS[name]) for name in TWELVE_TABLES]
    columns = [Column("Table", code=True), Column("Rows", align="right"), Column("Holds", muted=True)]
    shown.append(Table(columns, table_rows, "Rows counted in one transaction."))
    return shown


def _tense_chart(counts: dict[Tense, int]) -> Chart:
    import pandas as pd  # noqa: PLC0415 - half a second that only a chart needs
    import plotly.graph_objects as go  # noqa: PLC0415

    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    names = [tense.replace("_", " ") for tense, _ in ordered]
    numbers, total = [number for _, number in ordered], sum(counts.values())
    colours = [TENSE_COLOURS.get(tense, PALETTE["edge"]) for tense, _ in ordered]
    bars = go.Bar(x=numbers, y=names, orientation="h", marker_color=colours, text=numbers, textposition="outside")
    return Chart(
        go.Figure(bars, {"height": 60 + 32 * len(names), "xaxis": {"title": {"text": "published exercises"}}}),
        title=f"Most exercises ask for the {names[0]}: {numbers[0]} of {total}",
        subtitle="Published exercises by the tense of the answer; an indicative answer contrasts with the subjunctive.",
        note=f"n = {total} published exercises, counted when this page was made.",
        frame=pd.DataFrame({"Tense": names, "Exercises": numbers}),
    )


def guide() -> Table:
    """The notebooks of the suite, who reads them and whether they write."""
    rows = [
        (n.name, n.title, n.audience, "writes when told to" if n.effect == "write" else "reads")
        for n in list_notebooks()
    ]
    return Table([Column("Notebook", code=True), "Title", "For", Column("Effect", muted=True)], rows)


@dataclass(frozen=True)
class Outcome:
    """What a writing notebook did, or would do."""

    headline: str
    findings: Sequence[Finding] = ()
    facts: Sequence[tuple[str, str]] = ()
    report: seeding.SeedReport | None = None

    @property
    def status(self) -> Status:
        """The worst finding."""
        return overall([finding.status for finding in self.findings])


def set_up(database: Database, *, environment: str | None, apply: bool) -> Outcome:
    """Migrate and record the environment, or say what that would do; raises what `schema.setup` raises."""
    with database.connection() as connection:
        before = schema.read_state(connection)
    if apply:
        after = schema.setup(database, environment)
        changed = before != after
        headline = f"The database is at revision {after.current}" if changed else "Nothing was left to do"
        return Outcome(headline, facts=_state_facts(before, after))
    due = _due(before, environment)
    if not due:
        return Outcome("Nothing is left to do", facts=_state_facts(before, before))
    finding = Finding(
        Status.INFO,
        f"{' and '.join(due).capitalize()}.",
        "Nothing was changed.",
        "run it with `apply=true`",
        id="apply",
    )
    return Outcome(f"A setup would {' and '.join(due)}", [finding], _state_facts(before, before))


def _due(state: schema.SchemaState, environment: str | None) -> list[str]:
    due = []
    if not state.is_current:
        due.append(f"migrate from {state.current or 'an empty database'} to {state.head}")
    if state.environment is None or environment not in (None, state.environment):
        due.append(f"record the environment {environment}" if environment else "record the environment")
    return due


def _state_facts(before: schema.SchemaState, after: schema.SchemaState) -> list[tuple[str, str]]:
    return [
        ("Revision before", before.current or "none"),
        ("Revision now", after.current or "none"),
        ("Newest", after.head),
        ("Environment", after.environment or "not recorded"),
    ]


def setup_view(outcome: Outcome) -> list[Any]:
    """A setup's outcome as things to display."""
    summary = "The schema is made by migrations alone; running them again changes nothing."
    shown: list[Any] = [Header(outcome.headline, summary, outcome.facts, "Set up the database")]
    return [*shown, Findings("What comes next", "", outcome.findings)] if outcome.findings else shown


def seed_content(database: Database, *, take: Sequence[str], apply: bool) -> Outcome:
    """Seed, or compare only; raises `NotSetUp`, `InvalidContent`, `NotFound`."""
    with database.connection() as connection:
        schema.require_current(connection)
    items = seeding.read_seeds()
    with database.session(write=apply) as session:
        report = seeding.seed(session, items, take=take, dry_run=not apply)
    kept, due = report.of(seeding.Outcome.KEPT), _waiting(report)
    findings = []
    if kept:
        first = kept[0].name
        findings.append(
            Finding(
                Status.WARNING,
                f"{len(kept)} item{'s differ' if len(kept) > 1 else ' differs'} from the seeds because of an editor.",
                f"The live state was kept: {', '.join(change.name for change in kept[:5])}.",
                f"`subjunctive-admin seed --take {first}` overwrites one with the seed",
                str(len(kept)),
                "warning at 1",
                "kept",
            )
        )
    if faults := report.faults:
        findings.append(_faulty(faults))
    if due and not apply:
        findings.append(
            Finding(
                Status.INFO,
                f"{due} items would be written.",
                "Nothing was changed.",
                "run it with `apply=true`",
                id="apply",
            )
        )
    facts = [(outcome.capitalize(), str(count)) for outcome, count in report.counts.items()]
    return Outcome(report.sentence, findings, facts, report)


def _faulty(faults: Sequence[ContentFinding]) -> Finding:
    first = "; ".join(f"{one.kind} {one.key}: {one.message.rstrip('.')}" for one in faults[:3])
    more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
    number = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return Finding(
        Status.WARNING,
        f"The content checks find {number} in what the seeds say.",
        f"{first}{more}.",
        "`subjunctive-admin content check`",
        str(len(faults)),
        "warning at 1",
        "content",
    )


def _waiting(report: seeding.SeedReport) -> int:
    return sum(len(report.of(o)) for o in (seeding.Outcome.ADDED, seeding.Outcome.UPDATED, seeding.Outcome.TAKEN))


def seed_view(outcome: Outcome) -> list[Any]:
    """A seeding's outcome as things to display, with the fields that differ."""
    shown: list[Any] = [
        Header(
            outcome.headline,
            "Files, live content and what seeding wrote last are compared.",
            outcome.facts,
            "Seed the content",
        )
    ]
    if outcome.findings:
        shown.append(Findings("What needs you", "", outcome.findings))
    assert outcome.report is not None
    rows = [
        (change.name, change.outcome.value, ", ".join(path for path, _, _ in change.differences[:4]) or None)
        for change in outcome.report.changes
        if change.outcome is not seeding.Outcome.UNCHANGED
    ]
    if rows:
        shown.append(Table([Column("Item", code=True), "Outcome", Column("Fields that differ", muted=True)], rows))
    else:
        shown.append(Note("Every item is live exactly as its file says."))
    return shown
