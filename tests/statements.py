"""What is sent to the server: for tests of how many statements something takes, and of which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event


@contextmanager
def statements(sender: Engine | Connection) -> Iterator[list[str]]:
    """The statements that reach the server inside the block."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(sender, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(sender, "before_cursor_execute", note)
