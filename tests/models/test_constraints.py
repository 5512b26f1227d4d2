"""Every rule of the data model is kept by PostgreSQL itself and said in words, by Python where it can see the fault."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from subjunctive_admin.models import (
    SCHEMAS,
    Base,
    Dismissal,
    Draft,
    Finding,
    Instance,
    LearnerKey,
    Operation,
    Revision,
    SeedBase,
)
from subjunctive_admin.models.rules import Rule, sentences
from subjunctive_admin.vocabulary import ItemKind, OperationKind
from tests.builders import (
    NOON,
    make_achievement,
    make_attempt,
    make_award,
    make_configuration,
    make_exercise,
    make_item,
    make_pool_sample,
    make_progress,
    make_scenario,
    make_session,
    make_summary,
    make_user,
    make_verb,
)
from tests.refusals import drop_constraints, insert_copy, refused_by

Make = Callable[[Session], Base]
HASH = "0" * 64
ITEM = {"item_kind": ItemKind.VERB, "item_key": "hablar"}


def _add(session: Session, *rows: Base) -> Base:
    session.add_all(rows)
    session.flush()
    return rows[-1]


def make_operation(session: Session) -> Base:
    first = Operation(kind=OperationKind.EDIT, actor="ana")
    _add(session, first)
    return _add(session, Operation(kind=OperationKind.UNDO, actor="ana", undoes=first.id))


def make_revision(session: Session) -> Base:
    operation = Operation(kind=OperationKind.SEED, actor="ana")
    _add(session, operation)
    return _add(session, Revision(**ITEM, revision=1, payload={}, operation_id=operation.id))


def make_draft(session: Session) -> Base:
    return _add(session, Draft(**ITEM, payload={}, author="ana"))


def make_finding(session: Session) -> Base:
    return _add(session, Finding(check_id="c", **ITEM, content_hash=HASH, first_seen=NOON, last_seen=NOON))


def make_dismissal(session: Session) -> Base:
    return _add(session, Dismissal(check_id="c", **ITEM, content_hash=HASH, reason="meant", actor="ana"))


def make_seed_base(session: Session) -> Base:
    return _add(session, SeedBase(**ITEM, content_hash=HASH))


def make_instance(session: Session) -> Base:
    return _add(session, Instance(environment="test"))


def make_learner_key(session: Session) -> Base:
    return _add(session, LearnerKey(user_id=make_user(session).id))


class Fault(NamedTuple):
    """Columns that break one rule; `behind` names rules that the same values break and that answer first."""

    make: Make
    changed: dict[str, Any]
    constraint: str
    behind: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.constraint}-{self.changed}"


def faults_of(make: Make, table: str, **values: list[Any]) -> list[Fault]:
    """Faults of single columns whose rule has the column's name."""
    return [Fault(make, {name: bad}, f"ck_{table}_{name}") for name, bads in values.items() for bad in bads]


