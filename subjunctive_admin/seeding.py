"""`seeds/` → database, three ways: what the file says, what is live, what seeding wrote last.

An item that an editor changed is kept and listed; only `take` overwrites it, with a revision. All
of it is one transaction: a killed run leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from subjunctive_admin.content.checks import Finding, Library, Severity, run_checks
from subjunctive_admin.content.live import check_live
from subjunctive_admin.content.store import Editing, differences, load_all
from subjunctive_admin.errors import InvalidContent, NotFound, UsageError
from subjunctive_admin.models import SeedBase
from subjunctive_admin.resources import resource_folder
from subjunctive_admin.structures import CONTENT_CLASSES, Content, ExerciseContent, ScenarioContent, VerbContent
from subjunctive_admin.vocabulary import ItemKind, OperationKind

SEEDER = "seed"
# The key of the advisory lock: "seeding!" in ASCII.
_LOCK_KEY = int.from_bytes(b"seeding!", "big") - (1 << 63)
_WHERE: dict[ItemKind, str] = {
    ItemKind.VERB: "verbs/*.yaml",
    ItemKind.SCENARIO: "scenarios/*.yaml",
    ItemKind.EXERCISE: "exercises/*.yaml",
    ItemKind.ACHIEVEMENT: "achievements.yaml",
    ItemKind.CONFIGURATION: "configuration.yaml",
}
_AT_A_TIME = 100
MANIFEST = "manifest.json"
Progress = Callable[[int, int], None]


class Outcome(StrEnum):
    """What seeding does with one item."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    TAKEN = "taken"


_WRITTEN = (Outcome.ADDED, Outcome.UPDATED, Outcome.TAKEN)


class Standing(StrEnum):
    """How a live item stands to the seeds of this version, where it is not exactly as they say."""

    MISSING = "missing"
    BEHIND = "behind"
    EDITED = "edited"
    EXTRA = "extra"


@dataclass(frozen=True)
class SeedItem:
    """One item of one file, and the line it begins at."""

    content: Content
    path: Path
    line: int

    @property
    def name(self) -> str:
        """`kind:key`, as `--take` accepts it."""
        return f"{self.content.kind}:{self.content.key}"


@dataclass(frozen=True)
class SeedChange:
    """What seeding does with one item; `differences` lists (field, live, file)."""

    name: str
    outcome: Outcome
    differences: tuple[tuple[str, Any, Any], ...] = ()


