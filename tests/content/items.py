"""Small items of content that every rule accepts; a test names only what it is about."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from subjunctive_admin.db import Database
from subjunctive_admin.models import TWELVE_TABLES
from subjunctive_admin.structures import (
    AchievementContent,
    ConfigurationEntry,
    ExerciseContent,
    ScenarioContent,
    VerbContent,
)
from subjunctive_admin.vocabulary import SUBJUNCTIVE_TENSES, Person

HISTORY_TABLES = ("editorial.operations", "editorial.revisions", "editorial.seed_base")


def verb_fields(infinitive: str = "hablar", **given: Any) -> dict[str, Any]:
    """A payload of a verb; its forms are complete and all alike."""
    form = infinitive.removesuffix("se")[:-2] + "e"
    return {
        "infinitive": infinitive,
        "english_translation": "to speak",
        "verb_type": "regular",
        "conjugation_class": infinitive.removesuffix("se")[-2:].replace("í", "i"),
        "frequency_band": 1,
        "difficulty_level": "beginner",
        "gerund": "hablando",
        "past_participle": "hablado",
        "conjugations": {t.value: {p.value: [form] for p in Person} for t in SUBJUNCTIVE_TENSES},
        **given,
    }


def verb(infinitive: str = "hablar", **given: Any) -> VerbContent:
    return VerbContent.model_validate(verb_fields(infinitive, **given))


def scenario(slug: str = "cena", **given: Any) -> ScenarioContent:
    fields = {
        "slug": slug,
        "title": "Dinner",
        "description": "Dinner with the family.",
        "context": "social",
        "difficulty_level": "beginner",
        "cefr_level": "A2",
        "learning_objectives": ["Say what you wish"],
        "estimated_minutes": 20,
        "position": 1,
    }
    return ScenarioContent.model_validate(fields | given)


def exercise(slug: str = "cena-1", **given: Any) -> ExerciseContent:
    fields = {
        "slug": slug,
        "scenario": "cena",
        "verb": "hablar",
        "exercise_type": "fill_blank",
        "tense": "present_subjunctive",
        "person": "yo",
        "trigger_class": "wish",
        "trigger_phrase": "Quiere que",
        "difficulty_level": "beginner",
        "prompt": f"Quiere que yo ___ (hablar) de {slug}.",
        "accepted_answers": ["hable"],
        "explanation": "Querer que takes the subjunctive.",
        "position": 1,
    }
    return ExerciseContent.model_validate(fields | given)


def achievement(slug: str = "primer-intento", **given: Any) -> AchievementContent:
    fields = {
        "slug": slug,
        "name": f"First steps ({slug})",
        "description": "Answer ten exercises.",
        "category": "milestone",
        "icon": "star",
        "points": 10,
        "criteria": {"metric": "total_attempts", "value": 10},
        "tier": "bronze",
    }
    return AchievementContent.model_validate(fields | given)


def entry(name: str = "practice.daily_goal", **given: Any) -> ConfigurationEntry:
    fields = {
        "name": name,
        "value": 20,
        "value_type": "integer",
        "description": "Exercises a day.",
        "min": 1,
        "max": 200,
    }
    return ConfigurationEntry.model_validate(fields | given)


def rows_of(database: Database, *tables: str) -> dict[str, list[str]]:
    """Every row of the tables as PostgreSQL writes it, times included; the twelve unless named."""
    with database.connection() as connection:
        return {
            table: list(connection.scalars(text(f"SELECT t::text FROM {table} t ORDER BY 1")))
            for table in tables or TWELVE_TABLES
        }
