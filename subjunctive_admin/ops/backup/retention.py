"""Which backups are kept: the last ones, one a day, a week, a month; and never the newest proved one is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from subjunctive_admin.ops.backup import manifest as files
from subjunctive_admin.ops.backup.manifest import Manifest, Unusable, backup_folder
from subjunctive_admin.settings import Settings


@dataclass(frozen=True)
class Kept:
    """A backup that stays, and the rules that keep it."""

    manifest: Manifest
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Pruning:
    """What stays, what goes, and what was never completed and goes too; `applied` says whether it is gone. Sizes in bytes."""

    kept: tuple[Kept, ...]
    dropped: tuple[Manifest, ...]
    unusable: tuple[Unusable, ...]
    applied: bool = False

    @property
    def bytes(self) -> int:
        """What is or would be freed."""
        return sum(one.bytes for one in self.dropped) + sum(one.bytes for one in self.unusable)


def choose(manifests: Sequence[Manifest], settings: Settings) -> tuple[list[Kept], list[Manifest]]:
    """Part the backups, newest first, by the settings' rules. Ages are those of the names, in UTC, never a file's."""
    reasons: dict[str, list[str]] = {one.name: [] for one in manifests}
    for one in manifests[: settings.backup_keep_last]:
        reasons[one.name].append("last")
    rules: tuple[tuple[str, int, Callable[[date], object]], ...] = (
        ("daily", settings.backup_keep_daily, lambda day: day),
        ("weekly", settings.backup_keep_weekly, lambda day: day.isocalendar()[:2]),
        ("monthly", settings.backup_keep_monthly, lambda day: (day.year, day.month)),
    )
    for rule, number, period in rules:
        newest: dict[object, Manifest] = {}
        for one in manifests:
            newest.setdefault(period(one.created_at.date()), one)
        for one in list(newest.values())[:number]:
            reasons[one.name].append(rule)
    proved = next((one for one in manifests if one.verified), None)
    if proved:
        reasons[proved.name].append("newest verified")
    kept = [Kept(one, tuple(reasons[one.name])) for one in manifests if reasons[one.name]]
    return kept, [one for one in manifests if not reasons[one.name]]


def prune(settings: Settings, *, apply: bool = False) -> Pruning:
    """What the rules leave; with `apply`, the rest is deleted, manifest first. Only files of a backup's name count."""
    folder = backup_folder(settings)
    if not folder.is_dir():
        return Pruning((), (), (), apply)
    with files.locked(folder):
        manifests, every = files.read_folder(folder)
        # What has a manifest was whole once, and perhaps only the manifest is damaged: a person decides.
        unusable = [one for one in every if not one.has_manifest]
        kept, dropped = choose(manifests, settings)
        if apply:
            for name in (*(one.name for one in dropped), *(one.name for one in unusable)):
                _delete(folder, name)
            files.keep(folder)
        return Pruning(tuple(kept), tuple(dropped), tuple(unusable), apply)


def _delete(folder: Path, name: str) -> None:
    # The manifest first: killed half-way, what is left is no backup and says so.
    for path in files.files_of(folder, name):
        path.unlink(missing_ok=True)