@dataclass(frozen=True)
class SeedReport:
    """Every item's outcome, in the order of the files; `applied` is False for a dry run.

    `findings` are what the content checks say of the items that were, or would be, written.
    """

    changes: tuple[SeedChange, ...]
    applied: bool
    findings: tuple[Finding, ...] = ()

    @property
    def faults(self) -> list[Finding]:
        """The findings that somebody should mend; information is none."""
        return [one for one in self.findings if one.severity is not Severity.INFO]

    def of(self, outcome: Outcome) -> list[SeedChange]:
        """The items with this outcome."""
        return [change for change in self.changes if change.outcome is outcome]

    @property
    def counts(self) -> dict[str, int]:
        """Outcome → number of items, every outcome present."""
        return {outcome.value: len(self.of(outcome)) for outcome in Outcome}

    @property
    def sentence(self) -> str:
        """The whole report in one sentence."""
        said = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count)
        return f"{len(self.changes)} items: {said}" if said else "There is nothing to seed"

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON; unchanged items are counted, not listed."""
        listed = [
            {
                "item": change.name,
                "outcome": change.outcome.value,
                "differences": [{"field": f, "live": before, "seed": after} for f, before, after in change.differences],
            }
            for change in self.changes
            if change.outcome is not Outcome.UNCHANGED
        ]
        found = [one.as_dict() for one in self.findings]
        return {"applied": self.applied, "counts": self.counts, "items": listed, "findings": found}


def read_seeds(folder: Path | None = None) -> list[SeedItem]:
    """Read and validate every file, all faults together.

    Raises `InvalidContent` with one sentence `file:line: key: what is wrong` for each fault.
    """
    folder = folder or resource_folder("seeds")
    items: list[SeedItem] = []
    faults: list[str] = []
    for kind, pattern in _WHERE.items():
        paths = sorted(folder.glob(pattern))
        if not paths:
            faults.append(f"{folder.name}/{pattern}: no such file")
        for path in paths:
            items.extend(_read_file(kind, path, path.relative_to(folder.parent), faults))
    faults.extend(_twice(items))
    faults.extend(_dangling(items))
    if faults:
        noun = "fault" if len(faults) == 1 else "faults"
        raise InvalidContent(f"The seeds have {len(faults)} {noun}; nothing was written.", faults)
    return items


def library_of(items: Iterable[Content]) -> Library:
    """The verbs, exercises and scenarios among these items, as the checks read them."""
    found: dict[type, list[Any]] = {VerbContent: [], ExerciseContent: [], ScenarioContent: []}
    for item in items:
        found.get(type(item), []).append(item)
    return Library(
        {verb.infinitive: verb for verb in found[VerbContent]},
        tuple(found[ExerciseContent]),
        frozenset(scenario.slug for scenario in found[ScenarioContent]),
    )


def coverage_targets(folder: Path | None = None) -> dict[str, Any]:
    """How much the library has to have: `coverage.yaml` beside the seeds."""
    path = (folder or resource_folder("seeds")) / "coverage.yaml"
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # type: ignore[no-any-return]  # noqa: S506


def seed(
    session: Session,
    items: Sequence[SeedItem],
    *,
    take: Sequence[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> SeedReport:
    """Compare the items with what is live and write what differs, in the session's transaction.

    `take` names edited items (`verb:hablar`, or the key alone) whose live state is overwritten.
    Raises `NotFound` for a name that no seed has, `UsageError` for a key that two kinds share.
    """
    taken = {_resolve(name, items) for name in take}
    if not dry_run:
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    live = load_live(session)
    base = {(row.item_kind, row.item_key): row.content_hash for row in session.scalars(select(SeedBase))}
    changes = [_decide(item, live[item.content.kind], base, taken) for item in items]
    if not dry_run:
        _write(session, items, changes, base, progress)
    written = {change.name for change in changes if change.outcome in _WRITTEN}
    return SeedReport(tuple(changes), not dry_run, tuple(_findings(session, items, written, dry_run)))


def _findings(session: Session, items: Sequence[SeedItem], written: set[str], dry_run: bool) -> Iterator[Finding]:
    """What is wrong with these items; a dry run can only look at the files, beside which others may be live."""
    if not written:
        return
    found = run_checks(library_of(item.content for item in items)) if dry_run else check_live(session)
    yield from (one for one in found if f"{one.kind}:{one.key}" in written)


def manifest(folder: Path | None = None) -> dict[str, str]:
    """What the seeds hold: `kind:key` → content hash, in the order of the files.

    It is shipped beside them for exactly these files, which saves reading them; for any others they are read.
    Raises what `read_seeds` raises.
    """
    folder = folder or resource_folder("seeds")
    with suppress(OSError, ValueError, KeyError, TypeError):  # none, or damaged: the files themselves say it
        shipped = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if shipped["files"] == _digest(folder):
            return dict(shipped["items"])
    return dict(manifest_of(folder)["items"])


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest as it is shipped: a digest of the files, and their items' hashes."""
    return {"files": _digest(folder), "items": {item.name: item.content.content_hash() for item in read_seeds(folder)}}


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(path for pattern in _WHERE.values() for path in folder.glob(pattern)):
        found.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def standings(
    session: Session, live: Mapping[ItemKind, Mapping[str, Content]], wanted: Mapping[str, str] | None = None
) -> dict[Standing, list[str]]:
    """The live items that are not as the seeds say, by how they differ; the same three-way comparison as seeding's.

    `wanted` is a manifest, the shipped one unless given. Writes nothing.
    """
    wanted = manifest() if wanted is None else wanted
    base = {f"{row.item_kind}:{row.item_key}": row.content_hash for row in session.scalars(select(SeedBase))}
    hashes = {f"{kind}:{key}": item.content_hash() for kind, items in live.items() for key, item in items.items()}
    found: dict[Standing, list[str]] = {standing: [] for standing in Standing}
    for name, sought in wanted.items():
        outcome = _outcome(sought, hashes.get(name), base.get(name))
        if name not in hashes:
            found[Standing.MISSING].append(name)
        elif outcome is not Outcome.UNCHANGED:
            found[Standing.BEHIND if outcome is Outcome.UPDATED else Standing.EDITED].append(name)
    found[Standing.EXTRA] = [name for name in hashes if name not in wanted]
    return found


def load_live(session: Session) -> dict[ItemKind, dict[str, Content]]:
    """Every live item by kind and key."""
    return {kind: load_all(session, kind) for kind in _WHERE}


