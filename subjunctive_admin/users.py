"""Accounts: create, list, show, deactivate, set a password. Passwords are argon2id hashes, never shown."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from subjunctive_admin.errors import Conflict, InvalidContent, NotFound
from subjunctive_admin.models import User
from subjunctive_admin.vocabulary import DifficultyLevel

MIN_PASSWORD_LENGTH = 12
_MAX_PASSWORD_BYTES = 1024


def hash_password(password: str) -> str:
    """The password's argon2id hash (RFC 9106, second recommended option of argon2-cffi).

    Raises `InvalidContent` for one shorter than 12 characters, longer than 1,024 bytes, or no text.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidContent(f"The password has {len(password)} characters; {MIN_PASSWORD_LENGTH} are needed.", [])
    try:
        encoded = password.encode()
    except UnicodeEncodeError:
        raise InvalidContent("The password holds bytes that are no text.", []) from None
    if len(encoded) > _MAX_PASSWORD_BYTES:
        raise InvalidContent(f"The password is longer than {_MAX_PASSWORD_BYTES} bytes.", [])
    return PasswordHasher().hash(encoded)


def create_user(session: Session, username: str, email: str, password: str, **details: Any) -> User:
    """Add an account; `details` are further columns of `users`.

    Raises `InvalidContent` with a sentence for each value that breaks a rule, `ConstraintRefused`
    when the username or the e-mail address is taken.
    """
    values = {"username": username, "email": email, "hashed_password": hash_password(password), **details}
    user = User()
    faults = []
    for name, value in values.items():
        try:
            setattr(user, name, value)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise InvalidContent(f"The user {username!r} was not created:", faults)
    session.add(user)
    session.flush()
    return user


def list_users(*, active_only: bool = False) -> Select[User]:
    """A statement: every account by username."""
    statement = select(User).order_by(func.lower(User.username))
    return statement.where(User.is_active) if active_only else statement


def find_user(session: Session, name: str) -> User:
    """The account with this username or e-mail address, whatever the case.

    Raises `NotFound`.
    """
    wanted = func.lower(name)  # the database's lower(): Python folds letters that it leaves alone
    match = or_(func.lower(User.username) == wanted, func.lower(User.email) == wanted)
    user = session.scalars(select(User).where(match)).one_or_none()
    if user is None:
        raise NotFound(f"There is no user {name!r}.", next_step="subjunctive-admin user list")
    return user


def deactivate(session: Session, name: str) -> User:
    """Close an account; everything it recorded is kept.

    Raises `NotFound`, or `Conflict` when it is closed already.
    """
    user = find_user(session, name)
    if not user.is_active:
        raise Conflict(f"{user.username} is deactivated already.")
    user.is_active = False
    return user


def set_password(session: Session, name: str, password: str) -> User:
    """Replace an account's password; raises `NotFound` or `InvalidContent`."""
    user = find_user(session, name)
    user.hashed_password = hash_password(password)
    return user


def describe(user: User) -> dict[str, Any]:
    """An account as plain JSON, without its password hash."""
    return {
        "id": str(user.id),
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "is_active": user.is_active,
        "is_superuser": user.is_superuser,
        "is_verified": user.is_verified,
        "is_premium": user.is_premium,
        "language_preference": user.language_preference,
        "difficulty_preference": DifficultyLevel(user.difficulty_preference).value,
        "daily_goal_minutes": user.daily_goal_minutes,
        "timezone": user.timezone,
        "created_at": user.created_at.isoformat(),
        "last_login": user.last_login.isoformat() if user.last_login else None,
    }
