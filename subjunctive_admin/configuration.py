"""The system configuration: typed values with limits, each change a revision with its author."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.orm import Session

from subjunctive_admin.content.store import Editing, load, load_all, validated
from subjunctive_admin.errors import InvalidContent
from subjunctive_admin.structures import ConfigurationEntry
from subjunctive_admin.vocabulary import ItemKind, OperationKind, ValueType


def get_entry(session: Session, key: str) -> ConfigurationEntry:
    """One entry; raises `NotFound`."""
    entry = load(session, ItemKind.CONFIGURATION, key).content
    assert isinstance(entry, ConfigurationEntry)
    return entry


def list_entries(session: Session) -> list[ConfigurationEntry]:
    """Every entry, by key."""
    entries = load_all(session, ItemKind.CONFIGURATION).values()
    return sorted((e for e in entries if isinstance(e, ConfigurationEntry)), key=lambda entry: entry.name)


def set_entry(session: Session, key: str, value: str, *, actor: str) -> str:
    """Change an entry's value, given as text: JSON, or the bare words of a string.

    Raises `NotFound` for an unknown key, `InvalidContent` for a value of the wrong type or outside
    the entry's limits. Returns the sentence that says what is true now.
    """
    entry = load(session, ItemKind.CONFIGURATION, key, for_update=True).content
    assert isinstance(entry, ConfigurationEntry)
    changed = validated(ItemKind.CONFIGURATION, {**entry.payload(), "value": parse_value(entry, value)})
    if changed == entry:
        return f"{key} is {value} already."
    editing = Editing(session, OperationKind.CONFIGURE, actor=actor)
    editing.publish(changed)
    return f"{key} is now {json.dumps(changed.payload()['value'], ensure_ascii=False)}."


def parse_value(entry: ConfigurationEntry, value: str) -> Any:
    """The text as the entry's type wants it; raises `InvalidContent` when it is no such JSON."""
    if entry.value_type is ValueType.STRING:
        return value
    try:
        return json.loads(value, parse_constant=_refuse_constant)
    except ValueError:
        shown = value if len(value) <= 60 else value[:59] + "…"
        raise InvalidContent(
            f"{shown!r} is no JSON, and {entry.name} is of the type {entry.value_type}.",
            [],
            next_step='write it as JSON: 0.8, true, ["en"]',
        ) from None


def _refuse_constant(name: str) -> Any:
    # Python reads NaN and Infinity, which are no JSON; PostgreSQL does not.
    raise ValueError(name)
