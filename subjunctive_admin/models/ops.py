"""Facts of the database itself, samples of connection pools, and the pseudonyms of learners."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from subjunctive_admin.models.base import OPS, PRIVATE, Base, count, now, yes, zero
from subjunctive_admin.models.content import unique
from subjunctive_admin.models.rules import check


class Instance(Base):
    """The one row that says what this database is; a restore bumps its epoch."""

    __tablename__ = "instance"
    __table_args__ = (
        check("only_row", "only_row", "there is one instance row"),
        check("environment ~ '^[a-z][a-z0-9_-]{1,29}$'", "environment", "environment is a short lower-case name"),
        check("epoch >= 1", "epoch", "epoch is 1 or more"),
        {"schema": OPS},
    )

    only_row: Mapped[yes] = mapped_column(primary_key=True)
    environment: Mapped[str] = mapped_column(String(30))
    epoch: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[now]


class PoolSample(Base):
    """One reading of one process' connection pool; times in milliseconds, those ending in _s in seconds."""

    __tablename__ = "pool_samples"
    __table_args__ = (
        check("pool ~ '^(sync|async)$'", "pool", "a pool is sync or async"),
        Index("ix_pool_samples_sampled_at", "sampled_at"),
        {"schema": OPS},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    sampled_at: Mapped[now]
    application_name: Mapped[str] = mapped_column(String(64))
    pool: Mapped[str] = mapped_column(String(5), server_default=text("'sync'"))
    interval_s: Mapped[zero]
    size: Mapped[count]
    max_overflow: Mapped[count]
    checked_out: Mapped[count]
    idle: Mapped[count]
    overflow: Mapped[count]
    pending: Mapped[count]
    checkouts: Mapped[count]
    timeouts: Mapped[count]
    connects: Mapped[count]
    reconnects: Mapped[count]
    invalidations: Mapped[count]
    recycles: Mapped[count]
    suspects: Mapped[count]
    oldest_s: Mapped[zero]
    wait_p50_ms: Mapped[zero]
    wait_p95_ms: Mapped[zero]
    wait_max_ms: Mapped[zero]
    hold_p95_ms: Mapped[zero]
    hold_max_ms: Mapped[zero]


class LearnerKey(Base):
    """What stands for a learner outside the twelve tables: a number and a random pseudonym."""

    __tablename__ = "learner_keys"
    __table_args__ = (
        unique("uq_learner_keys_learner_key", "learner_key", said="a learner key belongs to one user"),
        unique("uq_learner_keys_pseudonym", "pseudonym", said="a pseudonym belongs to one user"),
        {"schema": PRIVATE},
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    learner_key: Mapped[int] = mapped_column(BigInteger, Identity())
    pseudonym: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