def _outcome(wanted: str, live: str | None, last: str | None) -> Outcome:
    """What seeding does, by the hashes of the file, of what is live and of what seeding wrote last."""
    if live == wanted:
        return Outcome.UNCHANGED
    if live is None and last is None:
        return Outcome.ADDED
    return Outcome.UPDATED if live is not None and live == last else Outcome.KEPT


def _decide(
    item: SeedItem, live: dict[str, Content], base: dict[tuple[ItemKind, str], str], taken: set[str]
) -> SeedChange:
    wanted, current = item.content, live.get(item.content.key)
    last = base.get((wanted.kind, wanted.key))
    if current == wanted:
        return SeedChange(item.name, Outcome.UNCHANGED)
    outcome = _outcome(wanted.content_hash(), current.content_hash() if current else None, last)
    if outcome is Outcome.ADDED:
        return SeedChange(item.name, outcome)
    fields = tuple(differences(current.payload() if current else None, wanted.payload()))
    return SeedChange(item.name, Outcome.TAKEN if outcome is Outcome.KEPT and item.name in taken else outcome, fields)


def _write(
    session: Session,
    items: Sequence[SeedItem],
    changes: Sequence[SeedChange],
    base: dict[tuple[ItemKind, str], str],
    progress: Progress | None,
) -> None:
    written = [item for item, change in zip(items, changes, strict=True) if change.outcome in _WRITTEN]
    if written:
        editing = Editing(session, OperationKind.SEED, actor=SEEDER)
        done = 0
        # By kind, in the order in which one needs the other.
        for kind in _WHERE:
            contents = [item.content for item in written if item.content.kind is kind]
            for first in range(0, len(contents), _AT_A_TIME):
                editing.publish_all(contents[first : first + _AT_A_TIME])
                done += len(contents[first : first + _AT_A_TIME])
                if progress:
                    progress(done, len(written))
    agreed = [
        item
        for item, change in zip(items, changes, strict=True)
        if change.outcome is not Outcome.KEPT
        and base.get((item.content.kind, item.content.key)) != item.content.content_hash()
    ]
    _remember(session, agreed)


def _remember(session: Session, items: Iterable[SeedItem]) -> None:
    rows = [
        {"item_kind": i.content.kind, "item_key": i.content.key, "content_hash": i.content.content_hash()}
        for i in items
    ]
    if rows:
        statement = insert(SeedBase)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["item_kind", "item_key"],
                set_={"content_hash": statement.excluded.content_hash, "seeded_at": text("now()")},
            ),
            rows,
        )


def _resolve(name: str, items: Sequence[SeedItem]) -> str:
    matching = sorted({item.name for item in items if name in (item.name, item.content.key)})
    if not matching:
        raise NotFound(f"No seed is called {name!r}.", next_step="subjunctive-admin seed --dry-run lists what differs")
    if len(matching) > 1:
        raise UsageError(f"{name!r} names several seeds: {', '.join(matching)}.", next_step="give one of these names")
    return matching[0]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in C, where the platform has it, and as its version 1.2 has it: `no` and `12:30` are texts."""

    yaml_implicit_resolvers: ClassVar[dict[str | None, list[tuple[str, re.Pattern[str]]]]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A mapping; the second of two equal keys would win in silence."""
        made = super().construct_mapping(node, deep=deep)
        if len(made) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return made


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def _read_file(kind: ItemKind, path: Path, shown: Path, faults: list[str]) -> Iterator[SeedItem]:
    """The items of a file; one with a fault is read once more, by a reader that knows lines and is ten times slower."""
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        entries = document if isinstance(document, list) else [document]
        contents = [CONTENT_CLASSES[kind].model_validate(entry) for entry in entries]
    except (yaml.YAMLError, UnicodeDecodeError, OSError, ValidationError):
        yield from _read_slowly(kind, path, shown, faults)
        return
    # Of a list, each item stands at its own dash.
    lines = [n for n, line in enumerate(text.splitlines(), start=1) if line.startswith("- ")]
    first = next((n for n, line in enumerate(text.splitlines(), start=1) if line[:1].strip(" #-")), 1)
    if not isinstance(document, list):
        lines = [first]
    if len(lines) != len(contents):  # a list that is written in another way
        yield from _read_slowly(kind, path, shown, faults)
        return
    yield from (SeedItem(content, shown, line) for content, line in zip(contents, lines, strict=True))


