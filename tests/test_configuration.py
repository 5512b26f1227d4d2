"""The system configuration: typed, within limits, without secrets, each change with its author."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from subjunctive_admin import configuration
from subjunctive_admin.configuration import get_entry, list_entries, set_entry
from subjunctive_admin.content import store
from subjunctive_admin.db import Database
from subjunctive_admin.errors import InvalidContent, NotFound, SubjunctiveError
from subjunctive_admin.vocabulary import ItemKind
from tests.content.items import entry
from tests.refusals import refused_by

ENTRIES = (
    entry("practice.daily_goal", value=20, value_type="integer", min=1, max=200),
    entry("practice.threshold", value=0.8, value_type="number", min=0, max=1),
    entry("practice.strict", value=False, value_type="boolean", min=None, max=None),
    entry("application.name", value="Practice", value_type="string", min=None, max=None),
    entry("application.languages", value=["en", "es"], value_type="list", min=None, max=None),
    entry("feedback.band", value={"low": 0.4, "high": 0.95}, value_type="object", min=None, max=None),
)


@pytest.fixture
def configured(session: Session) -> Session:
    for one in ENTRIES:
        store.add(session, one, actor="ana")
    return session


def changes(session: Session, key: str) -> list[tuple[int, str, str]]:
    return [
        (line.revision, line.kind.value, line.actor) for line in store.history(session, ItemKind.CONFIGURATION, key)
    ]


@pytest.mark.parametrize(
    ("key", "given", "value", "sentence"),
    [
        ("practice.daily_goal", "30", 30, "practice.daily_goal is now 30."),
        ("practice.threshold", "1", 1, "practice.threshold is now 1."),
        ("practice.threshold", "0.25", 0.25, "practice.threshold is now 0.25."),
        ("practice.strict", "true", True, "practice.strict is now true."),
        ("application.name", "El subjuntivo, ñ", "El subjuntivo, ñ", 'application.name is now "El subjuntivo, ñ".'),
        ("application.name", "42", "42", 'application.name is now "42".'),
        ("application.languages", '["es"]', ["es"], 'application.languages is now ["es"].'),
        ("feedback.band", '{"low": 0.1}', {"low": 0.1}, 'feedback.band is now {"low": 0.1}.'),
    ],
)
def test_a_value_is_read_as_its_type_wants_it_and_published(
    configured: Session, key: str, given: str, value: Any, sentence: str
) -> None:
    assert set_entry(configured, key, given, actor="berta") == sentence
    assert get_entry(configured, key).value == value
    assert changes(configured, key) == [(2, "configure", "berta"), (1, "add", "ana")]


@pytest.mark.parametrize(
    ("key", "given", "fault"),
    [
        ("practice.daily_goal", "0", "practice.daily_goal is at least 1, not 0"),
        ("practice.daily_goal", "201", "practice.daily_goal is at most 200, not 201"),
        ("practice.daily_goal", "2.5", "practice.daily_goal is an integer, not 2.5"),
        ("practice.daily_goal", "true", "practice.daily_goal is an integer, not true"),
        ("practice.daily_goal", "null", "practice.daily_goal is an integer, not null"),
        ("practice.daily_goal", "many", "'many' is no JSON, and practice.daily_goal is of the type integer"),
        ("practice.daily_goal", "", "'' is no JSON, and practice.daily_goal is of the type integer"),
        ("practice.daily_goal", "9" * 5000, "99…' is no JSON"),
        ("practice.threshold", "1.01", "practice.threshold is at most 1, not 1.01"),
        ("practice.threshold", "NaN", "'NaN' is no JSON, and practice.threshold is of the type number"),
        ("practice.threshold", "-Infinity", "'-Infinity' is no JSON, and practice.threshold is of the type number"),
        ("practice.threshold", '"0.8"', 'practice.threshold is a number, not "0.8"'),
        ("practice.strict", "yes", "'yes' is no JSON, and practice.strict is of the type boolean"),
        ("practice.strict", "1", "practice.strict is a boolean, not 1"),
        ("application.languages", '{"en": 1}', "application.languages is a list, not"),
        ("feedback.band", "[0.4]", "feedback.band is an object, not"),
    ],
)
def test_a_value_of_another_type_or_beyond_the_limits_is_refused_and_nothing_changes(
    configured: Session, key: str, given: str, fault: str
) -> None:
    before = get_entry(configured, key)
    with pytest.raises(InvalidContent) as caught:
        set_entry(configured, key, given, actor="berta")
    assert fault in str(caught.value)
    assert len(str(caught.value)) < 200
    assert get_entry(configured, key) == before
    assert changes(configured, key) == [(1, "add", "ana")]


def test_the_value_it_has_already_publishes_nothing(configured: Session) -> None:
    assert set_entry(configured, "practice.daily_goal", "20", actor="berta") == "practice.daily_goal is 20 already."
    assert changes(configured, "practice.daily_goal") == [(1, "add", "ana")]


def test_an_unknown_key_is_not_found(configured: Session) -> None:
    with pytest.raises(NotFound, match=r"There is no configuration 'practice\.nothing'"):
        set_entry(configured, "practice.nothing", "1", actor="ana")


def test_entries_are_listed_by_key(configured: Session) -> None:
    assert [one.name for one in list_entries(configured)] == sorted(one.name for one in ENTRIES)


@pytest.mark.parametrize("word", ["password", "smtp_passwd", "client_secret", "token", "api_key", "credential_file"])
def test_an_entry_that_looks_like_a_secret_is_refused(word: str) -> None:
    with pytest.raises(ValidationError, match="looks like a secret; secrets belong in the environment or a passfile"):
        entry(f"mail.{word}", value="hunter2", value_type="string", min=None, max=None)


@pytest.mark.parametrize(
    ("key", "value", "constraint"),
    [
        ("practice.daily_goal", "500", "ck_system_configuration_value_range"),
        ("practice.daily_goal", "2.5", "ck_system_configuration_value_type"),
        ("practice.strict", '"no"', "ck_system_configuration_value_type"),
    ],
)
def test_the_database_refuses_the_same_whoever_writes(
    configured: Session, key: str, value: str, constraint: str
) -> None:
    with refused_by(configured, constraint):
        configured.connection().exec_driver_sql(
            "UPDATE system_configuration SET value = %(value)s WHERE key = %(key)s", {"value": value, "key": key}
        )


def test_two_at_once_are_two_revisions_one_after_the_other(database: Database) -> None:
    with database.session(write=True) as session:
        store.add(session, ENTRIES[0], actor="ana")
    barrier = threading.Barrier(2)

    def change(value: str) -> str | SubjunctiveError:
        try:
            with database.session(write=True) as session:
                session.connection()
                barrier.wait()
                return set_entry(session, "practice.daily_goal", value, actor=f"setter {value}")
        except SubjunctiveError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(change, ["30", "40"])) == [
            "practice.daily_goal is now 30.",
            "practice.daily_goal is now 40.",
        ]
    with database.session() as session:
        newest, older, _first = store.history(session, ItemKind.CONFIGURATION, "practice.daily_goal")
        assert {newest.actor, older.actor} == {"setter 30", "setter 40"}
        assert newest.payload == get_entry(session, "practice.daily_goal").payload()


def test_changing_the_configuration_is_not_the_editors_last_change(configured: Session) -> None:
    set_entry(configured, "practice.daily_goal", "30", actor="berta")
    assert store.undo_last(configured, actor="ana").items == ("feedback.band",)
    assert get_entry(configured, "practice.daily_goal").value == 30


@pytest.mark.parametrize("text", ["0.8", "true", '["en"]'])
def test_text_of_a_string_stays_as_it_is(text: str) -> None:
    assert configuration.parse_value(ENTRIES[3], text) == text
