"""What can go wrong, what happened and what to do next.

SubjunctiveError                    exit 2: work that was begun has failed
├── UsageError                      exit 64: a wrong name, parameter or option
├── InvalidContent                  faults in seeds, content or configuration, all reported together
├── Conflict                        somebody changed it in between; nothing was overwritten
│   └── Busy                        somebody is at it; the same request may succeed in a moment
├── NotFound                        no such item, user, key or notebook
├── ConstraintRefused               PostgreSQL refused a row
├── WriteRefused                    this session only reads
└── CouldNotBegin                   exit 3: nothing was attempted
    ├── SettingsError               a SUBJUNCTIVE_ variable or a folder is unusable
    ├── EmbeddedServerError         the private PostgreSQL could not be made or started
    ├── NotSetUp                    the database lacks the schema this version needs
    └── DatabaseUnavailable         no usable connection
        ├── ServerUnreachable
        ├── AccessDenied
        ├── UnknownDatabase
        ├── ServerTooOld
        └── NoConnectionLeft
"""

from __future__ import annotations

from collections.abc import Sequence


class SubjunctiveError(Exception):
    """A sentence that says what is true, then one next step."""

    exit_code = 2

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        self.message = message
        self.next_step = next_step
        super().__init__(message if next_step is None else f"{message} Next: {next_step}")


class UsageError(SubjunctiveError):
    """A name, a parameter or an option that does not exist or has the wrong type."""

    exit_code = 64


class InvalidContent(SubjunctiveError):
    """Faults in seeds, content or configuration; `faults` has one sentence for each, in the order found."""

    def __init__(self, message: str, faults: Sequence[str], *, next_step: str | None = None) -> None:
        self.faults = tuple(faults)
        # The message holds every fault: it is what a notebook, a log and a terminal show.
        super().__init__("\n  ".join([message, *self.faults]), next_step=next_step)


class Conflict(SubjunctiveError):
    """Somebody changed the item since it was loaded; nothing was overwritten."""


class Busy(Conflict):
    """Another session held what this needs, and nothing was changed: the same request may succeed in a moment."""


class NotFound(SubjunctiveError):
    """There is no item, user, key or notebook of that name."""


class ConstraintRefused(SubjunctiveError):
    """PostgreSQL refused a row; `constraint` is the name of the rule."""

    def __init__(self, message: str, *, constraint: str | None, next_step: str | None = None) -> None:
        self.constraint = constraint
        super().__init__(message, next_step=next_step)


class WriteRefused(SubjunctiveError):
    """A session that only reads was asked to write."""


class CouldNotBegin(SubjunctiveError):
    """Nothing was attempted."""

    exit_code = 3


class SettingsError(CouldNotBegin):
    """A setting is unusable: its name, its value and what it accepts are in the message."""


class EmbeddedServerError(CouldNotBegin):
    """The private PostgreSQL could not be created, started or reached."""


class NotSetUp(CouldNotBegin):
    """The database lacks the schema this version needs."""


class DatabaseUnavailable(CouldNotBegin):
    """There is no usable connection."""


class ServerUnreachable(DatabaseUnavailable):
    """No server answered at that address."""


class AccessDenied(DatabaseUnavailable):
    """The server refused this user or password."""


class UnknownDatabase(DatabaseUnavailable):
    """The server has no database of that name."""


class ServerTooOld(DatabaseUnavailable):
    """The server's major version is below the oldest supported one."""


class NoConnectionLeft(DatabaseUnavailable):
    """The server, or this process' pool, has no free connection."""
