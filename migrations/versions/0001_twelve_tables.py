"""The twelve tables, and the schemas editorial, ops and private beside them.

Frozen: the models move on, this file does not. Later changes are revisions of their own.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, ENUM, JSONB
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
PUBLIC_ENUMS: dict[str, tuple[str, ...]] = {
    "difficulty_level": ("beginner", "intermediate", "advanced", "expert"),
    "verb_type": ("regular", "spelling_changing", "stem_changing", "irregular"),
    "conjugation_class": ("ar", "er", "ir"),
    "stem_change_pattern": ("e_ie", "o_ue", "u_ue", "i_ie", "e_i", "o_u"),
    "tense": (
        "present_subjunctive",
        "imperfect_subjunctive",
        "future_subjunctive",
        "present_perfect_subjunctive",
        "pluperfect_subjunctive",
        "future_perfect_subjunctive",
        "present_indicative",
        "preterite_indicative",
        "imperfect_indicative",
        "future_indicative",
        "conditional_indicative",
        "present_perfect_indicative",
        "pluperfect_indicative",
        "preterite_perfect_indicative",
        "future_perfect_indicative",
        "conditional_perfect_indicative",
        "imperative_affirmative",
        "imperative_negative",
    ),
    "person": ("yo", "tu", "el", "nosotros", "vosotros", "ellos"),
    "exercise_type": (
        "fill_blank",
        "multiple_choice",
        "conjugation",
        "translation",
        "trigger_identification",
        "error_correction",
    ),
    "trigger_class": (
        "wish",
        "emotion",
        "impersonal",
        "influence",
        "doubt_denial",
        "ojala",
        "possibility",
        "purpose_condition",
        "time",
        "concession",
        "relative",
        "conditional",
        "independent",
    ),
    "practice_category": (
        "none",
        "wish",
        "emotion",
        "impersonal",
        "influence",
        "doubt_denial",
        "ojala",
        "possibility",
        "purpose_condition",
        "time",
        "concession",
        "relative",
        "conditional",
        "independent",
    ),
    "verdict": ("correct", "accepted", "accent_only", "wrong"),
    "error_kind": (
        "mood",
        "tense",
        "person",
        "stem",
        "irregular",
        "spelling",
        "accent",
        "ending",
        "participle",
        "auxiliary",
        "pronoun",
        "infinitive",
        "phonetic",
        "folk",
        "voseo",
        "typo",
        "unknown",
    ),
    "content_status": ("published", "retired"),
    "scenario_context": ("social", "professional", "cultural"),
    "cefr_level": ("A1", "A2", "B1", "B2", "C1", "C2"),
    "session_type": ("practice", "review", "assessment", "challenge"),
    "progress_status": ("not_started", "in_progress", "completed"),
    "scheduler": ("sm2", "fsrs"),
    "achievement_category": ("streak", "mastery", "practice", "milestone", "speed", "exploration"),
    "tier": ("bronze", "silver", "gold"),
    "value_type": ("string", "integer", "number", "boolean", "list", "object"),
}
EDITORIAL_ENUMS: dict[str, tuple[str, ...]] = {
    "draft_state": ("draft", "in_review", "approved"),
    "item_kind": ("verb", "scenario", "exercise", "achievement", "configuration"),
    "operation_kind": ("seed", "add", "edit", "retire", "restore", "undo", "configure"),
}
TOUCHED = ("users", "spanish_verbs", "scenarios", "exercises", "practice_items", "system_configuration")
KEPT_KEYS = {"spanish_verbs": "infinitive", "scenarios": "slug", "exercises": "slug", "achievements": "slug"}
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
  RAISE EXCEPTION 'the % of published content never changes', TG_ARGV[0]
    USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$
"""


class Xid8(UserDefinedType[int]):
    """A 64-bit transaction id."""

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


def all_enums() -> list[ENUM]:
    """Every enumerated type of this revision."""
    public = [ENUM(*labels, name=name, create_type=False) for name, labels in PUBLIC_ENUMS.items()]
    editorial = [
        ENUM(*labels, name=name, schema="editorial", create_type=False) for name, labels in EDITORIAL_ENUMS.items()
    ]
    return [*public, *editorial]


def enum(name: str) -> ENUM:
    """One type by its name, for a column."""
    return next(e for e in all_enums() if e.name == name)