FAULTS = [
    *faults_of(make_pool_sample, "pool_samples", pool=["", "Sync", "other"]),
    *faults_of(
        make_user,
        "users",
        username=["ab", "with space", "ñandú", "a" * 49 + "!"],
        email=["nobody", "a@b", "two words@example.org", "a@b@example.org"],
        hashed_password=["secret", ""],
        daily_goal_minutes=[0, 1441],
        timezone=["europe/madrid", "Etc/GMT+3", "", "+02:00"],
    ),
    *faults_of(
        make_verb,
        "spanish_verbs",
        infinitive=["Hablar", "hablo", "hablar se", "ha1ar", "oi\u0301r"],
        frequency_rank=[0, -1],
        frequency_band=[0, 6],
        conjugations=[[], "hable"],
        conjugation_overrides=[[]],
        example_sentences=[{}],
        revision=[0],
    ),
    Fault(make_verb, {"infinitive": "oi\u0301r"}, "ck_spanish_verbs_infinitive_nfc", ("ck_spanish_verbs_infinitive",)),
    *faults_of(
        make_scenario,
        "scenarios",
        slug=["Family", "family dinner", "-a", "a--b", ""],
        estimated_minutes=[0, -5],
        example_sentences=[{}],
        position=[-1],
        revision=[0],
    ),
    *faults_of(make_exercise, "exercises", slug=["A", "a_b"], position=[-1], revision=[0]),
    *(
        Fault(make_exercise, {"prompt": prompt}, "ck_exercises_one_blank")
        for prompt in ("Quiere que hable.", "Quiere que ___ y ___.", "Quiere que ____.", "Quiere que __.", "___ _")
    ),
    Fault(make_exercise, {"exercise_type": "multiple_choice", "distractors": ["habla"]}, "ck_exercises_distractors"),
    Fault(make_exercise, {"correct_answer": "habla"}, "ck_exercises_correct_answer"),
    Fault(make_exercise, {"accepted_answers": []}, "ck_exercises_correct_answer"),
    Fault(make_exercise, {"accepted_answers": ["habla", "hable"]}, "ck_exercises_correct_answer"),
    Fault(make_exercise, {"accepted_answers": ["hable", None]}, "ck_exercises_correct_answer"),
    *faults_of(
        make_item,
        "practice_items",
        attempts=[-1],
        correct_attempts=[-1],
        current_interval=[-1, 36_501],
        ease_factor=[-2.5, 1.29, 4.01, float("nan")],
        average_response_time=[-1.0, 3_600_001.0],
        mastery_level=[-0.01, 1.01],
        repetitions=[-1],
        lapses=[-1],
        memory_stability=[0.0, -1.0],
        memory_difficulty=[0.9, 10.1],
    ),
    Fault(make_item, {"attempts": 2, "correct_attempts": 3}, "ck_practice_items_correct"),
    *faults_of(make_progress, "user_progress", completion=[-0.01, 1.01], best_score=[-0.01, 1.01], attempts=[-1]),
    Fault(make_progress, {"progress_status": "completed"}, "ck_user_progress_completed"),
    Fault(make_progress, {"completed_at": NOON}, "ck_user_progress_completed"),
    Fault(
        make_progress,
        {"progress_status": "completed", "started_at": NOON, "completed_at": NOON - timedelta(seconds=1)},
        "ck_user_progress_order",
    ),
    *faults_of(
        make_session,
        "study_sessions",
        total_time_seconds=[-1],
        total_score=[-1.0],
        exercises_completed=[-1],
        streak_day=[-1],
        daily_goal_minutes=[0, 1441],
    ),
    Fault(make_session, {"started_on": NOON.date() + timedelta(days=2)}, "ck_study_sessions_started_on"),
    Fault(
        make_session,
        {"total_possible_score": -1.0},
        "ck_study_sessions_total_possible_score",
        ("ck_study_sessions_score",),
    ),
    Fault(make_session, {"completed_at": NOON - timedelta(seconds=1)}, "ck_study_sessions_order"),
    Fault(make_session, {"total_score": 2.0, "total_possible_score": 1.0}, "ck_study_sessions_score"),
    *faults_of(
        make_attempt,
        "practice_attempts",
        exercise_revision=[0],
        rating=[0, 5],
        response_time_ms=[-1, 3_600_001],
        hints_used=[-1],
        confidence=[0, 6, 99],
        interval_before=[-1, 36_501],
        interval_after=[-1, 36_501],
        ease_before=[1.29, 4.01],
        ease_after=[1.29, 4.01],
        stability_before=[0.0],
        stability_after=[0.0],
        error_kind=["mood"],
        is_correct=[False],
        practised_on=[date(2026, 2, 28), date(2026, 3, 4)],
    ),
    Fault(make_attempt, {"verdict": "wrong", "is_correct": False}, "ck_practice_attempts_error_kind"),
    Fault(make_attempt, {"verdict": "accepted", "error_kind": "typo"}, "ck_practice_attempts_error_kind"),
    Fault(make_attempt, {"verdict": "wrong", "error_kind": "stem"}, "ck_practice_attempts_is_correct"),
    Fault(make_attempt, {"verdict": "accent_only", "error_kind": "mood"}, "ck_practice_attempts_accent"),
    Fault(make_attempt, {"person": None, "practice_item_id": UUID(int=1)}, "ck_practice_attempts_item_has_person"),
    *faults_of(make_achievement, "achievements", slug=["Ten Attempts"], points=[-1], criteria=[[]]),
    *faults_of(make_award, "user_achievements", progress=[-0.01, 1.01], current_value=[-1.0]),
    *faults_of(
        make_summary,
        "user_progress_summary",
        accuracy=[-0.01, 1.01],
        correct_attempts=[-1],
        total_time_seconds=[-1],
        sessions=[-1],
        items_mastered=[-1],
        items_learning=[-1],
        current_streak=[-1],
        longest_streak=[-1],
        total_points=[-1],
    ),
    Fault(
        make_summary,
        {"total_attempts": -1},
        "ck_user_progress_summary_total_attempts",
        ("ck_user_progress_summary_correct",),
    ),
    Fault(make_summary, {"total_attempts": 2, "correct_attempts": 3}, "ck_user_progress_summary_correct"),
    *faults_of(
        make_configuration, "system_configuration", key=["practice", "Practice.goal", "practice.", "practice..x"]
    ),
    *(
        Fault(make_configuration, changed, "ck_system_configuration_value_type")
        for changed in (
            {"value": "five"},
            {"value": 5.5},
            {"value": None},
            {"value_type": "list"},
            {"value_type": "string"},
            {"value_type": "boolean", "value": "true"},
            {"value_type": "object", "value": []},
        )
    ),
    Fault(make_configuration, {"value": 0}, "ck_system_configuration_value_range"),
    Fault(make_configuration, {"value": 11}, "ck_system_configuration_value_range"),
    *faults_of(make_revision, "revisions", revision=[0], payload=[[]]),
    *faults_of(make_draft, "drafts", payload=[[]]),
    *faults_of(make_finding, "findings", content_hash=["abc", "G" * 64]),
    Fault(make_finding, {"last_seen": NOON - timedelta(seconds=1)}, "ck_findings_order"),
    *faults_of(make_dismissal, "dismissals", content_hash=["abc"], reason=["", "  "]),
    *faults_of(make_seed_base, "seed_base", content_hash=["abc"]),
    *faults_of(make_instance, "instance", only_row=[False], environment=["Production", "p"], epoch=[0]),
]
UNREACHABLE = {
    "ck_users_timezone_exists": "PostgreSQL raises before it can answer; test_faults has it",
    "uq_practice_items_id_user_id": "the key already says it; a foreign key needs it",
    "uq_study_sessions_id_user_id": "the key already says it; a foreign key needs it",
}
WORDS = sentences(Base.metadata.tables.values())


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_the_database_refuses_the_value_and_says_the_rule(session: Session, fault: Fault) -> None:
    row = fault.make(session)
    drop_constraints(session, row, *fault.behind)
    with refused_by(session, fault.constraint) as refusal:
        insert_copy(session, row, **fault.changed)
    assert WORDS[fault.constraint] in refusal.words


