"""What the recorded runs tell together: findings, round trip and size over time, and where the size is heading.

trends = read_trends(database, days=90)
forecast(trends.sizes)      # None while there is too little to say anything
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import sqrt
from pathlib import Path
from statistics import NormalDist, fmean

from subjunctive_admin.db import Database
from subjunctive_admin.ops.health import runs as health_runs
from subjunctive_admin.ops.health.registry import CONNECTIVITY
from subjunctive_admin.ops.health.report import FOUND
from subjunctive_admin.ops.history import Run, read_runs, runs_folder
from subjunctive_admin.vocabulary import Status

ENOUGH_RUNS = 5
"""Fewer runs draw no forecast: a line through two or three of them is no trend."""
ENOUGH_TIME = timedelta(days=1)
"""Runs of less than this say nothing about days to come."""
LONGEST_OUTLOOK = timedelta(days=30)
_POINTS = 200
_TABLES = "table-access"

Point = tuple[datetime, float]
Points = list[Point]


@dataclass(frozen=True)
class Trends:
    """The runs of the last `days`, the oldest first: health of one database, and everything else."""

    folder: Path
    days: int
    health: list[Run]
    others: list[Run]
    unreadable: int

    @property
    def runs(self) -> list[Run]:
        """All of them, the oldest first."""
        return sorted([*self.health, *self.others], key=lambda run: run.started_at)

    @property
    def round_trips(self) -> Points:
        """Seconds of the median round trip, of each health run that measured it."""
        return _measured(self.health, CONNECTIVITY, "seconds")

    @property
    def sizes(self) -> Points:
        """Bytes of the database, of each health run that measured it."""
        return _measured(self.health, _TABLES, "database_bytes")

    def findings(self, status: Status) -> Points:
        """How many checks of each whole health run ended so."""
        return [
            (run.started_at, sum(one is status for one in health_runs.statuses_of(run).values())) for run in self.health
        ]

    @property
    def with_findings(self) -> list[Run]:
        """The health runs in which a check needed somebody."""
        return [run for run in self.health if any(one in FOUND for one in health_runs.statuses_of(run).values())]

    @property
    def verified(self) -> Run | None:
        """The last time that a backup was proved by restoring it."""
        proved = [run for run in self.others if run.kind == "verify" and run.status is Status.OK]
        return proved[-1] if proved else None

    def tables(self) -> list[tuple[str, float, float, float | None]]:
        """The largest tables first: name, rows, bytes, and bytes gained since the first run, None for one run alone."""
        measured = [facts for run in self.health if (facts := health_runs.facts_of(run, _TABLES))]
        if not measured:
            return []
        first, last = measured[0], measured[-1]
        names = [name.removeprefix("bytes.") for name in last if name.startswith("bytes.")]
        rows = [
            (name, last.get(f"rows.{name}", 0), last[f"bytes.{name}"], first.get(f"bytes.{name}", 0)) for name in names
        ]
        several = len(measured) > 1
        gained = [(name, count, held, held - before if several else None) for name, count, held, before in rows]
        return sorted(gained, key=lambda row: -row[2])


def read_trends(database: Database, *, days: int = 90) -> Trends:
    """What HOME/runs holds of this database, and of runs that name none."""
    home, name = database.settings.home, health_runs.name_of(database)
    runs, unreadable = read_runs(home, since=datetime.now(UTC) - timedelta(days=days))
    health = [run for run in runs if run.kind == health_runs.KIND and run.database == name]
    # Some kinds know a database by its own name alone.
    ours = (name, database.url.database, None)
    others = [run for run in runs if run.kind != health_runs.KIND and run.database in ours]
    return Trends(runs_folder(home), days, health, others, unreadable)


def _measured(runs: Sequence[Run], check_id: str, fact: str) -> Points:
    found = [(run.started_at, health_runs.facts_of(run, check_id).get(fact)) for run in runs]
    return [(at, value) for at, value in found if isinstance(value, int | float)]


def thinned(points: Points, pick: Callable[[list[float]], float]) -> Points:
    """The points as they are, or one a day of very many: `pick` makes it of the day's values, at their last time."""
    if len(points) <= _POINTS:
        return points
    days = (list(day) for _, day in groupby(points, key=lambda point: point[0].astimezone(UTC).date()))
    return [(day[-1][0], pick([value for _, value in day])) for day in days]


@dataclass(frozen=True)
class Forecast:
    """A straight line through measurements, and how far a new one may lie from it."""

    first: datetime
    n: int
    start: float
    slope: float
    """Units a day."""
    spread: float
    middle: float
    across: float
    reach: float

    def at(self, moment: datetime) -> tuple[float, float, float]:
        """Expected value, and the limits of the 95 % prediction interval of one more measurement."""
        days = (moment - self.first) / timedelta(days=1)
        value = self.start + self.slope * days
        away = self.reach * self.spread * sqrt(1 + 1 / self.n + (days - self.middle) ** 2 / self.across)
        return value, value - away, value + away


def forecast(points: Sequence[Point]) -> Forecast | None:
    """Least squares of value on time; None below 5 points or for less than a day.

    ŷ = a + b·x, interval ŷ ± t(0.975; n−2) · s · √(1 + 1/n + (x − x̄)²/Σ(xᵢ − x̄)²) with s² = Σ(yᵢ − ŷᵢ)²/(n − 2):
    Draper and Smith, Applied Regression Analysis, 3rd edition, section 3.1. It takes the growth for steady and the
    errors for independent, which runs close to each other are not.
    """
    if len(points) < ENOUGH_RUNS or points[-1][0] - points[0][0] < ENOUGH_TIME:
        return None
    first, n = points[0][0], len(points)
    xs = [(at - first) / timedelta(days=1) for at, _ in points]
    ys = [value for _, value in points]
    middle, mean = fmean(xs), fmean(ys)
    across = sum((x - middle) ** 2 for x in xs)
    slope = sum((x - middle) * (y - mean) for x, y in zip(xs, ys, strict=True)) / across
    start = mean - slope * middle
    squares = sum((y - start - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    return Forecast(first, n, start, slope, sqrt(squares / (n - 2)), middle, across, student(n - 2))


def student(freedom: int) -> float:
    """The quantile of Student's t for a two-sided 95 % interval, within 1 % from 3 degrees of freedom.

    Expansion about the normal quantile: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    z = NormalDist().inv_cdf(0.975)
    terms: tuple[float, ...] = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))
