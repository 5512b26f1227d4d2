"""Accounts: one name whatever its case, passwords that only their hash remembers, every fault in words."""

from __future__ import annotations

import json
import re

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy.orm import Session

from subjunctive_admin import users
from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, ConstraintRefused, InvalidContent, NotFound
from subjunctive_admin.models import User
from tests.content.items import rows_of
from tests.refusals import refused_by

PASSWORD = "correct horse battery"


def created(session: Session, username: str = "Ana", email: str = "Ana@example.org", **details: object) -> User:
    return users.create_user(session, username, email, PASSWORD, **details)


def test_a_password_is_kept_as_an_argon2id_hash_that_verifies_it_alone(session: Session) -> None:
    stored = created(session).hashed_password
    assert stored.startswith("$argon2id$")
    assert PasswordHasher().verify(stored, PASSWORD)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(stored, PASSWORD + "!")


def test_the_cost_of_a_hash_is_the_second_recommended_one_of_the_rfc() -> None:
    parameters = re.search(r"\$m=(\d+),t=(\d+),p=(\d+)\$", users.hash_password(PASSWORD))
    assert parameters is not None
    assert [int(part) for part in parameters.groups()] == [65536, 3, 4]


def test_the_same_password_twice_has_two_hashes() -> None:
    assert users.hash_password(PASSWORD) != users.hash_password(PASSWORD)


def test_neither_password_nor_hash_stands_in_what_is_shown(session: Session) -> None:
    user = created(session)
    for shown in (repr(user), str(user), json.dumps(users.describe(user))):
        assert PASSWORD not in shown
        assert "argon2" not in shown


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "The password has 0 characters; 12 are needed."),
        ("x" * 11, "The password has 11 characters; 12 are needed."),
        ("ñ" * 11, "The password has 11 characters; 12 are needed."),
        ("ñ" * 513, "The password is longer than 1024 bytes."),
        ("abc\udcffdefghijkl", "The password holds bytes that are no text."),
    ],
)
def test_a_password_that_does_not_do_is_refused_without_showing_it(password: str, sentence: str) -> None:
    with pytest.raises(InvalidContent) as caught:
        users.hash_password(password)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("password", ["x" * 12, "x" * 1024, "contraseña larga", " " * 12])
def test_every_other_password_does(password: str) -> None:
    assert PasswordHasher().verify(users.hash_password(password), password)


def test_every_fault_of_a_new_account_is_said_at_once(session: Session) -> None:
    with pytest.raises(InvalidContent, match="The user 'a b' was not created") as caught:
        created(session, "a b", "nowhere", timezone="Europe/Atlantis", daily_goal_minutes=0)
    assert [fault.split(" ")[0] for fault in caught.value.faults] == [
        "username",
        "email",
        "timezone",
        "daily_goal_minutes",
    ]


@pytest.mark.parametrize(
    ("username", "email", "sentence"),
    [
        ("ANA", "other@example.org", "there is already a user with this username"),
        ("other", "ana@EXAMPLE.org", "there is already a user with this e-mail address"),
    ],
)
def test_a_name_or_address_that_is_taken_in_another_case_is_refused_in_words(
    database: Database, username: str, email: str, sentence: str
) -> None:
    with database.session(write=True) as session:
        created(session)
    before = rows_of(database, "users")
    with pytest.raises(ConstraintRefused, match=sentence) as caught, database.session(write=True) as session:
        created(session, username, email)
    assert "argon2" not in str(caught.value)
    assert rows_of(database, "users") == before


@pytest.mark.parametrize("name", ["Ana", "ana", "ANA", "ana@example.org", "ANA@EXAMPLE.ORG"])
def test_an_account_is_found_by_name_or_address_whatever_the_case(session: Session, name: str) -> None:
    user = created(session)
    assert users.find_user(session, name) is user


@pytest.mark.parametrize("email", ["JOSÉ@example.org", "İpek@example.org"])
def test_capitals_beyond_ascii_are_found_as_the_database_compares_them(session: Session, email: str) -> None:
    user = created(session, "jose", email)
    assert users.find_user(session, email) is user


@pytest.mark.parametrize("name", ["nobody", "%", "_na", ""])
def test_an_unknown_account_is_not_found_and_the_next_step_lists_them(session: Session, name: str) -> None:
    created(session)
    with pytest.raises(NotFound, match=r"There is no user '.*'\. Next: subjunctive-admin user list"):
        users.find_user(session, name)


def test_accounts_are_listed_by_name_and_closed_ones_left_out_when_asked(session: Session) -> None:
    for name in ("berta", "Ana", "carla"):
        created(session, name, f"{name}@example.org")
    users.deactivate(session, "berta")
    session.flush()
    assert [user.username for user in session.scalars(users.list_users())] == ["Ana", "berta", "carla"]
    assert [user.username for user in session.scalars(users.list_users(active_only=True))] == ["Ana", "carla"]


def test_an_account_is_closed_once(session: Session) -> None:
    created(session)
    assert users.deactivate(session, "ANA").is_active is False
    with pytest.raises(Conflict, match="Ana is deactivated already"):
        users.deactivate(session, "Ana")


def test_a_new_password_takes_the_place_of_the_old_one(session: Session) -> None:
    created(session)
    changed = users.set_password(session, "ana", "another good one")
    assert PasswordHasher().verify(changed.hashed_password, "another good one")
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(changed.hashed_password, PASSWORD)


def test_a_password_in_the_place_of_its_hash_is_refused_by_the_database_too(session: Session) -> None:
    user = created(session)
    with refused_by(session, "ck_users_hashed_password"):
        session.connection().exec_driver_sql("UPDATE users SET hashed_password = 'hunter2'")
    assert user.hashed_password.startswith("$argon2id$")


def test_an_account_described_has_its_fields_and_the_defaults_of_a_new_one(session: Session) -> None:
    user = created(session, first_name="Ana", timezone="Europe/Madrid")
    session.refresh(user)
    assert users.describe(user) == {
        "id": str(user.id),
        "username": "Ana",
        "email": "Ana@example.org",
        "first_name": "Ana",
        "last_name": None,
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
        "is_premium": False,
        "language_preference": "en",
        "difficulty_preference": "intermediate",
        "daily_goal_minutes": 30,
        "timezone": "Europe/Madrid",
        "created_at": user.created_at.isoformat(),
        "last_login": None,
    }