@pytest.mark.matrix
def test_every_supported_postgresql_refuses_every_fault(matrix_session: Session) -> None:
    for fault in FAULTS:
        with matrix_session.begin_nested() as undone:
            row = fault.make(matrix_session)
            drop_constraints(matrix_session, row, *fault.behind)
            with refused_by(matrix_session, fault.constraint):
                insert_copy(matrix_session, row, **fault.changed)
            undone.rollback()


BY_RULE = {f"ck_{model.__tablename__}_{rule.name}": rule for model in Base.__subclasses__() for rule in model.RULES}


@pytest.mark.parametrize("fault", [f for f in FAULTS if len(f.changed) == 1 and f.constraint in BY_RULE], ids=str)
def test_python_refuses_the_same_value_in_the_same_words(session: Session, fault: Fault) -> None:
    row, rule = fault.make(session), BY_RULE[fault.constraint]
    ((column, bad),) = fault.changed.items()
    with pytest.raises(ValueError) as refused:
        setattr(row, column, bad)
    assert str(refused.value) == f"{column} {rule.words}; {bad!r} is not."


def test_every_rule_of_a_model_is_a_constraint(session: Session) -> None:
    assert [name for name in BY_RULE if name not in _constraints(session)] == []


def test_every_constraint_was_broken_by_a_fault(session: Session) -> None:
    broken = {fault.constraint for fault in FAULTS} | {one[1] for one in DUPLICATES}
    broken |= {f"uq_learner_keys_{column}" for column in LEARNER_COLUMNS}
    assert _constraints(session) - broken == set(UNREACHABLE)


def test_every_constraint_can_be_said_in_words(session: Session) -> None:
    assert _constraints(session) - set(WORDS) == set()


def _constraints(session: Session) -> set[str]:
    """Names of the CHECKs and unique indexes in the catalog, but for primary keys."""
    query = """
        SELECT conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
        WHERE contype = 'c' AND nspname = ANY (:schemas)
        UNION SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_namespace n ON n.oid = i.relnamespace
        WHERE indisunique AND NOT indisprimary AND nspname = ANY (:schemas)
    """
    return set(session.scalars(text(query), {"schemas": ["public", *SCHEMAS]}))


def _rule_takes(rule: Rule, value: Any) -> bool:
    rule.validate(value)
    return True


@pytest.mark.parametrize("rule", BY_RULE.values(), ids=list(BY_RULE))
def test_no_rule_is_about_null(rule: Rule) -> None:
    assert _rule_takes(rule, None)


