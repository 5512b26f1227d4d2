"""Is there a backup, of when, of what size, on what disk, and was one ever brought back.

The files answer, not the database: their manifests are the truth, whatever was restored meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps

from sqlalchemy import text

from subjunctive_admin import schema
from subjunctive_admin.ops.backup.limits import (
    AGE_CRITICAL,
    AGE_WARNING,
    DUMPS_OF_ROOM,
    SIZE_CHANGE,
    VERIFIED_CRITICAL,
    VERIFIED_WARNING,
)
from subjunctive_admin.ops.backup.manifest import Manifest, backup_folder, read_folder
from subjunctive_admin.ops.health.grading import disk_use, graded, lasting, percent, sized, skipped
from subjunctive_admin.ops.health.registry import STORAGE, Limits, Outcome, Probe, check
from subjunctive_admin.vocabulary import Status

_CREATE, _VERIFY = "subjunctive-admin backup create", "subjunctive-admin backup verify"


def _judged(look: Callable[[Probe, list[Manifest]], Outcome]) -> Callable[[Probe], Outcome]:
    """Give a look the backups of this database, newest first; without any, say what that means here."""

    @wraps(look)
    def judged(probe: Probe) -> Outcome:
        found = probe.once("backups", lambda: _backups(probe))
        if found:
            return look(probe, found)
        if probe.once("environment", lambda: _environment(probe)) == schema.PRODUCTION:
            return Outcome(Status.CRITICAL, "none", "This database of production has no backup.", _CREATE)
        return skipped("There is no backup yet, and this is no database of production.")

    return judged


def _backups(probe: Probe) -> list[Manifest]:
    manifests, _ = read_folder(backup_folder(probe.settings))
    return [one for one in manifests if one.database == probe.database.url.database]


def _environment(probe: Probe) -> str | None:
    there = probe.connection.scalar(text("SELECT to_regclass('ops.instance') IS NOT NULL"))
    return probe.connection.scalar(text("SELECT environment FROM ops.instance")) if there else None


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()


@check(
    "backup-age",
    title="Newest backup",
    group=STORAGE,
    remedy=_CREATE,
    needs="SELECT on ops.instance",
    limits=lambda _: Limits(lasting(AGE_WARNING), lasting(AGE_CRITICAL)),
)
@_judged
def backup_age(_probe: Probe, backups: list[Manifest]) -> Outcome:
    """A complete backup was made in the last day."""
    seconds = _seconds_since(backups[0].created_at)
    said = f"The newest backup is {lasting(seconds)} old."
    return Outcome(graded(seconds, AGE_WARNING, AGE_CRITICAL), lasting(seconds), said, facts={"seconds": seconds})


@check(
    "backup-size",
    title="Size against the one before",
    group=STORAGE,
    remedy="compare the rows of both: subjunctive-admin backup list",
    severity=Status.WARNING,
    needs="SELECT on ops.instance",
    limits=lambda _: Limits(percent(SIZE_CHANGE)),
)
@_judged
def backup_size(_probe: Probe, backups: list[Manifest]) -> Outcome:
    """The newest backup is about as large as the one before it."""
    newest = backups[0].bytes
    if len(backups) < 2:
        return Outcome(
            Status.SKIPPED, None, "There is one backup, and none to compare it with.", facts={"bytes": newest}
        )
    change = newest / max(backups[1].bytes, 1) - 1
    status = Status.WARNING if abs(change) > SIZE_CHANGE else Status.OK
    said = f"The newest backup has {sized(newest)}, the one before it {sized(backups[1].bytes)}."
    return Outcome(status, f"{100 * change:+.1f}\u202f%", said, facts={"bytes": newest})


@check(
    "backup-verified",
    title="Last verified restore",
    group=STORAGE,
    remedy=_VERIFY,
    needs="SELECT on ops.instance",
    limits=lambda _: Limits(lasting(VERIFIED_WARNING), lasting(VERIFIED_CRITICAL)),
)
@_judged
def backup_verified(_probe: Probe, backups: list[Manifest]) -> Outcome:
    """A backup was restored and compared in the last week; one that never was counts from the oldest backup on."""
    proofs = [one.verified_at for one in backups if one.verified_at]
    since = max(proofs, default=backups[-1].created_at)
    seconds = _seconds_since(since)
    said = f"No backup has been restored for {lasting(seconds)}." if proofs else "No backup was ever restored."
    status = graded(seconds, VERIFIED_WARNING, VERIFIED_CRITICAL)
    if status is Status.OK:
        said = f"A backup was restored and compared {lasting(seconds)} ago." if proofs else f"{said} The first is new."
    observed = lasting(seconds) if proofs else "never"
    return Outcome(status, observed, said, facts={"seconds": seconds})


@check(
    "disk-backup",
    title="Backup disk used",
    group=STORAGE,
    remedy="subjunctive-admin backup prune",
    needs="SELECT on ops.instance",
    limits=lambda s: Limits(
        f"{percent(s.disk_warning)} or room for {DUMPS_OF_ROOM:g}", f"{percent(s.disk_critical)} or room for 1"
    ),
)
@_judged
def disk_backup(probe: Probe, backups: list[Manifest]) -> Outcome:
    """The disk of the backups has room for the next ones."""
    share, free = disk_use(backup_folder(probe.settings))
    room = free / max(backups[0].bytes, 1)
    full = graded(share, probe.settings.disk_warning, probe.settings.disk_critical)
    short = Status.CRITICAL if room < 1 else Status.WARNING if room < DUMPS_OF_ROOM else Status.OK
    status = min(full, short, key=(Status.CRITICAL, Status.WARNING, Status.OK).index)
    said = f"The backup disk is {percent(share)} full and has {sized(free)} left."
    return Outcome(status, percent(share), said, facts={"used": share, "free": free})
