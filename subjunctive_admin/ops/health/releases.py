"""The minor releases and the ends of life of PostgreSQL, shipped with the package: a check asks no other machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Release:
    """The newest minor of a major known on `KNOWN_ON`, and the day from which on there are no more."""

    minor: int
    end_of_life: date


KNOWN_ON = date(2026, 11, 20)
RELEASES: dict[int, Release] = {
    15: Release(20, date(2027, 11, 11)),
    16: Release(15, date(2028, 11, 9)),
    17: Release(11, date(2029, 11, 8)),
    18: Release(6, date(2030, 11, 14)),
}
