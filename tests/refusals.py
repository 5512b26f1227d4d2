"""What PostgreSQL refuses, asked past the validators of Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import insert, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from subjunctive_admin.db import explain
from subjunctive_admin.errors import ConstraintRefused
from subjunctive_admin.models import Base


class Refusal:
    """The words for a person, once it happened."""

    words: str


@contextmanager
def refused_by(session: Session, constraint: str) -> Iterator[Refusal]:
    """The database refuses what happens inside, by this constraint; the session goes on as before."""
    refusal = Refusal()
    with pytest.raises(IntegrityError) as caught, session.begin_nested():
        yield refusal
    explained = explain(caught.value, make_url("postgresql://nobody@/nowhere"), write=True)
    assert isinstance(explained, ConstraintRefused)
    assert explained.constraint == constraint
    refusal.words = str(explained)


def insert_copy(session: Session, row: Base, **changed: Any) -> None:
    """Insert the row again with some columns changed, by Core: no attribute of a model is assigned."""
    table = row.metadata.tables[row.__table__.fullname]  # type: ignore[attr-defined]
    made = {c.name for c in table.columns if c.computed is not None or c.identity is not None}
    made |= {c.name for c in table.primary_key if c.server_default is not None} | {"recorded_xid"}
    kept = {c.name: getattr(row, c.name) for c in table.columns if c.name not in made}
    session.execute(insert(table).values(kept | changed))


def drop_constraints(session: Session, row: Base, *names: str) -> None:
    """Take away the rules that would refuse first; the session's rollback brings them back."""
    for name in names:
        session.execute(text(f"ALTER TABLE {row.__tablename__} DROP CONSTRAINT {name}"))
