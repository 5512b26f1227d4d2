"""Each check of the application's integrity passes on sound data, finds the fault that is put in, and says when it cannot look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from subjunctive_admin import derived, schema, seeding
from subjunctive_admin.content import store
from subjunctive_admin.db import Database
from subjunctive_admin.models import ENUMS, Exercise
from subjunctive_admin.ops.health import integrity, run_health
from subjunctive_admin.ops.health.registry import INTEGRITY, Probe, registered
from subjunctive_admin.vocabulary import ContentStatus, ItemKind, Status, Verdict
from tests.builders import make_achievement, make_attempt, make_exercise, make_item, make_session, make_user
from tests.conftest import Cluster, close
from tests.ops.health_verbs import another_role, check_finds, check_passes, result_of, run_as_superuser, run_sql

CHECKS = [one.id for one in registered() if one.group == INTEGRITY]
PASSING_EMPTY = {
    "models-match",
    "enum-labels",
    "orphans",
    "impossible-values",
    "future-times",
    "text-nfc",
    "open-sessions",
}
HOUR = timedelta(hours=1)


@contextmanager
def writing(database: Database) -> Iterator[Session]:
    with database.session(write=True) as session:
        yield session


@pytest.fixture(scope="module")
def practised_template(cluster: Cluster) -> Iterator[Database]:
    """The shipped seeds and one learner with a closed session of six answers, everything derived."""
    with cluster.database(cluster.template) as made:
        with writing(made) as session:
            seeding.seed(session, seeding.read_seeds())
        with writing(made) as session:
            practise(session)
            derived.refresh(session.connection())
        yield made


def practise(session: Session) -> None:
    began = datetime.now(UTC) - 3 * HOUR
    learner = make_user(session, username="ana", created_at=began - 30 * 24 * HOUR)
    exercise = session.scalars(text("SELECT id FROM exercises WHERE person IS NOT NULL ORDER BY slug LIMIT 1")).one()
    asked = session.get_one(Exercise, exercise)
    item = make_item(session, user_id=learner.id, verb_id=asked.verb_id, tense=asked.tense, person=asked.person)
    sitting = make_session(session, user_id=learner.id, started_at=began, completed_at=began + HOUR)
    for minute in range(6):
        at = began + timedelta(minutes=minute)
        make_attempt(
            session, user_id=learner.id, session_id=sitting.id, exercise_id=asked.id, practice_item_id=item.id,
            attempted_at=at, recorded_at=at, practised_on=at.date(), expected_answer=asked.correct_answer,
            user_answer=asked.correct_answer, verdict=Verdict.CORRECT,
        )  # fmt: skip


@pytest.fixture
def practised(cluster: Cluster, practised_template: Database) -> Iterator[Database]:
    close(practised_template)  # a template has no sessions
    assert practised_template.url.database is not None
    with cluster.database(practised_template.url.database) as made:
        yield made


# All of them


def test_each_check_passes_on_sound_data(practised: Database) -> None:
    check_passes(practised, "models-match")
    check_passes(practised, "enum-labels")
    check_passes(practised, "orphans")
    check_passes(practised, "impossible-values")
    check_passes(practised, "future-times")
    check_passes(practised, "text-nfc")
    check_passes(practised, "open-sessions")
    check_passes(practised, "derived-values")
    check_passes(practised, "achievements")
    check_passes(practised, "seeds")
    check_passes(practised, "answers-are-forms")
    check_passes(practised, "content")


@pytest.mark.parametrize("check_id", CHECKS)
def test_a_deep_look_at_sound_data_passes_as_well(practised: Database, check_id: str) -> None:
    check_passes(practised, check_id, deep=True)


def test_without_content_or_answers_what_needs_them_is_skipped(database: Database) -> None:
    statuses = {check_id: result_of(database, check_id).status for check_id in CHECKS}
    skipped = dict.fromkeys(set(CHECKS) - PASSING_EMPTY, Status.SKIPPED)
    assert statuses == {**dict.fromkeys(PASSING_EMPTY, Status.OK), **skipped}


@pytest.mark.parametrize("check_id", CHECKS)
def test_a_database_that_was_never_set_up_is_skipped(empty_database: Database, check_id: str) -> None:
    check_finds(empty_database, check_id, Status.SKIPPED, "never set up")


@pytest.mark.parametrize("check_id", sorted(set(CHECKS) - {"models-match", "enum-labels", "orphans"}))
def test_a_role_that_may_not_read_the_tables_makes_it_unknown(server: Any, practised: Database, check_id: str) -> None:
    with another_role(
        server,
        practised,
        "GRANT CONNECT ON DATABASE {database} TO {role}".replace("{database}", str(practised.url.database)),
    ) as reader:
        result = result_of(reader, check_id)
    assert (result.status, result.observed) == (Status.UNKNOWN, None), result.message
    assert "SELECT" in result.remedy


@pytest.mark.parametrize("check_id", CHECKS)
def test_a_server_that_went_away_makes_it_unknown(practised: Database, tmp_path: Any, check_id: str) -> None:
    gone = Database(practised.url.update_query_dict({"host": str(tmp_path)}), practised.settings)
    check_finds(gone, check_id, Status.UNKNOWN, "Could not look")


# The schema


@pytest.mark.parametrize(
    ("name", "other", "said"),
    [
        ("column public.users.bio", None, "column public.users.bio is not migrated"),
        ("column public.users.bio", "text", "column public.users.bio is character varying(500) in the model"),
        ("column public.users.nickname", "text", "column public.users.nickname is in no model"),
        ("enum public.tier", "bronze silver", "enum public.tier is bronze silver"),
        ("enum public.tier", None, "enum public.tier is missing"),
    ],
)
def test_models_that_are_not_the_migrated_ones_are_critical(
    database: Database, monkeypatch: pytest.MonkeyPatch, name: str, other: str | None, said: str
) -> None:
    shipped = schema.expected_fingerprint()
    changed = {key: value for key, value in (shipped | {name: other}).items() if value is not None}
    monkeypatch.setattr(schema, "expected_fingerprint", lambda: changed)
    check_finds(database, "models-match", Status.CRITICAL, said)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        pytest.param(
            "ALTER TYPE tier ADD VALUE 'platinum'",
            "public.tier has platinum",
            marks=pytest.mark.injects("enum-label-added"),
        ),
        ("ALTER TYPE tier ADD VALUE 'platinum' BEFORE 'bronze'", "public.tier has platinum"),
        ("ALTER TYPE tier RENAME VALUE 'gold' TO 'oro'", "public.tier has oro"),
        ("ALTER TYPE tier RENAME TO rank", "public.tier does not exist"),
    ],
)
def test_labels_that_python_does_not_know_are_critical(database: Database, statement: str, said: str) -> None:
    run_sql(database, statement)
    check_finds(database, "enum-labels", Status.CRITICAL, said)


@pytest.mark.injects("enum-label-missing")
def test_labels_that_are_missing_or_in_another_order_are_told_apart(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    more, turned = (
        StrEnum("T", {"A": "bronze", "B": "silver", "C": "gold", "D": "iron"}),
        StrEnum("U", {"C": "gold", "B": "silver", "A": "bronze"}),
    )
    tier = next(kind for kind in ENUMS.values() if kind.name == "tier")
    monkeypatch.setattr(integrity, "ENUMS", {more: tier, turned: tier})
    check_finds(database, "enum-labels", Status.CRITICAL, "public.tier lacks iron", "has them in another order")


ORPHAN = "DELETE FROM users WHERE username = 'ana'"


@pytest.mark.injects("dropped-constraint")
def test_rows_whose_parent_went_past_a_dropped_key_are_critical(practised: Database) -> None:
    run_sql(
        practised, *[f"ALTER TABLE {table} DROP CONSTRAINT {key}" for table, key in keys_of_users(practised)], ORPHAN
    )
    result = check_finds(practised, "orphans", Status.CRITICAL, "Rows refer to what does not exist", "_user_id)")
    assert str(result.observed).endswith(" rows")


def keys_of_users(database: Database) -> list[tuple[str, str]]:
    with database.connection() as connection:
        query = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE confrelid = 'users'::regclass AND contype = 'f'"
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_key_that_is_switched_off_is_looked_at_and_passes_when_nothing_is_lost(
    server: Any, practised: Database
) -> None:
    run_as_superuser(server, practised, "ALTER TABLE study_sessions DISABLE TRIGGER ALL")
    assert "looked at" in check_passes(practised, "orphans").message


def test_rows_that_were_deleted_behind_every_trigger_are_found_by_a_deep_look(server: Any, practised: Database) -> None:
    run_as_superuser(server, practised, f"SET session_replication_role = replica; {ORPHAN}")
    check_passes(practised, "orphans")
    check_finds(practised, "orphans", Status.CRITICAL, "rows", deep=True)


# The rows


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE practice_attempts SET attempted_at = attempted_at - interval '2 hours'", "6 answers given before their session began"),
        ("UPDATE practice_attempts SET recorded_at = attempted_at - interval '10 minutes'", "6 answers recorded before they were given"),
        ("UPDATE practice_items SET tense = 'future_subjunctive'", "6 answers of another verb, tense or person"),
        ("UPDATE practice_items SET last_reviewed = now(), next_review_date = now() - interval '1 day'", "1 practice items due before their last review"),
        ("UPDATE practice_items SET attempts = 0, correct_attempts = 0, last_reviewed = now()", "1 practice items reviewed without an answer"),
        ("UPDATE users SET last_login = created_at - interval '1 day'", "1 accounts used before they were created"),
    ],
)  # fmt: skip
def test_impossible_values_are_a_warning_each(practised: Database, statement: str, said: str) -> None:
    run_sql(practised, statement)
    check_finds(practised, "impossible-values", Status.WARNING, said)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE users SET last_login = now() + interval '1 day'", "1 in users.last_login"),
        ("UPDATE practice_attempts SET recorded_at = now() + interval '1 hour'", "6 in practice_attempts.recorded_at"),
        (
            "UPDATE spanish_verbs SET published_at = 'infinity' WHERE infinitive = 'hablar'",
            "1 in spanish_verbs.published_at",
        ),
    ],
)
def test_times_in_the_future_are_a_warning(practised: Database, statement: str, said: str) -> None:
    run_sql(practised, statement)
    check_finds(practised, "future-times", Status.WARNING, said)


def test_a_planned_review_and_a_clock_a_little_ahead_are_no_fault(practised: Database) -> None:
    run_sql(
        practised,
        "UPDATE practice_items SET next_review_date = now() + interval '1 year'",
        "UPDATE users SET last_login = now() + interval '1 minute'",
    )
    check_passes(practised, "future-times")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE users SET first_name = U&'Ine\\0301s'", "1 in users"),
        ("UPDATE practice_attempts SET user_answer = U&'este\\0301'", "6 in practice_attempts"),
        ("UPDATE exercises SET tags = ARRAY[U&'cafe\\0301'] WHERE slug LIKE '%-01'", "in exercises"),
        ("UPDATE system_configuration SET value = to_jsonb(U&'e\\0301'::text), value_type = 'string', min = NULL, max = NULL WHERE key = (SELECT min(key) FROM system_configuration)", "1 in system_configuration"),
    ],
)  # fmt: skip
def test_accents_apart_from_their_letters_are_a_warning(practised: Database, statement: str, said: str) -> None:
    run_sql(practised, statement)
    check_finds(practised, "text-nfc", Status.WARNING, said)


def leave_open(database: Database, number: int, **given: Any) -> None:
    with writing(database) as session:
        learner = make_user(session, **given)
        for days in range(number):
            make_session(session, user_id=learner.id, started_at=datetime.now(UTC) - timedelta(days=2 + days))


@pytest.mark.parametrize(("number", "status"), [(1, Status.WARNING), (99, Status.WARNING), (100, Status.CRITICAL)])
def test_sessions_that_were_never_closed_are_counted(database: Database, number: int, status: Status) -> None:
    leave_open(database, number)
    result = check_finds(database, "open-sessions", status, "of 1 learner", "the oldest begun on")
    assert (result.observed, result.facts) == (number, {"sessions": number})


def test_a_session_of_today_and_those_of_synthetic_learners_are_no_fault(database: Database) -> None:
    leave_open(database, 3, username="sim_1", email="sim_1@example.invalid")
    with writing(database) as session:
        make_session(session, started_at=datetime.now(UTC) - HOUR)
    assert "3 are open of synthetic learners" in check_passes(database, "open-sessions").message


def test_many_answers_are_sampled_and_the_report_says_so(practised: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "SCANNED_WHOLE", 3)
    with practised.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE practice_attempts"))
    assert "in a sample of about 3 of 6 answers" in check_passes(practised, "impossible-values").message
    assert "in all answers" in check_passes(practised, "impossible-values", deep=True).message


# What follows from answers


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE practice_items SET attempts = attempts + 1", "practice_items.attempts"),
        ("UPDATE study_sessions SET exercises_completed = 9", "study_sessions.exercises_completed"),
        ("UPDATE user_progress SET attempts = 3", "user_progress.attempts"),
        ("UPDATE user_progress_summary SET longest_streak = 40", "user_progress_summary.longest_streak"),
    ],
)
def test_a_stored_value_that_differs_when_recomputed_is_found(practised: Database, statement: str, said: str) -> None:
    run_sql(practised, statement)
    result = check_finds(practised, "derived-values", Status.CRITICAL, "1 derived value differs", said)
    assert result.observed == "1 in all 1 learner"
    assert result.facts == {"values": 1, "learners": 1}


def test_one_learner_among_many_is_a_warning(practised: Database) -> None:
    with writing(practised) as session:
        exercise = make_exercise(session).id
        for _ in range(30):
            learner = make_user(session, created_at=datetime.now(UTC) - 24 * HOUR)
            began = datetime.now(UTC) - HOUR
            sitting = make_session(session, user_id=learner.id, started_at=began)
            at = {"attempted_at": began, "recorded_at": began, "practised_on": began.date()}
            make_attempt(session, user_id=learner.id, session_id=sitting.id, exercise_id=exercise, **at)
        derived.refresh(session.connection())
    run_sql(practised, "UPDATE practice_items SET attempts = attempts + 1")
    check_finds(practised, "derived-values", Status.WARNING, "1 derived value differs")


def test_a_sample_is_as_large_as_its_answers_allow_and_says_so(
    practised: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing(practised) as session:
        practise_again = make_user(session)
        began = datetime.now(UTC) - HOUR
        at = {"attempted_at": began, "recorded_at": began, "practised_on": began.date()}
        sitting = make_session(session, user_id=practise_again.id, started_at=began)
        make_attempt(session, user_id=practise_again.id, session_id=sitting.id, **at)
        derived.refresh(session.connection())
    monkeypatch.setattr(integrity, "MOST_ANSWERS", 1)
    assert check_passes(practised, "derived-values").observed == "0 in 1 of 2 learners"
    assert check_passes(practised, "derived-values", deep=True).observed == "0 in all 2 learners"


def test_a_value_older_than_the_content_it_is_counted_against_only_waits(practised: Database) -> None:
    with writing(practised) as session:
        key = session.scalar(text("SELECT s.slug FROM scenarios s JOIN user_progress p ON p.scenario_id = s.id"))
        first = session.scalar(
            text(
                "SELECT e.slug FROM exercises e JOIN scenarios s ON s.id = e.scenario_id WHERE s.slug = :key ORDER BY e.slug DESC"
            ),
            {"key": key},
        )
        store.set_status(session, ItemKind.EXERCISE, str(first), ContentStatus.RETIRED, actor="ana")
    check_finds(practised, "derived-values", Status.INFO, "1 value waits for a refresh")
    with writing(practised) as session:
        derived.refresh(session.connection())
    check_passes(practised, "derived-values")


def test_what_there_was_no_time_for_is_unknown(practised: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = integrity._Sample([], 0)
    with practised.connection() as connection:
        probe = Probe(connection, practised, deadline=0.0)
        outcome = integrity._judge_derived(probe, sample, [], unseen=7)
    assert (outcome.status, "7 of 0 learners" in outcome.message) == (Status.UNKNOWN, True)


ONE_ANSWER = {"metric": "total_attempts", "op": ">=", "value": 1}
MANY_ANSWERS = {"metric": "total_attempts", "op": ">=", "value": 1000}


def award(database: Database, criteria: dict[str, Any], unlocked: str) -> None:
    with writing(database) as session:
        made = make_achievement(session, criteria=criteria)
        session.execute(
            text(
                "INSERT INTO user_achievements (user_id, achievement_id, progress, current_value, unlocked_at, refreshed_at)"
                f" SELECT id, :made, 1, 6, {unlocked}, now() FROM users"
            ),
            {"made": made.id},
        )


def test_an_award_whose_criterion_was_not_met_is_found(practised: Database) -> None:
    award(practised, MANY_ANSWERS, "now()")
    check_finds(practised, "achievements", Status.CRITICAL, "not met then")


def test_an_award_that_is_earned_and_still_locked_is_found(practised: Database) -> None:
    award(practised, ONE_ANSWER, "NULL")
    check_finds(practised, "achievements", Status.CRITICAL, "user_achievements.unlocked_at")


def test_an_award_of_before_its_criterion_was_changed_is_not_judged_by_the_new_one(practised: Database) -> None:
    achievement = "(SELECT id FROM achievements WHERE criteria->>'metric' = 'total_attempts' ORDER BY slug LIMIT 1)"
    run_sql(
        practised,
        f"UPDATE user_achievements SET unlocked_at = now(), progress = 1 WHERE achievement_id = {achievement}",
    )
    check_finds(practised, "achievements", Status.CRITICAL, "not met then")
    with writing(practised) as session:
        slug = str(session.scalar(text(f"SELECT slug FROM achievements WHERE id = {achievement}")))
        live = store.load(session, ItemKind.ACHIEVEMENT, slug)
        harder = {**live.content.payload()["criteria"], "value": 10_000}
        store.edit(session, ItemKind.ACHIEVEMENT, slug, {"criteria": harder}, revision=live.revision, actor="ana")
    check_passes(practised, "achievements")


# The content


def test_a_seeded_item_that_is_gone_is_a_warning(practised: Database) -> None:
    run_sql(
        practised,
        "DELETE FROM user_achievements",
        "DELETE FROM achievements WHERE slug = (SELECT min(slug) FROM achievements)",
    )
    result = check_finds(
        practised, "seeds", Status.WARNING, "1 item is not as this version's seeds say", "achievement:"
    )
    assert result.facts == {"missing": 1, "behind": 0, "edited": 0, "extra": 0}


def test_an_item_of_an_older_release_is_a_warning(practised: Database) -> None:
    with writing(practised) as session:
        content = store.load_verb(session, "hablar").content.model_copy(update={"english_translation": "to say"})
        store.edit(session, ItemKind.VERB, "hablar", {"english_translation": "to say"}, revision=1, actor="ana")
        session.execute(
            text("UPDATE editorial.seed_base SET content_hash = :hash WHERE item_key = 'hablar'"),
            {"hash": content.content_hash()},
        )
    check_finds(practised, "seeds", Status.WARNING, "verb:hablar")


def test_what_editors_changed_is_information(practised: Database) -> None:
    with writing(practised) as session:
        store.edit(session, ItemKind.VERB, "hablar", {"english_translation": "to say"}, revision=1, actor="ana")
    check_finds(practised, "seeds", Status.INFO, "1 edited", "seeding keeps that")


def test_a_wrong_form_that_learners_are_taught_is_critical_and_said_once(practised: Database) -> None:
    slug = "(SELECT min(slug) FROM exercises WHERE exercise_type = 'fill_blank')"
    run_sql(
        practised,
        f"UPDATE exercises SET accepted_answers = ARRAY['hablamos'], correct_answer = 'hablamos' WHERE slug = {slug}",
    )
    result = check_finds(practised, "answers-are-forms", Status.CRITICAL, "Learners are taught a wrong form")
    assert str(result.observed).startswith("1 of ")
    assert "answer-not-a-form" not in result_of(practised, "content").message


def test_an_error_in_what_is_published_is_a_warning_and_many_are_critical(practised: Database) -> None:
    forms = "conjugations = jsonb_set(conjugations, '{present_subjunctive,yo}', '[\"hablo\"]')"
    run_sql(practised, f"UPDATE spanish_verbs SET {forms} WHERE infinitive = 'hablar'")
    check_finds(practised, "content", Status.WARNING, "verb hablar (form-stale)")
    run_sql(practised, f"UPDATE spanish_verbs SET {forms}")
    check_finds(practised, "content", Status.CRITICAL, "more")


def test_a_warning_about_content_is_information(practised: Database) -> None:
    run_sql(practised, "UPDATE exercises SET prompt = replace(prompt, ' ___', '  ___')")
    check_finds(practised, "content", Status.INFO, "double-space")


def test_a_row_that_no_item_can_be_made_of_is_critical(practised: Database) -> None:
    run_sql(practised, "UPDATE spanish_verbs SET conjugations = '{\"present\": {}}' WHERE infinitive = 'hablar'")
    check_finds(practised, "content", Status.CRITICAL, "breaks the rules of its kind")
    check_finds(practised, "answers-are-forms", Status.UNKNOWN, "Could not look")


def test_content_is_read_once_for_all_checks_of_a_run(practised: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = seeding.load_live

    def counted(session: Session) -> Any:
        read.append(session)
        return real(session)

    monkeypatch.setattr(seeding, "load_live", counted)
    run_health(practised, only=["seeds", "answers-are-forms", "content"])
    assert len(read) == 1
