"""What all tables share: names of constraints, the types of columns, validation on assignment."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    DDL,
    DateTime,
    Dialect,
    Double,
    Enum,
    MetaData,
    String,
    Text,
    TypeDecorator,
    Uuid,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from subjunctive_admin import vocabulary
from subjunctive_admin.models.rules import Rule

EDITORIAL, OPS, PRIVATE = "editorial", "ops", "private"
SCHEMAS = (EDITORIAL, OPS, PRIVATE)
_EDITORIAL_ENUMS = (vocabulary.DraftState, vocabulary.ItemKind, vocabulary.OperationKind)
# Outcomes of checks are never stored as an enum: a report is a file, not a row.
_NOT_STORED = (vocabulary.Status, vocabulary.CriteriaMetric, vocabulary.CriteriaOperator)

FOLD = "translate(lower({0}), 'ÁÉÍÓÚÜÑáéíóúü', 'aeiouuñaeiouu')"
"""Search folding in SQL: accents go, ñ stays, capitals fall even where lower() knows ASCII only."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """timestamptz that refuses a time without a zone and always gives back UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; give one, for example datetime.now(UTC).")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(UTC)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _enum_type(cls: type[StrEnum]) -> Enum:
    return Enum(
        cls,
        name=_snake(cls.__name__),
        schema=EDITORIAL if cls in _EDITORIAL_ENUMS else None,
        metadata=metadata,
        values_callable=lambda members: [m.value for m in members],
    )


ENUMS: dict[type[StrEnum], Enum] = {
    cls: _enum_type(cls)
    for cls in vars(vocabulary).values()
    if isinstance(cls, type) and issubclass(cls, StrEnum) and cls is not StrEnum and cls not in _NOT_STORED
}
"""Vocabulary → its PostgreSQL type, in the order of `vocabulary.py`."""


class Base(DeclarativeBase):
    """The declarative base; `RULES` are the checks of single columns."""

    metadata = metadata
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        float: Double(),
        str: Text(),
        UUID: Uuid(),
        list[str]: ARRAY(Text()),
        # None is SQL's NULL; JSON's null is a value of its own that no column here holds.
        dict[str, Any]: JSONB(none_as_null=True),
        list[Any]: JSONB(none_as_null=True),
        **ENUMS,
    }
    RULES: ClassVar[tuple[Rule, ...]] = ()


@event.listens_for(Base, "attribute_instrument", propagate=True)
def _validate_on_assignment(cls: type[Base], key: str, attribute: Any) -> None:
    rules = [rule for rule in cls.RULES if rule.column == key]
    if not rules:
        return

    @event.listens_for(attribute, "set")
    def _validate(_target: Base, value: Any, _old: Any, _initiator: Any) -> None:
        for rule in rules:
            rule.validate(value)


uuid_key = Annotated[UUID, mapped_column(primary_key=True, default=uuid7, server_default=func.gen_random_uuid())]
now = Annotated[datetime, mapped_column(server_default=func.now())]
yes = Annotated[bool, mapped_column(server_default=text("true"))]
no = Annotated[bool, mapped_column(server_default=text("false"))]
count = Annotated[int, mapped_column(server_default=text("0"))]
zero = Annotated[float, mapped_column(server_default=text("0"))]
words = Annotated[list[str], mapped_column(server_default=text("'{}'"))]
structure = Annotated[dict[str, Any], mapped_column(server_default=text("'{}'::jsonb"))]
records = Annotated[list[Any], mapped_column(server_default=text("'[]'::jsonb"))]
empty_text = Annotated[str, mapped_column(server_default=text("''"))]
short = Annotated[str, mapped_column(String(50))]


class Published:
    """Columns of content that learners see: its state and the number of its published revision."""

    status: Mapped[vocabulary.ContentStatus] = mapped_column(server_default=text("'published'"))
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    published_at: Mapped[now]
    created_at: Mapped[now]
    updated_at: Mapped[now]


TOUCH_FUNCTION = """
CREATE FUNCTION ops.touch_updated_at() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$
"""

KEEP_KEY_FUNCTION = """
CREATE FUNCTION ops.keep_natural_key() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'the %% of published content never changes', TG_ARGV[0]
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$
"""

_TOUCHED = ("users", "spanish_verbs", "scenarios", "exercises", "practice_items", "system_configuration")
_KEPT_KEYS = {"spanish_verbs": "infinitive", "scenarios": "slug", "exercises": "slug", "achievements": "slug"}


def trigger_statements() -> list[str]:
    """The triggers that keep `updated_at` and the natural keys, in creation order."""
    touch = [
        f"CREATE TRIGGER tg_{table}_touch BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at()"
        for table in _TOUCHED
    ]
    keep = [
        f"CREATE TRIGGER tg_{table}_keep_{column} BEFORE UPDATE OF {column} ON {table} FOR EACH ROW "
        f"WHEN (OLD.{column} IS DISTINCT FROM NEW.{column}) EXECUTE FUNCTION ops.keep_natural_key('{column}')"
        for table, column in _KEPT_KEYS.items()
    ]
    return [*touch, *keep]


for _schema in SCHEMAS:
    # In front of the enums, which listen since they were declared above.
    event.listen(metadata, "before_create", DDL(f"CREATE SCHEMA IF NOT EXISTS {_schema}"), insert=True)
for _statement in (TOUCH_FUNCTION, KEEP_KEY_FUNCTION, *trigger_statements()):
    event.listen(metadata, "after_create", DDL(_statement))
