"""Work in progress and its history: drafts, operations, revisions, findings, what seeding wrote."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from subjunctive_admin.models.base import EDITORIAL, Base, empty_text, now, structure, uuid_key
from subjunctive_admin.models.content import unique
from subjunctive_admin.models.rules import check
from subjunctive_admin.vocabulary import DraftState, ItemKind, OperationKind

_HASH = "{0} ~ '^[0-9a-f]{{64}}$'"


class Operation(Base):
    """One named change of content: one transaction, undone as a whole and once."""

    __tablename__ = "operations"
    __table_args__ = (
        unique("uq_operations_undoes", "undoes", said="this operation was already undone"),
        Index("ix_operations_performed_at", "performed_at"),
        {"schema": EDITORIAL},
    )

    id: Mapped[uuid_key]
    kind: Mapped[OperationKind]
    actor: Mapped[str] = mapped_column(String(100))
    note: Mapped[empty_text]
    undoes: Mapped[UUID | None] = mapped_column(ForeignKey(f"{EDITORIAL}.operations.id", ondelete="RESTRICT"))
    performed_at: Mapped[now]

    revisions: Mapped[list[Revision]] = relationship(back_populates="operation", lazy="raise_on_sql")


class Revision(Base):
    """A state that went live; a null payload says that the operation took the item away."""

    __tablename__ = "revisions"
    __table_args__ = (
        check("revision >= 1", "revision", "revision is 1 or more"),
        check("jsonb_typeof(payload) = 'object'", "payload", "payload is a JSON object"),
        Index("ix_revisions_operation_id", "operation_id"),
        {"schema": EDITORIAL},
    )

    item_kind: Mapped[ItemKind] = mapped_column(primary_key=True)
    item_key: Mapped[str] = mapped_column(String(100), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    payload: Mapped[dict[str, Any] | None]
    operation_id: Mapped[UUID] = mapped_column(ForeignKey(f"{EDITORIAL}.operations.id", ondelete="RESTRICT"))

    operation: Mapped[Operation] = relationship(back_populates="revisions", lazy="raise_on_sql")


class Draft(Base):
    """A state that is not live yet; a new item has no live row until it is published."""

    __tablename__ = "drafts"
    __table_args__ = (
        check("jsonb_typeof(payload) = 'object'", "payload", "payload is a JSON object"),
        {"schema": EDITORIAL},
    )

    item_kind: Mapped[ItemKind] = mapped_column(primary_key=True)
    item_key: Mapped[str] = mapped_column(String(100), primary_key=True)
    base_revision: Mapped[int | None]
    payload: Mapped[dict[str, Any]]
    state: Mapped[DraftState] = mapped_column(server_default=text("'draft'"))
    author: Mapped[str] = mapped_column(String(100))
    reviewer: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[now]
    updated_at: Mapped[now]


class Finding(Base):
    """What a check found about one state of an item, with its evidence."""

    __tablename__ = "findings"
    __table_args__ = (
        check(_HASH.format("content_hash"), "content_hash", "content_hash is a SHA-256 in hex"),
        check("last_seen >= first_seen", "order", "last_seen is not before first_seen"),
        Index("ix_findings_item_kind_item_key", "item_kind", "item_key"),
        {"schema": EDITORIAL},
    )

    check_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    item_kind: Mapped[ItemKind] = mapped_column(primary_key=True)
    item_key: Mapped[str] = mapped_column(String(100), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    evidence: Mapped[structure]
    first_seen: Mapped[now]
    last_seen: Mapped[now]
    cleared_at: Mapped[datetime | None]


class Dismissal(Base):
    """A finding that an editor set aside; it lapses when the item's text changes."""

    __tablename__ = "dismissals"
    __table_args__ = (
        check(_HASH.format("content_hash"), "content_hash", "content_hash is a SHA-256 in hex"),
        check("length(btrim(reason)) > 0", "reason", "a dismissal gives its reason"),
        {"schema": EDITORIAL},
    )

    check_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    item_kind: Mapped[ItemKind] = mapped_column(primary_key=True)
    item_key: Mapped[str] = mapped_column(String(100), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str]
    actor: Mapped[str] = mapped_column(String(100))
    dismissed_at: Mapped[now]


class SeedBase(Base):
    """The content hash that seeding last wrote: the base of the three-way comparison."""

    __tablename__ = "seed_base"
    __table_args__ = (
        check(_HASH.format("content_hash"), "content_hash", "content_hash is a SHA-256 in hex"),
        {"schema": EDITORIAL},
    )

    item_kind: Mapped[ItemKind] = mapped_column(primary_key=True)
    item_key: Mapped[str] = mapped_column(String(100), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    seeded_at: Mapped[now]
