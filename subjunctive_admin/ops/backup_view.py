"""Backups as a page: is one proved, how old are they, what does retention keep, and how one is brought back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from subjunctive_admin.db import Database
from subjunctive_admin.look import (
    PALETTE,
    Cell,
    Chart,
    Column,
    Finding,
    Findings,
    Header,
    KeyFigures,
    Note,
    Section,
    Table,
)
from subjunctive_admin.look.fragments import Row
from subjunctive_admin.look.markup import moment, number
from subjunctive_admin.ops.backup.manifest import Manifest, Unusable, backup_folder, read_folder
from subjunctive_admin.ops.backup.retention import Kept, choose
from subjunctive_admin.ops.health import CheckResult, run_health
from subjunctive_admin.ops.health.grading import disk_use, lasting, percent, plural, sized
from subjunctive_admin.vocabulary import Status, overall

CHECKS = ("backup-age", "backup-size", "backup-verified", "disk-backup")
"""What health asks of backups; the page finds what health finds."""
_NOTES = """\
A backup is a dump and its manifest: the rows and a content hash of every table, the migration, the hash of the \
dump. A dump without a manifest was never completed and counts for nothing.

Proved means that it was restored into a throwaway server and that every table had the same rows and values there. \
The proof is written into the manifest, so that restoring the database forgets nothing.

