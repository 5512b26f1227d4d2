"""From an observation to a status, and from many findings to one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from subjunctive_admin.errors import DatabaseUnavailable, NoConnectionLeft
from subjunctive_admin.ops.health.registry import Outcome
from subjunctive_admin.vocabulary import Status

_NAMED = 3


def milliseconds(seconds: float) -> str:
    """`2.4 ms`, `150 ms`."""
    return f"{1000 * seconds:.1f} ms" if seconds < 0.01 else f"{1000 * seconds:.0f} ms"


def percent(part: float) -> str:
    """`24 %` for 0.24, with a narrow space."""
    return f"{100 * part:.0f}\u202f%"


def lasting(seconds: float) -> str:
    """`40 s`, `12 min`, `5 h`, `16 d`: a time as a person would say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def sized(amount: float) -> str:
    """`1.2 GB`, `310 kB`: bytes in powers of ten."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= length:
            return f"{amount / length:.3g} {unit}"
    return f"{amount:.0f} bytes"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 table`, `3 tables`."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def disk_use(folder: Path) -> tuple[float, int]:
    """The share of a folder's disk that is in use, and the bytes that are free for us; like df."""
    disk = shutil.disk_usage(folder)
    # What is kept for root does not count as room.
    return disk.used / max(disk.used + disk.free, 1), disk.free


def graded(value: float, warning: float, critical: float) -> Status:
    """Critical from its limit on, then warning, else ok."""
    return Status.CRITICAL if value >= critical else Status.WARNING if value >= warning else Status.OK


def worst(*statuses: Status) -> Status:
    """The most urgent; what could not be seen is more urgent than a warning."""
    order = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.OK)
    return min(statuses, key=order.index)


def named(sentences: Sequence[str]) -> str:
    """The first few, shortened, and how many more there are."""
    first = "; ".join(one if len(one) <= 160 else f"{one[:159]}…" for one in sentences[:_NAMED])
    more = len(sentences) - _NAMED
    return f"{first}; and {more} more" if more > 0 else first


def listed(found: Sequence[str], one: str, many: str, none: str, *, status: Status = Status.WARNING) -> Outcome:
    """Ok with the sentence `none`, or how many were found and the first few by name."""
    if not found:
        return Outcome(Status.OK, 0, none)
    return Outcome(status, len(found), f"{len(found):,} {one if len(found) == 1 else many}: {named(found)}.")


def skipped(reason: str) -> Outcome:
    """Does not apply here, or cannot be judged yet."""
    return Outcome(Status.SKIPPED, None, reason)


def unseen(what: str, remedy: str) -> Outcome:
    """What this role may not look at is unknown."""
    return Outcome(Status.UNKNOWN, None, f"Could not look at {what}.", remedy)


def full_server(error: DatabaseUnavailable) -> Outcome:
    """To a check of connections, a server without a free one is a finding."""
    if isinstance(error, NoConnectionLeft):
        return Outcome(Status.CRITICAL, "none free", error.message, error.next_step)
    return Outcome(Status.UNKNOWN, None, f"Could not look: {error.message}", error.next_step)