def upgrade() -> None:
    for schema in ("editorial", "ops", "private"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    for enumeration in all_enums():
        schema = f"{enumeration.schema}." if enumeration.schema else ""
        labels = ", ".join(f"'{label}'" for label in enumeration.enums)
        op.execute(f"CREATE TYPE {schema}{enumeration.name} AS ENUM ({labels})")
    op.create_table(
        "achievements",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category", enum("achievement_category"), nullable=False),
        sa.Column("icon", sa.String(length=40), nullable=False),
        sa.Column("points", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("criteria", JSONB(), nullable=False),
        sa.Column("tier", enum("tier"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint("jsonb_typeof(criteria) = 'object'", name=op.f("ck_achievements_criteria")),
        sa.CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name=op.f("ck_achievements_slug")),
        sa.CheckConstraint("points >= 0", name=op.f("ck_achievements_points")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_achievements")),
    )
    op.create_index("uq_achievements_name", "achievements", ["name"], unique=True)
    op.create_index("uq_achievements_slug", "achievements", ["slug"], unique=True)
    op.create_table(
        "dismissals",
        sa.Column("check_id", sa.String(length=80), nullable=False),
        sa.Column("item_kind", enum("item_kind"), nullable=False),
        sa.Column("item_key", sa.String(length=100), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("dismissed_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_dismissals_content_hash")),
        sa.CheckConstraint("length(btrim(reason)) > 0", name=op.f("ck_dismissals_reason")),
        sa.PrimaryKeyConstraint("check_id", "item_kind", "item_key", "content_hash", name=op.f("pk_dismissals")),
        schema="editorial",
    )
    op.create_table(
        "drafts",
        sa.Column("item_kind", enum("item_kind"), nullable=False),
        sa.Column("item_key", sa.String(length=100), nullable=False),
        sa.Column("base_revision", sa.Integer(), nullable=True),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("state", enum("draft_state"), server_default=sa.text("'draft'"), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("reviewer", sa.String(length=100), nullable=True),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("jsonb_typeof(payload) = 'object'", name=op.f("ck_drafts_payload")),
        sa.PrimaryKeyConstraint("item_kind", "item_key", name=op.f("pk_drafts")),
        schema="editorial",
    )
    op.create_table(
        "findings",
        sa.Column("check_id", sa.String(length=80), nullable=False),
        sa.Column("item_kind", enum("item_kind"), nullable=False),
        sa.Column("item_key", sa.String(length=100), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("evidence", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("first_seen", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("cleared_at", TIME, nullable=True),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_findings_content_hash")),
        sa.CheckConstraint("last_seen >= first_seen", name=op.f("ck_findings_order")),
        sa.PrimaryKeyConstraint("check_id", "item_kind", "item_key", "content_hash", name=op.f("pk_findings")),
        schema="editorial",
    )
    op.create_index(
        "ix_findings_item_kind_item_key", "findings", ["item_kind", "item_key"], unique=False, schema="editorial"
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("kind", enum("operation_kind"), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("undoes", sa.Uuid(), nullable=True),
        sa.Column("performed_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["undoes"], ["editorial.operations.id"], name=op.f("fk_operations_undoes"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
        schema="editorial",
    )
    op.create_index("ix_operations_performed_at", "operations", ["performed_at"], unique=False, schema="editorial")
    op.create_index("uq_operations_undoes", "operations", ["undoes"], unique=True, schema="editorial")
    op.create_table(
        "seed_base",
        sa.Column("item_kind", enum("item_kind"), nullable=False),
        sa.Column("item_key", sa.String(length=100), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("seeded_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("content_hash ~ '^[0-9a-f]{64}$'", name=op.f("ck_seed_base_content_hash")),
        sa.PrimaryKeyConstraint("item_kind", "item_key", name=op.f("pk_seed_base")),
        schema="editorial",
    )
    op.create_table(
        "instance",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("environment", sa.String(length=30), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("environment ~ '^[a-z][a-z0-9_-]{1,29}$'", name=op.f("ck_instance_environment")),
        sa.CheckConstraint("epoch >= 1", name=op.f("ck_instance_epoch")),
        sa.CheckConstraint("only_row", name=op.f("ck_instance_only_row")),
        sa.PrimaryKeyConstraint("only_row", name=op.f("pk_instance")),
        schema="ops",
    )
    op.create_table(
        "pool_samples",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sampled_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("application_name", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("checked_out", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("overflow", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("timeouts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("wait_p50_ms", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("wait_p95_ms", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("wait_max_ms", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("hold_p95_ms", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("hold_max_ms", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool_samples")),
        schema="ops",
    )
    op.create_index("ix_pool_samples_sampled_at", "pool_samples", ["sampled_at"], unique=False, schema="ops")
    op.create_table(
        "scenarios",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("context", enum("scenario_context"), nullable=False),
        sa.Column("difficulty_level", enum("difficulty_level"), nullable=False),
        sa.Column("cefr_level", enum("cefr_level"), nullable=False),
        sa.Column("learning_objectives", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("cultural_notes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("example_sentences", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("estimated_minutes", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "search_text",
            sa.Text(),
            sa.Computed(
                "translate(lower(title || ' ' || description), 'ÁÉÍÓÚÜÑáéíóúü', 'aeiouuñaeiouu')", persisted=True
            ),
            nullable=False,
        ),
        sa.Column("status", enum("content_status"), server_default=sa.text("'published'"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("published_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("jsonb_typeof(example_sentences) = 'array'", name=op.f("ck_scenarios_example_sentences")),
        sa.CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name=op.f("ck_scenarios_slug")),
        sa.CheckConstraint("estimated_minutes > 0", name=op.f("ck_scenarios_estimated_minutes")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_scenarios_position")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_scenarios_revision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenarios")),
    )
    op.create_index("uq_scenarios_slug", "scenarios", ["slug"], unique=True)
    op.create_table(
        "spanish_verbs",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("infinitive", sa.String(length=50), nullable=False),
        sa.Column("english_translation", sa.String(length=200), nullable=False),
        sa.Column("verb_type", enum("verb_type"), nullable=False),
        sa.Column("conjugation_class", enum("conjugation_class"), nullable=False),
        sa.Column("stem_change_pattern", enum("stem_change_pattern"), nullable=True),
        sa.Column("features", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("frequency_rank", sa.Integer(), nullable=True),
        sa.Column("frequency_band", sa.Integer(), server_default=sa.text("5"), nullable=False),
        sa.Column("difficulty_level", enum("difficulty_level"), nullable=False),
        sa.Column("is_reflexive", sa.Boolean(), sa.Computed("infinitive LIKE '%rse'", persisted=True), nullable=False),
        sa.Column("is_defective", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("gerund", sa.Text(), nullable=False),
        sa.Column("past_participle", sa.Text(), nullable=False),
        sa.Column("conjugations", JSONB(), nullable=False),
        sa.Column("conjugation_overrides", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("example_sentences", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("semantic_tags", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("usage_notes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("cultural_notes", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column(
            "search_text",
            sa.Text(),
            sa.Computed(
                "translate(lower(infinitive || ' ' || english_translation), 'ÁÉÍÓÚÜÑáéíóúü', 'aeiouuñaeiouu')",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column("status", enum("content_status"), server_default=sa.text("'published'"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("published_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "infinitive ~ '^[a-záéíóúüñ]*(ar|er|ir|ír)(se)?$'", name=op.f("ck_spanish_verbs_infinitive")
        ),
        sa.CheckConstraint(
            "jsonb_typeof(conjugation_overrides) = 'object'", name=op.f("ck_spanish_verbs_conjugation_overrides")
        ),
        sa.CheckConstraint("jsonb_typeof(conjugations) = 'object'", name=op.f("ck_spanish_verbs_conjugations")),
        sa.CheckConstraint(
            "jsonb_typeof(example_sentences) = 'array'", name=op.f("ck_spanish_verbs_example_sentences")
        ),
        sa.CheckConstraint("frequency_band >= 1 AND frequency_band <= 5", name=op.f("ck_spanish_verbs_frequency_band")),
        sa.CheckConstraint("frequency_rank > 0", name=op.f("ck_spanish_verbs_frequency_rank")),
        sa.CheckConstraint("infinitive IS NFC NORMALIZED", name=op.f("ck_spanish_verbs_infinitive_nfc")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_spanish_verbs_revision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spanish_verbs")),
    )
    op.create_index(
        "ix_spanish_verbs_difficulty_level_frequency_rank",
        "spanish_verbs",
        ["difficulty_level", "frequency_rank"],
        unique=False,
    )
    op.create_index("uq_spanish_verbs_infinitive", "spanish_verbs", ["infinitive"], unique=True)
    op.create_table(
        "system_configuration",
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("value", JSONB(), nullable=False),
        sa.Column("value_type", enum("value_type"), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_by", sa.String(length=100), server_default=sa.text("'seed'"), nullable=False),
        sa.CheckConstraint(
            "CASE WHEN jsonb_typeof(value) = 'number' THEN coalesce(value::float8 >= min, true) AND coalesce(value::float8 <= max, true) ELSE true END",
            name=op.f("ck_system_configuration_value_range"),
        ),
        sa.CheckConstraint(
            "CASE value_type WHEN 'integer' THEN jsonb_typeof(value) = 'number' AND value::text !~ '[.eE]' WHEN 'list' THEN jsonb_typeof(value) = 'array' ELSE jsonb_typeof(value) = value_type::text END",
            name=op.f("ck_system_configuration_value_type"),
        ),
        sa.CheckConstraint("key ~ '^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)+$'", name=op.f("ck_system_configuration_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_system_configuration")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("username", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("hashed_password", sa.String(length=255), nullable=False),
        sa.Column("first_name", sa.String(length=50), nullable=True),
        sa.Column("last_name", sa.String(length=50), nullable=True),
        sa.Column("avatar_url", sa.String(length=500), nullable=True),
        sa.Column("bio", sa.String(length=500), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_superuser", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_premium", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("language_preference", sa.String(length=10), server_default=sa.text("'en'"), nullable=False),
        sa.Column(
            "difficulty_preference", enum("difficulty_level"), server_default=sa.text("'intermediate'"), nullable=False
        ),
        sa.Column("daily_goal_minutes", sa.Integer(), server_default=sa.text("30"), nullable=False),
        sa.Column("timezone", sa.String(length=64), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("last_login", TIME, nullable=True),
        sa.CheckConstraint(
            "(TIMESTAMPTZ '2000-01-01 00:00:00+00' AT TIME ZONE timezone) IS NOT NULL",
            name=op.f("ck_users_timezone_exists"),
        ),
        sa.CheckConstraint("email ~ '^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$'", name=op.f("ck_users_email")),
        sa.CheckConstraint("hashed_password ~ '^.{20,}$'", name=op.f("ck_users_hashed_password")),
        sa.CheckConstraint(
            "timezone ~ '^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]*){1,2})$'", name=op.f("ck_users_timezone")
        ),
        sa.CheckConstraint("username ~ '^[A-Za-z0-9_-]{3,50}$'", name=op.f("ck_users_username")),
        sa.CheckConstraint(
            "daily_goal_minutes >= 1 AND daily_goal_minutes <= 1440", name=op.f("ck_users_daily_goal_minutes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("uq_users_email", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_index("uq_users_username", "users", [sa.literal_column("lower(username)")], unique=True)
    op.create_table(
        "revisions",
        sa.Column("item_kind", enum("item_kind"), nullable=False),
        sa.Column("item_key", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("payload", JSONB(), nullable=True),
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("jsonb_typeof(payload) = 'object'", name=op.f("ck_revisions_payload")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_revisions_revision")),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["editorial.operations.id"], name=op.f("fk_revisions_operation_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("item_kind", "item_key", "revision", name=op.f("pk_revisions")),
        schema="editorial",
    )
    op.create_index("ix_revisions_operation_id", "revisions", ["operation_id"], unique=False, schema="editorial")
    op.create_table(
        "exercises",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("scenario_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("verb_id", sa.Integer(), nullable=False),
        sa.Column("exercise_type", enum("exercise_type"), nullable=False),
        sa.Column("tense", enum("tense"), nullable=False),
        sa.Column("person", enum("person"), nullable=True),
        sa.Column("trigger_class", enum("trigger_class"), nullable=True),
        sa.Column("trigger_phrase", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("difficulty_level", enum("difficulty_level"), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("correct_answer", sa.Text(), nullable=False),
        sa.Column("accepted_answers", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("distractors", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("explanation", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hint", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("cultural_note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("tags", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "search_text",
            sa.Text(),
            sa.Computed(
                "translate(lower(prompt || ' ' || correct_answer), 'ÁÉÍÓÚÜÑáéíóúü', 'aeiouuñaeiouu')", persisted=True
            ),
            nullable=False,
        ),
        sa.Column("status", enum("content_status"), server_default=sa.text("'published'"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("published_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "exercise_type <> 'fill_blank' OR (length(prompt) - length(replace(prompt, '___', '')) = 3 AND position('_' IN replace(prompt, '___', '')) = 0)",
            name=op.f("ck_exercises_one_blank"),
        ),
        sa.CheckConstraint(
            "exercise_type <> 'multiple_choice' OR cardinality(distractors) >= 2", name=op.f("ck_exercises_distractors")
        ),
        sa.CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name=op.f("ck_exercises_slug")),
        sa.CheckConstraint(
            "accepted_answers[1] IS NOT DISTINCT FROM correct_answer AND array_position(accepted_answers, NULL) IS NULL",
            name=op.f("ck_exercises_correct_answer"),
        ),
        sa.CheckConstraint("position >= 0", name=op.f("ck_exercises_position")),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_exercises_revision")),
        sa.ForeignKeyConstraint(
            ["scenario_id"], ["scenarios.id"], name=op.f("fk_exercises_scenario_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["verb_id"], ["spanish_verbs.id"], name=op.f("fk_exercises_verb_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exercises")),
    )
    op.create_index("ix_exercises_verb_id_tense_person", "exercises", ["verb_id", "tense", "person"], unique=False)
    op.create_index(
        "uq_exercises_scenario_prompt",
        "exercises",
        ["scenario_id", sa.literal_column("lower(regexp_replace(btrim(prompt), '\\s+', ' ', 'g'))")],
        unique=True,
    )
    op.create_index("uq_exercises_slug", "exercises", ["slug"], unique=True)
    op.create_table(
        "practice_items",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("verb_id", sa.Integer(), nullable=False),
        sa.Column("tense", enum("tense"), nullable=False),
        sa.Column("person", enum("person"), nullable=False),
        sa.Column("category", enum("practice_category"), nullable=False),
        sa.Column("trigger_phrase", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("correct_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("scheduler", enum("scheduler"), server_default=sa.text("'fsrs'"), nullable=False),
        sa.Column("current_interval", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ease_factor", sa.Double(), server_default=sa.text("2.5"), nullable=False),
        sa.Column("repetitions", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lapses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("memory_stability", sa.Double(), nullable=True),
        sa.Column("memory_difficulty", sa.Double(), nullable=True),
        sa.Column("next_review_date", TIME, nullable=True),
        sa.Column("last_reviewed", TIME, nullable=True),
        sa.Column("average_response_time", sa.Double(), nullable=True),
        sa.Column("mastery_level", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_patterns", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("strengths", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("refreshed_at", TIME, nullable=True),
        sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_practice_items_attempts")),
        sa.CheckConstraint(
            "average_response_time >= 0 AND average_response_time <= 3600000",
            name=op.f("ck_practice_items_average_response_time"),
        ),
        sa.CheckConstraint("correct_attempts <= attempts", name=op.f("ck_practice_items_correct")),
        sa.CheckConstraint("correct_attempts >= 0", name=op.f("ck_practice_items_correct_attempts")),
        sa.CheckConstraint(
            "current_interval >= 0 AND current_interval <= 36500", name=op.f("ck_practice_items_current_interval")
        ),
        sa.CheckConstraint("ease_factor >= 1.3 AND ease_factor <= 4", name=op.f("ck_practice_items_ease_factor")),
        sa.CheckConstraint("lapses >= 0", name=op.f("ck_practice_items_lapses")),
        sa.CheckConstraint("mastery_level >= 0 AND mastery_level <= 1", name=op.f("ck_practice_items_mastery_level")),
        sa.CheckConstraint(
            "memory_difficulty >= 1 AND memory_difficulty <= 10", name=op.f("ck_practice_items_memory_difficulty")
        ),
        sa.CheckConstraint(
            "memory_stability > 0 AND memory_stability <= 1000000000", name=op.f("ck_practice_items_memory_stability")
        ),
        sa.CheckConstraint("repetitions >= 0", name=op.f("ck_practice_items_repetitions")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_practice_items_user_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["verb_id"], ["spanish_verbs.id"], name=op.f("fk_practice_items_verb_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_items")),
    )
    op.create_index(
        "ix_practice_items_user_id_next_review_date", "practice_items", ["user_id", "next_review_date"], unique=False
    )
    op.create_index("ix_practice_items_verb_id", "practice_items", ["verb_id"], unique=False)
    op.create_index("uq_practice_items_id_user_id", "practice_items", ["id", "user_id"], unique=True)
    op.create_index(
        "uq_practice_items_skill", "practice_items", ["user_id", "verb_id", "tense", "person", "category"], unique=True
    )
    op.create_table(
        "learner_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("learner_key", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("pseudonym", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_learner_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_learner_keys")),
        schema="private",
    )
    op.create_index("uq_learner_keys_learner_key", "learner_keys", ["learner_key"], unique=True, schema="private")
    op.create_index("uq_learner_keys_pseudonym", "learner_keys", ["pseudonym"], unique=True, schema="private")
    op.create_table(
        "study_sessions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_type", enum("session_type"), server_default=sa.text("'practice'"), nullable=False),
        sa.Column("difficulty_level", enum("difficulty_level"), nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("completed_at", TIME, nullable=True),
        sa.Column("total_time_seconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_score", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_possible_score", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("exercises_completed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("daily_goal_met", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("streak_day", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("achievements_unlocked", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("concepts_practiced", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("weak_areas_identified", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("refreshed_at", TIME, nullable=True),
        sa.CheckConstraint("completed_at >= started_at", name=op.f("ck_study_sessions_order")),
        sa.CheckConstraint("exercises_completed >= 0", name=op.f("ck_study_sessions_exercises_completed")),
        sa.CheckConstraint("streak_day >= 0", name=op.f("ck_study_sessions_streak_day")),
        sa.CheckConstraint(
            "total_possible_score >= 0 AND total_possible_score <= 1000000000",
            name=op.f("ck_study_sessions_total_possible_score"),
        ),
        sa.CheckConstraint("total_score <= total_possible_score", name=op.f("ck_study_sessions_score")),
        sa.CheckConstraint(
            "total_score >= 0 AND total_score <= 1000000000", name=op.f("ck_study_sessions_total_score")
        ),
        sa.CheckConstraint("total_time_seconds >= 0", name=op.f("ck_study_sessions_total_time_seconds")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_study_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_sessions")),
    )
    op.create_index("ix_study_sessions_user_id_started_at", "study_sessions", ["user_id", "started_at"], unique=False)
    op.create_index("uq_study_sessions_id_user_id", "study_sessions", ["id", "user_id"], unique=True)
    op.create_table(
        "user_achievements",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("achievement_id", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("current_value", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("unlocked_at", TIME, nullable=True),
        sa.Column("refreshed_at", TIME, nullable=True),
        sa.CheckConstraint(
            "current_value >= 0 AND current_value <= 1000000000", name=op.f("ck_user_achievements_current_value")
        ),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name=op.f("ck_user_achievements_progress")),
        sa.ForeignKeyConstraint(
            ["achievement_id"],
            ["achievements.id"],
            name=op.f("fk_user_achievements_achievement_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_achievements_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_achievements")),
    )
    op.create_index("ix_user_achievements_achievement_id", "user_achievements", ["achievement_id"], unique=False)
    op.create_index(
        "uq_user_achievements_user_id_achievement_id", "user_achievements", ["user_id", "achievement_id"], unique=True
    )
    op.create_table(
        "user_progress",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("scenario_id", sa.Uuid(), nullable=False),
        sa.Column("progress_status", enum("progress_status"), server_default=sa.text("'not_started'"), nullable=False),
        sa.Column("completion", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("best_score", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("completed_at", TIME, nullable=True),
        sa.Column("last_activity_at", TIME, nullable=True),
        sa.Column("refreshed_at", TIME, nullable=True),
        sa.CheckConstraint(
            "(progress_status = 'completed') = (completed_at IS NOT NULL)", name=op.f("ck_user_progress_completed")
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_user_progress_attempts")),
        sa.CheckConstraint("best_score >= 0 AND best_score <= 1", name=op.f("ck_user_progress_best_score")),
        sa.CheckConstraint("completed_at >= started_at", name=op.f("ck_user_progress_order")),
        sa.CheckConstraint("completion >= 0 AND completion <= 1", name=op.f("ck_user_progress_completion")),
        sa.ForeignKeyConstraint(
            ["scenario_id"], ["scenarios.id"], name=op.f("fk_user_progress_scenario_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_progress_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_progress")),
    )
    op.create_index("ix_user_progress_scenario_id", "user_progress", ["scenario_id"], unique=False)
    op.create_index("uq_user_progress_user_id_scenario_id", "user_progress", ["user_id", "scenario_id"], unique=True)
    op.create_table(
        "user_progress_summary",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("total_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("correct_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=True),
        sa.Column("total_time_seconds", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sessions", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("items_mastered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("items_learning", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("current_streak", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("longest_streak", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_points", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_practised_on", sa.Date(), nullable=True),
        sa.Column("refreshed_at", TIME, nullable=True),
        sa.CheckConstraint("accuracy >= 0 AND accuracy <= 1", name=op.f("ck_user_progress_summary_accuracy")),
        sa.CheckConstraint("correct_attempts <= total_attempts", name=op.f("ck_user_progress_summary_correct")),
        sa.CheckConstraint("correct_attempts >= 0", name=op.f("ck_user_progress_summary_correct_attempts")),
        sa.CheckConstraint("current_streak >= 0", name=op.f("ck_user_progress_summary_current_streak")),
        sa.CheckConstraint("items_learning >= 0", name=op.f("ck_user_progress_summary_items_learning")),
        sa.CheckConstraint("items_mastered >= 0", name=op.f("ck_user_progress_summary_items_mastered")),
        sa.CheckConstraint("longest_streak >= 0", name=op.f("ck_user_progress_summary_longest_streak")),
        sa.CheckConstraint("sessions >= 0", name=op.f("ck_user_progress_summary_sessions")),
        sa.CheckConstraint("total_attempts >= 0", name=op.f("ck_user_progress_summary_total_attempts")),
        sa.CheckConstraint("total_points >= 0", name=op.f("ck_user_progress_summary_total_points")),
        sa.CheckConstraint("total_time_seconds >= 0", name=op.f("ck_user_progress_summary_total_time_seconds")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_progress_summary_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_progress_summary")),
    )
    op.create_index("uq_user_progress_summary_user_id", "user_progress_summary", ["user_id"], unique=True)
    op.create_table(
        "practice_attempts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("practice_item_id", sa.Uuid(), nullable=True),
        sa.Column("exercise_id", sa.Uuid(), nullable=False),
        sa.Column("exercise_revision", sa.Integer(), nullable=False),
        sa.Column("verb_id", sa.Integer(), nullable=False),
        sa.Column("tense", enum("tense"), nullable=False),
        sa.Column("person", enum("person"), nullable=True),
        sa.Column("trigger_class", enum("trigger_class"), nullable=True),
        sa.Column("expected_answer", sa.Text(), nullable=False),
        sa.Column("user_answer", sa.String(length=500), nullable=False),
        sa.Column("verdict", enum("verdict"), nullable=False),
        sa.Column("is_correct", sa.Boolean(), nullable=False),
        sa.Column("error_kind", enum("error_kind"), nullable=True),
        sa.Column("produced_tense", enum("tense"), nullable=True),
        sa.Column("produced_person", enum("person"), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("response_time_ms", sa.Integer(), nullable=False),
        sa.Column("hints_used", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=True),
        sa.Column("interval_before", sa.Integer(), nullable=True),
        sa.Column("interval_after", sa.Integer(), nullable=True),
        sa.Column("ease_before", sa.Double(), nullable=True),
        sa.Column("ease_after", sa.Double(), nullable=True),
        sa.Column("stability_before", sa.Double(), nullable=True),
        sa.Column("stability_after", sa.Double(), nullable=True),
        sa.Column("attempted_at", TIME, nullable=False),
        sa.Column("recorded_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("practised_on", sa.Date(), nullable=False),
        sa.Column("recorded_xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint(
            "(verdict IN ('correct', 'accepted')) = (error_kind IS NULL)", name=op.f("ck_practice_attempts_error_kind")
        ),
        sa.CheckConstraint(
            "practised_on BETWEEN (attempted_at AT TIME ZONE 'UTC')::date - 1 AND (attempted_at AT TIME ZONE 'UTC')::date + 1",
            name=op.f("ck_practice_attempts_practised_on"),
        ),
        sa.CheckConstraint(
            "verdict <> 'accent_only' OR error_kind = 'accent'", name=op.f("ck_practice_attempts_accent")
        ),
        sa.CheckConstraint(
            "verdict = 'accent_only' OR is_correct = (verdict <> 'wrong')", name=op.f("ck_practice_attempts_is_correct")
        ),
        sa.CheckConstraint("confidence >= 1 AND confidence <= 5", name=op.f("ck_practice_attempts_confidence")),
        sa.CheckConstraint("ease_after >= 1.3 AND ease_after <= 4", name=op.f("ck_practice_attempts_ease_after")),
        sa.CheckConstraint("ease_before >= 1.3 AND ease_before <= 4", name=op.f("ck_practice_attempts_ease_before")),
        sa.CheckConstraint("exercise_revision >= 1", name=op.f("ck_practice_attempts_exercise_revision")),
        sa.CheckConstraint("hints_used >= 0", name=op.f("ck_practice_attempts_hints_used")),
        sa.CheckConstraint(
            "interval_after >= 0 AND interval_after <= 36500", name=op.f("ck_practice_attempts_interval_after")
        ),
        sa.CheckConstraint(
            "interval_before >= 0 AND interval_before <= 36500", name=op.f("ck_practice_attempts_interval_before")
        ),
        sa.CheckConstraint(
            "person IS NOT NULL OR practice_item_id IS NULL", name=op.f("ck_practice_attempts_item_has_person")
        ),
        sa.CheckConstraint("rating >= 1 AND rating <= 4", name=op.f("ck_practice_attempts_rating")),
        sa.CheckConstraint(
            "response_time_ms >= 0 AND response_time_ms <= 3600000", name=op.f("ck_practice_attempts_response_time_ms")
        ),
        sa.CheckConstraint(
            "stability_after > 0 AND stability_after <= 1000000000", name=op.f("ck_practice_attempts_stability_after")
        ),
        sa.CheckConstraint(
            "stability_before > 0 AND stability_before <= 1000000000",
            name=op.f("ck_practice_attempts_stability_before"),
        ),
        sa.ForeignKeyConstraint(
            ["exercise_id"], ["exercises.id"], name=op.f("fk_practice_attempts_exercise_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_item_id", "user_id"],
            ["practice_items.id", "practice_items.user_id"],
            name=op.f("fk_practice_attempts_practice_item_id_user_id"),
            ondelete="SET NULL (practice_item_id)",
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "user_id"],
            ["study_sessions.id", "study_sessions.user_id"],
            name=op.f("fk_practice_attempts_session_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_practice_attempts_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["verb_id"], ["spanish_verbs.id"], name=op.f("fk_practice_attempts_verb_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_practice_attempts")),
    )
    op.create_index(
        "ix_practice_attempts_attempted_at",
        "practice_attempts",
        ["attempted_at"],
        unique=False,
        postgresql_using="brin",
    )
    op.create_index(
        "ix_practice_attempts_exercise_id_attempted_at",
        "practice_attempts",
        ["exercise_id", "attempted_at"],
        unique=False,
    )
    op.create_index(
        "ix_practice_attempts_practice_item_id_user_id",
        "practice_attempts",
        ["practice_item_id", "user_id"],
        unique=False,
    )
    op.create_index("ix_practice_attempts_recorded_xid", "practice_attempts", ["recorded_xid"], unique=False)
    op.create_index(
        "ix_practice_attempts_session_id_user_id", "practice_attempts", ["session_id", "user_id"], unique=False
    )
    op.create_index(
        "ix_practice_attempts_user_id_attempted_at", "practice_attempts", ["user_id", "attempted_at"], unique=False
    )
    op.create_index("ix_practice_attempts_verb_id", "practice_attempts", ["verb_id"], unique=False)
    create_triggers()


def create_triggers() -> None:
    op.execute(TOUCH_FUNCTION)
    op.execute(KEEP_KEY_FUNCTION)
    for table in TOUCHED:
        op.execute(
            f"CREATE TRIGGER tg_{table}_touch BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION ops.touch_updated_at()"
        )
    for table, column in KEPT_KEYS.items():
        op.execute(
            f"CREATE TRIGGER tg_{table}_keep_{column} BEFORE UPDATE OF {column} ON {table} FOR EACH ROW "
            f"WHEN (OLD.{column} IS DISTINCT FROM NEW.{column}) "
            f"EXECUTE FUNCTION ops.keep_natural_key('{column}')"
        )


def downgrade() -> None:
    op.drop_table("practice_attempts")
    op.drop_table("user_progress_summary")
    op.drop_table("user_progress")
    op.drop_table("user_achievements")
    op.drop_table("study_sessions")
    op.drop_table("learner_keys", schema="private")
    op.drop_table("practice_items")
    op.drop_table("exercises")
    op.drop_table("revisions", schema="editorial")
    op.drop_table("users")
    op.drop_table("system_configuration")
    op.drop_table("spanish_verbs")
    op.drop_table("scenarios")
    op.drop_table("pool_samples", schema="ops")
    op.drop_table("instance", schema="ops")
    op.drop_table("seed_base", schema="editorial")
    op.drop_table("operations", schema="editorial")
    op.drop_table("findings", schema="editorial")
    op.drop_table("drafts", schema="editorial")
    op.drop_table("dismissals", schema="editorial")
    op.drop_table("achievements")
    op.execute("DROP FUNCTION ops.touch_updated_at(), ops.keep_natural_key()")
    for enumeration in all_enums():
        schema = f"{enumeration.schema}." if enumeration.schema else ""
        op.execute(f"DROP TYPE {schema}{enumeration.name}")
    # ops stays: it holds the version table that this very migration is recorded in.
    op.execute("DROP SCHEMA private")
    op.execute("DROP SCHEMA editorial")