def _read_slowly(kind: ItemKind, path: Path, shown: Path, faults: list[str]) -> Iterator[SeedItem]:
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        faults.append(_unreadable(shown, error))
        return
    entries = document if isinstance(document, CommentedSeq) else [document]
    for position, entry in enumerate(entries):
        if not isinstance(entry, CommentedMap):
            faults.append(f"{shown}: entry {position + 1} is not a mapping of keys to values")
            continue
        try:
            content = CONTENT_CLASSES[kind].model_validate(_plain(entry))
        except ValidationError as error:
            faults.extend(_located(shown, entry, error))
            continue
        yield SeedItem(content, shown, entry.lc.line + 1)


def _unreadable(shown: Path, error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return f"{shown}:{error.problem_mark.line + 1}: not YAML: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"{shown}: not UTF-8 at byte {error.start}"
    return f"{shown}: cannot be read: {error}"


def _plain(node: Any) -> Any:
    """Ruamel's round-trip nodes as ordinary JSON values."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    for basic in (bool, int, float, str):
        if isinstance(node, basic):
            return basic(node)
    return node


def _located(shown: Path, entry: CommentedMap, error: ValidationError) -> Iterator[str]:
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        line = _line_of(entry, fault["loc"])
        yield f"{shown}:{line}: {where}: {message}" if where else f"{shown}:{line}: {message}"


def _line_of(node: Any, location: Sequence[int | str]) -> int:
    """The line of the deepest part of `location` that the file has, counted from 1."""
    line: int = node.lc.line + 1
    for part in location:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
    return line


def _twice(items: Sequence[SeedItem]) -> Iterator[str]:
    first: dict[str, SeedItem] = {}
    for item in items:
        earlier = first.setdefault(item.name, item)
        if earlier is not item:
            yield f"{item.path}:{item.line}: {item.name} stands in {earlier.path}:{earlier.line} already"


def _dangling(items: Sequence[SeedItem]) -> Iterator[str]:
    known = {item.name for item in items}
    for item in items:
        if isinstance(item.content, ExerciseContent):
            for kind, key in ((ItemKind.SCENARIO, item.content.scenario), (ItemKind.VERB, item.content.verb)):
                if f"{kind}:{key}" not in known:
                    yield f"{item.path}:{item.line}: {kind}: there is no {kind} {key!r} in the seeds"


_SIGNS = {Outcome.ADDED: "+", Outcome.UPDATED: "~", Outcome.TAKEN: "~", Outcome.KEPT: "="}
_SHOWN_FIELDS = 6
_SHOWN_ITEMS = 40
_SHOWN_FAULTS = 5


def report_lines(report: SeedReport) -> list[str]:
    """The report for a terminal: what differs and how, then the counts and the next step."""
    lines: list[str] = []
    listed = [change for change in report.changes if change.outcome is not Outcome.UNCHANGED]
    for change in listed[:_SHOWN_ITEMS]:
        lines.append(f"{_SIGNS[change.outcome]} {change.outcome:<8} {change.name}")
        if change.outcome is not Outcome.ADDED:
            lines.extend(_difference_lines(change))
    if len(listed) > _SHOWN_ITEMS:
        lines.append(f"  and {len(listed) - _SHOWN_ITEMS} more; --json lists them all")
    lines.append(report.sentence + ("." if report.applied else "; nothing was written, this was a dry run."))
    if kept := report.of(Outcome.KEPT):
        lines.append(f"An editor's state was kept. Next: subjunctive-admin seed --take {kept[0].name} to overwrite it")
    return [*lines, *_fault_lines(report.faults)]


def _fault_lines(faults: Sequence[Finding]) -> Iterator[str]:
    if not faults:
        return
    noun = "fault" if len(faults) == 1 else "faults"
    yield f"The content checks find {len(faults)} {noun} in what the seeds say:"
    for one in faults[:_SHOWN_FAULTS]:
        yield f"  {one.severity:<8} {one.check:<24} {one.kind} {one.key}: {one.message}"
    if len(faults) > _SHOWN_FAULTS:
        yield f"  and {len(faults) - _SHOWN_FAULTS} more"
    yield "Next: subjunctive-admin content check"


def _difference_lines(change: SeedChange) -> Iterator[str]:
    for path, before, after in change.differences[:_SHOWN_FIELDS]:
        yield f"    {path}: live {_shown(before)}, seed {_shown(after)}"
    if len(change.differences) > _SHOWN_FIELDS:
        yield f"    and {len(change.differences) - _SHOWN_FIELDS} more fields"


def _shown(value: Any) -> str:
    whole = json.dumps(value, ensure_ascii=False)
    return whole if len(whole) <= 60 else whole[:59] + "…"
