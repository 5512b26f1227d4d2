"""What learners practise: verbs, scenarios, exercises, achievements and the configuration."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Computed, ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from subjunctive_admin.models.base import (
    FOLD,
    Base,
    Published,
    count,
    empty_text,
    now,
    records,
    structure,
    uuid_key,
    words,
    yes,
)
from subjunctive_admin.models.rules import Pattern, Range, Rule, Shape, check, checks
from subjunctive_admin.structures import (
    CONFIG_KEY_PATTERN,
    INFINITIVE_PATTERN,
    SLUG_PATTERN,
    Conjugations,
    Criterion,
    ExampleSentence,
    Override,
)
from subjunctive_admin.vocabulary import (
    AchievementCategory,
    CefrLevel,
    ConjugationClass,
    DifficultyLevel,
    ExerciseType,
    Person,
    ScenarioContext,
    StemChangePattern,
    Tense,
    Tier,
    TriggerClass,
    ValueType,
    VerbType,
)

SLUG = Pattern("slug", SLUG_PATTERN, "is lower-case words joined by single hyphens, such as family-dinner")
_REVISION = Range("revision", 1)
_POSITION = Range("position", 0)


def unique(name: str, *columns: Any, said: str) -> Index:
    """A unique index over expressions, with the sentence that explains a refusal."""
    return Index(name, *columns, unique=True, info={"words": said})


class SpanishVerb(Published, Base):
    """A verb; `conjugations` is `{tense: {person: [accepted forms, primary first]}}`."""

    __tablename__ = "spanish_verbs"
    RULES: ClassVar[tuple[Rule, ...]] = (
        Pattern(
            "infinitive", INFINITIVE_PATTERN, "is a lower-case infinitive in -ar, -er, -ir or -ír, with -se or not"
        ),
        Range("frequency_rank", 0, above=True),
        Range("frequency_band", 1, 5),
        Shape("conjugations", "object", Conjugations),
        Shape("conjugation_overrides", "object", dict[Tense, dict[Person, Override]]),
        Shape("example_sentences", "array", list[ExampleSentence]),
        _REVISION,
    )
    __table_args__ = (
        *checks(RULES),
        check("infinitive IS NFC NORMALIZED", "infinitive_nfc", "infinitive is stored composed (Unicode NFC)"),
        unique("uq_spanish_verbs_infinitive", "infinitive", said="there is already a verb with this infinitive"),
        Index("ix_spanish_verbs_difficulty_level_frequency_rank", "difficulty_level", "frequency_rank"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    infinitive: Mapped[str] = mapped_column(String(50))
    english_translation: Mapped[str] = mapped_column(String(200))
    verb_type: Mapped[VerbType]
    conjugation_class: Mapped[ConjugationClass]
    stem_change_pattern: Mapped[StemChangePattern | None]
    features: Mapped[words]
    frequency_rank: Mapped[int | None]
    frequency_band: Mapped[int] = mapped_column(server_default=text("5"))
    difficulty_level: Mapped[DifficultyLevel]
    is_reflexive: Mapped[bool] = mapped_column(Computed("infinitive LIKE '%rse'", persisted=True))
    is_defective: Mapped[bool] = mapped_column(server_default=text("false"))
    gerund: Mapped[str]
    past_participle: Mapped[str]
    conjugations: Mapped[dict[str, Any]]
    conjugation_overrides: Mapped[structure]
    example_sentences: Mapped[records]
    semantic_tags: Mapped[words]
    usage_notes: Mapped[empty_text]
    cultural_notes: Mapped[empty_text]
    search_text: Mapped[str] = mapped_column(
        Computed(FOLD.format("infinitive || ' ' || english_translation"), persisted=True)
    )


class Scenario(Published, Base):
    """A situation of social, professional or cultural life to practise in."""

    __tablename__ = "scenarios"
    RULES: ClassVar[tuple[Rule, ...]] = (
        SLUG,
        Range("estimated_minutes", 0, above=True),
        Shape("example_sentences", "array", list[ExampleSentence]),
        _POSITION,
        _REVISION,
    )
    __table_args__ = (
        *checks(RULES),
        unique("uq_scenarios_slug", "slug", said="there is already a scenario with this slug"),
    )

    id: Mapped[uuid_key]
    slug: Mapped[str] = mapped_column(String(80))
    title: Mapped[str] = mapped_column(String(120))
    description: Mapped[str]
    context: Mapped[ScenarioContext]
    difficulty_level: Mapped[DifficultyLevel]
    cefr_level: Mapped[CefrLevel]
    learning_objectives: Mapped[words]
    cultural_notes: Mapped[empty_text]
    example_sentences: Mapped[records]
    estimated_minutes: Mapped[int]
    position: Mapped[count]
    search_text: Mapped[str] = mapped_column(Computed(FOLD.format("title || ' ' || description"), persisted=True))

    exercises: Mapped[list[Exercise]] = relationship(
        back_populates="scenario", lazy="raise_on_sql", order_by="Exercise.position", passive_deletes="all"
    )


class Exercise(Published, Base):
    """One question. A null person has no practice item: such an exercise is not scheduled."""

    __tablename__ = "exercises"
    RULES: ClassVar[tuple[Rule, ...]] = (SLUG, _POSITION, _REVISION)
    __table_args__ = (
        *checks(RULES),
        check(
            "exercise_type <> 'fill_blank' OR (length(prompt) - length(replace(prompt, '___', '')) = 3"
            " AND position('_' IN replace(prompt, '___', '')) = 0)",
            "one_blank",
            "a fill_blank exercise has exactly one blank ___ in its prompt",
        ),
        check(
            "exercise_type <> 'multiple_choice' OR cardinality(distractors) >= 2",
            "distractors",
            "a multiple_choice exercise has at least two distractors",
        ),
        check(
            "accepted_answers[1] IS NOT DISTINCT FROM correct_answer AND array_position(accepted_answers, NULL) IS NULL",
            "correct_answer",
            "correct_answer is the first of accepted_answers",
        ),
        unique("uq_exercises_slug", "slug", said="there is already an exercise with this slug"),
        unique(
            "uq_exercises_scenario_prompt",
            "scenario_id",
            text(r"lower(regexp_replace(btrim(prompt), '\s+', ' ', 'g'))"),
            said="the scenario already has an exercise with this prompt",
        ),
        Index("ix_exercises_verb_id_tense_person", "verb_id", "tense", "person"),
    )

    id: Mapped[uuid_key]
    scenario_id: Mapped[Any] = mapped_column(ForeignKey("scenarios.id", ondelete="RESTRICT"))
    slug: Mapped[str] = mapped_column(String(80))
    verb_id: Mapped[int] = mapped_column(ForeignKey("spanish_verbs.id", ondelete="RESTRICT"))
    exercise_type: Mapped[ExerciseType]
    tense: Mapped[Tense]
    person: Mapped[Person | None]
    trigger_class: Mapped[TriggerClass | None]
    trigger_phrase: Mapped[empty_text]
    difficulty_level: Mapped[DifficultyLevel]
    prompt: Mapped[str]
    correct_answer: Mapped[str]
    accepted_answers: Mapped[words]
    distractors: Mapped[words]
    explanation: Mapped[empty_text]
    hint: Mapped[empty_text]
    cultural_note: Mapped[empty_text]
    tags: Mapped[words]
    position: Mapped[count]
    search_text: Mapped[str] = mapped_column(Computed(FOLD.format("prompt || ' ' || correct_answer"), persisted=True))

    scenario: Mapped[Scenario] = relationship(back_populates="exercises", lazy="raise_on_sql")
    verb: Mapped[SpanishVerb] = relationship(lazy="raise_on_sql")


class Achievement(Base):
    """An award; `criteria` is `{metric, op, value, filter}`."""

    __tablename__ = "achievements"
    RULES: ClassVar[tuple[Rule, ...]] = (SLUG, Range("points", 0), Shape("criteria", "object", Criterion))
    __table_args__ = (
        *checks(RULES),
        unique("uq_achievements_slug", "slug", said="there is already an achievement with this slug"),
        unique("uq_achievements_name", "name", said="there is already an achievement with this name"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    slug: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(80))
    description: Mapped[str]
    category: Mapped[AchievementCategory]
    icon: Mapped[str] = mapped_column(String(40))
    points: Mapped[count]
    criteria: Mapped[dict[str, Any]]
    tier: Mapped[Tier]
    is_active: Mapped[yes]


class SystemConfiguration(Base):
    """One configuration value under its dotted key, with its type and limits."""

    __tablename__ = "system_configuration"
    RULES: ClassVar[tuple[Rule, ...]] = (
        Pattern("key", CONFIG_KEY_PATTERN, "has the form area.name, such as practice.mastery_threshold"),
    )
    __table_args__ = (
        *checks(RULES),
        check(
            "CASE value_type WHEN 'integer' THEN jsonb_typeof(value) = 'number' AND value::text !~ '[.eE]'"
            " WHEN 'list' THEN jsonb_typeof(value) = 'array'"
            " ELSE jsonb_typeof(value) = value_type::text END",
            "value_type",
            "value has the JSON type that value_type names",
        ),
        check(
            "CASE WHEN jsonb_typeof(value) = 'number' THEN"
            " coalesce(value::float8 >= min, true) AND coalesce(value::float8 <= max, true) ELSE true END",
            "value_range",
            "value lies between min and max",
        ),
    )

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB(none_as_null=False), nullable=False)
    value_type: Mapped[ValueType]
    description: Mapped[str]
    min: Mapped[float | None]
    max: Mapped[float | None]
    updated_at: Mapped[now]
    updated_by: Mapped[str] = mapped_column(String(100), server_default=text("'seed'"))
