"""Text, values and status as HTML: the one place that escapes, formats numbers and draws icons."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from numbers import Integral, Real

from subjunctive_admin.vocabulary import Status

DOES_NOT_APPLY = "–"
UNKNOWN = "?"
NARROW = "\u202f"

URGENCY = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN, Status.INFO, Status.OK, Status.SKIPPED)
"""The order in which a reader meets the statuses."""

SYMBOLS = {
    Status.OK: "✓",
    Status.INFO: "i",
    Status.WARNING: "!",
    Status.CRITICAL: "✕",
    Status.UNKNOWN: "?",
    Status.SKIPPED: "–",
}

_SHAPES = {
    Status.OK: '<circle cx="8" cy="8" r="6.4"/><path d="m5.2 8.2 2 2 3.7-4.2"/>',
    Status.INFO: '<rect x="1.9" y="1.9" width="12.2" height="12.2" rx="2.2"/><path d="M8 7.4v3.7M8 4.7v.3"/>',
    Status.WARNING: '<path d="M8 2.1 14.6 13.6H1.4Z"/><path d="M8 6.4v3.4M8 11.5v.3"/>',
    Status.CRITICAL: (
        '<path class="sj-solid" d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1Z"/>'
        '<path class="sj-cut" d="m5.7 5.7 4.6 4.6m0-4.6-4.6 4.6"/>'
    ),
    Status.UNKNOWN: (
        '<circle cx="8" cy="8" r="6.4" stroke-dasharray="2.4 1.62"/>'
        '<path d="M6.2 6.4a1.85 1.85 0 1 1 2.7 1.7c-.6.3-.9.6-.9 1.2M8 11.1v.3"/>'
    ),
    Status.SKIPPED: '<path d="M3.4 8h9.2"/>',
}

_PER_CENT = re.compile(r"(?<=\d)[ \u00a0](?=%)")
_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|d|[kMGT]B)\b)")
_MARKUP = re.compile(r"`(?P<code>[^`\n]+)`|\*\*(?P<strong>\S(?:[^*\n]*\S)?)\*\*|\*(?P<spanish>\S(?:[^*\n]*\S)?)\*")


def rich(text: object) -> str:
    """Escaped HTML of a text whose `code` stands in backticks, *cited Spanish* and **the expected form** in stars."""
    source = str(text)
    pieces, end = [], 0
    for match in _MARKUP.finditer(source):
        pieces += [_spaced(source[end : match.start()]), _marked(match)]
        end = match.end()
    return "".join([*pieces, _spaced(source[end:])])


def _spaced(text: str) -> str:
    return escape(bound(text))


def bound(text: str) -> str:
    """Text whose numbers never part from their units; the space before % is narrow."""
    return _UNIT.sub("\u00a0", _PER_CENT.sub(NARROW, text))


def _marked(match: re.Match[str]) -> str:
    inner = escape(match[match.lastgroup or 0])
    match match.lastgroup:
        case "code":
            return f"<code>{inner}</code>"
        case "strong":
            return f"<strong>{inner}</strong>"
        case _:
            return f'<i lang="es">{inner}</i>'


def plain(text: object) -> str:
    """The same text without its markup, for titles and labels that take no HTML."""
    return _MARKUP.sub(lambda match: match[match.lastgroup or 0], str(text))


def icon(status: Status, label: str = "") -> str:
    """The shape of a status; without a label it is hidden from a screen reader, as its word stands beside it."""
    role = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return f'<svg class="sj-icon sj-{status}" viewBox="0 0 16 16" width="16" height="16" {role}>{_SHAPES[status]}</svg>'


def word(status: Status) -> str:
    """The word of a status as it begins a line."""
    return status.value.capitalize()


def counted(status: Status, count: int) -> str:
    """The word of a status behind a number: `3 warnings`, `1 critical`."""
    return "warnings" if status is Status.WARNING and count != 1 else status.value


def mark(status: Status, text: str = "") -> str:
    """Icon and word of a status in its colour."""
    return f'<span class="sj-mark sj-{status}">{icon(status)}<span>{rich(text or word(status))}</span></span>'


def pill(status: Status, text: str = "") -> str:
    """Icon and text of a status on its soft colour; critical alone is filled."""
    return f'<span class="sj-pill sj-{status}">{icon(status)}<span>{rich(text or word(status))}</span></span>'


def is_missing(value: object) -> bool:
    """Whether a value is None, empty, NaN, NaT or pandas' NA."""
    if isinstance(value, float):
        return math.isnan(value)
    # Named, not imported: pandas would be loaded for a text; pandas' NA refuses to be compared.
    return value is None or type(value).__name__ in {"NaTType", "NAType"} or (isinstance(value, str) and not value)


def is_number(value: object) -> bool:
    """Whether a value is right-aligned: a number, but no truth value."""
    return not isinstance(value, bool) and isinstance(value, (Real, Decimal))


def decimals_of(values: Iterable[object]) -> int:
    """One precision for a column: none for whole numbers, 1 from ten up, 2 below, 3 below one tenth."""
    fractions = [float(v) for v in values if is_number(v) and not is_missing(v)]  # type: ignore[arg-type]
    largest = max((abs(value) for value in fractions if math.isfinite(value)), default=0.0)
    if all(value.is_integer() for value in fractions if math.isfinite(value)):
        return 0
    return 1 if largest >= 10 else 2 if largest >= 0.1 else 3


def number(value: object, decimals: int | None = None) -> str:
    """A number with narrow spaces in thousands and a true minus sign."""
    if isinstance(value, Integral) and not decimals:
        written = f"{int(value):,}"
    else:
        written = f"{float(value):,.{decimals_of([value]) if decimals is None else decimals}f}"  # type: ignore[arg-type]
    return written.replace(",", NARROW).replace("-", "−")


def per_cent(share: float, decimals: int = 0) -> str:
    """A share of 0..1 as `75 %`, with a narrow space that does not break."""
    return f"{number(100 * share, decimals)}{NARROW}%"


def duration(span: dt.timedelta) -> str:
    """A time span in its two largest units: `4 h 58 min`, `16 d`, `0.4 s`."""
    seconds = span.total_seconds()
    if abs(seconds) < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes = round(seconds / 60)
    for size, unit, rest, small in ((1440, "d", 60, "h"), (60, "h", 1, "min")):
        if abs(minutes) >= size:
            major, minor = divmod(minutes, size)
            return f"{major} {unit} {minor // rest} {small}" if minor // rest else f"{major} {unit}"
    return f"{minutes} min"


def day(value: dt.date) -> str:
    """`22 Nov 2026`."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def moment(value: dt.datetime, *, weekday: bool = False) -> str:
    """`22 Nov 2026, 06:00 UTC`; a time without a zone is written without one."""
    zone = ""
    if value.tzinfo is not None:
        value, zone = value.astimezone(dt.UTC), " UTC"
    start = f"{_DAYS[value.weekday()]} " if weekday else ""
    return f"{start}{day(value)}, {value:%H:%M}{zone}"


def written(value: object, decimals: int | None = None, missing: str = DOES_NOT_APPLY) -> str:
    """Any value as the text of a cell, never empty."""
    if is_missing(value):
        return missing
    match value:
        case bool():
            return "yes" if value else "no"
        case dt.datetime():
            return moment(value)
        case dt.date():
            return day(value)
        case dt.timedelta():
            return duration(value)
        case Status():
            return word(value)
    return number(value, decimals) if is_number(value) else str(value)


def columns_of_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
