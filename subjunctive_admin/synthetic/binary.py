"""Rows in the binary format of PostgreSQL's COPY: half of what a load costs is to write numbers as text and read them.

A row is its number of fields, then each field's length and bytes; NULL has the length −1. See "Binary Format" in
PostgreSQL's documentation of COPY. Only what the attempts need: texts, enum labels, UUIDs, integers, booleans.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime
from uuid import UUID

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Times are microseconds since then, days are counted from it."""
_FIRST_DAY = EPOCH.date().toordinal()
_COUNT, _LENGTH, _INTEGER = struct.Struct(">h"), struct.Struct(">i"), struct.Struct(">ii")


def row_of(fields: int) -> bytes:
    """How a row of that many fields begins."""
    return _COUNT.pack(fields)


def field(value: str | int | bool | bytes | UUID | None) -> bytes:
    """A value as a field: bytes are a UUID's, an int is an `integer` of four bytes."""
    match value:
        case None:
            return NULL
        case bool():
            return _LENGTH.pack(1) + (b"\x01" if value else b"\x00")
        case int():
            return _INTEGER.pack(4, value)
    data = value.bytes if isinstance(value, UUID) else value.encode() if isinstance(value, str) else value
    return _LENGTH.pack(len(data)) + data


def days(day: date) -> int:
    """A day as the number that a `date` holds."""
    return day.toordinal() - _FIRST_DAY
