"""What is known of a backup, in a JSON file beside it: the truth about it, which a restore of the database keeps.

    FOLDER/  0700
        NAME.dump           0600, pg_dump's custom format, compressed
        NAME.globals.sql    roles and their settings, without passwords
        NAME.json           the manifest; a dump without one is no backup

A name is the database and the time in UTC: subjunctive-20261123T060000Z.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any

from filelock import FileLock, Timeout

from subjunctive_admin.errors import Conflict, CouldNotBegin, NotFound, SubjunctiveError
from subjunctive_admin.ops.backup.contents import Contents
from subjunctive_admin.settings import Settings

FORMAT = 1
_NAME = re.compile(r"(?P<database>.+)-(?P<time>\d{8}T\d{6}Z)(?:-\d+)?")
_ENDINGS = (".dump", ".globals.sql", ".json")
_TIME = "%Y%m%dT%H%M%SZ"


class DamagedBackup(SubjunctiveError):
    """A backup is not what its manifest says, or has none."""


@dataclass(frozen=True)
class Verified:
    """When a backup was restored and compared, and on which PostgreSQL."""

    at: datetime
    server_version: str
    seconds: float


@dataclass(frozen=True)
class Manifest:
    """One complete backup. Sizes in bytes, times in UTC, versions as PostgreSQL says them."""

    name: str
    created_at: datetime
    database: str
    environment: str | None
    epoch: int | None
    server_version: str
    tool_version: str
    bytes: int
    sha256: str
    seconds: float
    contents: Contents
    verified: tuple[Verified, ...] = ()
    after: Mapping[str, Any] | None = None
    """What SUBJUNCTIVE_BACKUP_AFTER did with it: the command, whether it succeeded, what it said."""
    roles: tuple[str, ...] = ()
    """The roles that its tables grant something to."""
    database_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def server_major(self) -> int:
        """The oldest major that it restores into."""
        return int(self.server_version.partition(".")[0])

    @property
    def tool_major(self) -> int:
        """The oldest major whose pg_restore reads it."""
        return int(self.tool_version.partition(".")[0])

    @property
    def verified_at(self) -> datetime | None:
        """When it was last proved."""
        return max((one.at for one in self.verified), default=None)

    def as_dict(self) -> dict[str, Any]:
        """The file's JSON."""
        found = {"format": FORMAT} | {key: value for key, value in asdict(self).items() if key != "contents"}
        found |= {"created_at": _iso(self.created_at), "contents": self.contents.as_dict(), "roles": list(self.roles)}
        found["verified"] = [{**asdict(one), "at": _iso(one.at)} for one in self.verified]
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Manifest:
        """What `as_dict` gave; raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']}, and this version knows {FORMAT}")
        _refuse_wrong_kinds(found)
        given = {key: value for key, value in found.items() if key in cls.__dataclass_fields__}
        given |= {"created_at": _moment(found["created_at"]), "roles": tuple(found["roles"])}
        given["contents"] = Contents.from_dict(found["contents"])
        given["verified"] = tuple(
            Verified(_moment(one["at"]), str(one["server_version"]), float(one["seconds"])) for one in found["verified"]
        )
        return cls(**given)


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str, "database": str, "environment": (str, NoneType), "epoch": (int, NoneType), "bytes": int,
    "sha256": str, "seconds": (int, float), "after": (dict, NoneType), "roles": list, "database_settings": dict,
}  # fmt: skip


def _refuse_wrong_kinds(found: Mapping[str, Any]) -> None:
    """One manifest that was edited by hand must not keep the others from being listed."""
    for key, kind in _KINDS.items():
        if not isinstance(found[key], kind):
            raise TypeError(f"{key} is {found[key]!r}")
    for key in ("server_version", "tool_version"):
        if not re.match(r"[1-9]\d*(\.|$)", found[key]):
            raise ValueError(f"{key} is {found[key]!r}")
    if not all(isinstance(role, str) for role in found["roles"]):
        raise TypeError(f"roles is {found['roles']!r}")


def _moment(written: str) -> datetime:
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        raise ValueError(f"{written!r} has no time zone")
    return moment


@dataclass(frozen=True)
class Unusable:
    """What lies in the folder under a backup's name and is none; `reason` says why.

    Without a manifest it was never completed; one that has a manifest, if a damaged one, may hold a sound dump.
    """

    name: str
    reason: str
    bytes: int
    has_manifest: bool = False


def backup_folder(settings: Settings) -> Path:
    """Where backups are kept: what is set, else HOME/backups."""
    return settings.backup_folder or settings.home / "backups"


def prepare_folder(folder: Path) -> None:
    """Make it for this user alone. Raises `CouldNotBegin` where that is not possible."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error
    if not os.access(folder, os.W_OK):
        raise _unusable(folder, "it cannot be written")


