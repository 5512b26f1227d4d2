"""What the `backup` commands say: a list, what a creation, a proof, a restore or a pruning came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from subjunctive_admin.narration import Narrator
from subjunctive_admin.ops.backup import Manifest, Pruning, Swapped, Unusable
from subjunctive_admin.ops.health.grading import lasting, plural, sized

_STEPS = 100


def bar(narrator: Narrator) -> Callable[[str, int, int], None]:
    """Long work's progress as a bar of hundred parts, whatever it counts."""
    return lambda what, done, total: narrator.bar(_STEPS * done // max(total, 1), _STEPS, what)


def created_line(manifest: Manifest) -> str:
    """What was backed up, and what is still to be done with it."""
    rows = f"{manifest.contents.rows:,} rows of {plural(len(manifest.contents.tables), 'table')}"
    return f"{manifest.name}: {rows} in {sized(manifest.bytes)}. Next: subjunctive-admin backup verify"


def verified_line(manifest: Manifest) -> str:
    """That it was brought back, and where."""
    proof = manifest.verified[-1]
    return (
        f"{manifest.name} was restored into PostgreSQL {proof.server_version} and compared:"
        f" {manifest.contents.rows:,} rows, every one the same."
    )


def restored_line(manifest: Manifest, to: str) -> str:
    """Where it is now."""
    return f"{manifest.name} is in the database {to}, every one of its {manifest.contents.rows:,} rows the same."


def swapped_line(swapped: Swapped) -> str:
    """What is live now, and where the old one is."""
    epoch = f" It is in epoch {swapped.epoch}." if swapped.epoch else ""
    return f"The restored database is {swapped.database} now; the one before is kept as {swapped.kept_as}.{epoch}"


def list_lines(manifests: Sequence[Manifest], unusable: Sequence[Unusable]) -> Iterator[str]:
    """One line a backup, the newest first, at most 100 columns; then what is none."""
    if manifests:
        yield f"{'Backup':<38} {'age':>7} {'size':>8} {'rows':>12}  {'from':<8} proved"
    for one in manifests:
        proved = f"{_ago(one.verified_at)} ago" if one.verified_at else "never"
        yield (
            f"{one.name:<38} {_ago(one.created_at):>7} {sized(one.bytes):>8} {one.contents.rows:>12,}"
            f"  {one.server_version:<8} {proved}"
        )
    if not manifests:
        yield "There is no backup yet. Next: subjunctive-admin backup create"
    for broken in unusable:
        yield f"No backup: {broken.reason}"


def pruning_lines(pruning: Pruning) -> Iterator[str]:
    """What stays and why, and what goes or is gone."""
    for kept in pruning.kept:
        yield f"keep    {kept.manifest.name:<38} {sized(kept.manifest.bytes):>8}  {', '.join(kept.reasons)}"
    for name, size in _going(pruning):
        yield f"{'deleted' if pruning.applied else 'delete ':<7} {name:<38} {sized(size):>8}"
    number = len(pruning.dropped) + len(pruning.unusable)
    if not number:
        yield "Nothing is to be deleted."
    elif pruning.applied:
        yield f"{plural(number, 'backup')} deleted, {sized(pruning.bytes)} freed."
    else:
        yield f"{plural(number, 'backup')} would go and free {sized(pruning.bytes)}. Next: add --apply"


def _going(pruning: Pruning) -> Iterator[tuple[str, int]]:
    yield from ((one.name, one.bytes) for one in pruning.dropped)
    yield from ((one.name, one.bytes) for one in pruning.unusable)


def listed(manifests: Sequence[Manifest], unusable: Sequence[Unusable]) -> dict[str, Any]:
    """The list as JSON values."""
    broken = [{"name": one.name, "reason": one.reason, "bytes": one.bytes} for one in unusable]
    return {"backups": [one.as_dict() for one in manifests], "unusable": broken}


def pruned(pruning: Pruning) -> dict[str, Any]:
    """The pruning as JSON values."""
    return {
        "applied": pruning.applied,
        "kept": {one.manifest.name: list(one.reasons) for one in pruning.kept},
        "deleted": [name for name, _ in _going(pruning)],
        "bytes": pruning.bytes,
    }


def _ago(moment: datetime) -> str:
    return lasting((datetime.now(UTC) - moment).total_seconds())
