"""Content in the database: read it, change it by named operations, look at its history, take a change back.

Each change is one `Editing` in the caller's transaction: it writes the live rows, a revision for
each item and the operation that explains them, so that undo needs no code of its own per change.
"""

from __future__ import annotations

import getpass
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Select, delete, func, literal_column, select
from sqlalchemy.orm import Session, selectinload

from subjunctive_admin.errors import Conflict, InvalidContent, NotFound, UsageError
from subjunctive_admin.models import (
    Achievement,
    Base,
    Draft,
    Exercise,
    Operation,
    Revision,
    Scenario,
    SpanishVerb,
    SystemConfiguration,
)
from subjunctive_admin.models.base import FOLD
from subjunctive_admin.structures import (
    CONTENT_CLASSES,
    ConfigurationEntry,
    Content,
    ExerciseContent,
    VerbContent,
)
from subjunctive_admin.vocabulary import (
    ContentStatus,
    DifficultyLevel,
    DraftState,
    ItemKind,
    OperationKind,
    VerbType,
)

C = TypeVar("C", bound=Content)

TABLES: dict[ItemKind, type[Base]] = {
    ItemKind.VERB: SpanishVerb,
    ItemKind.SCENARIO: Scenario,
    ItemKind.EXERCISE: Exercise,
    ItemKind.ACHIEVEMENT: Achievement,
    ItemKind.CONFIGURATION: SystemConfiguration,
}
_KEYS: dict[ItemKind, Any] = {
    ItemKind.VERB: SpanishVerb.infinitive,
    ItemKind.SCENARIO: Scenario.slug,
    ItemKind.EXERCISE: Exercise.slug,
    ItemKind.ACHIEVEMENT: Achievement.slug,
    ItemKind.CONFIGURATION: SystemConfiguration.key,
}
# Undo leaves these to their own commands: seeding again, and config set.
_NOT_UNDONE = (OperationKind.UNDO, OperationKind.SEED, OperationKind.CONFIGURE)
_TAKEN_BACK = select(Operation.undoes).where(Operation.undoes.is_not(None))


@dataclass(frozen=True)
class Loaded(Generic[C]):
    """An item as it is live, with the revision that a later edit must still find."""

    content: C
    revision: int


@dataclass(frozen=True)
class VerbLine:
    """One verb in a list of search results."""

    infinitive: str
    english_translation: str
    verb_type: VerbType
    difficulty_level: DifficultyLevel
    frequency_rank: int | None
    status: ContentStatus
    revision: int
    exercises: int


@dataclass(frozen=True)
class HistoryLine:
    """One published state of one item, newest first in lists; a null payload says it was taken away."""

    revision: int
    kind: OperationKind
    actor: str
    note: str
    performed_at: datetime
    payload: dict[str, Any] | None


@dataclass(frozen=True)
class Done:
    """What an operation did, in a sentence for the person who asked for it."""

    operation_id: UUID
    kind: OperationKind
    items: tuple[str, ...]
    sentence: str