def _unusable(folder: Path, reason: str) -> CouldNotBegin:
    return CouldNotBegin(
        f"Backups cannot be kept in {folder}: {reason}.", next_step="set SUBJUNCTIVE_BACKUP_FOLDER to one of yours"
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder while files come or go; raises `Conflict` when another process does."""
    prepare_folder(folder)
    try:
        with FileLock(folder / ".lock", timeout=0, mode=0o600):
            yield
    except Timeout:
        raise Conflict(f"Another backup is at work in {folder}.", next_step="wait until it is done") from None


def new_name(folder: Path, database: str, at: datetime) -> str:
    """A name that no file has: a second backup within one second gets a number."""
    stem = f"{re.sub(r'[^A-Za-z0-9_]', '_', database)}-{at.astimezone(UTC).strftime(_TIME)}"
    taken = {path.name.partition(".")[0] for path in folder.iterdir()}
    return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, 10_000))) if name not in taken)


def time_of(name: str) -> datetime | None:
    """The time in a backup's name; None for a name that is none."""
    found = _NAME.fullmatch(name)
    try:
        return datetime.strptime(found["time"], _TIME).replace(tzinfo=UTC) if found else None
    except ValueError:  # digits that are no time
        return None


def name_of(file: Path) -> str | None:
    """The backup that a file belongs to; None for what is no file of a backup."""
    whole = file.name.removesuffix(".partial")
    names = (whole.removesuffix(ending) for ending in _ENDINGS if whole.endswith(ending))
    return next((name for name in names if time_of(name)), None)


def read_folder(folder: Path) -> tuple[list[Manifest], list[Unusable]]:
    """The backups, the newest first, and what looks like one and is none; empty where there is no folder."""
    manifests, unusable = [], []
    names = {name_of(path) for path in (folder.iterdir() if folder.is_dir() else ())}
    for name in sorted(filter(None, names)):
        try:
            manifests.append(_read(folder, name))
        except DamagedBackup as error:
            size = sum(path.stat().st_size for path in files_of(folder, name))
            unusable.append(Unusable(name, error.message, size, (folder / f"{name}.json").exists()))
    return sorted(manifests, key=lambda one: (one.created_at, one.name), reverse=True), unusable


def find(folder: Path, name: str | None) -> Manifest:
    """The backup of that name, or the newest. Raises `NotFound`, or `DamagedBackup` where it is none."""
    manifests, unusable = read_folder(folder)
    if name is None:
        if manifests:
            return manifests[0]
        raise NotFound(f"There is no backup in {folder}.", next_step="subjunctive-admin backup create")
    for one in unusable:
        if one.name == name:
            raise DamagedBackup(one.reason)
    for manifest in manifests:
        if manifest.name == name:
            return manifest
    raise NotFound(f"There is no backup {name!r} in {folder}.", next_step="subjunctive-admin backup list")


def _read(folder: Path, name: str) -> Manifest:
    file = folder / f"{name}.json"
    if not file.exists():
        raise DamagedBackup(f"{name} was never completed: it has no manifest.")
    try:
        manifest = Manifest.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DamagedBackup(f"The manifest of {name} cannot be read: {error}.") from error
    dump = dump_of(folder, name)
    if manifest.name != name or not dump.exists():
        raise DamagedBackup(f"{name} has no dump." if not dump.exists() else f"{file.name} is of {manifest.name}.")
    if dump.stat().st_size != manifest.bytes:
        raise DamagedBackup(f"{name} has {dump.stat().st_size:,} bytes instead of {manifest.bytes:,}.")
    return manifest


def dump_of(folder: Path, name: str) -> Path:
    """The dump's file."""
    return folder / f"{name}.dump"


def files_of(folder: Path, name: str) -> list[Path]:
    """Every file of a backup, finished or not, its manifest first: without it the others are none."""
    endings = (*reversed(_ENDINGS), *(f"{ending}.partial" for ending in _ENDINGS))
    return [path for ending in endings if (path := folder / f"{name}{ending}").exists()]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it aside, have the disk keep it, and put it in its place in one step."""
    partial, final = folder / f"{manifest.name}.json.partial", folder / f"{manifest.name}.json"
    text = json.dumps(manifest.as_dict(), indent=1, ensure_ascii=False) + "\n"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(final)
    keep(folder)


def keep(folder: Path) -> None:
    """Have the disk keep the folder's names; where the system offers that."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def note_verified(folder: Path, manifest: Manifest, proof: Verified) -> Manifest:
    """The manifest with one more proof, written."""
    # As it is now: another proof may have been noted meanwhile.
    found = find(folder, manifest.name)
    proved = replace(found, verified=(*found.verified, proof))
    write_manifest(folder, proved)
    return proved


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