# A second row that says the same: what differs from the first, and the index that refuses.
DUPLICATES: list[tuple[Make, str, dict[str, Any]]] = [
    (make_user, "uq_users_username", {"email": "other@example.org"}),
    (make_user, "uq_users_email", {"username": "somebody-else"}),
    (make_verb, "uq_spanish_verbs_infinitive", {"english_translation": "to talk"}),
    (make_scenario, "uq_scenarios_slug", {"title": "Otra cena"}),
    (make_exercise, "uq_exercises_slug", {"prompt": "Espero que ___."}),
    (make_exercise, "uq_exercises_scenario_prompt", {"slug": "other"}),
    (make_item, "uq_practice_items_skill", {"trigger_phrase": "quiero que", "scheduler": "sm2"}),
    (make_progress, "uq_user_progress_user_id_scenario_id", {"attempts": 3}),
    (make_achievement, "uq_achievements_slug", {"name": "Another"}),
    (make_achievement, "uq_achievements_name", {"slug": "another"}),
    (make_award, "uq_user_achievements_user_id_achievement_id", {"unlocked_at": NOON}),
    (make_summary, "uq_user_progress_summary_user_id", {"sessions": 1}),
    (make_operation, "uq_operations_undoes", {"actor": "luis"}),
]


@pytest.mark.parametrize(("make", "constraint", "changed"), DUPLICATES, ids=[one[1] for one in DUPLICATES])
def test_the_database_refuses_a_second_row_of_the_same_key(
    session: Session, make: Make, constraint: str, changed: dict[str, Any]
) -> None:
    row = make(session)
    with refused_by(session, constraint) as refusal:
        insert_copy(session, row, **changed)
    assert WORDS[constraint] in refusal.words


LEARNER_COLUMNS = ("learner_key", "pseudonym")


@pytest.mark.parametrize("column", LEARNER_COLUMNS)
def test_what_stands_for_a_learner_belongs_to_one_user(session: Session, column: str) -> None:
    first, second = make_learner_key(session), make_user(session)
    with refused_by(session, f"uq_learner_keys_{column}"):
        session.execute(
            text(
                f"""
                INSERT INTO private.learner_keys (user_id, {column}) OVERRIDING SYSTEM VALUE
                SELECT :second, {column} FROM private.learner_keys WHERE user_id = :first
                """
            ),
            {"first": first.user_id, "second": second.id},  # type: ignore[attr-defined]
        )


@pytest.mark.parametrize("same", ["Quiere que ___.", "  Quiere   que ___.  ", "QUIERE QUE ___.", "Quiere\nque\t___."])
def test_a_prompt_is_the_same_whatever_its_spaces_and_capitals(session: Session, same: str) -> None:
    first = make_exercise(session, prompt="Quiere que ___.")
    with refused_by(session, "uq_exercises_scenario_prompt"):
        insert_copy(session, first, slug="other", prompt=same)


def test_another_scenario_may_have_the_same_prompt(session: Session) -> None:
    first = make_exercise(session, prompt="Quiere que ___.")
    make_exercise(session, prompt="Quiere que ___.", verb_id=first.verb_id)


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (make_user, {"username": "a-B_3", "daily_goal_minutes": 1, "timezone": "America/Argentina/Buenos_Aires"}),
        (make_user, {"username": "a" * 50, "daily_goal_minutes": 1440, "timezone": "UTC"}),
        (make_verb, {"infinitive": "oír", "frequency_rank": None, "frequency_band": 1}),
        (make_verb, {"infinitive": "ir", "frequency_band": 5}),
        (make_verb, {"infinitive": "reírse"}),
        (make_exercise, {"exercise_type": "translation", "prompt": "I hope that she speaks", "person": None}),
        (make_exercise, {"exercise_type": "multiple_choice", "distractors": ["habla", "hablo"]}),
        (make_item, {"ease_factor": 1.3, "current_interval": 36_500, "mastery_level": 1, "memory_difficulty": 10}),
        (make_item, {"ease_factor": 4.0, "memory_stability": 0.01, "memory_difficulty": 1}),
        (make_attempt, {"practised_on": date(2026, 3, 1), "response_time_ms": 0, "rating": 1, "confidence": 1}),
        (make_attempt, {"practised_on": date(2026, 3, 3), "response_time_ms": 3_600_000, "rating": 4}),
        (make_attempt, {"verdict": "wrong", "is_correct": False, "error_kind": "mood"}),
        (make_attempt, {"verdict": "accent_only", "is_correct": True, "error_kind": "accent"}),
        (make_attempt, {"verdict": "accent_only", "is_correct": False, "error_kind": "accent"}),
        (make_configuration, {"value": 10}),
        (make_configuration, {"value": 1}),
        (make_configuration, {"value_type": "list", "value": [1, 2]}),
        (make_configuration, {"value_type": "boolean", "value": False, "min": None, "max": None}),
    ],
)
def test_the_limits_themselves_are_accepted(
    session: Session, make: Callable[..., Base], changed: dict[str, Any]
) -> None:
    make(session, **changed)