def account_name() -> str:
    """Whose operation it is where nobody says: the account of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no passwd entry, as in some containers
        return "unknown"


def find_verbs(query: str = "", *, status: ContentStatus | None = None, limit: int = 50) -> Select[Any]:
    """A statement: one row per verb whose infinitive or translation holds `query`, accents aside.

    A match at the beginning of the infinitive comes first, then by frequency rank; `verb_lines` runs it.
    """
    exercises = (
        select(func.count())
        .where(Exercise.verb_id == SpanishVerb.id, Exercise.status == ContentStatus.PUBLISHED)
        .correlate(SpanishVerb)
        .scalar_subquery()
    )
    found = select(SpanishVerb, exercises.label("exercises"))
    order: list[Any] = [SpanishVerb.frequency_rank.nulls_last(), SpanishVerb.infinitive]
    # Some keyboards send an accent after its letter; the column holds composed letters.
    if needle := unicodedata.normalize("NFC", query.strip()):
        folded = func.translate(func.lower(needle), *(literal_column(part) for part in _fold_alphabets()))
        found = found.where(func.strpos(SpanishVerb.search_text, folded) > 0)
        order.insert(0, func.strpos(SpanishVerb.search_text, folded) != 1)
    if status is not None:
        found = found.where(SpanishVerb.status == status)
    return found.order_by(*order).limit(limit)


def _fold_alphabets() -> tuple[str, str]:
    quoted = FOLD.split("'")
    return f"'{quoted[1]}'", f"'{quoted[3]}'"


def verb_lines(session: Session, query: str = "", *, status: ContentStatus | None = None) -> list[VerbLine]:
    """The verbs that `find_verbs` selects, at most 50 (one statement)."""
    return [
        VerbLine(
            verb.infinitive,
            verb.english_translation,
            verb.verb_type,
            verb.difficulty_level,
            verb.frequency_rank,
            verb.status,
            verb.revision,
            exercises,
        )
        for verb, exercises in session.execute(find_verbs(query, status=status))
    ]


def load(session: Session, kind: ItemKind, key: str, *, for_update: bool = False) -> Loaded[Content]:
    """One live item with its revision.

    Raises `NotFound` when there is none of that key.
    """
    statement = _rows(kind).where(_KEYS[kind] == key)
    row = session.scalars(statement.with_for_update(of=TABLES[kind]) if for_update else statement).one_or_none()
    if row is None:
        raise NotFound(f"There is no {kind} {key!r}.", next_step="check the spelling, or add it")
    return Loaded(_to_content(kind, row), _last_revisions(session, kind, [key]).get(key, 0))


def load_verb(session: Session, infinitive: str) -> Loaded[VerbContent]:
    """One verb with its revision; raises `NotFound`."""
    loaded = load(session, ItemKind.VERB, infinitive)
    assert isinstance(loaded.content, VerbContent)
    return Loaded(loaded.content, loaded.revision)


def load_all(session: Session, kind: ItemKind) -> dict[str, Content]:
    """Every live item of a kind by its key (at most three statements)."""
    contents = (_to_content(kind, row) for row in session.scalars(_rows(kind)))
    return {content.key: content for content in contents}


def history(session: Session, kind: ItemKind, key: str) -> list[HistoryLine]:
    """Every published state of an item, newest first (one statement)."""
    rows = session.execute(
        select(Revision, Operation)
        .join(Operation, Revision.operation_id == Operation.id)
        .where(Revision.item_kind == kind, Revision.item_key == key)
        .order_by(Revision.revision.desc())
    )
    return [
        HistoryLine(revision.revision, op.kind, op.actor, op.note, op.performed_at, revision.payload)
        for revision, op in rows
    ]


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[tuple[str, Any, Any]]:
    """Field by field (nested fields by a dotted path), what two payloads disagree on: (path, before, after)."""
    found: list[tuple[str, Any, Any]] = []
    _compare("", dict(before or {}), dict(after or {}), found)
    return found


def _compare(path: str, before: Any, after: Any, found: list[tuple[str, Any, Any]]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(k for k in after if k not in before)]:
            _compare(f"{path}.{key}" if path else str(key), before.get(key), after.get(key), found)
    elif before != after:
        found.append((path, before, after))


def add(session: Session, content: Content, *, actor: str, note: str = "") -> Done:
    """Publish a new item.

    Raises `Conflict` when an item of that key is live already.
    """
    if session.scalar(select(func.count()).where(_KEYS[content.kind] == content.key)):
        raise Conflict(f"There is already a {content.kind} {content.key!r}.", next_step="edit it instead")
    editing = Editing(session, OperationKind.ADD, actor=actor, note=note)
    # As a new row: of two editors at once, the second is refused by the key and changes nothing of the first's.
    editing.publish_all([content], new=True)
    return editing.done(f"{content.key} was added and is live.")


def edit(
    session: Session,
    kind: ItemKind,
    key: str,
    changes: Mapping[str, Any],
    *,
    revision: int,
    actor: str,
    note: str = "",
) -> Done:
    """Publish `changes` (field → value) on the item that was loaded at `revision`.

    Raises `Conflict` when somebody published another revision in between, `InvalidContent` when the
    result breaks a rule, `UsageError` for a field that cannot be changed.
    """
    live = load(session, kind, key, for_update=True)
    if live.revision != revision:
        latest = history(session, kind, key)[0]
        raise Conflict(
            f"{latest.actor} published revision {live.revision} of {key} while you were editing revision {revision}; "
            "nothing was overwritten.",
            next_step="load it again and repeat your change",
        )
    fields = type(live.content).model_fields
    if unknown := sorted(set(changes) - set(fields)):
        raise UsageError(f"A {kind} has no field {', '.join(unknown)}.", next_step=f"use one of {', '.join(fields)}")
    after = validated(kind, {**live.content.payload(), **changes})
    if after.key != key:
        raise UsageError(f"The key of {key} never changes.", next_step=f"add {after.key} and retire {key}")
    if after == live.content:
        raise UsageError(f"{key} already says exactly that.", next_step="change a field first")
    editing = Editing(session, OperationKind.EDIT, actor=actor, note=note)
    number = editing.publish(after)
    return editing.done(f"{key} is live as revision {number}.")


def set_status(
    session: Session, kind: ItemKind, key: str, status: ContentStatus, *, actor: str, note: str = ""
) -> Done:
    """Retire an item, so that learners no longer get it, or bring a retired one back.

    Raises `Conflict` when it already has that status, `UsageError` for a kind that has none.
    """
    if "status" not in CONTENT_CLASSES[kind].model_fields:
        article = "An" if kind is ItemKind.ACHIEVEMENT else "A"
        raise UsageError(f"{article} {kind} cannot be retired: it has no status.", next_step="edit it instead")
    live = load(session, kind, key, for_update=True)
    if getattr(live.content, "status", None) == status:
        raise Conflict(f"{key} is {status} already.")
    retiring = status is ContentStatus.RETIRED
    editing = Editing(session, OperationKind.RETIRE if retiring else OperationKind.RESTORE, actor=actor, note=note)
    editing.publish(live.content.model_copy(update={"status": status}))
    return editing.done(f"{key} was retired; its answers are kept." if retiring else f"{key} is live again.")


def undo_last(session: Session, *, actor: str) -> Done:
    """Take back the newest operation that was not taken back yet, all its items together.

    Raises `NotFound` when there is none, `Conflict` when an item was changed since.
    """
    operation = session.scalars(
        select(Operation)
        .where(Operation.kind.not_in(_NOT_UNDONE), Operation.id.not_in(_TAKEN_BACK))
        .order_by(Operation.performed_at.desc(), Operation.id.desc())
        .limit(1)
        .options(selectinload(Operation.revisions))
        .with_for_update()
    ).one_or_none()
    if operation is None:
        raise NotFound("There is no change to take back.")
    editing = Editing(session, OperationKind.UNDO, actor=actor, undoes=operation.id)
    for revision in operation.revisions:
        _take_back(session, editing, revision)
    drafts = _discard_drafts(session, operation)
    items = ", ".join([*(revision.item_key for revision in operation.revisions), *([drafts] if drafts else [])])
    items = items or "drafts that are gone already"
    return editing.done(f"The last change ({operation.kind} of {items} by {operation.actor}) was taken back.")


def _take_back(session: Session, editing: Editing, revision: Revision) -> None:
    kind, key = revision.item_kind, revision.item_key
    if later := _changed_since(session, revision):
        raise Conflict(
            f"{key} was changed again since (revision {later}); nothing was taken back.",
            next_step="edit it by hand; its history shows every state",
        )
    before = session.get(Revision, (kind, key, revision.revision - 1))
    if before is None or before.payload is None:
        editing.withdraw(kind, key)
    else:
        editing.publish(validated(kind, before.payload))


def drafts_of(session: Session, kind: ItemKind) -> dict[str, Draft]:
    """Every draft of a kind by its key (one statement)."""
    return {row.item_key: row for row in session.scalars(select(Draft).where(Draft.item_kind == kind))}


def _discard_drafts(session: Session, operation: Operation) -> str:
    """Delete the drafts that an operation wrote, and say how many; raises `Conflict` when one was worked on since."""
    # now() is the same all through a transaction: a draft is of the operation that its author began at that moment.
    written = (Draft.author == operation.actor) & (Draft.created_at == operation.performed_at)
    drafts = session.scalars(select(Draft).where(written).order_by(Draft.item_key).with_for_update()).all()
    for draft in drafts:
        if draft.updated_at != draft.created_at or draft.state is not DraftState.DRAFT:
            raise Conflict(
                f"The draft {draft.item_key} was worked on since; nothing was taken back.",
                next_step="discard by hand the drafts that you do not want",
            )
    session.execute(delete(Draft).where(written))
    return f"{len(drafts)} {'draft' if len(drafts) == 1 else 'drafts'}" if drafts else ""


def validated(kind: ItemKind, payload: Mapping[str, Any]) -> Content:
    """The payload as an item.

    Raises `InvalidContent` with one sentence for each fault.
    """
    try:
        return CONTENT_CLASSES[kind].model_validate(dict(payload))
    except ValidationError as error:
        raise InvalidContent(f"This {kind} cannot be published:", fault_sentences(error)) from None


def fault_sentences(error: ValidationError) -> list[str]:
    """A pydantic error as sentences `field: what is wrong`, in the order found."""
    return [
        ": ".join(
            filter(None, [".".join(str(part) for part in fault["loc"]), fault["msg"].removeprefix("Value error, ")])
        )
        for fault in error.errors()
    ]


class Editing:
    """One operation under way in the caller's transaction; nothing of it exists until that commits."""

    def __init__(
        self, session: Session, kind: OperationKind, *, actor: str, note: str = "", undoes: UUID | None = None
    ) -> None:
        self._session = session
        self._kind = kind
        self._operation = Operation(kind=kind, actor=actor, note=note, undoes=undoes)
        session.add(self._operation)
        session.flush()
        self._ids: dict[ItemKind, dict[str, Any]] = {}
        self._items: list[str] = []

    def publish(self, content: Content) -> int:
        """Write the item's live row and its revision; returns the revision's number."""
        return self.publish_all([content])[0]

    def publish_all(self, contents: Sequence[Content], *, new: bool = False) -> list[int]:
        """Write items of one kind, each with its revision, in a few statements; returns the revisions' numbers.

        `new` ones are only inserted: PostgreSQL refuses a key that is there by now.
        """
        kind = contents[0].kind
        keys = [content.key for content in contents]
        numbers = _last_revisions(self._session, kind, keys)
        # Looked up before a new row joins the session: a query would flush it half filled.
        columns = [self._columns(content) for content in contents]
        rows: dict[str, Any] = {}
        if not new:
            found = self._session.execute(select(_KEYS[kind], TABLES[kind]).where(_KEYS[kind].in_(keys)))
            rows = dict(found.all())
        for content, values in zip(contents, columns, strict=True):
            key = content.key
            numbers[key] = numbers.get(key, 0) + 1
            if key not in rows:
                rows[key] = TABLES[kind]()
                self._session.add(rows[key])
            self._fill(rows[key], kind, values, numbers[key])
            self._record(kind, key, numbers[key], content.payload())
        self._session.flush()
        return [numbers[key] for key in keys]

    def _fill(self, row: Any, kind: ItemKind, values: Mapping[str, Any], number: int) -> None:
        for name, value in values.items():
            setattr(row, name, value)
        if "revision" in TABLES[kind].__table__.c:
            row.revision, row.published_at = number, func.now()
        if kind is ItemKind.CONFIGURATION:
            row.updated_by = self._operation.actor

    def draft_all(self, contents: Sequence[Content]) -> None:
        """Write new items as drafts, which are not live; PostgreSQL refuses a key that has a draft already.

        Raises `NotFound` when one refers to a scenario or a verb that there is not.
        """
        for content in contents:
            self._columns(content)
            author, payload = self._operation.actor, content.payload()
            self._session.add(Draft(item_kind=content.kind, item_key=content.key, payload=payload, author=author))
            self._items.append(content.key)
        self._session.flush()

    def withdraw(self, kind: ItemKind, key: str) -> None:
        """Take the live row away; PostgreSQL refuses when learners or other content refer to it."""
        self._session.execute(delete(TABLES[kind]).where(_KEYS[kind] == key))
        self._record(kind, key, _last_revisions(self._session, kind, [key]).get(key, 0) + 1, None)
        self._session.flush()

    def done(self, sentence: str) -> Done:
        """What was done, once every item is written."""
        return Done(self._operation.id, self._kind, tuple(self._items), sentence)

    def _record(self, kind: ItemKind, key: str, number: int, payload: dict[str, Any] | None) -> None:
        self._session.add(
            Revision(item_kind=kind, item_key=key, revision=number, payload=payload, operation_id=self._operation.id)
        )
        self._items.append(key)

    def _columns(self, content: Content) -> dict[str, Any]:
        columns = content.payload()
        if isinstance(content, ExerciseContent):
            columns["scenario_id"] = self._id_of(ItemKind.SCENARIO, columns.pop("scenario"))
            columns["verb_id"] = self._id_of(ItemKind.VERB, columns.pop("verb"))
            columns["correct_answer"] = content.correct_answer
        if isinstance(content, ConfigurationEntry):
            columns["key"] = columns.pop("name")
        return columns

    def _id_of(self, kind: ItemKind, key: str) -> Any:
        if kind not in self._ids or key not in self._ids[kind]:
            table: Any = TABLES[kind]
            self._ids[kind] = dict(self._session.execute(select(_KEYS[kind], table.id)).all())
        if key not in self._ids[kind]:
            raise NotFound(
                f"There is no {kind} {key!r}, which an exercise refers to.", next_step=f"add the {kind} first"
            )
        return self._ids[kind][key]