Retention keeps the last ones and one a day, a week and a month, and never lets the newest proved one go."""


@dataclass(frozen=True)
class Shelf:
    """The backups of one database, newest first, with what retention says of them and what health finds."""

    folder: Path
    database: str
    manifests: tuple[Manifest, ...]
    others: int
    """Backups of other databases in the same folder."""
    unusable: tuple[Unusable, ...]
    kept: tuple[Kept, ...]
    checks: tuple[CheckResult, ...]
    taken_at: datetime

    @property
    def status(self) -> Status:
        """The most urgent of what health finds."""
        return overall([one.status for one in self.checks])

    @property
    def proved_at(self) -> datetime | None:
        """When a backup was last restored and compared."""
        return max((one.verified_at for one in self.manifests if one.verified_at), default=None)

    @property
    def headline(self) -> str:
        """What is most urgent, else how old the newest is and whether one is proved."""
        found = [
            one
            for status in (Status.CRITICAL, Status.UNKNOWN, Status.WARNING)
            for one in self.checks
            if one.status is status
        ]
        if found:
            return found[0].sentences[0]
        if not self.manifests:
            return "There is no backup yet"
        age = f"The newest backup is {self.ago(self.manifests[0].created_at)} old"
        return (
            f"{age}, and a backup was proved {self.ago(self.proved_at)} ago"
            if self.proved_at
            else f"{age}; none is proved yet"
        )

    def ago(self, at: datetime) -> str:
        """How long before the page was made."""
        return lasting((self.taken_at - at).total_seconds())


def read_shelf(database: Database) -> Shelf:
    """Read the folder, and ask health about it."""
    folder, name = backup_folder(database.settings), str(database.url.database)
    every, unusable = read_folder(folder)
    ours = tuple(one for one in every if one.database == name)
    kept, _ = choose(every, database.settings)
    checks = run_health(database, only=CHECKS).checks
    return Shelf(folder, name, ours, len(every) - len(ours), tuple(unusable), tuple(kept), checks, datetime.now(UTC))


def backup_view(shelf: Shelf) -> list[Any]:
    """The fragments of the page, in reading order."""
    findings = backup_findings(shelf)
    return [
        _header(shelf),
        _figures(shelf),
        *([Findings("What needs you", "The same that health finds.", findings)] if findings else []),
        *([_chart(shelf.manifests)] if len(shelf.manifests) > 1 else []),
        *(
            [Section("Every backup", "The newest first, with what retention keeps it for."), _table(shelf)]
            if shelf.manifests
            else []
        ),
        *(
            [Section("No backups", "What lies in the folder and cannot be restored."), _broken(shelf)]
            if shelf.unusable
            else []
        ),
        *_commands(shelf),
        Note(_NOTES),
    ]


def backup_findings(shelf: Shelf) -> list[Finding]:
    """What health finds of the backups, most urgent first, and what is damaged."""
    order = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING)
    found = sorted((one for one in shelf.checks if one.status in order), key=lambda one: order.index(one.status))
    return [
        Finding(
            one.status,
            one.message,
            next_step=f"`{one.remedy}`",
            observed="?" if one.observed is None else str(one.observed),
            limit=f"{one.status.value} at {limit}" if (limit := one.threshold.get(one.status.value)) else "",
            id=one.id,
        )
        for one in found
    ]


def _header(shelf: Shelf) -> Header:
    facts = [("Database", f"`{shelf.database}`"), ("Folder", f"`{shelf.folder}`")]
    if shelf.others:
        facts.append(("Of other databases", number(shelf.others)))
    summary = (
        "A backup counts once it was restored."
        if shelf.manifests
        else "`subjunctive-admin backup create` makes the first one."
    )
    return Header(shelf.headline, summary, facts)


def _figures(shelf: Shelf) -> KeyFigures:
    newest = shelf.manifests[0] if shelf.manifests else None
    proved = next((one for one in shelf.manifests if one.verified), None)
    whole = sum(one.bytes for one in shelf.manifests)
    figures: list[tuple[str, object, str]] = [
        ("Backups", len(shelf.manifests), f"{sized(whole)} in all" if whole else "none yet"),
        (
            "Newest",
            f"{shelf.ago(newest.created_at)} ago" if newest else "–",
            _said_of(newest) if newest else "no backup",
        ),
        (
            "Last proved",
            f"{shelf.ago(shelf.proved_at)} ago" if shelf.proved_at else "never",
            f"by restoring {_when(proved)}" if proved else "no backup was restored yet",
        ),
    ]
    if shelf.folder.is_dir():
        share, free = disk_use(shelf.folder)
        figures.append(("Disk", percent(share), f"in use, {sized(free)} left"))
    return KeyFigures(figures)


def _said_of(one: Manifest) -> str:
    return f"{number(one.contents.rows)} rows in {sized(one.bytes)}, took {one.seconds:.1f} s"


def _when(one: Manifest) -> str:
    return f"that of {moment(one.created_at)}"


def _chart(manifests: Sequence[Manifest]) -> Chart:
    """The size of each backup over time; proved ones are filled."""
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    shown = sorted(manifests, key=lambda one: one.created_at)
    times, sizes = [one.created_at.isoformat() for one in shown], [one.bytes / 1e6 for one in shown]
    symbols = ["circle" if one.verified else "circle-open" for one in shown]
    figure = go.Figure(
        go.Scatter(
            x=times, y=sizes, mode="lines+markers", line={"color": PALETTE["c1"], "width": 2},
            marker={"symbol": symbols, "size": 10, "color": PALETTE["c1"]},
            hovertemplate="%{x}: %{y:.2f} MB<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(height=260, yaxis={"rangemode": "tozero", "ticksuffix": "\u202fMB"})
    if shown[-1].created_at - shown[0].created_at < timedelta(days=2):
        figure.update_xaxes(tickformat="%-d %b<br>%H:%M", nticks=8)
    proved = sum(bool(one.verified) for one in shown)
    return Chart(
        figure,
        title=f"The newest backup has {sized(shown[-1].bytes)}, the first here {sized(shown[0].bytes)}",
        subtitle="Megabytes of each backup by when it was made. Filled: proved by restoring. Times in UTC.",
        note=f"n = {plural(len(shown), 'backup')}, {proved} proved.",
        frame=Table(
            ["Made", Column("Size, MB", decimals=2), "Proved"],
            [
                [moment(one.created_at), size, "yes" if one.verified else "no"]
                for one, size in zip(shown, sizes, strict=True)
            ],
        ),
    )


def _table(shelf: Shelf) -> Table:
    reasons = {one.manifest.name: ", ".join(one.reasons) for one in shelf.kept}
    columns: list[Column | str] = [
        "Backup", Column("Age", align="right"), Column("Size", align="right"), Column("Rows"), "From", "Proved", "Kept as",
    ]  # fmt: skip
    rows: list[Row] = [
        [
            Cell(f"`{one.name}`", _after(one)),
            shelf.ago(one.created_at),
            sized(one.bytes),
            one.contents.rows,
            Cell(f"PostgreSQL {one.server_version}", f"migration {one.contents.revision}"),
            f"{shelf.ago(one.verified_at)} ago" if one.verified_at else "never",
            reasons.get(one.name, "goes with the next prune"),
        ]
        for one in shelf.manifests
    ]
    return Table(columns, rows)


def _after(one: Manifest) -> str:
    if not one.after:
        return ""
    return f"handed on by {one.after['command']}" if one.after["succeeded"] else f"not handed on: {one.after['said']}"


def _broken(shelf: Shelf) -> Table:
    return Table(
        [Column("Name", code=True), "Why", Column("Size", align="right")],
        [[one.name, one.reason, sized(one.bytes)] for one in shelf.unusable],
    )


def _commands(shelf: Shelf) -> list[Any]:
    name = shelf.manifests[0].name if shelf.manifests else "NAME"
    copy = f"{shelf.database}_restored"
    rows: list[Row] = [
        ["subjunctive-admin backup create", "makes one now"],
        [f"subjunctive-admin backup verify {name}", "proves it in a throwaway server, which is gone afterwards"],
        [f"subjunctive-admin backup restore {name} --to {copy}", "brings it back beside the live database"],
        [
            f"subjunctive-admin backup restore {name} --to {copy} --swap --yes {shelf.database}",
            "and puts it in its place; the live one is kept under another name",
        ],
        ["subjunctive-admin backup prune", "says what retention would delete; --apply deletes it"],
    ]
    return [
        Section("Bring it back", "Each says what it did; nothing replaces a database whose name was not typed."),
        Table([Column("Command", code=True), "What it does"], rows),
    ]
