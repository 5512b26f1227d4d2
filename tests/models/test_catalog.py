"""The catalog as a whole: what is there, how it is named, what is indexed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, configure_mappers

from subjunctive_admin import vocabulary
from subjunctive_admin.models import ENUMS, SCHEMAS, TWELVE_TABLES, Base, Exercise
from tests.builders import make_exercise

ALL = {"schemas": ["public", *SCHEMAS]}


def test_public_holds_exactly_the_twelve_tables(session: Session) -> None:
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i', 'S')"
    assert set(session.scalars(text(query))) == set(TWELVE_TABLES)
    assert len(TWELVE_TABLES) == 12


def test_work_in_progress_and_upkeep_are_in_schemas_of_their_own(session: Session) -> None:
    query = """
        SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE relkind = 'r' AND nspname = ANY (:schemas) AND nspname <> 'public'
    """
    assert set(session.scalars(text(query), ALL)) == {
        "editorial.dismissals", "editorial.drafts", "editorial.findings", "editorial.operations",
        "editorial.revisions", "editorial.seed_base", "ops.alembic_version", "ops.instance", "ops.pool_samples",
        "private.learner_keys",
    }  # fmt: skip


def test_every_column_of_a_time_has_its_zone(session: Session) -> None:
    query = """
        SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = ANY (:schemas)
          AND (column_name ~ '_(at|login|reviewed|seen)$' OR column_name = 'next_review_date' OR data_type ~ '^time')
    """
    found = session.execute(text(query), ALL).all()
    assert len(found) > 35
    assert {tuple(row) for row in found if row.data_type != "timestamp with time zone"} == set()


def test_the_labels_in_the_database_are_those_of_the_vocabulary(session: Session) -> None:
    query = """
        SELECT typname, array_agg(enumlabel::text ORDER BY enumsortorder)
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid GROUP BY 1
    """
    stored = dict(tuple(row) for row in session.execute(text(query)))
    assert stored == {kind.name: [member.value for member in cls] for cls, kind in ENUMS.items()}


def test_a_practice_category_is_none_or_a_trigger_class() -> None:
    assert [c.value for c in vocabulary.PracticeCategory] == ["none", *(t.value for t in vocabulary.TriggerClass)]


def test_every_constraint_and_index_has_a_name_of_ours(session: Session) -> None:
    query = """
        SELECT table_name, name FROM (
            SELECT conrelid AS table_oid, conname AS name FROM pg_constraint k WHERE contype <> 'n'
            UNION SELECT indrelid, i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        ) AS named JOIN pg_class c ON c.oid = table_oid JOIN pg_namespace n ON n.oid = c.relnamespace,
        LATERAL (SELECT c.relname AS table_name) AS t
        WHERE nspname = ANY (:schemas) AND c.relname <> 'alembic_version'
    """
    named = session.execute(text(query), ALL).all()
    assert len(named) > 150
    odd = [
        name
        for table, name in named
        # Longer than 63 bytes, PostgreSQL would have cut it.
        if not any(str(name).startswith(f"{kind}_{table}") for kind in ("pk", "fk", "uq", "ck", "ix")) or len(name) > 62
    ]
    assert odd == []


INDEXES = """
    SELECT x.indrelid::regclass::text AS table, i.relname AS name, x.indisunique AS unique, am.amname AS kind,
           pg_get_expr(x.indpred, x.indrelid) AS predicate,
           ARRAY(SELECT pg_get_indexdef(x.indexrelid, n, true) FROM generate_series(1, x.indnkeyatts) n ORDER BY n) AS columns
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
    JOIN pg_namespace n ON n.oid = i.relnamespace WHERE n.nspname = ANY (:schemas)
"""


def _indexes(session: Session) -> list[Any]:
    return list(session.execute(text(INDEXES), ALL))


def test_every_foreign_key_is_covered_by_an_index(session: Session) -> None:
    query = """
        SELECT k.conrelid::regclass::text AS table, k.conname AS name,
               ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS c (attnum, n)
                     JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.attnum ORDER BY n) AS columns
        FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
        WHERE contype = 'f' AND nspname = ANY (:schemas)
    """
    leading = [(i.table, i.columns) for i in _indexes(session) if i.kind == "btree" and i.predicate is None]
    uncovered = [
        key.name
        for key in session.execute(text(query), ALL)
        if not any(table == key.table and columns[: len(key.columns)] == key.columns for table, columns in leading)
    ]
    assert uncovered == []


def test_no_index_repeats_the_beginning_of_another(session: Session) -> None:
    found = [i for i in _indexes(session) if i.kind == "btree"]
    repeats = [
        (one.name, other.name)
        for one in found
        for other in found
        if one is not other
        and not one.unique
        and (one.table, one.predicate) == (other.table, other.predicate)
        and other.columns[: len(one.columns)] == one.columns
    ]
    assert repeats == []


def test_the_questions_of_the_suite_have_their_indexes(session: Session) -> None:
    names = {i.name for i in _indexes(session)}
    assert names >= {
        "ix_practice_attempts_user_id_attempted_at",
        "ix_practice_attempts_exercise_id_user_id",
        "ix_practice_attempts_attempted_at",
        "ix_practice_attempts_recorded_xid",
        "ix_practice_items_user_id_next_review_date",
        "ix_study_sessions_user_id_started_at",
    }
    assert {i.kind for i in _indexes(session) if i.name == "ix_practice_attempts_attempted_at"} == {"brin"}


def test_every_relationship_refuses_to_load_by_itself() -> None:
    configure_mappers()
    relationships = [r for mapper in Base.registry.mappers for r in mapper.relationships]
    assert len(relationships) >= 10
    assert {str(r): r.lazy for r in relationships if r.lazy != "raise_on_sql"} == {}


def test_reading_a_relationship_that_was_not_asked_for_raises(session: Session) -> None:
    make_exercise(session)
    session.expire_all()
    exercise = session.scalars(select(Exercise)).one()
    with pytest.raises(InvalidRequestError, match=r"'Exercise\.verb' is not available due to lazy='raise_on_sql'"):
        _ = exercise.verb


def test_every_table_says_what_its_rows_are() -> None:
    undocumented = [
        mapper.class_.__name__ for mapper in Base.registry.mappers if not inspect(mapper.class_).class_.__doc__
    ]
    assert undocumented == []
