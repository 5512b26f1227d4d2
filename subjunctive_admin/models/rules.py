"""One declaration of a column's rule serves twice: as a CHECK in PostgreSQL and as a sentence in Python.

A model lists its rules in `RULES`; `checks()` turns them into constraints and assigning to an
attribute validates at once, so a notebook user reads the sentence before the database refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import CheckConstraint, Constraint, Index, Table


@dataclass(frozen=True)
class Rule:
    """What one column accepts, in words and in SQL."""

    column: str

    @property
    def name(self) -> str:
        """The constraint's name, without the table's prefix."""
        return self.column

    @property
    def sql(self) -> str | None:
        """The CHECK expression, or None when the column's type already says it."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """The rule as a sentence without its subject."""
        raise NotImplementedError

    def accepts(self, value: Any) -> bool:
        """Whether Python lets this (not None) value through."""
        raise NotImplementedError

    def validate(self, value: Any) -> None:
        """Raise ValueError with the rule in words unless the value is None or accepted."""
        if value is not None and not self.accepts(value):
            raise ValueError(f"{self.column} {self.words}; {value!r} is not.")


@dataclass(frozen=True)
class Range(Rule):
    """A number between two limits, both included; an open limit is None."""

    low: float | None
    high: float | None = None
    above: bool = False

    @property
    def sql(self) -> str:
        parts = []
        if self.low is not None:
            parts.append(f"{self.column} {'>' if self.above else '>='} {self.low:g}")
        if self.high is not None:
            # Written out: 3600000 in scientific notation would turn an integer column's check into numeric.
            high = int(self.high) if float(self.high).is_integer() else self.high
            parts.append(f"{self.column} <= {high}")
        return " AND ".join(parts)

    @property
    def words(self) -> str:
        if self.above:
            return f"is more than {self.low:g}" + (f" and at most {self.high:,g}" if self.high else "")
        if self.high is None:
            return f"is {self.low:g} or more"
        return f"lies between {self.low:g} and {self.high:,g}"

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, int | float):
            return False
        low_enough = self.low is None or (value > self.low if self.above else value >= self.low)
        return low_enough and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Pattern(Rule):
    """A text that matches a regular expression which Python and PostgreSQL read alike."""

    regex: str
    said: str

    @property
    def sql(self) -> str:
        return f"{self.column} ~ '{self.regex}'"

    @property
    def words(self) -> str:
        return self.said

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and re.match(self.regex.replace("$", r"\Z"), value) is not None


@dataclass(frozen=True)
class TimeZone(Rule):
    """A zone of the IANA database; AT TIME ZONE raises for a name PostgreSQL does not know."""

    @property
    def sql(self) -> str:
        return f"(TIMESTAMPTZ '2000-01-01 00:00:00+00' AT TIME ZONE {self.column}) IS NOT NULL"

    @property
    def words(self) -> str:
        return "is a zone of the IANA database such as Europe/Madrid"

    @property
    def name(self) -> str:
        return f"{self.column}_exists"

    def accepts(self, value: Any) -> bool:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # unknown, malformed, or the name of a folder
            return False
        return True


@dataclass(frozen=True)
class Shape(Rule):
    """A jsonb value of one JSON type that a pydantic model accepts."""

    json_type: str
    model: Any

    @property
    def sql(self) -> str:
        return f"jsonb_typeof({self.column}) = '{self.json_type}'"

    @property
    def words(self) -> str:
        return f"is a JSON {self.json_type} of its documented shape"

    def accepts(self, value: Any) -> bool:
        try:
            TypeAdapter(self.model).validate_python(value)
        except ValidationError:
            return False
        return True


def checks(rules: Iterable[Rule]) -> list[CheckConstraint]:
    """The rules as named constraints that carry their sentence."""
    return [
        CheckConstraint(rule.sql, name=rule.name, info={"words": f"{rule.column} {rule.words}"})
        for rule in rules
        if rule.sql is not None
    ]


def check(sql: str, name: str, words: str) -> CheckConstraint:
    """A rule over several columns, with the sentence that explains a refusal."""
    return CheckConstraint(sql, name=name, info={"words": words})


def sentences(tables: Iterable[Table]) -> dict[str, str]:
    """Constraint name → sentence, for every constraint and unique index that has one."""
    found: dict[str, str] = {}
    for table in tables:
        things: list[Constraint | Index] = [*table.constraints, *table.indexes]
        found.update({str(thing.name): thing.info["words"] for thing in things if "words" in thing.info})
    return found