def _last_revisions(session: Session, kind: ItemKind, keys: Sequence[str]) -> dict[str, int]:
    """The number of each item's last revision; what never had one is left out."""
    last = (
        select(Revision.item_key, func.max(Revision.revision))
        .where(Revision.item_kind == kind, Revision.item_key.in_(keys))
        .group_by(Revision.item_key)
    )
    return dict(session.execute(last).all())


def _changed_since(session: Session, revision: Revision) -> int | None:
    """The item's newest later revision that still stands: neither taken back, nor written by taking back."""
    later = (
        select(func.max(Revision.revision))
        .join(Operation, Revision.operation_id == Operation.id)
        .where(Revision.item_kind == revision.item_kind, Revision.item_key == revision.item_key)
        .where(Revision.revision > revision.revision)
        .where(Operation.kind != OperationKind.UNDO, Operation.id.not_in(_TAKEN_BACK))
    )
    return session.scalar(later)


def _rows(kind: ItemKind) -> Select[Any]:
    statement = select(TABLES[kind])
    if kind is ItemKind.EXERCISE:
        statement = statement.options(selectinload(Exercise.scenario), selectinload(Exercise.verb))
    return statement


def _to_content(kind: ItemKind, row: Any) -> Content:
    fields: Iterable[str] = CONTENT_CLASSES[kind].model_fields
    values = {name: getattr(row, name) for name in fields if name not in ("scenario", "verb", "name")}
    match row:
        case Exercise():
            values |= {"scenario": row.scenario.slug, "verb": row.verb.infinitive}
        case SystemConfiguration():
            values["name"] = row.key
        case Achievement():
            values["name"] = row.name
    return validated(kind, values)
